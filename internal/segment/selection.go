package segment

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

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
}

// A Selection is the rows of one table or segment that a request asks for, in
// order of time. It is for one goroutine.
type Selection struct {
	at     located
	name   string
	query  *query.Query
	derive *query.Derive
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
		x.choose(q)
		x.sortTable(q)
		return x, nil
	}
	x.first, x.end = timeSpan(index, index.n, q)
	x.choose(q)
	return x, nil
}

// timeSpan returns the rows of a span of time, if they are in its order.
func timeSpan(x index, n int, q Request) (first, end int) {
	first = sort.Search(n, func(i int) bool { return x.micros(uint32(i)) >= q.After })
	end = first + sort.Search(n-first, func(i int) bool { return x.micros(uint32(first+i)) >= q.Before })
	return first, end
}

func (x *Selection) choose(q Request) {
	x.query, x.derive = q.Query, q.Derive
	e := &evaluation{index: x.at, derive: q.Derive}
	x.set = e.eval(q.Query.Root)
	if x.set.listed && x.order == nil && x.end > 0 {
		i, _ := slices.BinarySearch(x.set.list, uint32(x.first))
		k, _ := slices.BinarySearch(x.set.list, uint32(x.end))
		x.set.list = x.set.list[i:k]
	}
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

// Exact reports whether all rows match. If not, they are candidates: see
// [Selection.Holds].
func (x *Selection) Exact() bool { return x.set.exact }

// Holds reports whether a candidate matches.
func (x *Selection) Holds(row uint32) (holds bool, err error) {
	if _, err := x.read(int(row), &x.record); err != nil {
		return false, err
	}
	return x.query.Match(x.record.Open(), x.derive), nil
}

// HoldsIf is Holds for an event that another condition may change, or refuse,
// before it is compared.
func (x *Selection) HoldsIf(row uint32, pass func(record *event.Record) bool) (holds bool, err error) {
	if _, err := x.read(int(row), &x.record); err != nil {
		return false, err
	}
	return pass(&x.record) && x.query.Match(x.record.Open(), x.derive), nil
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
		for _, row := range x.order {
			if !yield(row) {
				return nil
			}
		}
	case x.set.listed:
		for _, row := range x.set.list {
			if !yield(row) {
				return nil
			}
		}
	default:
		for row := x.first; row < x.end; row++ {
			if x.set.test != nil && !x.set.test(uint32(row)) {
				continue
			}
			if !yield(uint32(row)) {
				return nil
			}
		}
	}
	return nil
}

// Micros returns the time of a row, in microseconds since 1970.
func (x *Selection) Micros(row uint32) int64 { return x.at.micros(row) }

// KindOf returns the number of a row's kind, see [Selection.Kinds].
func (x *Selection) KindOf(row uint32) uint32 { return x.at.kindOf(row) }

// Kinds returns the value that all rows of each kind have of a field that they
// have in common: tag, outcome, source, trust, actor.type, credential.kind and
// the like. "" stands for none.
func (x *Selection) Kinds(field string) []string {
	code := event.CodeOf(field)
	kinds := x.at.kindsThere()
	list := make([]string, len(kinds))
	for i, k := range kinds {
		list[i] = string(k.value(code))
	}
	return list
}

// Values counts the values of a column over the given rows, calling yield with
// each value and in how many of them it is. Entities are shown by name, those
// without one by id.
func (x *Selection) Values(c Column, rows []uint32, yield func(value string, count int)) (err error) {
	defer guard(x.name, &err)
	for p := range numParts {
		v := x.at.values(p)
		if v == nil {
			continue
		}
		counts := countColumn(v, c, rows)
		for id, n := range counts {
			if n > 0 {
				yield(shown(domainOf[c], v.value(domainOf[c], uint32(id))), int(n))
			}
		}
	}
	return nil
}

// countColumn counts the values of a column in rows, which are ascending.
func countColumn(v values, c Column, rows []uint32) []uint32 {
	switch v := v.(type) {
	case *sealedValues:
		k := &v.columns[c]
		if !k.there {
			return nil
		}
		counts := make([]uint32, v.domains[domainOf[c]].n)
		for _, row := range rows {
			if id, ok := k.ids.get(int(row)); ok {
				counts[id]++
			}
			if k.extraRows.n > 0 {
				for i := k.extraOf(int(row)); i < k.extraRows.n && k.extraRows.get(i) == row; i++ {
					counts[k.extraIDs.get(i)]++
				}
			}
		}
		return counts
	case *tableValues:
		k := &v.columns[c]
		counts := make([]uint32, v.domains[domainOf[c]].len())
		for _, row := range rows {
			if int(row) < len(k.ids) && k.ids[row] != none {
				counts[k.ids[row]]++
			}
		}
		for _, extra := range k.extra {
			if _, found := slices.BinarySearch(rows, extra.row); found {
				counts[extra.id]++
			}
		}
		return counts
	}
	panic(fmt.Sprintf("segment: values of type %T", v))
}

// shown returns a value of d as people know it.
func shown(d domain, value []byte) string {
	switch {
	case d.named():
		name, id := splitEntity(nil, nil, value)
		if len(name) > 0 {
			return string(name)
		}
		return string(id)
	case d == tokens:
		return string(unpackHex(nil, value))
	case d == addresses:
		f := event.Field{Type: event.IP, Value: value}
		return f.IP().String()
	}
	return string(value)
}

// Names calls yield with the values of a column that begin with a prefix, in
// the whole table or segment, until it returns false.
func (x *Selection) Names(c Column, prefix string, yield func(value string) bool) (err error) {
	defer guard(x.name, &err)
	d := domainOf[c]
	for p := range numParts {
		v := x.at.values(p)
		if v == nil {
			continue
		}
		if s, ok := v.(*sealedValues); ok && s.dicts[d].n > 0 && d != tokens && d != addresses {
			first, end := s.dicts[d].prefixed(appendNamePrefix(nil, []byte(prefix), false))
			for i := first; i < end; i++ {
				if !yield(shown(d, s.dicts[d].at(i))) {
					return nil
				}
			}
			continue
		}
		stop := false
		v.each(d, func(_ uint32, value []byte) {
			if s := shown(d, value); !stop && len(s) >= len(prefix) && s[:len(prefix)] == prefix {
				stop = !yield(s)
			}
		})
	}
	return nil
}
