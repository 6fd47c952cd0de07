package search

import (
	"cmp"
	"container/heap"
	"context"
	"math"
	"slices"

	"github.com/custody-log/custody/internal/journal"
)

// A place is where an event stands in the order of answers.
type place struct {
	micros int64 // time, in microseconds since 1970
	seq    int64
}

// top is before every event in the order of answers.
var top = place{math.MaxInt64, math.MaxInt64}

// newer compares two places; the newer is greater.
func newer(a, b place) int {
	return cmp.Or(cmp.Compare(a.micros, b.micros), cmp.Compare(a.seq, b.seq))
}

// newest returns the k newest matches older than below, newest first.
func (p *plan) newest(ctx context.Context, below place, k int) ([]place, error) {
	best := make(oldestFirst, 0, min(k, blockRecords))
	for _, block := range p.order {
		s := p.span(block)
		if s.last < p.after || len(best) == k && s.last < best[0].micros {
			break // so are all that follow
		}
		if s.first >= p.before || s.first > below.micros {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, some := p.matches(block)
		if !some {
			continue
		}
		times := &p.blocks[block].times
		found.backwards(func(at int) {
			x := place{times[at], int64(block)*blockRecords + int64(at)}
			if x.micros >= p.after && x.micros < p.before && newer(x, below) < 0 {
				best.offer(x, k)
			}
		})
	}
	slices.SortFunc(best, func(a, b place) int { return newer(b, a) })
	return best, nil
}

// oldestFirst is a heap with the oldest place on top, once it is full.
type oldestFirst []place

// offer takes in x if it is among the k newest so far.
func (h *oldestFirst) offer(x place, k int) {
	switch {
	case len(*h) < k:
		*h = append(*h, x)
		if len(*h) == k {
			heap.Init(h)
		}
	case newer(x, (*h)[0]) > 0:
		(*h)[0] = x
		heap.Fix(h, 0)
	}
}

// Len implements [heap.Interface].
func (h *oldestFirst) Len() int { return len(*h) }

// Less implements [heap.Interface].
func (h *oldestFirst) Less(i, j int) bool { return newer((*h)[i], (*h)[j]) < 0 }

// Swap implements [heap.Interface].
func (h *oldestFirst) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push and Pop complete [heap.Interface]; Init and Fix use neither.
func (h *oldestFirst) Push(x any) { *h = append(*h, x.(place)) }

// Pop see Push.
func (h *oldestFirst) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// bodies reads the records at places, which are at most [chunkRecords].
func (ix *Index) bodies(places []place) (map[int64][]byte, error) {
	seqs := make([]int64, len(places))
	for i, x := range places {
		seqs[i] = x.seq
	}
	slices.Sort(seqs)
	found := make(map[int64][]byte, len(seqs))
	for len(seqs) > 0 {
		// One read for neighbours: a search for text alone reads every record.
		n := 1
		for n < len(seqs) && seqs[n]-seqs[n-1] <= maxGap {
			n++
		}
		if err := ix.read(seqs[0], seqs[n-1], found); err != nil {
			return nil, err
		}
		seqs = seqs[n:]
	}
	return found, nil
}

// read reads the records from first to last.
func (ix *Index) read(first, last int64, found map[int64][]byte) error {
	for first <= last {
		records, err := ix.journal.Read(journal.Seq(first), int(last-first+1))
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return errShort
		}
		for _, r := range records {
			found[int64(r.Seq)] = r.Body
		}
		first += int64(len(records))
	}
	return nil
}
