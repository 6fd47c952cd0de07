package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/custody-log/custody/internal/disk"
)

// stateName is the file of what survives a restart.
const stateName = "witness.json"

// A state is what must survive a restart.
type state struct {
	Public string           `json:"public"` // the checkpoint that is public
	Sizes  map[string]int64 `json:"sizes"`  // how far each witness has come, by its key
}

func loadState(dir disk.FS) (state, error) {
	text, err := disk.ReadFile(dir, stateName)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, fmt.Errorf("witness: load: %w", err)
	}
	var kept state
	if err := json.Unmarshal(text, &kept); err != nil {
		return state{}, fmt.Errorf("witness: load %s: %w", stateName, err)
	}
	return kept, nil
}

// keep makes durable what is about to be public.
func (w *Witnesses) keep(public []byte) error {
	now := state{Public: string(public), Sizes: make(map[string]int64)}
	for i, s := range w.Status() {
		if s.Size > 0 {
			now.Sizes[w.members[i].witness.Key] = s.Size
		}
	}
	text, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("witness: keep: %w", err)
	}
	if err := disk.ReplaceFile(w.config.Dir, stateName, text); err != nil {
		return fmt.Errorf("witness: keep: %w", err)
	}
	return nil
}
