package segment

// hashBuckets is by how many first bits of their hash the pairs of a wordLists are
// kept apart.
const (
	hashBucketBits = 6
	hashBuckets    = 1 << hashBucketBits
)

// A wordLists finds the items that have a word, by its hash. To add costs next to
// nothing, which is what mostly happens to it; to look reads one bucket.
type wordLists struct {
	buckets [hashBuckets][]uint64 // hash and item, as writeHashes wants them, as they came
	n       int                   // pairs
}

// pairBytes is what a pair takes.
const pairBytes = 8

// add adds the pair of a hash and an item. A word that is in an item twice may be
// there twice.
func (l *wordLists) add(hash, item uint32) {
	b := &l.buckets[hash>>(32-hashBucketBits)]
	pair := uint64(hash)<<32 | uint64(item)
	if n := len(*b); n > 0 && (*b)[n-1] == pair {
		return
	}
	*b = append(*b, pair)
	l.n++
}

// items returns the items of a hash, in the order in which they came. One may be
// there more than once.
func (l *wordLists) items(hash uint32) (list []uint32) {
	for _, pair := range l.buckets[hash>>(32-hashBucketBits)] {
		if uint32(pair>>32) == hash {
			list = append(list, uint32(pair))
		}
	}
	return list
}

// pairs returns all pairs, with other numbers for the items, sorted.
func (l *wordLists) pairs(number func(item uint32) uint32) []uint64 {
	most := 0
	for _, b := range l.buckets {
		most = max(most, len(b))
	}
	all, memory := make([]uint64, 0, l.n), make([]uint64, most)
	for _, b := range l.buckets {
		start := len(all)
		for _, pair := range b {
			all = append(all, pair&^(1<<32-1)|uint64(number(uint32(pair))))
		}
		radixSort(all[start:], memory)
	}
	return all
}

// wasteful is how many times as large as what is in it a bucket may be that is
// used again.
const wasteful = 4

// reset empties l, keeping its memory where it was of use. Who chooses words so
// that they come into one bucket, and every time into another, makes none stay
// large.
func (l *wordLists) reset() {
	for i, b := range l.buckets {
		if cap(b) > wasteful*len(b)+1024 {
			b = nil
		}
		clear(b) // hashes of personal words must not stay in memory
		l.buckets[i] = b[:0]
	}
	l.n = 0
}
