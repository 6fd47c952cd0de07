package intake

import "github.com/custody-log/custody/internal/journal"

// A table remembers at which positions events with a given 64-bit hash of
// source and ID are. Different IDs may share a hash; the caller looks.
//
// It costs 12 bytes a slot and keeps between 7/16 and 7/8 of the slots in use:
// 14 to 28 bytes an event, and for an instant, while it grows, that once more.
type table struct {
	hashes []uint64
	seqs   []uint32 // position + 1; 0 is a free slot
	used   int
}

// MaxEvents is how many events the desk can tell apart.
const MaxEvents = 1<<32 - 1

const firstSlots = 1 << 10

// find calls each with every position stored under hash.
func (t *table) find(hash uint64, each func(journal.Seq)) {
	if len(t.seqs) == 0 {
		return
	}
	mask := uint64(len(t.seqs) - 1)
	for i := hash & mask; t.seqs[i] != 0; i = (i + 1) & mask {
		if t.hashes[i] == hash {
			each(journal.Seq(t.seqs[i] - 1))
		}
	}
}

// add stores seq under hash.
func (t *table) add(hash uint64, seq journal.Seq) {
	if t.used >= len(t.seqs)/8*7 {
		t.grow()
	}
	t.put(hash, uint32(seq+1))
	t.used++
}

func (t *table) put(hash uint64, seq uint32) {
	mask := uint64(len(t.seqs) - 1)
	i := hash & mask
	for t.seqs[i] != 0 {
		i = (i + 1) & mask
	}
	t.hashes[i], t.seqs[i] = hash, seq
}

func (t *table) grow() {
	old := *t
	n := max(firstSlots, 2*len(old.seqs))
	t.hashes, t.seqs = make([]uint64, n), make([]uint32, n)
	for i, seq := range old.seqs {
		if seq != 0 {
			t.put(old.hashes[i], seq)
		}
	}
}
