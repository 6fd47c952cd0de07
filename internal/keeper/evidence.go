package keeper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/retain"
)

// cursorFile says how many records the keeper has looked at for deleted accounts.
// It may be behind: what is looked at again places no other hold.
const cursorFile = "cursor.json"

const cursorVersion = 1

// A cursorState is the file.
type cursorState struct {
	Version int         `json:"version"`
	Cursor  journal.Seq `json:"cursor"`
}

func readCursor(from disk.FS) (journal.Seq, error) {
	data, err := disk.ReadFile(from, cursorFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	var state cursorState
	if err == nil {
		err = json.Unmarshal(data, &state)
	}
	if err == nil && (state.Version != cursorVersion || state.Cursor < 0) {
		err = fmt.Errorf("it has version %d, want %d", state.Version, cursorVersion)
	}
	if err != nil {
		return 0, fmt.Errorf("keeper: %s: %w; hint: without the file all records are looked at again", cursorFile, err)
	}
	return state.Cursor, nil
}

// saveCursor makes the cursor durable, if it has moved.
func (k *Keeper) saveCursor() error {
	k.watching.Lock()
	at, saved := k.watching.cursor, k.watching.saved
	k.watching.Unlock()
	if at == saved {
		return nil
	}
	data, err := json.Marshal(cursorState{cursorVersion, at})
	if err != nil {
		return fmt.Errorf("keeper: %w", err)
	}
	if err := disk.ReplaceFile(k.cfg.Dir, cursorFile, append(data, '\n')); err != nil {
		return fmt.Errorf("keeper: %w", err)
	}
	k.watching.Lock()
	k.watching.saved = at
	k.watching.Unlock()
	return nil
}

// Name implements [view.View].
func (k *Keeper) Name() string { return "keeper" }

// Cursor implements [view.View].
func (k *Keeper) Cursor() journal.Seq {
	k.watching.Lock()
	defer k.watching.Unlock()
	return k.watching.cursor
}

// accountDeleted is in every record that may call for a hold. To look for it in
// the bytes costs a fraction of decoding them.
var accountDeleted = []byte("user:account:delete")

// Apply implements [view.View]: it holds the accounts that were deleted.
func (k *Keeper) Apply(ctx context.Context, records []journal.Record) error {
	for i := range records {
		r := &records[i]
		if !bytes.Contains(r.Body, accountDeleted) {
			continue
		}
		record, err := event.DecodeRecord(r.Body)
		if err != nil {
			return fmt.Errorf("keeper: record %d: %w", r.Seq, err)
		}
		if err := k.holdEvidence(ctx, record.Open()); err != nil {
			return fmt.Errorf("keeper: record %d: %w", r.Seq, err)
		}
	}
	k.watching.Lock()
	k.watching.cursor += journal.Seq(len(records))
	k.watching.Unlock()
	return nil
}

// holdEvidence places the hold that an event calls for, if it does. To do so
// again after a crash changes nothing and records nothing new.
func (k *Keeper) holdEvidence(ctx context.Context, fields event.Fields) error {
	hold, wanted := k.state.Holds.EvidenceHold(fields, time.Now())
	if !wanted {
		return nil
	}
	placed, err := k.addHold(hold)
	if err != nil {
		return err
	}
	if placed.Account == nil { // lifted since
		return nil
	}
	e := retain.HoldPlaced(placed)
	e.Time = placed.Created
	return k.record(ctx, theLog(), e)
}
