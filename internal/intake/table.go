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

// count returns how many positions are stored under hash.
func (t *table) count(hash uint64) (n int) {
	if len(t.seqs) == 0 {
		return 0
	}
	mask := uint64(len(t.seqs) - 1)
	for i := hash & mask; t.seqs[i] != 0; i = (i + 1) & mask {
		if t.hashes[i] == hash {
			n++
		}
	}
	return n
}

// all returns the positions stored under hash.
func (t *table) all(hash uint64) (seqs []journal.Seq) {
	mask := uint64(len(t.seqs) - 1)
	for i := hash & mask; t.seqs[i] != 0; i = (i + 1) & mask {
		if t.hashes[i] == hash {
			seqs = append(seqs, journal.Seq(t.seqs[i]-1))
		}
	}
	return seqs
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

// A flight holds the hashes of events that are being recorded, each with what
// is closed when that is decided. It grows with what is in flight at once and
// is far cheaper than a map: every event goes in and out.
type flight struct {
	hashes []uint64
	done   []chan struct{} // nil is a free slot
	used   int
}

// get returns what is stored under hash, or nil.
func (f *flight) get(hash uint64) chan struct{} {
	if f.used == 0 {
		return nil
	}
	return f.done[f.slot(hash)]
}

// slot returns where hash is, or the free slot where it would be.
func (f *flight) slot(hash uint64) uint64 {
	mask := uint64(len(f.done) - 1)
	i := hash & mask
	for f.done[i] != nil && f.hashes[i] != hash {
		i = (i + 1) & mask
	}
	return i
}

// put stores done under hash, which must not be there.
func (f *flight) put(hash uint64, done chan struct{}) {
	if 2*f.used >= len(f.done) {
		old := *f
		n := max(firstSlots, 2*len(old.done))
		f.hashes, f.done = make([]uint64, n), make([]chan struct{}, n)
		for i, d := range old.done {
			if d != nil {
				k := f.slot(old.hashes[i])
				f.hashes[k], f.done[k] = old.hashes[i], d
			}
		}
	}
	i := f.slot(hash)
	f.hashes[i], f.done[i] = hash, done
	f.used++
}

// remove takes hash out, and closes the gap that leaves (Knuth, volume 3,
// section 6.4, algorithm R).
func (f *flight) remove(hash uint64) {
	if f.used == 0 {
		return
	}
	mask := uint64(len(f.done) - 1)
	i := f.slot(hash)
	if f.done[i] == nil {
		return
	}
	f.used--
	for k := (i + 1) & mask; f.done[k] != nil; k = (k + 1) & mask {
		if home := f.hashes[k] & mask; (k-home)&mask >= (k-i)&mask {
			f.hashes[i], f.done[i] = f.hashes[k], f.done[k]
			i = k
		}
	}
	f.done[i] = nil
}
