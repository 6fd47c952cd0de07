package segment

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// A Place is where an event stands in the order of answers.
type Place struct {
	Micros int64 // its time, in microseconds since 1970
	Seq    int64
}

// Compare orders places from old to new.
func (p Place) Compare(o Place) int {
	return cmp.Or(cmp.Compare(p.Micros, o.Micros), cmp.Compare(p.Seq, o.Seq))
}

// Oldest and newest are before and after all places.
var (
	Oldest = Place{math.MinInt64, math.MinInt64}
	Newest = Place{math.MaxInt64, math.MaxInt64}
)

// A Request says which rows are wanted.
type Request struct {
	Query  *query.Query
	Derive *query.Derive

	// After and Before bound the time: from After to before Before.
	After, Before int64

	// HidesBefore, if it is not 0, is a time before which personal fields may be
	// hidden from who asks. All rows before it are candidates that may match with
	// their personal fields or without.
	HidesBefore int64
}

// since returns the time from which on what is in a part is shown.
func (q *Request) since(p part) int64 {
	if p == side && q.HidesBefore != 0 {
		return max(q.After, q.HidesBefore)
	}
	return q.After
}

// A Selection is the rows of one table or segment that a request asks for, in
// order of time. It is for one goroutine.
type Selection struct {
	at     located
	name   string
	asked  Request
	set    set
	first  int      // of the rows in the span of time; of order, if there is one
	end    int      // after the last
	order  []uint32 // rows in order of time, if that is not their own order
	read   func(row int, record *event.Record) (int64, error)
	record event.Record
}

// A located is an index that knows positions.
type located interface {
	index
	position(row uint32) int64
}

// Select returns the rows of s that q asks for. r is a reader of s, which the
// selection uses.
func (r *Reader) Select(q Request) (x *Selection, err error) {
	defer guard(r.name(side), &err)
	r.fresh = true
	index := newSealedIndex(r)
	x = &Selection{at: index, name: r.name(side), read: r.Record}
	x.first, x.end = timeSpan(index, r.s.rows, q)
	x.choose(q)
	return x, nil
}

// Select returns the rows of t that q asks for. Nothing may be added to t
// while the selection is used.
func (t *Table) Select(q Request) (x *Selection, err error) {
	defer guard("the table", &err)
	index := &tableIndex{t, len(t.seqs)}
	x = &Selection{at: index, name: "the table", read: t.Record}
	if t.disorder {
		x.end = index.n
		x.choose(q)
		x.sortTable(q)
		return x, nil
	}
	x.first, x.end = timeSpan(index, index.n, q)
	x.choose(q)
	return x, nil
}

// Release gives back the reader of a selection. Neither may be used any more.
func (x *Selection) Release() {
	if index, ok := x.at.(*sealedIndex); ok {
		index.Release()
	}
}

// timeSpan returns the rows of a span of time, if they are in its order.
func timeSpan(x index, n int, q Request) (first, end int) {
	if end = n; n == 0 {
		return 0, 0
	}
	if q.After != math.MinInt64 && x.micros(0) < q.After {
		first = sort.Search(n, func(i int) bool { return x.micros(uint32(i)) >= q.After })
	}
	if q.Before != math.MaxInt64 && x.micros(uint32(n-1)) >= q.Before {
		end = first + sort.Search(n-first, func(i int) bool { return x.micros(uint32(first+i)) >= q.Before })
	}
	return first, end
}

func (x *Selection) choose(q Request) {
	x.asked = q
	e := &evaluation{index: x.at, derive: q.Derive, ordered: x.inOrder(), first: x.first, end: x.end}
	x.set = e.eval(q.Query.Root)
	if q.HidesBefore != 0 && x.before(q.HidesBefore) {
		e.bare = true
		bare := e.eval(q.Query.Root)
		x.set = x.set.orIf(bare, x.at.len(), func(row uint32) bool { return x.at.micros(row) < q.HidesBefore })
	}
	if x.set.listed {
		i, _ := slices.BinarySearch(x.set.list, uint32(x.first))
		k, _ := slices.BinarySearch(x.set.list, uint32(x.end))
		x.set.list = x.set.list[i:k]
	}
}

// before reports whether rows may be from before a time.
func (x *Selection) before(micros int64) bool {
	if !x.inOrder() {
		return true
	}
	return x.first < x.end && x.at.micros(uint32(x.first)) < micros
}

// inOrder reports whether rows are in order of time.
func (x *Selection) inOrder() bool {
	t, ok := x.at.(*tableIndex)
	return !ok || !t.disorder
}

// sortTable puts the rows in the order of time, when they are in another.
func (x *Selection) sortTable(q Request) {
	rows := make([]uint32, 0, len(x.set.list))
	in := x.set.has(x.at.len())
	each := func(row uint32) {
		if m := x.at.micros(row); m >= q.After && m < q.Before {
			rows = append(rows, row)
		}
	}
	if x.set.listed {
		for _, row := range x.set.list {
			each(row)
		}
	} else {
		for row := range uint32(x.at.len()) {
			if in(row) {
				each(row)
			}
		}
	}
	slices.SortFunc(rows, func(a, b uint32) int { return x.place(a).Compare(x.place(b)) })
	x.order, x.first, x.end = rows, 0, len(rows)
	x.set = set{exact: x.set.exact}
}

func (x *Selection) place(row uint32) Place {
	return Place{x.at.micros(row), x.at.position(row)}
}

// Exact reports whether all rows match, those before [Request].HidesBefore left
// aside. If not, they are candidates: see [Selection.Holds].
func (x *Selection) Exact() bool { return x.set.exact }

// Holds reports whether a candidate matches.
func (x *Selection) Holds(row uint32) (holds bool, err error) {
	if _, err := x.read(int(row), &x.record); err != nil {
		return false, err
	}
	return x.asked.Query.Match(x.record.Open(), x.asked.Derive), nil
}

// HoldsIf is Holds for an event that another condition may change, or refuse,
// before it is compared.
func (x *Selection) HoldsIf(row uint32, pass func(record *event.Record) bool) (holds bool, err error) {
	if _, err := x.read(int(row), &x.record); err != nil {
		return false, err
	}
	return pass(&x.record) && x.asked.Query.Match(x.record.Open(), x.asked.Derive), nil
}

// A Walk goes through the rows of a selection, from one end to the other.
type Walk struct {
	x      *Selection
	newest bool
	at     int // of order or list, or a row
	end    int
	listed bool
}

// Walk returns a walk from the newest row, or from the oldest, over those that
// come after a place in that order.
func (x *Selection) Walk(newest bool, after Place) (w *Walk, err error) {
	defer guard(x.name, &err)
	w = &Walk{x: x, newest: newest}
	first, end := x.first, x.end
	rows := func(i int) uint32 { return uint32(i) }
	switch {
	case x.order != nil:
		rows = func(i int) uint32 { return x.order[i] }
	case x.set.listed:
		first, end = 0, len(x.set.list)
		rows = func(i int) uint32 { return x.set.list[i] }
		w.listed = true
	}
	if newest {
		n := sort.Search(end-first, func(i int) bool { return x.place(rows(first+i)).Compare(after) >= 0 })
		w.at, w.end = first+n-1, first-1
	} else {
		n := sort.Search(end-first, func(i int) bool { return x.place(rows(first+i)).Compare(after) > 0 })
		w.at, w.end = first+n, end
	}
	return w, nil
}

// Next returns the next row. Of a selection that is not exact it is a candidate.
func (w *Walk) Next() (row uint32, place Place, ok bool, err error) {
	defer guard(w.x.name, &err)
	for w.at != w.end {
		i := w.at
		if w.newest {
			w.at--
		} else {
			w.at++
		}
		row = uint32(i)
		switch x := w.x; {
		case x.order != nil:
			row = x.order[i]
		case w.listed:
			row = x.set.list[i]
		case x.set.test != nil && !x.set.test(row):
			continue
		}
		return row, w.x.place(row), true, nil
	}
	return 0, Place{}, false, nil
}

// Record makes record that of a row and returns its position.
func (x *Selection) Record(row uint32, record *event.Record) (seq int64, err error) {
	return x.read(int(row), record)
}

// Each calls yield with all rows, in no order, until it returns false. Rows of
// a selection that is not exact are candidates.
func (x *Selection) Each(yield func(row uint32) bool) (err error) {
	defer guard(x.name, &err)
	switch {
	case x.order != nil:
		eachOf(x.order, yield)
	case x.set.listed:
		eachOf(x.set.list, yield)
	case x.set.kinds != nil:
		// In steps, so that who has enough after a few does not wait for all.
		var rows []uint32
		for first, more := x.first, true; more && first < x.end; first += kindRows {
			rows = x.set.kinds.rows(rows[:0], first, min(first+kindRows, x.end))
			more = eachOf(rows, yield)
		}
	default:
		for row := x.first; row < x.end; row++ {
			if (x.set.test == nil || x.set.test(uint32(row))) && !yield(uint32(row)) {
				break
			}
		}
	}
	return nil
}

// eachOf calls yield with rows until it returns false, and returns what it did.
func eachOf(rows []uint32, yield func(row uint32) bool) bool {
	for _, row := range rows {
		if !yield(row) {
			return false
		}
	}
	return true
}

// kindRows is how many rows are looked at together for their kinds.
const kindRows = 1 << 12

// Micros returns the time of a row, in microseconds since 1970. It is for the
// functions that Each calls.
func (x *Selection) Micros(row uint32) int64 { return x.at.micros(row) }

// Names calls yield with the values of a column that begin with a prefix and
// are in rows that may be shown, until it returns false. The query is left
// aside, and so is Before.
func (x *Selection) Names(c Column, prefix string, yield func(value string) bool) (err error) {
	defer guard(x.name, &err)
	d := domainOf[c]
	for p := range numParts {
		v := x.at.values(p)
		if v == nil {
			continue
		}
		since := x.asked.since(p)
		lately := func(id uint32) bool {
			return slices.ContainsFunc(v.rows(c, []uint32{id}), func(row uint32) bool { return x.at.micros(row) >= since })
		}
		if s, ok := v.(*sealedValues); ok && s.dicts[d].n > 0 && d != tokens && d != addresses {
			if !s.names(d, prefix, lately, yield) {
				return nil
			}
			continue
		}
		stop := false
		v.each(d, func(id uint32, value []byte) {
			if s, _, _ := shown(d, value, nil, nil); !stop && strings.HasPrefix(s, prefix) && lately(id) {
				stop = !yield(s)
			}
		})
	}
	return nil
}

// names yields those values of d that begin with a prefix, in order. It returns
// false if yield did.
func (v *sealedValues) names(d domain, prefix string, wanted func(id uint32) bool, yield func(value string) bool) bool {
	p := []byte(prefix)
	if d.named() {
		p = namePrefix(p)
	}
	first, end := v.dicts[d].prefixed(p)
	for i := first; i < end; i++ {
		if value, _, _ := shown(d, v.dicts[d].at(i), nil, nil); wanted(uint32(i)) && !yield(value) {
			return false
		}
	}
	return true
}
