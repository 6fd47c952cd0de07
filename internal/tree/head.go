package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/custody-log/custody/internal/disk"
)

// ErrSwapped is returned by [Head.Swap] when the checkpoint kept is not the
// one expected: somebody else signs for this log. The process must end.
var ErrSwapped = errors.New("tree: the last signed checkpoint is not ours")

// A Head keeps the last signed checkpoint. It is what makes the log never sign
// two roots for one size, so it must not be restored from a backup.
type Head interface {
	// Load returns the last signed checkpoint, or nil if there is none.
	Load() ([]byte, error)

	// Swap durably replaces the checkpoint old with new. It returns an error
	// that wraps ErrSwapped and changes nothing if the one kept is not old.
	// After another error either may be kept.
	Swap(old, new []byte) error
}

// headName is the file in which FileHead keeps the checkpoint.
const headName = "checkpoint"

// FileHead returns the Head that is a file in dir. Whoever holds the lock of
// the data directory is the only one to swap.
func FileHead(dir disk.FS) Head { return fileHead{dir} }

type fileHead struct{ dir disk.FS }

// Load implements [Head].
func (h fileHead) Load() ([]byte, error) {
	msg, err := disk.ReadFile(h.dir, headName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("tree: load checkpoint: %w", err)
	}
	if len(msg) == 0 {
		return nil, errors.New("tree: load checkpoint: the file is empty")
	}
	return msg, nil
}

// Swap implements [Head].
func (h fileHead) Swap(old, new []byte) error {
	kept, err := h.Load()
	if err != nil {
		return err
	}
	if !bytes.Equal(kept, old) {
		return ErrSwapped
	}
	if err := disk.ReplaceFile(h.dir, headName, new); err != nil {
		return fmt.Errorf("tree: keep checkpoint: %w", err)
	}
	return nil
}
