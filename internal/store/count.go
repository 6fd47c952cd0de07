package store

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
)

// Limits of one count.
const (
	MaxFields  = 16
	MaxValues  = 1000 // of one field
	MaxBuckets = 5000
)

// A CountRequest says what to count.
type CountRequest struct {
	Query  *query.Query
	Fields []string // at most [MaxFields], see [Fields]
	Values int      // of each field, 1 to [MaxValues]

	// Interval, if it is not None, is the length of the buckets of time.
	Interval Interval
	Budget   time.Duration
}

// A Count is how many events match.
type Count struct {
	Events   int64
	Fields   map[string][]ValueCount // most frequent first, then by name
	Buckets  []Bucket                // oldest first, without empty ones
	Interval Interval                // of the buckets
	Taken    int64

	// Complete is false if the time was up; the counts are then of a part.
	Complete bool
}

// A ValueCount is in how many events a value is.
type ValueCount struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// A Bucket is how many events there were from a time on, for one interval.
type Bucket struct {
	Time  time.Time `json:"time"`
	Count int64     `json:"count"`
}

// Count counts the events that match.
func (s *Store) Count(ctx context.Context, r CountRequest) (*Count, error) {
	for _, name := range r.Fields {
		if _, ok := fields[name]; !ok {
			return nil, &FieldError{name}
		}
	}
	if r.Budget <= 0 {
		r.Budget = DefaultBudget
	}
	t := &tally{store: s, request: r, now: s.now(), deadline: s.now().Add(r.Budget), buckets: make(map[int64]int64)}
	if r.Interval == Automatic {
		t.request.Interval = s.interval(r.Query)
	}
	for range r.Fields {
		t.values = append(t.values, make(map[string]int64))
	}
	list, err := t.tables()
	defer releaseAll(list)
	if err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, h := range list {
		g.Go(func() error { return t.segment(ctx, h) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return t.count(), nil
}

// A tally counts.
type tally struct {
	store    *Store
	request  CountRequest
	now      time.Time
	deadline time.Time
	taken    int64

	mu      sync.Mutex
	events  int64
	values  []map[string]int64 // by field
	buckets map[int64]int64    // by first microsecond
	expired bool
}

// tables counts what is not sealed, and takes hold of the segments at the same
// instant.
func (t *tally) tables() (list []*handle, err error) {
	s := t.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	list = s.hold()
	t.taken = int64(s.active.end)
	for family, table := range s.tables() {
		l := s.limits(family, t.now)
		r, narrowed := l.request(t.request.Query, s.cfg.Derive)
		x, err := table.Select(r)
		if err != nil {
			return list, err
		}
		if err := t.selection(x, &l, narrowed); err != nil {
			return list, err
		}
	}
	return list, nil
}

func (t *tally) segment(ctx context.Context, h *handle) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l := t.store.limits(h.Family, t.now).of(h)
	r, narrowed := l.request(t.request.Query, t.store.cfg.Derive)
	if h.EndTime < r.After || h.FirstTime >= r.Before {
		return nil
	}
	if err := h.usable(); err != nil {
		return err
	}
	if t.store.now().After(t.deadline) {
		t.expire()
		return nil
	}
	if may, err := h.MayHold(t.request.Query); err != nil || !may {
		return h.noted(err)
	}
	x, err := h.Reader().Select(r)
	if err != nil {
		return h.noted(err)
	}
	if err := t.selection(x, &l, narrowed); err != nil {
		return h.noted(err)
	}
	x.Release()
	return nil
}

func (t *tally) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expired = true
}

// selection counts the rows of one table or segment.
func (t *tally) selection(x *segment.Selection, l *limits, narrowed bool) error {
	rows, hidden, err := t.rows(x, l, narrowed)
	if err != nil || len(rows) == 0 {
		return err
	}
	values, err := t.valuesOf(x, rows, hidden)
	if err != nil || values == nil {
		return err
	}
	buckets, err := t.bucketed(x, rows)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events += int64(len(rows))
	for i := range values {
		for _, v := range values[i] {
			t.values[i][v.Value] += v.Count
		}
	}
	for at, n := range buckets {
		t.buckets[at] += n
	}
	return nil
}

// late reports whether the time is up, and something was counted: then what is
// only half counted is left out.
func (t *tally) late() bool {
	if !t.store.now().After(t.deadline) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expired = t.expired || t.events > 0
	return t.events > 0
}

// valuesOf counts the values of each field in rows; one may come more than once.
// Of hidden, which are some of rows, what is personal does not count. It returns
// nil if the time was up.
func (t *tally) valuesOf(x *segment.Selection, rows, hidden []uint32) ([][]ValueCount, error) {
	var kinds []int64
	list := make([][]ValueCount, len(t.request.Fields))
	for i, name := range t.request.Fields {
		if t.late() {
			return nil, nil
		}
		f := fields[name]
		add := func(value string, n int) {
			if value = f.derive.of(value, t.store.cfg.Derive); value != "" {
				list[i] = append(list[i], ValueCount{value, int64(n)})
			}
		}
		if f.kind == "" {
			if err := x.Values(f.columns, rows, hidden, add); err != nil {
				return nil, err
			}
			continue
		}
		if kinds == nil {
			var err error
			if kinds, err = x.KindCounts(rows); err != nil {
				return nil, err
			}
		}
		addKinds(x.Kinds(f.kind), kinds, add)
	}
	return list, nil
}

// addKinds adds the value that each kind has, as often as there are rows of it.
func addKinds(values []string, rows []int64, add func(value string, n int)) {
	for k, value := range values {
		if rows[k] > 0 {
			add(value, int(rows[k]))
		}
	}
}

// rows returns the rows that match, and of these those whose personal fields
// are hidden, both in ascending order.
func (t *tally) rows(x *segment.Selection, l *limits, narrowed bool) (rows, hidden []uint32, err error) {
	var inner error
	look := !x.Exact() || narrowed
	n := 0
	err = x.Each(func(row uint32) bool {
		if !look {
			rows = append(rows, row)
			return true
		}
		if n++; n%64 == 0 && t.store.now().After(t.deadline) {
			t.expire()
			return false
		}
		ok, hides, err := t.holds(x, l, row)
		if ok {
			rows = append(rows, row)
		}
		if ok && hides {
			hidden = append(hidden, row)
		}
		inner = err
		return err == nil
	})
	if err == nil {
		err = inner
	}
	slices.Sort(rows)
	slices.Sort(hidden)
	return rows, hidden, err
}

func (t *tally) holds(x *segment.Selection, l *limits, row uint32) (ok, hides bool, err error) {
	micros := x.Micros(row)
	if x.Exact() && micros >= l.events && micros >= l.personal {
		return true, false, nil
	}
	ok, err = x.HoldsIf(row, func(record *event.Record) (keep bool) {
		keep, hides = l.pass(micros, record)
		return keep
	})
	return ok, hides, err
}

// count returns what was counted.
func (t *tally) count() *Count {
	c := &Count{Events: t.events, Complete: !t.expired, Taken: t.taken, Interval: t.request.Interval, Fields: make(map[string][]ValueCount)}
	for i, name := range t.request.Fields {
		c.Fields[name] = most(t.values[i], t.request.Values)
	}
	for at, n := range t.buckets {
		c.Buckets = append(c.Buckets, Bucket{time.UnixMicro(at).UTC(), n})
	}
	slices.SortFunc(c.Buckets, func(a, b Bucket) int { return a.Time.Compare(b.Time) })
	return c
}

// most returns the n most frequent values.
func most(counts map[string]int64, n int) []ValueCount {
	better := func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	}
	// Of many values few are kept: the list is sorted and cut whenever it has
	// twice as many as are wanted.
	var list []ValueCount
	least := int64(0) // of those that were kept so far, once there are n
	for value, count := range counts {
		if count < least {
			continue
		}
		if list = append(list, ValueCount{value, count}); len(list) == 2*n {
			slices.SortFunc(list, better)
			list = list[:n]
			least = list[n-1].Count
		}
	}
	slices.SortFunc(list, better)
	return list[:min(n, len(list))]
}
