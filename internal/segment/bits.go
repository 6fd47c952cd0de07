package segment

import (
	"encoding/binary"
	"math/bits"
)

// slack is how many bytes stand behind every bit-packed section, so that eight
// bytes can be read at any bit of it.
const slack = 8

// width returns how many bits hold every number up to limit.
func width(limit uint64) uint { return uint(bits.Len64(limit)) }

// A bitWriter appends numbers of any width, low bits first.
type bitWriter struct {
	data []byte
	acc  uint64 // bits not in data yet
	held uint   // how many, below 8
}

// len returns the number of bits written.
func (w *bitWriter) len() uint64 { return uint64(len(w.data))*8 + uint64(w.held) }

// put appends the low bits of v, at most 64.
func (w *bitWriter) put(v uint64, bits uint) {
	if bits > 32 {
		w.put(v&(1<<32-1), 32)
		v, bits = v>>32, bits-32
	}
	w.acc |= (v & (1<<bits - 1)) << w.held
	w.held += bits
	for w.held >= 8 {
		w.data = append(w.data, byte(w.acc))
		w.acc >>= 8
		w.held -= 8
	}
}

// unary appends q ones and a zero.
func (w *bitWriter) unary(q uint64) {
	for ; q >= 32; q -= 32 {
		w.put(1<<32-1, 32)
	}
	w.put(1<<q-1, uint(q)+1)
}

// list appends an ascending list of rows below limit: its length in Elias gamma
// form, then the gaps as Rice codes (Golomb 1966, Rice 1979) with a parameter
// that follows from length and limit.
func (w *bitWriter) list(rows []uint32, limit int) {
	n := uint64(len(rows))
	k := width(n)
	w.unary(uint64(k))
	w.put(n, k)
	r := riceBits(len(rows), limit)
	next := uint32(0)
	for _, row := range rows {
		gap := uint64(row - next)
		next = row + 1
		w.unary(gap >> r)
		w.put(gap, r)
	}
}

// riceBits returns the Rice parameter for n of limit rows.
func riceBits(n, limit int) uint {
	mean := uint64(limit / (n + 1))
	if mean < 2 {
		return 0
	}
	return width(mean) - 1
}

// bytes returns what was written, with slack behind it.
func (w *bitWriter) bytes() []byte {
	if w.held > 0 {
		w.data = append(w.data, byte(w.acc))
		w.acc, w.held = 0, 0
	}
	return append(w.data, make([]byte, slack)...)
}

// packed returns values side by side, each of w bits, with slack behind them.
func packed[T ~uint32 | ~uint64](values []T, w uint) []byte {
	data := make([]byte, (uint(len(values))*w+7)/8+slack+1)
	for i, v := range values {
		at := uint(i) * w
		word := data[at>>3:]
		shift := at & 7
		binary.LittleEndian.PutUint64(word, binary.LittleEndian.Uint64(word)|uint64(v)<<shift)
		if shift+w > 64 {
			word[8] |= byte(uint64(v) >> (64 - shift))
		}
	}
	return data[:(uint(len(values))*w+7)/8+slack]
}

// A bitReader reads what a bitWriter wrote.
type bitReader struct {
	from reader
	at   uint64 // bit
}

func (r *bitReader) get(w uint) uint64 {
	if w > 32 {
		low := r.get(32)
		return low | r.get(w-32)<<32
	}
	v := r.from.word(int64(r.at>>3)) >> (r.at & 7) & (1<<w - 1)
	r.at += uint64(w)
	return v
}

func (r *bitReader) unary() uint64 {
	q := uint64(0)
	for {
		left := 64 - r.at&7
		ones := uint64(bits.TrailingZeros64(^(r.from.word(int64(r.at>>3)) >> (r.at & 7))))
		if ones < left {
			r.at += ones + 1
			return q + ones
		}
		r.at += left
		q += left
	}
}

// list appends a list of rows below limit to dst.
func (r *bitReader) list(dst []uint32, limit int) []uint32 {
	k := uint(r.unary())
	if k > 32 {
		panic(damagef("a list of 2^%d rows", k))
	}
	n := int(r.get(k))
	if n > limit {
		panic(damagef("a list of %d rows of %d", n, limit))
	}
	rice := riceBits(n, limit)
	next := uint64(0)
	for range n {
		gap := r.unary()<<rice | r.get(rice)
		next += gap + 1
		if next > uint64(limit) {
			panic(damagef("row %d of %d", next-1, limit))
		}
		dst = append(dst, uint32(next-1))
	}
	return dst
}
