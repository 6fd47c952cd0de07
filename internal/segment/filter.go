package segment

import (
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/custody-log/custody/internal/query"
)

// A filter says for most people, projects, tokens and addresses that are in no
// row that they are not, by looking at 32 bytes. It is a split block Bloom filter
// (Putze, Sanders, Singler: "Cache-, Hash- and Space-Efficient Bloom Filters",
// 2007; the variant of Apache Parquet).
//
//	blocks  32 bytes for each; of each key one bit in each 4 bytes of a block
type filter struct {
	blocks uint64
	data   reader
}

const (
	filterBlock = 32
	filterBits  = 10 // for each key: of a hundred that are not there about one seems to be
)

// filterSalts choose the bits of a key.
var filterSalts = [8]uint32{0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31}

// keyHash returns the hash of a key as queries have it; ok is false if filters know
// nothing of its domain.
func keyHash(d domain, key []byte) (hash uint64, ok bool) {
	switch d { //nolint:exhaustive // the others have no filter
	case people, projects, addresses:
		return filterHash(d, key), true
	case tokens:
		var memory [64]byte
		return filterHash(d, packHex(memory[:0], key)), true
	}
	return 0, false
}

func filterHash(d domain, key []byte) uint64 {
	return (xxhash.Sum64(key) ^ uint64(d)) * 0x9e3779b97f4a7c15
}

// filterMask returns the bits of a hash in its block.
func filterMask(hash uint64) (mask [filterBlock / 8]uint64) {
	for i, salt := range filterSalts {
		mask[i/2] |= 1 << (uint32(hash) * salt >> 27) << (32 * (i % 2))
	}
	return mask
}

// filterPlace returns the block of a hash.
func filterPlace(hash, blocks uint64) uint64 { return hash >> 32 * blocks >> 32 }

// sealFilter writes the filter of all keys that are looked for as they are.
func (q *tablePart) sealFilter(w *writer) {
	var hashes []uint64
	add := func(d domain) func(key []byte) {
		return func(key []byte) { hashes = append(hashes, filterHash(d, key)) }
	}
	var name, id []byte
	for _, d := range [...]domain{people, projects, tokens, addresses} {
		values := &q.domains[d]
		for n := range uint32(values.len()) {
			name, id = name[:0], id[:0]
			eachKey(d, values.value(n), &name, &id, add(d))
		}
	}
	blocks := uint64((len(hashes)*filterBits + 8*filterBlock - 1) / (8 * filterBlock))
	data := make([]byte, blocks*filterBlock, blocks*filterBlock+slack)
	for _, hash := range hashes {
		block := data[filterPlace(hash, blocks)*filterBlock:]
		for i, bits := range filterMask(hash) {
			binary.LittleEndian.PutUint64(block[8*i:], binary.LittleEndian.Uint64(block[8*i:])|bits)
		}
	}
	w.num(blocks)
	w.section(data[:cap(data)])
}

// eachKey calls yield with the keys of a value of d, as they are looked for. name
// and id are memory.
func eachKey(d domain, value []byte, name, id *[]byte, yield func(key []byte)) {
	if !d.named() {
		yield(value)
		return
	}
	*name, *id = splitEntity(*name, *id, value)
	if d == projects {
		query.ProjectKeys(*id, *name, len(*name) == 0, yield)
		return
	}
	for _, key := range [][]byte{*name, *id} {
		if len(key) > 0 {
			yield(key)
		}
	}
}

func (f *footer) filter() filter {
	x := filter{blocks: f.num(), data: f.section()}
	if x.blocks > uint64(x.data.size)/filterBlock {
		panic(damagef("a filter of %d blocks in %d bytes", x.blocks, x.data.size))
	}
	return x
}

// may reports whether the key of a hash may be there.
func (x *filter) may(hash uint64) bool {
	if x.blocks == 0 {
		return false
	}
	data := x.data
	at := int64(filterPlace(hash, x.blocks) * filterBlock)
	for i, bits := range filterMask(hash) {
		if data.word(at+int64(8*i))&bits != bits {
			return false
		}
	}
	return true
}

// Warm reads all filters, so that they are in memory when they are asked.
func (s *Segment) Warm() (err error) {
	defer guard(s.parts[main].pages.name, &err)
	s.parts[main].pages.begin()
	for p := range s.parts {
		q := &s.parts[p]
		if q.pages == nil || q.filter.data.size == 0 {
			continue
		}
		data := q.filter.data
		for at := int64(0); at < data.size; at += pageBytes {
			data.turn(data.base + at)
		}
		data.turn(data.base + data.size - 1)
	}
	return nil
}

// MayHold reports whether any row may match q. It is much cheaper than looking.
func (s *Segment) MayHold(q *query.Query) (may bool, err error) {
	defer guard(s.parts[main].pages.name, &err)
	s.parts[main].pages.begin()
	return s.mayHold(q.Root), nil
}

func (s *Segment) mayHold(n query.Node) bool {
	switch n := n.(type) {
	case *query.Term:
		return s.mayHaveKey(n)
	case query.And:
		for _, part := range n {
			if !s.mayHold(part) {
				return false
			}
		}
	case query.Or:
		return slices.ContainsFunc(n, s.mayHold)
	}
	return true
}

func (s *Segment) mayHaveKey(t *query.Term) bool {
	var d domain
	switch t.Kind { //nolint:exhaustive // the others have no filter
	case query.Actor, query.OnBehalfOf, query.User:
		d = people
	case query.Project:
		d = projects
	case query.Token:
		d = tokens
	case query.IP:
		d = addresses
	default:
		return true
	}
	if t.Prefix || t.Last != nil && string(t.Last) != string(t.Key) {
		return true
	}
	hash, _ := keyHash(d, t.Key)
	for p := range s.parts {
		if q := &s.parts[p]; q.pages != nil && q.filter.may(hash) {
			return true
		}
	}
	return false
}
