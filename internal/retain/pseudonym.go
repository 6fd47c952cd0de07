package retain

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// A chunk is what was taken from 65,536 records that follow each other. It is
// guarded by the ledger's mu.
type chunk struct {
	takers []*entry // who took something here, the oldest first
	stood  []stood  // who stood where, in order of place; nil: to be made when asked for
}

// A stood says that one of a chunk's takers stood in a slot.
type stood struct {
	place uint32 // lower 16 bits of the position, then the slot
	taker uint32
}

func placeOf(seq uint32, slot uint8) uint32 { return seq&0xffff<<8 | uint32(slot) }

// index enters into l.chunks what e took and before did not. The caller holds
// l.mu, or is alone.
func (l *Ledger) index(e *entry, before *taken) {
	known := chunksOf(before)
	for at := range chunksOf(e.taken) {
		c := l.chunks[at]
		if c == nil {
			c = new(chunk)
			l.chunks[at] = c
		}
		if !known[at] {
			c.takers = append(c.takers, e)
		}
		c.stood = nil
	}
}

// build makes c.stood of the chunk with these upper 16 bits. The caller holds
// the ledger's mu.
func (c *chunk) build(at uint32) {
	c.stood = make([]stood, 0, len(c.takers))
	for taker, e := range c.takers {
		for _, s := range e.taken.sets {
			if s.kind != slotSet {
				continue
			}
			it := s.set.Iterator()
			for it.AdvanceIfNeeded(at << 16); it.HasNext() && it.PeekNext()>>16 == at; {
				c.stood = append(c.stood, stood{place: placeOf(it.Next(), s.number), taker: uint32(taker)})
			}
		}
	}
	slices.SortFunc(c.stood, func(a, b stood) int {
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.taker, b.taker))
	})
}

// find returns the pseudonym of who stood at a place. The caller holds the
// ledger's mu.
func (c *chunk) find(place uint32) (pseudonym string, ok bool) {
	i, ok := slices.BinarySearchFunc(c.stood, place, func(s stood, place uint32) int { return cmp.Compare(s.place, place) })
	if !ok {
		return "", false
	}
	return c.takers[c.stood[i].taker].erasure.Pseudonym, true
}

// chunksOf returns the upper 16 bits of all positions in t.
func chunksOf(t *taken) map[uint32]bool {
	chunks := make(map[uint32]bool)
	for it := t.records().Iterator(); it.HasNext(); {
		at := it.Next() >> 16
		chunks[at] = true
		if at == MaxSeq>>16 {
			break
		}
		it.AdvanceIfNeeded((at + 1) << 16)
	}
	return chunks
}

// PseudonymOf returns what stands in the place of the person who was erased from
// a slot of the record at seq.
func (l *Ledger) PseudonymOf(seq int64, slot Slot) (pseudonym string, ok bool) {
	if seq < 0 || seq > MaxSeq || slot >= MaxSlots {
		return "", false
	}
	at, place := uint32(seq)>>16, placeOf(uint32(seq), uint8(slot))
	l.mu.RLock()
	c := l.chunks[at]
	if c == nil || c.stood != nil {
		defer l.mu.RUnlock()
		if c == nil {
			return "", false
		}
		return c.find(place)
	}
	l.mu.RUnlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.stood == nil {
		c.build(at)
	}
	return c.find(place)
}

// Pseudonymous returns the records in which a pseudonym stands, in ascending
// order, by slot; nil if nobody has it.
func (l *Ledger) Pseudonymous(pseudonym string) map[Slot][]int64 {
	l.mu.RLock()
	e, ok := l.names[pseudonym]
	var took *taken
	if ok {
		took = e.taken
	}
	l.mu.RUnlock()
	if !ok {
		return nil
	}
	where := make(map[Slot][]int64)
	for _, s := range took.sets {
		if s.kind != slotSet {
			continue
		}
		seqs := make([]int64, 0, s.set.GetCardinality())
		for seq := range roaring.Values(s.set) {
			seqs = append(seqs, int64(seq))
		}
		where[Slot(s.number)] = seqs
	}
	return where
}

// Entries returns what all erasures together took from the records from the
// position from on, in their order: what must be taken again from an older copy
// of the records, before anybody reads it. It is as of the call.
func (l *Ledger) Entries(from int64) iter.Seq[Touch] {
	chunks := make(map[uint32][]*taken)
	l.mu.RLock()
	for at, c := range l.chunks {
		for _, e := range c.takers {
			chunks[at] = append(chunks[at], e.taken)
		}
	}
	l.mu.RUnlock()
	return func(yield func(Touch) bool) {
		for _, at := range slices.Sorted(maps.Keys(chunks)) {
			if !yieldChunk(chunks[at], at, from, yield) {
				return
			}
		}
	}
}

// yieldChunk yields what all took from the records of one chunk from the
// position from on. It reports whether yield wants more.
func yieldChunk(all []*taken, at uint32, from int64, yield func(Touch) bool) bool {
	first := max(from, int64(at)<<16)
	if first>>16 != int64(at) {
		return true
	}
	records := roaring.New()
	for _, t := range all {
		records.Or(t.records())
	}
	it := records.Iterator()
	for it.AdvanceIfNeeded(uint32(first)); it.HasNext(); {
		what := Touch{Seq: int64(it.Next())}
		if what.Seq>>16 != int64(at) {
			return true
		}
		for _, t := range all {
			t.touch(&what)
		}
		slices.Sort(what.Fields)
		slices.Sort(what.Slots)
		what.Fields, what.Slots = slices.Compact(what.Fields), slices.Compact(what.Slots)
		if !yield(what) {
			return false
		}
	}
	return true
}
