package keeper

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/retain"
	"github.com/custody-log/custody/internal/store"
)

// appliedFile says which erasures are known not to be in the store's files, and
// of which files that is known. When either differs, older files have taken the
// place of the newer ones, or erasures came with a newer copy of the ledger. It
// must not be copied with the ledger, and may be missing: then everything is
// looked at.
const appliedFile = "applied.json"

const appliedVersion = 1

// An appliedState is the file.
type appliedState struct {
	Version    int    `json:"version"`
	Generation int64  `json:"generation"` // of the store
	Ledger     string `json:"ledger"`     // hexadecimal SHA-256 of what has ended
}

// toApply returns what the file should say.
func (k *Keeper) toApply() appliedState {
	sum := sha256.New()
	any := false
	for _, e := range k.state.Ledger.List() {
		if e.Records > 0 && !e.Ended.IsZero() {
			any = true
			fmt.Fprintf(sum, "%s %d %d\n", e.ID, e.Records, e.Fields)
		}
	}
	s := appliedState{Version: appliedVersion, Generation: k.parts.Store.Generation()}
	if any {
		s.Ledger = hex.EncodeToString(sum.Sum(nil))
	}
	return s
}

func (k *Keeper) saveApplied() error {
	data, err := json.Marshal(k.toApply())
	if err != nil {
		return fmt.Errorf("keeper: %w", err)
	}
	if err := disk.ReplaceFile(k.cfg.Dir, appliedFile, append(data, '\n')); err != nil {
		return fmt.Errorf("keeper: %w", err)
	}
	return nil
}

// isApplied reports whether all that was erased is known to be gone.
func (k *Keeper) isApplied() (bool, error) {
	want := k.toApply()
	if want.Ledger == "" {
		return true, nil
	}
	data, err := disk.ReadFile(k.cfg.Dir, appliedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("keeper: %s: %w", appliedFile, err)
	}
	var is appliedState
	known := json.Unmarshal(data, &is) == nil // otherwise as if it were missing
	return known && is.Version == want.Version && is.Ledger == want.Ledger && is.Generation <= want.Generation, nil
}

// Replay takes out of the records what the ledger says was erased, if it may be
// there again: after a restore from a backup. It is called once, when everything
// runs but nobody is let in yet. Usually it has nothing to do, and finds that out
// from two small files.
func (k *Keeper) Replay(ctx context.Context) error {
	applied, err := k.isApplied()
	if err != nil || applied {
		return err
	}
	k.working.Lock()
	defer k.working.Unlock()
	r := &replaying{ledger: k.state.Ledger, ended: make(map[string]time.Time)}
	for _, e := range k.state.Ledger.List() {
		r.ended[e.Pseudonym] = e.Ended
		r.last = later(r.last, e.Ended)
	}
	sum, err := k.parts.Store.Erase(ctx, store.Erasure{Seqs: r.seqs, Fields: r.fields})
	if err != nil {
		return fmt.Errorf("keeper: erase again: %w", err)
	}
	if sum.Events > 0 {
		k.cfg.Log.WarnContext(ctx, "what was erased was there again, and is erased again", "events", sum.Events, "fields", sum.Fields, "held", sum.Held)
	}
	if sum.Held > 0 { // to be tried again at the next start
		return nil
	}
	return k.saveApplied()
}

// A replaying is what is done after a restore.
type replaying struct {
	ledger *retain.Ledger
	ended  map[string]time.Time // of each erasure, by pseudonym
	last   time.Time            // the end of the last one

	touches map[journal.Seq]retain.Touch // of one segment
}

// later returns the later of two times, of which zero is never over.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (r *replaying) seqs(first, last journal.Seq) (list []journal.Seq) {
	r.touches = make(map[journal.Seq]retain.Touch)
	for t := range r.ledger.Entries(int64(first)) {
		if t.Seq > int64(last) {
			break
		}
		r.touches[journal.Seq(t.Seq)] = t
		list = append(list, journal.Seq(t.Seq))
	}
	return list
}

// fields returns what the ledger has of a record, unless the record is not the
// one it means: after a restore, other records may have taken the positions of
// newer ones that were lost.
func (r *replaying) fields(seq journal.Seq, record *event.Record) (fields []int) {
	t := r.touches[seq]
	for i := range record.Fields {
		if f := &record.Fields[i]; f.Name == "received" && f.Time().After(r.until(&t)) {
			return nil
		}
	}
	for _, i := range t.Fields {
		if i < len(record.Fields) && record.Fields[i].Private && !record.Fields[i].Erased {
			fields = append(fields, i)
		}
	}
	return fields
}

// until returns when the erasure that touched a record was over.
func (r *replaying) until(t *retain.Touch) time.Time {
	for _, slot := range t.Slots {
		if name, ok := r.ledger.PseudonymOf(t.Seq, slot); ok {
			if ended := r.ended[name]; !ended.IsZero() {
				return ended
			}
		}
	}
	return r.last
}
