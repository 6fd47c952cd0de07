package intake

// A flight holds the hashes of events that are being recorded, each with what
// is closed when that is decided. It grows with what is in flight at once and
// is far cheaper than a map: every event goes in and out.
type flight struct {
	hashes []uint64
	done   []chan struct{} // nil is a free slot
	used   int
}

const firstFlight = 1 << 10 // slots

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
		n := max(firstFlight, 2*len(old.done))
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
