package segment

import (
	"math/bits"
	"slices"
)

// A set is rows: those of a list, or those for which a test holds.
type set struct {
	list   []uint32 // ascending, each once
	listed bool
	test   func(row uint32) bool // of a set that is not listed; nil: all rows
	kinds  *kindSet              // if the test asks for nothing else

	// exact is false if rows may be in it that should not be: the list then
	// holds candidates, to be looked at one by one.
	exact bool
}

func everything(exact bool) set { return set{exact: exact} }

func listed(rows []uint32, exact bool) set { return set{list: rows, listed: true, exact: exact} }

// has returns a function that reports whether a row of n is in s.
func (s *set) has(n int) func(row uint32) bool {
	switch {
	case !s.listed && s.test == nil:
		return func(uint32) bool { return true }
	case !s.listed:
		return s.test
	case len(s.list) < 16:
		list := s.list
		return func(row uint32) bool { return slices.Contains(list, row) }
	}
	bits := make([]uint64, (n+63)/64)
	for _, row := range s.list {
		bits[row/64] |= 1 << (row % 64)
	}
	return func(row uint32) bool { return bits[row/64]>>(row%64)&1 != 0 }
}

// and returns the rows that are in both.
func (s set) and(o set) set {
	exact := s.exact && o.exact
	switch {
	case s.listed && o.listed:
		return listed(intersect(s.list, o.list), exact)
	case s.listed:
		return listed(keepIf(s.list, o.test), exact)
	case o.listed:
		return listed(keepIf(o.list, s.test), exact)
	case s.test == nil:
		o.exact = exact
		return o
	case o.test == nil:
		s.exact = exact
		return s
	case s.kinds != nil && o.kinds != nil:
		return s.kinds.both(o.kinds, func(a, b bool) bool { return a && b }).set(exact)
	}
	a, b := s.test, o.test
	return set{test: func(row uint32) bool { return a(row) && b(row) }, exact: exact}
}

// or returns the rows, of n, that are in one of both.
func (s set) or(o set, n int) set {
	exact := s.exact && o.exact
	switch {
	case s.listed && o.listed:
		return listed(union(s.list, o.list), exact)
	case s.listed && len(s.list) == 0:
		o.exact = exact
		return o
	case o.listed && len(o.list) == 0:
		s.exact = exact
		return s
	case !s.listed && s.test == nil, !o.listed && o.test == nil:
		return everything(exact)
	case s.kinds != nil && o.kinds != nil:
		return s.kinds.both(o.kinds, func(a, b bool) bool { return a || b }).set(exact)
	}
	a, b := s.has(n), o.has(n)
	return set{test: func(row uint32) bool { return a(row) || b(row) }, exact: exact}
}

// orIf returns the rows, of n, that are in s, and those in o for which a test
// holds. It is as exact as s.
func (s set) orIf(o set, n int, test func(row uint32) bool) set {
	switch {
	case !s.listed && s.test == nil:
		return s
	case o.listed:
		o.list = keepIf(o.list, test)
		if s.listed {
			return listed(union(s.list, o.list), s.exact)
		}
	}
	in, other := s.has(n), o.has(n)
	return set{test: func(row uint32) bool { return in(row) || test(row) && other(row) }, exact: s.exact}
}

// not returns the rows, of n, that are not in s. Of a set that is not exact
// nobody knows; then it is all rows, and not exact.
func (s set) not(n int) set {
	if !s.exact {
		return everything(false)
	}
	if s.kinds != nil {
		return s.kinds.not().set(true)
	}
	in := s.has(n)
	return set{test: func(row uint32) bool { return !in(row) }, exact: true}
}

func keepIf(list []uint32, test func(uint32) bool) []uint32 {
	if test == nil {
		return list
	}
	var kept []uint32
	for _, row := range list {
		if test(row) {
			kept = append(kept, row)
		}
	}
	return kept
}

func intersect(a, b []uint32) []uint32 {
	if len(a) > len(b) {
		a, b = b, a
	}
	var both []uint32
	for _, row := range a {
		// The next of b is near, or b is far longer: gallop.
		step := 1
		for step < len(b) && b[step] < row {
			step *= 2
		}
		i, found := slices.BinarySearch(b[:min(step+1, len(b))], row)
		if b = b[i:]; found {
			both = append(both, row)
		}
	}
	return both
}

func union(a, b []uint32) []uint32 {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	all := make([]uint32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			all, a = append(all, a[0]), a[1:]
		case a[0] > b[0]:
			all, b = append(all, b[0]), b[1:]
		default:
			all, a, b = append(all, a[0]), a[1:], b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// sorted returns rows in order, each once.
func sorted(rows []uint32) []uint32 {
	if !slices.IsSorted(rows) {
		slices.Sort(rows)
	}
	return slices.Compact(rows)
}

// ordered is sorted for many rows, all below n: it marks each and collects the
// marks.
func ordered(rows []uint32, n int) []uint32 {
	marks := make([]uint64, (n+63)/64)
	for _, row := range rows {
		marks[row/64] |= 1 << (row % 64)
	}
	rows = rows[:0]
	for i, word := range marks {
		for ; word != 0; word &= word - 1 {
			rows = append(rows, uint32(64*i+bits.TrailingZeros64(word)))
		}
	}
	return rows
}
