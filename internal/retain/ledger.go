package retain

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/custody-log/custody/internal/disk"
)

// MaxErasures bounds how many erasures the ledger holds.
const MaxErasures = 100_000

const (
	pendingPrefix = "pending-"
	bitmapSuffix  = ".bitmap"
)

// A Ledger is what was erased, and is to be. Its methods may be called
// concurrently.
//
// The work of an erasure is: find what is about the person with
// [PersonalFields], leave out what is held, [Ledger.Take] it, and only then take
// it from the records; at the end, [Ledger.Finish]. After a crash the same is
// done again from the start: what is gone already is not found again, and stays
// in the ledger.
type Ledger struct {
	dir disk.FS

	changing sync.Mutex // one change at a time; taken before mu
	mu       sync.RWMutex
	all      map[string]*entry
	names    map[string]*entry // by pseudonym
	chunks   map[uint32]*chunk // by the upper 16 bits of a position
}

// An entry is one erasure. Its fields are guarded by the ledger's mu; what they
// point to never changes.
type entry struct {
	erasure Erasure // but for Records and Fields
	taken   *taken
}

// An erasureState is the file of one erasure.
type erasureState struct {
	Version int     `json:"version"`
	Erasure Erasure `json:"erasure"`
}

// OpenLedger reads the ledger kept in dir.
func OpenLedger(dir disk.FS) (*Ledger, error) {
	l := &Ledger{dir: dir, all: make(map[string]*entry), names: make(map[string]*entry), chunks: make(map[uint32]*chunk)}
	names, err := filesOf(dir)
	if err != nil {
		return nil, err
	}
	// What has ended comes first: an erasure may have ended before its request
	// was removed.
	for _, pending := range []bool{false, true} {
		for _, name := range names {
			id, ok := strings.CutSuffix(name, jsonSuffix)
			rest, isPending := strings.CutPrefix(id, pendingPrefix)
			if !ok || isPending != pending {
				continue
			}
			if err := l.open(name, rest, pending); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, bitmapSuffix); ok && l.all[id] == nil {
			return nil, fmt.Errorf("retain: erasures/%s: the erasure it is of is not there; hint: restore %s%s", name, id, jsonSuffix)
		}
	}
	for _, e := range l.sorted() {
		l.index(e, new(taken))
	}
	return l, nil
}

// open reads one erasure.
func (l *Ledger) open(name, id string, pending bool) error {
	if pending && l.all[id] != nil {
		return remove(l.dir, name)
	}
	var state erasureState
	if err := readState(l.dir, name, &state); err != nil {
		return err
	}
	if err := checkVersion(name, state.Version); err != nil {
		return err
	}
	if err := state.Erasure.check(id, pending); err != nil {
		return fmt.Errorf("retain: erasures/%s: %w", name, err)
	}
	took, err := readTaken(l.dir, id)
	if err != nil {
		return err
	}
	e := &entry{erasure: state.Erasure, taken: took}
	if records, fields := took.count(); !pending && (records != state.Erasure.Records || fields != state.Erasure.Fields) {
		return fmt.Errorf("retain: erasures/%s says %d fields of %d records, %s%s has %d of %d; hint: restore both from one copy",
			name, state.Erasure.Fields, state.Erasure.Records, id, bitmapSuffix, fields, records)
	}
	if l.names[state.Erasure.Pseudonym] != nil {
		return fmt.Errorf("retain: erasures/%s: another erasure has its pseudonym", name)
	}
	l.all[id], l.names[state.Erasure.Pseudonym] = e, e
	return nil
}

// readTaken reads what an erasure took; without a file, nothing.
func readTaken(dir disk.FS, id string) (*taken, error) {
	data, err := readBounded(dir, id+bitmapSuffix, maxTakenBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return new(taken), nil
	}
	if err != nil {
		return nil, err
	}
	took, err := decodeTaken(data)
	if err != nil {
		return nil, fmt.Errorf("retain: erasures/%s%s: %w", id, bitmapSuffix, err)
	}
	return took, nil
}

// sorted returns all entries, the oldest first. The caller holds l.mu, or is
// alone.
func (l *Ledger) sorted() []*entry {
	list := make([]*entry, 0, len(l.all))
	for _, e := range l.all {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *entry) int {
		return cmp.Or(a.erasure.Requested.Compare(b.erasure.Requested), cmp.Compare(a.erasure.ID, b.erasure.ID))
	})
	return list
}

// Request asks for an erasure, durably. One of the same person that has not
// ended is returned as it is; fresh is false then. A mistake is an
// [*InvalidError].
func (l *Ledger) Request(p Person, by, reason string, now time.Time) (asked Erasure, fresh bool, err error) {
	if err := errors.Join(p.check(), checkText("who asks", by, MaxByBytes), checkText("the reason", reason, MaxReasonBytes)); err != nil {
		return Erasure{}, false, err
	}
	l.changing.Lock()
	defer l.changing.Unlock()
	for _, old := range l.Pending() {
		if *old.Person == p {
			return old, false, nil
		}
	}
	if l.full() {
		return Erasure{}, false, ErrFull
	}
	e := &entry{taken: new(taken)}
	e.erasure = Erasure{
		ID: newID("e"), State: Pending, Pseudonym: newPseudonym(), Requested: now.UTC(),
		Person: &p, By: by, Reason: reason,
	}
	if err := l.save(pendingPrefix+e.erasure.ID, e.erasure); err != nil {
		return Erasure{}, false, err
	}
	l.mu.Lock()
	l.all[e.erasure.ID], l.names[e.erasure.Pseudonym] = e, e
	l.mu.Unlock()
	return e.erasure, true, nil
}

func (l *Ledger) full() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.all) >= MaxErasures
}

// save makes an erasure durable. The caller holds l.changing.
func (l *Ledger) save(name string, e Erasure) error {
	return writeState(l.dir, name+jsonSuffix, erasureState{Version: version, Erasure: e})
}

// Get returns the erasure with that ID.
func (l *Ledger) Get(id string) (Erasure, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	e, ok := l.all[id]
	if !ok {
		return Erasure{}, false
	}
	return e.told(), true
}

// told returns the erasure as of now. The caller holds the ledger's mu.
func (e *entry) told() Erasure {
	told := e.erasure
	told.Kept = slices.Clone(told.Kept)
	if !told.ended() {
		told.Records, told.Fields = e.taken.count()
	}
	return told
}

// List returns all erasures, the oldest first.
func (l *Ledger) List() []Erasure {
	return l.list(func(*Erasure) bool { return true })
}

// Pending returns the erasures whose work is to be done, the oldest first: also
// those of which something is held, because a hold may have ended.
func (l *Ledger) Pending() []Erasure {
	return l.list(func(e *Erasure) bool { return !e.ended() })
}

func (l *Ledger) list(wanted func(*Erasure) bool) []Erasure {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var list []Erasure
	for _, e := range l.sorted() {
		if wanted(&e.erasure) {
			list = append(list, e.told())
		}
	}
	return list
}

// Take enters, durably, what the erasure is about to take from records. Only
// once it returned nil may the records be changed.
func (l *Ledger) Take(id string, touches []Touch) error {
	l.changing.Lock()
	defer l.changing.Unlock()
	e, old, err := l.working(id)
	if err != nil || len(touches) == 0 {
		return err
	}
	next, err := old.with(touches)
	if err != nil {
		return err
	}
	data, err := next.encode()
	if err != nil {
		return err
	}
	if err := disk.ReplaceFile(l.dir, id+bitmapSuffix, data); err != nil {
		return fmt.Errorf("retain: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.taken = next
	l.index(e, old)
	return nil
}

// working returns an erasure that has not ended, and what it took so far. The
// caller holds l.changing.
func (l *Ledger) working(id string) (*entry, *taken, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	e, ok := l.all[id]
	switch {
	case !ok:
		return nil, nil, ErrUnknown
	case e.erasure.ended():
		return nil, nil, invalid("the erasure %s has ended", id)
	}
	return e, e.taken, nil
}

// Finish says that the work was done, but for what holds kept, and returns the
// outcome. Without anything kept the erasure has ended, and of whom it was is
// removed, durably. Otherwise it is held, and its work is to be done again when
// a hold has ended.
func (l *Ledger) Finish(id string, kept []Kept, now time.Time) (Erasure, error) {
	if len(kept) == 0 {
		return l.end(id, Done, now)
	}
	l.changing.Lock()
	defer l.changing.Unlock()
	e, _, err := l.working(id)
	if err != nil {
		return Erasure{}, err
	}
	next := e.erasure
	next.State, next.Kept = Held, slices.Clone(kept[:min(len(kept), MaxKept)])
	if err := l.save(pendingPrefix+id, next); err != nil {
		return Erasure{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.erasure = next
	return e.told(), nil
}

// Deny ends an erasure whose work is not to be done, or not any further. What it
// took before that is gone.
func (l *Ledger) Deny(id string, now time.Time) (Erasure, error) { return l.end(id, Denied, now) }

// end ends an erasure, durably.
func (l *Ledger) end(id, state string, now time.Time) (Erasure, error) {
	l.changing.Lock()
	defer l.changing.Unlock()
	e, took, err := l.working(id)
	if err != nil {
		return Erasure{}, err
	}
	next := e.erasure.anonymous()
	next.State, next.Ended = state, now.UTC()
	if state == Done {
		next.Kept = nil
	}
	next.Records, next.Fields = took.count()
	// The outcome first: a request without it would be worked on again, and with
	// it is removed at the next start.
	if err := l.save(id, next); err != nil {
		return Erasure{}, err
	}
	if err := remove(l.dir, pendingPrefix+id+jsonSuffix); err != nil {
		return Erasure{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.erasure = next
	return next, nil
}
