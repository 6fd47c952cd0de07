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
}

// add adds the pair of a hash and an item.
func (l *wordLists) add(hash, item uint32) {
	b := &l.buckets[hash>>(32-hashBucketBits)]
	pair := uint64(hash)<<32 | uint64(item)
	if n := len(*b); n > 0 && (*b)[n-1] == pair {
		return
	}
	*b = append(*b, pair)
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
	n, most := 0, 0
	for _, b := range l.buckets {
		n, most = n+len(b), max(most, len(b))
	}
	all, memory := make([]uint64, 0, n), make([]uint64, most)
	for _, b := range l.buckets {
		start := len(all)
		for _, pair := range b {
			all = append(all, pair&^(1<<32-1)|uint64(number(uint32(pair))))
		}
		radixSort(all[start:], memory)
	}
	return all
}

func (l *wordLists) reset() {
	for i := range l.buckets {
		l.buckets[i] = l.buckets[i][:0]
	}
}
