package segment

import (
	"bytes"
	"encoding/binary"
	"sort"
)

// A dictionary is sorted values, each once, front-coded in groups: of a value
// only what differs from the one before is written.
//
//	group    value whole │ 15 × (uvarint bytes shared with the one before │ uvarint rest │ rest)
//	offsets  of the groups, packed
//	fences   every 256th value, in the footer: they stay in memory, so that a
//	         look-up reads one page
const (
	groupValues = 16
	fenceValues = 256
)

// writeDict writes sorted values.
func writeDict(w *writer, values [][]byte) {
	var data []byte
	var offsets []uint32
	var before []byte
	for i, v := range values {
		shared := 0
		if i%groupValues == 0 {
			offsets = append(offsets, uint32(len(data)))
		} else {
			shared = sharedBytes(before, v)
		}
		data = binary.AppendUvarint(data, uint64(shared))
		data = binary.AppendUvarint(data, uint64(len(v)-shared))
		data = append(data, v[shared:]...)
		before = v
	}
	bits := width(uint64(len(data)))
	w.num(uint64(len(values)))
	w.section(data)
	w.num(uint64(bits))
	w.section(packed(offsets, bits))
	for i := 0; i < len(values); i += fenceValues {
		w.text(values[i])
	}
}

func sharedBytes(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// A dict is a dictionary in a file.
type dict struct {
	n       int
	data    reader
	offsets column
	fences  [][]byte
}

// maxValues bounds the values of one dictionary.
const maxValues = 1 << 30

func (f *footer) dict() dict {
	d := dict{n: f.count(maxValues), data: f.section()}
	d.offsets = f.packed((d.n + groupValues - 1) / groupValues)
	for i := 0; i < d.n; i += fenceValues {
		fence := f.text()
		d.fences = append(d.fences, fence)
	}
	return d
}

// A dictReader reads a dictionary. It is for one goroutine.
type dictReader struct {
	*dict
	data    reader
	offsets column
	value   []byte
	last    int   // whose value is in value; -1: none
	next    int64 // where the one after it is

	whole *wholeDict // all values, if they are wanted in memory: see [Reader.Load]
}

func (d *dict) reader() *dictReader {
	return &dictReader{dict: d, data: d.data, offsets: d.offsets, last: -1}
}

// at returns value i. It is valid until the next call.
func (r *dictReader) at(i int) []byte {
	if i == r.last {
		return r.value
	}
	if i < 0 || i >= r.n {
		panic(damagef("value %d of %d", i, r.n))
	}
	if r.last < 0 || i < r.last || i/groupValues != r.last/groupValues {
		r.last = i/groupValues*groupValues - 1
		r.next = int64(r.offsets.get(i / groupValues))
		r.value = r.value[:0]
	}
	for r.last < i {
		r.step()
	}
	return r.value
}

// step reads the next value of a group.
func (r *dictReader) step() {
	shared, rest := r.uvarint(), r.uvarint()
	if shared > len(r.value) {
		panic(damagef("a value shares %d bytes with one of %d", shared, len(r.value)))
	}
	r.value = r.data.bytes(r.value[:shared], r.next, rest)
	r.next += int64(rest)
	r.last++
}

func (r *dictReader) uvarint() int {
	var b [8]byte
	left := min(8, r.data.size-r.next)
	if left <= 0 {
		panic(damagef("a dictionary ends early"))
	}
	if left == 8 {
		binary.LittleEndian.PutUint64(b[:], r.data.word(r.next))
	} else {
		r.data.bytes(b[:0], r.next, int(left))
	}
	v, n := binary.Uvarint(b[:left])
	if n <= 0 {
		panic(damagef("a dictionary has a bad length"))
	}
	r.next += int64(n)
	return int(v)
}

// search returns the number of the first value that is not below v, and
// whether it is v.
func (r *dictReader) search(v []byte) (i int, found bool) {
	fence := sort.Search(len(r.fences), func(i int) bool { return bytes.Compare(r.fences[i], v) > 0 }) - 1
	if fence < 0 {
		return 0, false
	}
	first := fence * fenceValues / groupValues
	last := min(first+fenceValues/groupValues, (r.n+groupValues-1)/groupValues)
	// The last group that does not begin beyond v.
	group := first + sort.Search(last-first, func(i int) bool {
		return bytes.Compare(r.at((first+i)*groupValues), v) > 0
	}) - 1
	for i = group * groupValues; i < r.n; i++ {
		switch c := bytes.Compare(r.at(i), v); {
		case c == 0:
			return i, true
		case c > 0:
			return i, false
		}
	}
	return r.n, false
}

// prefixed returns the range of values that begin with p.
func (r *dictReader) prefixed(p []byte) (first, end int) {
	first, _ = r.search(p)
	end = r.n
	for next := bytes.Clone(p); len(next) > 0; {
		if next[len(next)-1]++; next[len(next)-1] != 0 {
			end, _ = r.search(next)
			break
		}
		next = next[:len(next)-1]
	}
	return first, max(first, end)
}
