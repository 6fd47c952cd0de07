package store

import (
	"container/heap"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
)

// Limits of one search.
const (
	MaxFound      = 1000            // events in one answer
	DefaultBudget = 5 * time.Second // what one search may take
)

// A Request says what to look for.
type Request struct {
	Query  *query.Query
	Oldest bool    // oldest first; otherwise newest first
	After  *Cursor // go on from here; nil to begin at the end
	Limit  int     // events, 1 to [MaxFound]
	Budget time.Duration
}

// An Answer is what was found.
type Answer struct {
	Found []Found // in the order asked for

	// Next is where to go on; nil if nothing matching is left.
	Next *Cursor

	// Complete is false if the search ended early because its time was up; Found
	// may then hold fewer events than were asked for.
	Complete bool

	// Taken is how many records the store had taken in. Those from there on were
	// not searched.
	Taken journal.Seq

	// Looked is how many candidates were looked at one by one.
	Looked int
}

// A Found is an event that matches.
type Found struct {
	Seq    journal.Seq
	Record *event.Record
}

// A Cursor is a place in the order of answers.
type Cursor struct {
	oldest bool
	last   segment.Place // the event before the next
}

// ErrCursor means that a text is not a cursor, or one of the other order.
var ErrCursor = errors.New("store: not a cursor of this search")

// Orders in cursors.
const (
	newestFirst = 1
	oldestFirst = 2
)

// String returns the cursor as text that is safe in a URL.
func (c *Cursor) String() string {
	order := byte(newestFirst)
	if c.oldest {
		order = oldestFirst
	}
	b := []byte{order}
	b = binary.BigEndian.AppendUint64(b, uint64(c.last.Micros))
	b = binary.BigEndian.AppendUint64(b, uint64(c.last.Seq))
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor reads what [Cursor.String] returned.
func ParseCursor(s string) (*Cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 17 || b[0] != newestFirst && b[0] != oldestFirst {
		return nil, ErrCursor
	}
	c := &Cursor{oldest: b[0] == oldestFirst}
	c.last = segment.Place{Micros: int64(binary.BigEndian.Uint64(b[1:])), Seq: int64(binary.BigEndian.Uint64(b[9:]))}
	return c, nil
}

// Search returns events that match. It panics if r.Limit is out of range.
func (s *Store) Search(ctx context.Context, r Request) (*Answer, error) {
	if r.Limit < 1 || r.Limit > MaxFound {
		panic(fmt.Sprintf("store: limit of %d events, want 1 to %d", r.Limit, MaxFound))
	}
	from := segment.Newest
	if r.Oldest {
		from = segment.Oldest
	}
	if r.After != nil {
		if r.After.oldest != r.Oldest {
			return nil, ErrCursor
		}
		from = r.After.last
	}
	if r.Budget <= 0 {
		r.Budget = DefaultBudget
	}
	m, err := s.merge(ctx, r.Query, r.Oldest, from, r.Limit+1)
	if err != nil {
		return nil, err
	}
	defer m.close()
	m.ahead = ahead{merging: m, waits: s.cache.Waits()}
	m.deadline = s.now().Add(r.Budget)
	a := &Answer{Taken: m.taken}
	var places []segment.Place
	for len(a.Found) <= r.Limit {
		found, place, ok, err := m.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		a.Found, places = append(a.Found, found), append(places, place)
	}
	a.Looked, a.Complete = m.looked, !m.expired
	switch {
	case len(a.Found) > r.Limit:
		a.Found = a.Found[:r.Limit]
		a.Next = &Cursor{r.Oldest, places[r.Limit-1]}
		a.Complete = true
	case m.expired:
		a.Next = &Cursor{r.Oldest, m.reached()}
	}
	atOnce := 1
	if m.ahead.begun != nil {
		atOnce = aheadReaders
	}
	return a, s.commit(a.Found, atOnce)
}

// A stream is the matching rows of one table or segment in order.
type stream struct {
	merging *merging
	place   segment.Place // of the next row
	limits  limits
	exact   bool

	// Of a segment.
	handle    *handle
	selection *segment.Selection
	walk      *segment.Walk
	row       uint32

	// Of a table.
	places []segment.Place
}

// A merging is streams on their way to becoming one.
type merging struct {
	store    *Store
	ctx      context.Context //nolint:containedctx // a merging lives no longer than one call
	query    *query.Query
	oldest   bool
	from     segment.Place
	now      time.Time
	deadline time.Time
	taken    journal.Seq

	records []event.Record // to be used for what is found, if they are not empty
	used    int            // of them

	handles []*handle
	waiting []*handle // not opened yet, the next one last
	opened  []*segment.Selection
	heap    []*stream

	ahead ahead // not used by walks, which read everything anyway

	last    segment.Place // the last row looked at
	looked  int
	steps   int
	expired bool
}

// merge begins a search over everything the store has.
func (s *Store) merge(ctx context.Context, q *query.Query, oldest bool, from segment.Place, limit int) (*merging, error) {
	m := &merging{store: s, ctx: ctx, query: q, oldest: oldest, from: from, last: from, now: s.now(), deadline: s.now().Add(time.Hour)}
	if err := m.tables(limit); err != nil {
		return nil, err
	}
	after, before := q.Span()
	for _, h := range m.handles {
		if h.EndTime < after || h.FirstTime >= before || m.beyond(h) {
			continue
		}
		m.waiting = append(m.waiting, h)
	}
	// The one whose rows come first stands last.
	slices.SortFunc(m.waiting, func(a, b *handle) int {
		if oldest {
			return segment.Place{Micros: b.FirstTime}.Compare(segment.Place{Micros: a.FirstTime})
		}
		return segment.Place{Micros: a.EndTime}.Compare(segment.Place{Micros: b.EndTime})
	})
	return m, nil
}

// beyond reports whether all rows of h come before the place to go on from.
func (m *merging) beyond(h *handle) bool {
	if m.oldest {
		return h.EndTime < m.from.Micros
	}
	return h.FirstTime > m.from.Micros
}

// tables looks at what is not sealed, and takes hold of the segments at the
// same instant, so that nothing is seen twice or not at all.
func (m *merging) tables(limit int) error {
	s := m.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	m.handles = s.hold()
	m.taken = s.active.end
	for family, table := range s.tables() {
		x := &stream{merging: m, limits: s.limits(family, m.now)}
		r, narrowed := x.limits.request(m.query, s.cfg.Derive)
		want := limit
		if narrowed {
			want = math.MaxInt
		}
		places, exact, err := table.Places(r, !m.oldest, m.from, want)
		if err != nil {
			m.close()
			return err
		}
		if x.places, x.exact = places, exact; len(places) > 0 {
			x.place = places[0]
			heap.Push(m, x)
		}
	}
	return nil
}

func (m *merging) close() {
	m.ahead.end()
	for _, x := range m.opened {
		x.Release()
	}
	m.opened = nil
	releaseAll(m.handles)
	m.handles = nil
}

// admit opens the segments that may hold what comes next.
func (m *merging) admit() error {
	for len(m.waiting) > 0 {
		h := m.waiting[len(m.waiting)-1]
		if len(m.heap) > 0 {
			next := m.heap[0].place.Micros
			if m.oldest && h.FirstTime > next || !m.oldest && h.EndTime < next {
				return nil
			}
		}
		m.waiting = m.waiting[:len(m.waiting)-1]
		if m.late() {
			m.waiting = append(m.waiting, h)
			return nil
		}
		m.ahead.read(h)
		x, err := m.open(h)
		if err != nil {
			return h.noted(err)
		}
		if x == nil {
			continue
		}
		m.ahead.read(h) // looking for the rows may have been the first to wait
		ok, err := x.step()
		if err != nil {
			return err
		}
		if !ok {
			x.selection.Release()
			continue
		}
		m.opened = append(m.opened, x.selection)
		heap.Push(m, x)
	}
	return nil
}

// open returns the matching rows of a segment; nil if there are none for sure.
func (m *merging) open(h *handle) (x *stream, err error) {
	if err := h.usable(); err != nil {
		return nil, err
	}
	if may, err := h.MayHold(m.query); err != nil || !may {
		return nil, err
	}
	x = &stream{merging: m, handle: h, limits: m.store.limits(h.Family, m.now).of(h)}
	r, _ := x.limits.request(m.query, m.store.cfg.Derive)
	if x.selection, err = h.Reader().Select(r); err != nil {
		return nil, err
	}
	x.exact = x.selection.Exact()
	x.walk, err = x.selection.Walk(!m.oldest, m.from)
	return x, err
}

// step goes to the next row of a stream.
func (x *stream) step() (ok bool, err error) {
	if x.handle == nil {
		if len(x.places) == 0 {
			return false, nil
		}
		x.place = x.places[0]
		return true, nil
	}
	x.row, x.place, ok, err = x.walk.Next()
	return ok, x.handle.noted(err)
}

// late reports whether the time is up, and remembers it.
func (m *merging) late() bool {
	if m.steps++; m.steps%64 == 0 && !m.expired {
		m.expired = m.ctx.Err() != nil || m.store.now().After(m.deadline)
	}
	return m.expired
}

// reached returns the last place that is behind the search: where the next row
// is, or may be at the earliest, comes after it. Segments in which nothing was
// found have no row that could say so.
func (m *merging) reached() segment.Place {
	var next []segment.Place
	if len(m.heap) > 0 {
		next = append(next, m.heap[0].place)
	}
	if n := len(m.waiting); n > 0 && m.oldest {
		next = append(next, segment.Place{Micros: m.waiting[n-1].FirstTime})
	} else if n > 0 {
		next = append(next, segment.Place{Micros: m.waiting[n-1].EndTime, Seq: math.MaxInt64 - 1})
	}
	if len(next) == 0 {
		return m.last
	}
	if m.oldest {
		p := slices.MinFunc(next, segment.Place.Compare)
		return slices.MaxFunc([]segment.Place{m.last, {Micros: p.Micros, Seq: p.Seq - 1}}, segment.Place.Compare)
	}
	p := slices.MaxFunc(next, segment.Place.Compare)
	return slices.MinFunc([]segment.Place{m.last, {Micros: p.Micros, Seq: p.Seq + 1}}, segment.Place.Compare)
}

// next returns the next event that matches.
func (m *merging) next() (found Found, place segment.Place, ok bool, err error) {
	for {
		if err := m.admit(); err != nil {
			return Found{}, place, false, err
		}
		if m.late() {
			return Found{}, place, false, m.ctx.Err()
		}
		if len(m.heap) == 0 {
			return Found{}, place, false, nil
		}
		x := m.heap[0]
		place = x.place
		found, ok, err = x.look()
		if err != nil {
			return Found{}, place, false, err
		}
		m.last = place
		more, err := x.advance()
		if err != nil {
			return Found{}, place, false, err
		}
		if more {
			heap.Fix(m, 0)
		} else {
			heap.Pop(m)
		}
		if ok {
			return found, place, true, nil
		}
	}
}

// advance leaves the row at hand.
func (x *stream) advance() (bool, error) {
	if x.handle == nil {
		x.places = x.places[1:]
	}
	return x.step()
}

// look returns the event at hand, if it matches.
func (x *stream) look() (found Found, ok bool, err error) {
	m := x.merging
	record := m.blank()
	if x.handle == nil {
		body, err := m.store.fetch(x.place.Seq)
		if err != nil {
			return Found{}, false, err
		}
		if err := record.Decode(body); err != nil {
			return Found{}, false, err
		}
	} else if _, err := x.selection.Record(x.row, record); err != nil {
		return Found{}, false, x.handle.noted(err)
	}
	if keep, _ := x.limits.pass(x.place.Micros, record); !keep {
		return Found{}, false, nil
	}
	if !x.exact || x.place.Micros < x.limits.personal {
		m.looked++
		if !m.query.Match(record.Open(), m.store.cfg.Derive) {
			return Found{}, false, nil
		}
	}
	return Found{journal.Seq(x.place.Seq), record}, true, nil
}

// Len implements [heap.Interface].
func (m *merging) Len() int { return len(m.heap) }

// Less implements [heap.Interface].
func (m *merging) Less(i, j int) bool {
	c := m.heap[i].place.Compare(m.heap[j].place)
	if m.oldest {
		return c < 0
	}
	return c > 0
}

// Swap implements [heap.Interface].
func (m *merging) Swap(i, j int) { m.heap[i], m.heap[j] = m.heap[j], m.heap[i] }

// Push implements [heap.Interface].
func (m *merging) Push(x any) { m.heap = append(m.heap, x.(*stream)) }

// Pop implements [heap.Interface].
func (m *merging) Pop() any {
	last := m.heap[len(m.heap)-1]
	m.heap = m.heap[:len(m.heap)-1]
	return last
}
