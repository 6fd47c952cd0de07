package segment

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
)

// An interned gives numbers to values, in the order in which they come. It
// holds no pointers, which the garbage collector would follow at every turn.
type interned struct {
	arena []byte         // all values, side by side
	ends  []uint32       // of each in arena
	slots []internedSlot // by hash: open addressing
}

// An internedSlot says where a value is, so that a look reads the slot and the
// value and nothing else.
type internedSlot struct {
	hash       uint32
	next       uint32 // number+1; 0: the slot is free
	start, end uint32 // in arena
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
	if next := t.slots[at].next; next != 0 {
		return next - 1, false
	}
	start := uint32(len(t.arena))
	t.arena = append(t.arena, value...)
	t.ends = append(t.ends, uint32(len(t.arena)))
	t.slots[at] = internedSlot{hash, uint32(len(t.ends)), start, uint32(len(t.arena))}
	return uint32(len(t.ends)) - 1, true
}

// find returns the number of a value, if it is there.
func (t *interned) find(value []byte) (n uint32, ok bool) {
	if len(t.ends) == 0 {
		return 0, false
	}
	next := t.slots[t.slot(uint32(xxhash.Sum64(value)), value)].next
	return next - 1, next != 0
}

// slot returns where a value is, or the free slot where it would be.
func (t *interned) slot(hash uint32, value []byte) uint32 {
	mask := uint32(len(t.slots) - 1)
	at := hash & mask
	for {
		s := &t.slots[at]
		if s.next == 0 || s.hash == hash && bytes.Equal(t.arena[s.start:s.end], value) {
			return at
		}
		at = (at + 1) & mask
	}
}

func (t *interned) grow() {
	old := t.slots
	t.slots = make([]internedSlot, max(64, 2*len(old)))
	mask := uint32(len(t.slots) - 1)
	for _, slot := range old {
		if slot.next == 0 {
			continue
		}
		at := slot.hash & mask
		for t.slots[at].next != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = slot
	}
}
