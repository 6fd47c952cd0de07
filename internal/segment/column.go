package segment

import (
	"encoding/binary"
	"math/bits"
)

// A column is packed numbers.
type column struct {
	n    int
	w    uint
	mask uint64
	data reader
}

// writePacked writes numbers of which the greatest is limit.
func writePacked(w *writer, values []uint32, limit uint64) {
	bits := width(limit)
	w.num(uint64(bits))
	w.section(packed(values, bits))
}

func (f *footer) packed(n int) column {
	w := uint(f.count(32))
	c := column{n: n, w: w, mask: 1<<w - 1, data: f.section()}
	if uint64(n)*uint64(w) > 8*uint64(c.data.size) {
		panic(damagef("%d numbers of %d bits in %d bytes", n, w, c.data.size))
	}
	return c
}

// get returns number i.
func (c *column) get(i int) uint32 {
	if uint(i) >= uint(c.n) {
		panic(damagef("number %d of %d", i, c.n))
	}
	at := uint64(i) * uint64(c.w)
	return uint32(c.data.word(int64(at>>3)) >> (at & 7) & c.mask)
}

// A marks says for each row whether it has something, and how many rows before
// it do. A segment in which all rows have it, or none, stores nothing.
//
//	bits   one per row, then slack
//	ranks  for every 512 rows, packed: how many before have it
type marks struct {
	rows  int
	count int
	bits  reader
	ranks column

	// The 64 rows looked at last, before end; 0: none.
	end    int
	word   uint64
	before int // how many before them have it
}

const rankRows = 512

func writeMarks(w *writer, has []bool) {
	count := 0
	for _, h := range has {
		if h {
			count++
		}
	}
	w.num(uint64(count))
	if count == 0 || count == len(has) {
		return
	}
	var b bitWriter
	var ranks []uint32
	seen := uint32(0)
	for i, h := range has {
		if i%rankRows == 0 {
			ranks = append(ranks, seen)
		}
		bit := uint64(0)
		if h {
			bit = 1
			seen++
		}
		b.put(bit, 1)
	}
	w.section(b.bytes())
	writePacked(w, ranks, uint64(seen))
}

func (f *footer) marks(rows int) marks {
	m := marks{rows: rows, count: f.count(rows)}
	if m.count > 0 && m.count < rows {
		m.bits = f.section()
		m.ranks = f.packed((rows + rankRows - 1) / rankRows)
	}
	return m
}

// rank returns how many rows before the given one have it, and whether it has.
func (m *marks) rank(row int) (before int, has bool) {
	if uint(row) >= uint(m.rows) {
		panic(damagef("row %d of %d", row, m.rows))
	}
	switch m.count {
	case 0:
		return 0, false
	case m.rows:
		return row, true
	}
	if row >= m.end || row < m.end-64 {
		m.look(row)
	}
	bit := uint(row % 64)
	return m.before + bits.OnesCount64(m.word&(1<<bit-1)), m.word>>bit&1 != 0
}

// look takes the 64 rows at hand of which row is one.
func (m *marks) look(row int) {
	start := row / rankRows * rankRows
	before := int(m.ranks.get(row / rankRows))
	for ; start+64 <= row; start += 64 {
		before += bits.OnesCount64(m.bits.word(int64(start / 8)))
	}
	m.end, m.word, m.before = start+64, m.bits.word(int64(start/8)), before
}

// A sparse column has a number for some rows.
type sparse struct {
	marks marks
	ids   column
}

// none is the number of rows that have none, while a column is built.
const none = ^uint32(0)

func writeSparse(w *writer, ids []uint32, limit int) {
	has := make([]bool, len(ids))
	var there []uint32
	for i, id := range ids {
		if id != none {
			has[i] = true
			there = append(there, id)
		}
	}
	writeMarks(w, has)
	writePacked(w, there, uint64(max(limit, 1)-1))
}

func (f *footer) sparse(rows int) sparse {
	m := f.marks(rows)
	return sparse{m, f.packed(m.count)}
}

func (c *sparse) get(row int) (id uint32, ok bool) {
	at, ok := c.marks.rank(row)
	if !ok {
		return 0, false
	}
	return c.ids.get(at), true
}

// A fixed column has the same number of bytes for each row that has any.
type fixed struct {
	marks  marks
	stride int
	data   reader
}

// writeFixed writes the values of the rows that have one; data holds them side
// by side.
func writeFixed(w *writer, has []bool, stride int, data []byte) {
	writeMarks(w, has)
	w.num(uint64(stride))
	w.section(data)
}

func (f *footer) fixed(rows int) fixed {
	return fixed{f.marks(rows), f.count(255), f.section()}
}

func (c *fixed) get(dst []byte, row int) []byte {
	at, ok := c.marks.rank(row)
	if !ok {
		return dst
	}
	return c.data.bytes(dst, int64(at)*int64(c.stride), c.stride)
}

// A frame column holds large numbers that are near their neighbours: for every
// 64 rows the least, and what each is more than that ("frame of reference",
// Goldstein 1998), in units of the greatest common one of 1 and 1000.
//
//	frames  i64 least │ u32 bit where the rest begins │ u8 width
//	rest    packed
//
// It is for one goroutine; so is each copy.
type frame struct {
	rows   int
	unit   int64
	frames reader
	rest   reader

	block int    // whose frame is at hand, from 1; 0: none
	least int64  // of that frame
	head  uint64 // likewise: bit and width
}

const (
	frameRows  = 64
	frameBytes = 8 + 4 + 1
)

func writeFrame(w *writer, values []int64) {
	unit := int64(1000)
	for _, v := range values {
		if v%1000 != 0 {
			unit = 1
			break
		}
	}
	var frames []byte
	var rest bitWriter
	for i := 0; i < len(values); i += frameRows {
		block := values[i:min(i+frameRows, len(values))]
		least, most := block[0], block[0]
		for _, v := range block {
			least, most = min(least, v), max(most, v)
		}
		bits := width((uint64(most) - uint64(least)) / uint64(unit))
		frames = binary.LittleEndian.AppendUint64(frames, uint64(least))
		frames = binary.LittleEndian.AppendUint32(frames, uint32(rest.len()))
		frames = append(frames, byte(bits))
		for _, v := range block {
			rest.put((uint64(v)-uint64(least))/uint64(unit), bits)
		}
	}
	w.num(uint64(unit))
	w.section(append(frames, make([]byte, slack)...))
	w.section(rest.bytes())
}

func (f *footer) frame(rows int) frame {
	return frame{rows: rows, unit: int64(f.count(1000)), frames: f.section(), rest: f.section()}
}

func (c *frame) get(row int) int64 {
	if uint(row) >= uint(c.rows) {
		panic(damagef("row %d of %d", row, c.rows))
	}
	if block := row/frameRows + 1; block != c.block {
		c.block = 0 // until what follows was read
		at := int64(block-1) * frameBytes
		c.least, c.head = int64(c.frames.word(at)), c.frames.word(at+8)
		c.block = block
	}
	w := c.head >> 32 & 0xff
	if w == 0 {
		return c.least
	}
	bit := c.head&(1<<32-1) + uint64(row%frameRows)*w
	if w <= 32 {
		return c.least + int64(c.rest.word(int64(bit>>3))>>(bit&7)&(1<<w-1))*c.unit
	}
	r := bitReader{from: c.rest, at: bit}
	return c.least + int64(r.get(uint(w)))*c.unit
}
