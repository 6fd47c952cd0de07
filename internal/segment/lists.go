package segment

import (
	"slices"

	"github.com/cespare/xxhash/v2"
)

// A postings says for each value of a column in which rows it is. A value in
// one row has that row in its entry; others have the place of their list.
//
//	entries  packed: row<<1 | 1, or bit<<1
//	lists    see bitWriter.list
type postings struct {
	rows    int
	entries column
	lists   reader
}

// A listing makes entries and lists.
type listing struct {
	limit   int
	entries []uint32
	most    uint32
	lists   bitWriter
}

// add adds the list of the next value.
func (l *listing) add(rows []uint32) {
	var e uint32
	switch len(rows) {
	case 0: // a value of another column of the same domain; its entry leads to an empty list
		e = uint32(l.lists.len()) << 1
		l.lists.list(nil, l.limit)
	case 1:
		e = rows[0]<<1 | 1
	default:
		e = uint32(l.lists.len()) << 1
		l.lists.list(rows, l.limit)
	}
	l.entries = append(l.entries, e)
	l.most = max(l.most, e)
}

func (l *listing) write(w *writer) {
	writePacked(w, l.entries, uint64(l.most))
	w.section(l.lists.bytes())
}

// writePostings writes the rows of each of n values: those of ids, and extra.
func writePostings(w *writer, ids []uint32, extra []extraValue, n int) {
	ends := make([]uint32, n+1)
	for _, id := range ids {
		if id != none {
			ends[id+1]++
		}
	}
	for _, x := range extra {
		ends[x.id+1]++
	}
	for i := range n {
		ends[i+1] += ends[i]
	}
	at := slices.Clone(ends)
	rows := make([]uint32, ends[n])
	k := 0
	for row, id := range ids {
		if id != none {
			rows[at[id]] = uint32(row)
			at[id]++
		}
		for ; k < len(extra) && extra[k].row == uint32(row); k++ {
			if x := extra[k].id; at[x] == ends[x] || rows[at[x]-1] != uint32(row) {
				rows[at[x]] = uint32(row)
				at[x]++
			}
		}
	}
	l := listing{limit: len(ids)}
	for v := range n {
		l.add(rows[ends[v]:at[v]])
	}
	l.write(w)
}

func (f *footer) postings(n, rows int) postings {
	return postings{rows: rows, entries: f.packed(n), lists: f.section()}
}

// of appends the rows of value v to dst.
func (p *postings) of(dst []uint32, v int) []uint32 { return p.list(dst, p.entries.get(v)) }

func (p *postings) list(dst []uint32, entry uint32) []uint32 {
	if entry&1 != 0 {
		return append(dst, entry>>1)
	}
	r := bitReader{from: p.lists, at: uint64(entry >> 1)}
	return r.list(dst, p.rows)
}

// A hashes finds rows, or values, by the hash of a text. Two texts may share a
// hash: what it finds is to be looked at.
//
//	buckets  packed: where the hashes begin that share their first bits
//	rests    packed: the other bits of each hash, in order
//	lists    as those of postings
type hashes struct {
	n       int
	top     uint // bits that choose the bucket
	buckets column
	rests   column
	lists   postings
}

// hashOf returns the hash of a text of the given sort.
func hashOf(sort byte, text []byte) uint32 {
	h := xxhash.Sum64(text)
	return uint32((h ^ uint64(sort)*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd >> 32)
}

// Sorts of hashed texts.
const (
	wordHash    = 1
	requestHash = 2
	idHash      = 3
)

// writeHashes writes sorted pairs of a hash, in the upper half, and an item below
// limit.
func writeHashes(w *writer, pairs []uint64, limit int) {
	pairs = slices.Compact(pairs)
	l := listing{limit: limit}
	var own []uint32
	var items []uint32
	for i := 0; i < len(pairs); {
		hash := uint32(pairs[i] >> 32)
		items = items[:0]
		for ; i < len(pairs) && uint32(pairs[i]>>32) == hash; i++ {
			items = append(items, uint32(pairs[i]))
		}
		own = append(own, hash)
		l.add(items)
	}
	top := min(max(int(width(uint64(len(own))))-3, 1), 24)
	buckets := make([]uint32, 1<<top+1)
	rests := make([]uint32, len(own))
	for i, h := range own {
		buckets[h>>(32-top)+1]++
		rests[i] = h & (1<<(32-top) - 1)
	}
	for i := range 1 << top {
		buckets[i+1] += buckets[i]
	}
	w.num(uint64(limit))
	w.num(uint64(len(own)))
	w.num(uint64(top))
	writePacked(w, buckets, uint64(len(own)))
	writePacked(w, rests, 1<<(32-top)-1)
	l.write(w)
}

func (f *footer) hashes() hashes {
	h := hashes{}
	limit := f.count(maxValues)
	h.n = f.count(maxValues)
	h.top = uint(f.count(24))
	h.buckets = f.packed(1<<h.top + 1)
	h.rests = f.packed(h.n)
	h.lists = f.postings(h.n, limit)
	return h
}

// of returns the items of a hash.
func (h *hashes) of(hash uint32) []uint32 {
	bucket := int(hash >> (32 - h.top))
	rest := hash & (1<<(32-h.top) - 1)
	first, end := h.buckets.get(bucket), h.buckets.get(bucket+1)
	for i := first; i < end; i++ {
		if r := h.rests.get(int(i)); r == rest {
			return h.lists.of(nil, int(i))
		} else if r > rest {
			break
		}
	}
	return nil
}

// radixSort sorts a by least significant digits first (Knuth, volume 3, section
// 5.2.5), 11 bits at a time. memory has room for a.
func radixSort(a, memory []uint64) {
	if len(a) < 1<<12 {
		slices.Sort(a)
		return
	}
	const digit = 11
	from, to := a, memory[:len(a)]
	var counts [1 << digit]int
	var all, any uint64 = ^uint64(0), 0
	for _, x := range a {
		all &= x
		any |= x
	}
	for shift := 0; shift < 64; shift += digit {
		if (all^any)>>shift&(1<<digit-1) == 0 {
			continue // all are the same here
		}
		clear(counts[:])
		for _, x := range from {
			counts[x>>shift&(1<<digit-1)]++
		}
		at := 0
		for i, n := range counts {
			counts[i] = at
			at += n
		}
		for _, x := range from {
			k := x >> shift & (1<<digit - 1)
			to[counts[k]] = x
			counts[k]++
		}
		from, to = to, from
	}
	copy(a, from) // onto itself, if it is there
}
