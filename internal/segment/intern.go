package segment

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
)

// An interned gives numbers to values, in the order in which they come. It
// holds no pointers, which the garbage collector would follow at every turn.
type interned struct {
	arena []byte   // all values, side by side
	ends  []uint32 // of each in arena
	slots []uint64 // hash and number+1, by hash: open addressing
}

// len returns how many values there are.
func (t *interned) len() int { return len(t.ends) }

// value returns value n. It must not be changed.
func (t *interned) value(n uint32) []byte {
	start := uint32(0)
	if n > 0 {
		start = t.ends[n-1]
	}
	return t.arena[start:t.ends[n]:t.ends[n]]
}

// number returns the number of a value, and whether it is new.
func (t *interned) number(value []byte) (n uint32, fresh bool) {
	if 4*(len(t.ends)+1) > 3*len(t.slots) {
		t.grow()
	}
	hash := uint32(xxhash.Sum64(value))
	at := t.slot(hash, value)
	if n := uint32(t.slots[at]); n != 0 {
		return n - 1, false
	}
	t.arena = append(t.arena, value...)
	t.ends = append(t.ends, uint32(len(t.arena)))
	t.slots[at] = uint64(hash)<<32 | uint64(len(t.ends))
	return uint32(len(t.ends)) - 1, true
}

// find returns the number of a value, if it is there.
func (t *interned) find(value []byte) (n uint32, ok bool) {
	if len(t.ends) == 0 {
		return 0, false
	}
	n = uint32(t.slots[t.slot(uint32(xxhash.Sum64(value)), value)])
	return n - 1, n != 0
}

// slot returns where a value is, or the free slot where it would be.
func (t *interned) slot(hash uint32, value []byte) uint32 {
	mask := uint32(len(t.slots) - 1)
	at := hash & mask
	for {
		slot := t.slots[at]
		if slot == 0 || uint32(slot>>32) == hash && bytes.Equal(t.value(uint32(slot)-1), value) {
			return at
		}
		at = (at + 1) & mask
	}
}

func (t *interned) grow() {
	old := t.slots
	t.slots = make([]uint64, max(64, 2*len(old)))
	mask := uint32(len(t.slots) - 1)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		at := uint32(slot>>32) & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = slot
	}
}
