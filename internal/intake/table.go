package intake

import (
	"math"

	"github.com/custody-log/custody/internal/journal"
)

// A table remembers at which positions events with a given hash of source and
// ID are. It keeps 40 bits of the hash: different IDs may share them, and the
// caller looks.
//
// It consists of shards that grow one by one, each at another time and by a
// quarter: at most 12 bytes an event, about 10.6 on average, and a pause of the
// time it takes to copy one of 256 shards. Shards that are not used cost
// nothing.
type table struct {
	shards [shardCount]shard
}

// MaxEvents is how many events the desk can tell apart.
const MaxEvents = math.MaxUint32

const (
	shardCount = 256
	firstSlots = 16   // of the smallest shard
	growth     = 1.25 // of a shard that is full
	slotBytes  = 8
)

// full reports whether used of so many slots are as many as may be: at 0.85 a
// search for what is not there looks at 23 slots, side by side.
func full(used, slots int) bool { return used >= slots*17/20 }

// A shard holds the positions whose hashes begin with the same eight bits.
type shard struct {
	slots []uint64 // low 32 bits of the hash ‖ position + 1; 0 is free
	used  int
	level int // how often it grew
}

// shardOf returns the number of the shard that hash belongs to.
func shardOf(hash uint64) int { return int(hash >> 56) }

// count returns how many positions are stored under hash.
func (t *table) count(hash uint64) (n int) {
	s := &t.shards[shardOf(hash)]
	if s.used == 0 {
		return 0
	}
	for i := s.home(uint32(hash)); s.slots[i] != 0; i = s.after(i) {
		if uint32(s.slots[i]>>32) == uint32(hash) {
			n++
		}
	}
	return n
}

// all returns the positions stored under hash, in no particular order.
func (t *table) all(hash uint64) (seqs []journal.Seq) {
	s := &t.shards[shardOf(hash)]
	if s.used == 0 {
		return nil
	}
	for i := s.home(uint32(hash)); s.slots[i] != 0; i = s.after(i) {
		if uint32(s.slots[i]>>32) == uint32(hash) {
			seqs = append(seqs, journal.Seq(uint32(s.slots[i])-1))
		}
	}
	return seqs
}

// add stores seq, which must be less than [MaxEvents], under hash.
func (t *table) add(hash uint64, seq journal.Seq) {
	number := shardOf(hash)
	s := &t.shards[number]
	if full(s.used, len(s.slots)) {
		s.grow(number)
	}
	s.put(slotOf(hash, seq))
	s.used++
}

// slotOf returns what a slot holds that is in use.
func slotOf(hash uint64, seq journal.Seq) uint64 { return hash<<32 | uint64(seq+1) }

// home returns the slot from which on what has the low 32 bits low of a hash is
// looked for. The order of homes is that of the bits, so that growing reads and
// writes memory from one end to the other.
func (s *shard) home(low uint32) int {
	return int(uint64(low) * uint64(len(s.slots)) >> 32)
}

func (s *shard) after(i int) int {
	if i++; i < len(s.slots) {
		return i
	}
	return 0
}

func (s *shard) put(slot uint64) {
	i := s.home(uint32(slot >> 32))
	for s.slots[i] != 0 {
		i = s.after(i)
	}
	s.slots[i] = slot
}

// grow makes room in s, which is the shard of the given number.
func (s *shard) grow(number int) {
	old := s.slots
	s.slots = make([]uint64, slotsOf(s.level, number))
	s.level++
	for _, slot := range old {
		if slot != 0 {
			s.put(slot)
		}
	}
}

// fill makes s, which is empty and of the given number, hold slots.
func (s *shard) fill(number int, slots []uint64) {
	if len(slots) == 0 {
		return
	}
	for full(len(slots), slotsOf(s.level, number)) {
		s.level++
	}
	s.grow(number)
	s.used = len(slots)
	for _, slot := range slots {
		s.put(slot)
	}
}

// slotsOf returns how many slots the shard of the given number has once it grew
// level times more than once. Shards start with different sizes: hashes fill all
// alike, and so no two grow at once.
func slotsOf(level, number int) int {
	return int(firstSlots * math.Pow(growth, float64(level)+float64(number)/shardCount))
}
