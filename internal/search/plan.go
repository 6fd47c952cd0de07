package search

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"sort"
	"strings"

	"github.com/custody-log/custody/internal/query"
)

// A plan is a query against the records that were there when it was made. It
// needs no lock: what it refers to is only ever appended to.
type plan struct {
	size   int64
	blocks []*block
	last   span  // of the last block, which may still change
	order  []int // blocks, those with the latest times first
	sets   []set // a match is in all of them; those with few records first
	after  int64 // a match is at this time or later …
	before int64 // … and earlier than this
}

// A set is the records in any of its lists.
type set struct {
	lists [][]uint32
	size  int
	uses  int      // blocks that were looked up in the lists
	all   []uint64 // a bit for each record of the plan, once made
}

// A set of more than manyLists is made one bitmap when it was asked for
// manyUses blocks: few queries come that far, and those that do would spend
// their time on looking into each list for every block.
const (
	manyLists = 16
	manyUses  = 8
)

// plan makes a plan for q. Text is left to whoever reads the records.
func (ix *Index) plan(q *query.Query) *plan {
	p := &plan{after: math.MinInt64, before: math.MaxInt64}
	var keyed []*query.Term
	for _, t := range q.Terms() {
		switch t.Kind {
		case query.After:
			p.after = max(p.after, t.Micros)
		case query.Before:
			p.before = min(p.before, t.Micros)
		case query.Text:
		case query.Tag, query.Actor, query.Project, query.IP, query.Token, query.Source, query.Outcome:
			keyed = append(keyed, t)
		}
	}
	ranges := make(map[*query.Term][]uint32)
	for _, t := range keyed {
		if t.Kind == query.IP && !t.Single() {
			ranges[t] = ix.ranges.within(ix.addressesSeen(), t.Key, t.Last)
		}
	}
	ix.take(p, keyed, ranges)
	slices.SortFunc(p.sets, func(a, b set) int { return cmp.Compare(a.size, b.size) })
	p.order = make([]int, len(p.blocks))
	for i := range p.order {
		p.order[i] = len(p.order) - 1 - i // usually right already
	}
	slices.SortFunc(p.order, func(a, b int) int { return cmp.Compare(p.span(b).last, p.span(a).last) })
	return p
}

func (ix *Index) addressesSeen() []address {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.seen
}

// take copies from the index what p refers to.
func (ix *Index) take(p *plan, keyed []*query.Term, ranges map[*query.Term][]uint32) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	p.size, p.blocks = ix.size, ix.blocks
	if len(p.blocks) > 0 {
		p.last = p.blocks[len(p.blocks)-1].span
	}
	for _, t := range keyed {
		var s set
		switch ids := ix.ids[t.Kind]; {
		case ranges[t] != nil:
			for _, id := range ranges[t] {
				s.lists = append(s.lists, ix.lists[id])
			}
		case t.Prefix:
			for value, id := range ids {
				if strings.HasPrefix(value, string(t.Key)) {
					s.lists = append(s.lists, ix.lists[id])
				}
			}
		case t.Single():
			if id, ok := ids[string(t.Key)]; ok {
				s.lists = append(s.lists, ix.lists[id])
			}
		}
		for _, l := range s.lists {
			s.size += len(l)
		}
		p.sets = append(p.sets, s)
	}
}

func (p *plan) span(block int) span {
	if block == len(p.blocks)-1 {
		return p.last
	}
	return p.blocks[block].span
}

// A bitmap has a bit for each record of a block.
type bitmap [blockRecords / 64]uint64

// matches returns the records of a block that are in all sets.
func (p *plan) matches(block int) (found bitmap, some bool) {
	from := int64(block) * blockRecords
	n := min(p.size-from, blockRecords)
	for i := range n / 64 {
		found[i] = math.MaxUint64
	}
	if n%64 > 0 {
		found[n/64] = 1<<(n%64) - 1
	}
	for i := range p.sets {
		var in bitmap
		p.sets[i].mark(&in, from, p.size)
		var left uint64
		for w := range found {
			found[w] &= in[w]
			left |= found[w]
		}
		if left == 0 {
			return found, false
		}
	}
	return found, n > 0
}

// mark sets the bits of the records of s in the block that begins with first,
// of size records in all.
func (s *set) mark(in *bitmap, first, size int64) {
	if s.uses++; s.uses > manyUses && len(s.lists) > manyLists {
		copy(in[:], s.bitmap(size)[first/64:])
		return
	}
	last := min(first+blockRecords, size) - 1
	for _, l := range s.lists {
		from := sort.Search(len(l), func(i int) bool { return int64(l[i]) >= first })
		for _, seq := range l[from:] {
			at := int64(seq) - first
			if at > last-first {
				break
			}
			in[at/64] |= 1 << (at % 64)
		}
	}
}

// bitmap returns the bits of all records of s.
func (s *set) bitmap(size int64) []uint64 {
	if s.all == nil {
		s.all = make([]uint64, (size+63)/64)
		for _, l := range s.lists {
			for _, seq := range l {
				if int64(seq) < size {
					s.all[seq/64] |= 1 << (seq % 64)
				}
			}
		}
	}
	return s.all
}

// backwards calls yield with each position in a bitmap, the highest first.
func (m *bitmap) backwards(yield func(at int)) {
	for w := len(m) - 1; w >= 0; w-- {
		for word := m[w]; word != 0; {
			bit := 63 - bits.LeadingZeros64(word)
			yield(w*64 + bit)
			word &^= 1 << bit
		}
	}
}
