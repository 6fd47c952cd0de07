package journal

import "sort"

// How far apart the points of an index are, at least: whichever comes first.
const (
	pointRecords = 16
	pointBytes   = 64 << 10
)

// A point says where in a file a record is, so that reading can start there.
type point struct {
	seq  Seq
	off  int64 // of a frame, or of a group header if left is 0
	left int32 // frames of the group that begin at off or after it
}

// An index finds records in one file: it costs 24 bytes per 16 records. It
// only grows, so that a copy of it stays true.
type index []point

// grow adds points for the group of count records at off. Its frames end at
// off+ends[i]; ends may stop before the last.
func (x *index) grow(first Seq, off int64, count int, ends []int32) {
	if count == 0 {
		return
	}
	x.add(point{seq: first, off: off})
	for i, end := range ends[:min(len(ends), count-1)] {
		x.add(point{seq: first + Seq(i) + 1, off: off + int64(end), left: int32(count - i - 1)})
	}
}

// add adds p if it is far enough from the last point.
func (x *index) add(p point) {
	if n := len(*x); n > 0 {
		last := (*x)[n-1]
		if p.seq-last.seq < pointRecords && p.off-last.off < pointBytes {
			return
		}
	}
	*x = append(*x, p)
}

// at returns the position in x of the last point that is not after seq, -1 if
// there is none.
func (x index) at(seq Seq) int {
	return sort.Search(len(x), func(i int) bool { return x[i].seq > seq }) - 1
}
