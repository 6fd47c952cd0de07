package keeper

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/retain"
	"github.com/custody-log/custody/internal/store"
)

// An Estimate is what an erasure would do now.
type Estimate struct {
	Events  int64            `json:"events"`  // that would lose fields
	Fields  int64            `json:"fields"`  // that would go
	Held    int64            `json:"held"`    // events that holds would keep from it
	Classes map[string]int64 `json:"classes"` // the events, by class of retention
}

// readAtOnce is how many records are read at a time.
const readAtOnce = 1024

// Estimate says what an erasure would do now, and changes nothing.
func (k *Keeper) Estimate(ctx context.Context, p retain.Person) (Estimate, error) {
	sum := Estimate{Classes: make(map[string]int64)}
	if err := checkPerson(p); err != nil {
		return sum, err
	}
	sealed := k.parts.Store.Sealed()
	touched := func(record *event.Record, fields []int) {
		sum.Events++
		sum.Fields += int64(len(fields))
		sum.Classes[k.classOf(record)]++
	}
	_, err := k.parts.Store.Erase(ctx, store.Erasure{
		Query: about(p), DryRun: true,
		Fields: func(seq journal.Seq, record *event.Record) []int {
			if seq >= sealed { // sealed since
				return nil
			}
			fields, _ := retain.PersonalFields(record, p)
			return fields
		},
		Touched: func(_ journal.Seq, record *event.Record, fields []int) { touched(record, fields) },
		Kept:    func(journal.Seq, *event.Record) { sum.Held++ },
	})
	if err != nil {
		return sum, fmt.Errorf("keeper: estimate: %w", err)
	}
	err = k.each(ctx, sealed, func(_ journal.Seq, record *event.Record) error {
		fields, _ := retain.PersonalFields(record, p)
		switch {
		case len(fields) == 0:
		case len(k.state.Holds.Holding(record.Open(), time.Now())) > 0:
			sum.Held++
		default:
			touched(record, fields)
		}
		return nil
	})
	return sum, err
}

// each calls yield with each record there is from a position on.
func (k *Keeper) each(ctx context.Context, from journal.Seq, yield func(seq journal.Seq, record *event.Record) error) error {
	var record event.Record
	for end := k.parts.Journal.Size(); from < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		records, err := k.parts.Journal.Read(from, int(min(readAtOnce, end-from)))
		if err != nil {
			return err
		}
		for _, r := range records {
			if r.Body == nil { // dropped by retention
				continue
			}
			if err := record.Decode(r.Body); err != nil {
				return fmt.Errorf("keeper: record %d: %w", r.Seq, err)
			}
			if err := yield(r.Seq, &record); err != nil {
				return err
			}
		}
		from += journal.Seq(len(records))
	}
	return nil
}

// RequestErasure asks for an erasure. From when it returns, the work is done,
// also after a restart. If one of the same person has not ended, that is
// returned.
func (k *Keeper) RequestErasure(ctx context.Context, by By, p retain.Person, reason string) (retain.Erasure, error) {
	if p.Type != "" && !k.cfg.Catalogue.PersonalParty("audit:erasure:request", "subjects.0.id", p.Type) {
		return retain.Erasure{}, &retain.InvalidError{Reason: fmt.Sprintf("what is of the type %q is not a person; hint: user", p.Type)}
	}
	asked, fresh, err := k.state.Ledger.Request(p, by.name(), reason, time.Now())
	if err != nil {
		return asked, err
	}
	if fresh {
		if err := k.record(ctx, by, retain.ErasureRequested(asked, time.Time{})); err != nil {
			_, undo := k.state.Ledger.Deny(asked.ID, time.Now())
			return asked, errors.Join(err, undo)
		}
	}
	k.poke()
	return asked, nil
}

// DenyErasure ends an erasure whose work is not to be done, or not any further.
func (k *Keeper) DenyErasure(ctx context.Context, by By, id, ground string) (retain.Erasure, error) {
	k.working.Lock()
	defer k.working.Unlock()
	before, err := k.Erasure(id)
	if err != nil {
		return before, err
	}
	denied, err := k.state.Ledger.Deny(id, time.Now())
	if err != nil {
		return denied, err
	}
	return denied, k.record(context.WithoutCancel(ctx), by, retain.ErasureDenied(before, ground))
}

// Erasures returns all erasures, the oldest first.
func (k *Keeper) Erasures() []retain.Erasure { return k.state.Ledger.List() }

// Erasure returns one erasure.
func (k *Keeper) Erasure(id string) (retain.Erasure, error) {
	e, ok := k.state.Ledger.Get(id)
	if !ok {
		return e, retain.ErrUnknown
	}
	return e, nil
}

// work does the erasures that wait for it.
func (k *Keeper) work(ctx context.Context) error {
	if err := k.recall(ctx); err != nil {
		return err
	}
	did := false
	for _, e := range k.state.Ledger.Pending() {
		if !k.due(&e) {
			continue
		}
		if err := k.erase(ctx, e); err != nil {
			return fmt.Errorf("keeper: erasure %s: %w", e.ID, err)
		}
		did = true
	}
	if did {
		// What was read of the people is in memory that nobody uses any more; it
		// is not to be found there either.
		debug.FreeOSMemory()
	}
	return nil
}

// due reports whether there may be anything to do for e.
func (k *Keeper) due(e *retain.Erasure) bool {
	if e.State != retain.Held {
		return true
	}
	for _, kept := range e.Kept {
		if h, ok := k.state.Holds.Get(kept.Hold); !ok || !h.Active(time.Now()) {
			return true
		}
	}
	return false
}

// erase does the work of one erasure.
func (k *Keeper) erase(ctx context.Context, e retain.Erasure) error {
	k.working.Lock()
	defer k.working.Unlock()
	e, ok := k.state.Ledger.Get(e.ID)
	if !ok || e.Person == nil { // denied meanwhile
		return nil
	}
	w := &erasing{keeper: k, erasure: &e, kept: make(map[string]int64)}
	_, err := k.parts.Store.Erase(ctx, store.Erasure{
		Query: about(*e.Person), Fields: w.fields, Touched: w.touch, Before: w.enter, Kept: w.keep,
	})
	if err != nil {
		return err
	}
	if k.parts.Forget != nil {
		if err := k.parts.Forget(ctx, *e.Person); err != nil {
			return err
		}
	}
	done, err := k.state.Ledger.Finish(e.ID, w.list(), time.Now())
	if err != nil {
		return err
	}
	if done.State == retain.Held && slices.Equal(done.Kept, e.Kept) && done.Fields == e.Fields {
		return nil // as it was
	}
	if err := k.record(context.WithoutCancel(ctx), theLog(), executed(done)); err != nil {
		return err
	}
	return k.saveApplied()
}

// executed returns the event of an erasure that is done, or done but for what is
// held. Made again, it is the same.
func executed(e retain.Erasure) *event.Event {
	made := retain.ErasureExecuted(e)
	made.Time = e.Ended
	return made
}

// recallTime is for how long the end of an erasure is looked at again: whether it
// is recorded.
const recallTime = 24 * time.Hour

// recall records the requests of erasures that have not ended, and the ends of
// those that have, once more: what a crash came before is recorded now, and all
// else is known already.
func (k *Keeper) recall(ctx context.Context) error {
	if k.recalled {
		return nil
	}
	for _, e := range k.state.Ledger.List() {
		var err error
		switch {
		case e.Person != nil:
			by := By{Actor: event.Party{Type: "admin", Name: e.By}}
			err = k.record(ctx, by, retain.ErasureRequested(e, time.Time{}))
		case e.State == retain.Done && time.Since(e.Ended) < recallTime:
			err = k.record(ctx, theLog(), executed(e))
		}
		if err != nil {
			return err
		}
	}
	k.recalled = true
	return nil
}

// An erasing is the work of one erasure.
type erasing struct {
	keeper  *Keeper
	erasure *retain.Erasure
	slots   []retain.Slot  // of the event looked at last
	touches []retain.Touch // of one segment
	kept    map[string]int64
}

func (w *erasing) fields(_ journal.Seq, record *event.Record) (fields []int) {
	fields, w.slots = retain.PersonalFields(record, *w.erasure.Person)
	return fields
}

func (w *erasing) touch(seq journal.Seq, _ *event.Record, fields []int) {
	w.touches = append(w.touches, retain.Touch{Seq: int64(seq), Fields: fields, Slots: w.slots})
}

// enter enters into the ledger what a segment is about to lose.
func (w *erasing) enter() error {
	touches := w.touches
	w.touches = nil
	return w.keeper.state.Ledger.Take(w.erasure.ID, touches)
}

func (w *erasing) keep(_ journal.Seq, record *event.Record) {
	for _, id := range w.keeper.state.Holds.Holding(record.Open(), time.Now()) {
		w.kept[id]++
	}
}

// list returns what holds kept, by hold.
func (w *erasing) list() []retain.Kept {
	list := make([]retain.Kept, 0, len(w.kept))
	for id, n := range w.kept {
		list = append(list, retain.Kept{Hold: id, Records: n})
	}
	slices.SortFunc(list, func(a, b retain.Kept) int {
		if a.Hold < b.Hold {
			return -1
		}
		return 1
	})
	return list
}
