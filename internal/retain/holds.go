package retain

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
)

// Limits of all holds.
const (
	// MaxHolds bounds how many holds are kept, those on deleted accounts and
	// those that ended lately included.
	MaxHolds = 100_000
	// MaxQueryHolds bounds those on a query: each is tried on every event that is
	// to go.
	MaxQueryHolds = 1000
)

const jsonSuffix = ".json"

// Holds are all holds. Its methods may be called concurrently.
type Holds struct {
	dir      disk.FS
	parse    Parse
	evidence Days // how long a hold on a deleted account lasts

	changing sync.Mutex // one change at a time; taken before mu
	mu       sync.RWMutex
	all      map[string]*held
	queries  []*held // those on a query; replaced, never modified
	accounts map[personKey][]*held
}

// A held is a hold and what it matches. It is replaced, never modified.
type held struct {
	Hold
	query Matcher // nil: on an account, or lifted from one
}

// A holdState is the file of one hold.
type holdState struct {
	Version int  `json:"version"`
	Hold    Hold `json:"hold"`
}

// OpenHolds reads the holds kept in dir. Those on deleted accounts last for
// evidence.
func OpenHolds(dir disk.FS, parse Parse, evidence Days) (*Holds, error) {
	h := &Holds{dir: dir, parse: parse, evidence: evidence, all: make(map[string]*held), accounts: make(map[personKey][]*held)}
	names, err := filesOf(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		id, ok := strings.CutSuffix(name, jsonSuffix)
		if !ok {
			continue
		}
		var state holdState
		if err := readState(dir, name, &state); err != nil {
			return nil, err
		}
		if err := checkVersion(name, state.Version); err != nil {
			return nil, err
		}
		if state.Hold.ID != id {
			return nil, fmt.Errorf("retain: holds/%s is of hold %q", name, state.Hold.ID)
		}
		hold, err := h.read(state.Hold)
		if err != nil {
			return nil, fmt.Errorf("retain: holds/%s: %w", name, err)
		}
		h.put(hold)
	}
	return h, nil
}

// read returns hold with its query understood, checked.
func (h *Holds) read(hold Hold) (*held, error) {
	if err := hold.check(); err != nil {
		return nil, err
	}
	if hold.Query == "" {
		return &held{Hold: hold}, nil
	}
	query, err := h.parse(hold.Query, hold.Created)
	return &held{Hold: hold, query: query}, err
}

// Add places a hold, durably, and returns it as it is kept: created now, with an
// ID if it had none. If there is one of that ID already, that is returned as it
// is, and added is false. A query that cannot be understood is the parser's
// error, another mistake an [*InvalidError].
func (h *Holds) Add(hold Hold, now time.Time) (placed Hold, added bool, err error) {
	if hold.ID == "" {
		hold.ID = newID("hold-")
	}
	if hold.Created.IsZero() {
		hold.Created = now.UTC()
	}
	hold.Lifted, hold.LiftedBy, hold.LiftReason = time.Time{}, "", ""
	if !hold.Active(now) {
		return Hold{}, false, invalid("a hold until %s would be over already", hold.Until.Format(time.RFC3339))
	}
	kept, err := h.read(hold)
	if err != nil {
		return Hold{}, false, err
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	if old, ok := h.Get(hold.ID); ok {
		return old, false, nil
	}
	if h.full(kept) {
		return Hold{}, false, ErrFull
	}
	if err := h.save(hold); err != nil {
		return Hold{}, false, err
	}
	h.mu.Lock()
	h.put(kept)
	h.mu.Unlock()
	return hold, true, nil
}

func (h *Holds) full(kept *held) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.all) >= MaxHolds || kept.query != nil && len(h.queries) >= MaxQueryHolds
}

// save makes a hold durable. The caller holds h.changing.
func (h *Holds) save(hold Hold) error {
	return writeState(h.dir, hold.ID+jsonSuffix, holdState{Version: version, Hold: hold})
}

// keys returns the people whose events are held by an account's hold.
func (h *held) keys() []personKey {
	if h.Account == nil {
		return nil
	}
	return h.Account.keys()
}

// put takes in a hold that is new. The caller holds h.mu, or is alone.
func (h *Holds) put(kept *held) {
	h.all[kept.ID] = kept
	if kept.query != nil {
		h.queries = append(slices.Clip(h.queries), kept)
	}
	for _, key := range kept.keys() {
		h.accounts[key] = append(h.accounts[key], kept)
	}
}

// forget is the opposite of put. The caller holds h.mu.
func (h *Holds) forget(kept *held) {
	delete(h.all, kept.ID)
	if kept.query != nil {
		h.queries = slices.DeleteFunc(slices.Clone(h.queries), func(other *held) bool { return other == kept })
	}
	for _, key := range kept.keys() {
		rest := slices.DeleteFunc(slices.Clone(h.accounts[key]), func(other *held) bool { return other == kept })
		if len(rest) == 0 {
			delete(h.accounts, key)
			continue
		}
		h.accounts[key] = rest
	}
}

// Get returns the hold with that ID.
func (h *Holds) Get(id string) (Hold, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	kept, ok := h.all[id]
	if !ok {
		return Hold{}, false
	}
	return kept.Hold, true
}

// List returns all holds, the newest first; those that ended are there for a
// while.
func (h *Holds) List() []Hold {
	h.mu.RLock()
	list := make([]Hold, 0, len(h.all))
	for _, kept := range h.all {
		list = append(list, kept.Hold)
	}
	h.mu.RUnlock()
	slices.SortFunc(list, func(a, b Hold) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// Lift ends a hold, durably, and returns it; an account that was held is not
// kept. It returns [ErrUnknown] if there is
// none, and an [*InvalidError] if it ended before.
func (h *Holds) Lift(id, by, reason string, now time.Time) (Hold, error) {
	if err := errors.Join(checkText("who lifts the hold", by, MaxByBytes), checkText("the reason", reason, MaxReasonBytes)); err != nil {
		return Hold{}, err
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	h.mu.RLock()
	old, ok := h.all[id]
	h.mu.RUnlock()
	switch {
	case !ok:
		return Hold{}, ErrUnknown
	case !old.Active(now):
		return Hold{}, invalid("the hold %s has ended already", id)
	}
	lifted := *old
	lifted.Lifted, lifted.LiftedBy, lifted.LiftReason = now.UTC(), by, reason
	lifted.Account = nil
	if err := h.save(lifted.Hold); err != nil {
		return Hold{}, err
	}
	h.mu.Lock()
	h.forget(old)
	h.put(&lifted)
	h.mu.Unlock()
	told := lifted.Hold
	told.Account = old.Account
	return told, nil
}

// Sweep removes, durably, the holds that ended long enough ago, and returns
// them.
func (h *Holds) Sweep(now time.Time) ([]Hold, error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	var over []Hold
	for _, hold := range h.List() {
		if !hold.over(now) {
			continue
		}
		if err := remove(h.dir, hold.ID+jsonSuffix); err != nil {
			return over, err
		}
		h.mu.Lock()
		h.forget(h.all[hold.ID])
		h.mu.Unlock()
		over = append(over, hold)
	}
	return over, nil
}

// Holding returns the IDs of the holds on the event with these fields, in their
// order. As long as there is one, nothing of the event may go.
//
// Ask with what is there of the event: a field that was erased holds no more.
func (h *Holds) Holding(fields event.Fields, now time.Time) []string {
	keys := keysOf(fields)
	var ids []string
	h.mu.RLock()
	queries := h.queries
	for _, key := range keys {
		for _, kept := range h.accounts[key] {
			if kept.Active(now) {
				ids = append(ids, kept.ID)
			}
		}
	}
	h.mu.RUnlock()
	for _, kept := range queries {
		if kept.Active(now) && kept.query.Match(fields) {
			ids = append(ids, kept.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
