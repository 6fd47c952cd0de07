package segment

import (
	"encoding/binary"
	"slices"
)

// A kindSet is the rows of some kinds. Sets that are nothing else are put together
// kind by kind, and their rows are found without asking a function about each.
type kindSet struct {
	index  index
	wanted []bool // by number of the kind
}

// set returns k as a set.
func (k *kindSet) set(exact bool) set {
	switch {
	case !slices.Contains(k.wanted, true):
		return listed(nil, true)
	case !slices.Contains(k.wanted, false):
		return everything(exact)
	}
	return set{kinds: k, test: k.has, exact: exact}
}

func (k *kindSet) has(row uint32) bool { return k.wanted[k.index.kindOf(row)] }

// both returns the kinds for which a function of whether k and o want them holds.
func (k *kindSet) both(o *kindSet, holds func(a, b bool) bool) *kindSet {
	c := &kindSet{k.index, make([]bool, len(k.wanted))}
	for i := range c.wanted {
		c.wanted[i] = holds(k.wanted[i], o.wanted[i])
	}
	return c
}

// not returns the other kinds.
func (k *kindSet) not() *kindSet {
	return k.both(k, func(a, _ bool) bool { return !a })
}

// rows appends the rows of k from first to before end to dst.
func (k *kindSet) rows(dst []uint32, first, end int) []uint32 {
	if x, ok := k.index.(*sealedIndex); ok {
		return x.kindIDs.where(dst, first, end, k.wanted)
	}
	for row := first; row < end; row++ {
		if k.has(uint32(row)) {
			dst = append(dst, uint32(row))
		}
	}
	return dst
}

// where appends the places from first to before end of those numbers that are
// wanted.
func (c *column) where(dst []uint32, first, end int, wanted []bool) []uint32 {
	if first < 0 || end > c.n {
		panic(damagef("numbers %d to %d of %d", first, end, c.n))
	}
	for i := first; i < end; {
		if wanted[c.get(i)] {
			dst = append(dst, uint32(i))
		}
		i++
		if last := c.lastAtHand(); i <= last {
			last = min(last+1, end)
			dst = c.whereAtHand(dst, i, last, wanted)
			i = max(i, last)
		}
	}
	return dst
}

// lastAtHand returns the last number that can be read from the page at hand as
// eight bytes of it; -1 if there is none.
func (c *column) lastAtHand() int {
	bytes := c.data.to - 8 - c.data.base // of the section, from which eight can be read
	if c.w == 0 || bytes < 0 {
		return -1
	}
	return int((uint64(bytes)*8 + 7) / uint64(c.w))
}

// whereAtHand is where for numbers that are in the page at hand, and those before
// which are.
func (c *column) whereAtHand(dst []uint32, first, end int, wanted []bool) []uint32 {
	page := c.data.page
	skipped := uint64(c.data.from-c.data.base) * 8 // bits of the section before the page; it may begin in it
	for i := first; i < end; i++ {
		bit := uint64(i)*uint64(c.w) - skipped
		if wanted[uint32(binary.LittleEndian.Uint64(page[bit>>3:])>>(bit&7)&c.mask)] {
			dst = append(dst, uint32(i))
		}
	}
	return dst
}
