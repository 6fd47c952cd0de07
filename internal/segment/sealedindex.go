package segment

import (
	"bytes"
	"slices"
)

// A sealedIndex is a segment as an index, for one goroutine.
type sealedIndex struct {
	*Reader
	parts [numParts]sealedValues
}

// A sealedValues is a part of a segment as values.
type sealedValues struct {
	*partReader
	bases [numDomains]uint32 // of the numbers of values in hashes
}

func newSealedIndex(r *Reader) *sealedIndex {
	x := &sealedIndex{Reader: r}
	for p := range r.parts {
		v := &x.parts[p]
		v.partReader = &r.parts[p]
		n := 0
		for d := range v.domains {
			v.bases[d] = uint32(n)
			n += v.domains[d].n
		}
	}
	return x
}

func (x *sealedIndex) len() int                  { return x.s.rows }
func (x *sealedIndex) kindsThere() []*kind       { return x.s.kinds }
func (x *sealedIndex) kindOf(row uint32) uint32  { return x.kindIDs.get(int(row)) }
func (x *sealedIndex) micros(row uint32) int64   { return x.times.get(int(row)) }
func (x *sealedIndex) position(row uint32) int64 { return x.seqs.get(int(row)) }

func (x *sealedIndex) values(p part) values {
	if x.parts[p].pages == nil {
		return nil
	}
	return &x.parts[p]
}

// keyed implements values.
func (v *sealedValues) keyed(d domain, key []byte) []uint32 {
	dict := v.dicts[d]
	if dict.n == 0 {
		return nil
	}
	if !d.named() {
		if d == tokens {
			key = packHex(nil, key)
		}
		if i, found := dict.search(key); found {
			return []uint32{uint32(i)}
		}
		return nil
	}
	names := [][]byte{key}
	if d == projects {
		if name := packageName(key); len(name) > 0 {
			names = append(names, name)
		}
	}
	var ids []uint32
	for _, name := range names {
		first, end := dict.prefixed(append(namePrefix(name), 0))
		for i := first; i < end; i++ {
			ids = append(ids, uint32(i))
		}
	}
	for _, item := range v.keys.of(hashOf(idHash, key)) {
		if at, id := v.split(item); at == d {
			ids = append(ids, id)
		}
	}
	return sorted(ids)
}

// split returns the domain and the number of a value by its number in hashes.
func (v *sealedValues) split(item uint32) (d domain, id uint32) {
	for d = numDomains - 1; item < v.bases[d]; d-- {
	}
	return d, item - v.bases[d]
}

// may implements values.
func (v *sealedValues) may(d domain, key []byte) bool {
	hash, ok := keyHash(d, key)
	return !ok || v.filter.may(hash)
}

// between implements values.
func (v *sealedValues) between(d domain, first, last []byte) []uint32 {
	dict := v.dicts[d]
	if dict.n == 0 {
		return nil
	}
	i, _ := dict.search(first)
	var ids []uint32
	for ; i < dict.n && bytes.Compare(dict.at(i), last) <= 0; i++ {
		ids = append(ids, uint32(i))
	}
	return ids
}

// each implements values.
func (v *sealedValues) each(d domain, yield func(id uint32, value []byte)) {
	dict := v.dicts[d]
	for i := range dict.n {
		yield(uint32(i), dict.at(i))
	}
}

// value implements values.
func (v *sealedValues) value(d domain, id uint32) []byte { return v.dicts[d].at(int(id)) }

// rows implements values.
func (v *sealedValues) rows(c Column, ids []uint32) []uint32 {
	k := &v.columns[c]
	if !k.there {
		return nil
	}
	var rows []uint32
	for _, id := range ids {
		rows = k.postings.of(rows, int(id))
	}
	if len(ids) > 16 && len(rows) > 1000 {
		return ordered(rows, v.segmentPart.rows)
	}
	return sorted(rows)
}

// hashed implements values.
func (v *sealedValues) hashed(hash uint32) []uint32 { return v.texts.of(hash) }

// worded implements values.
func (v *sealedValues) worded(hash uint32, yield func(d domain, id uint32)) {
	for _, item := range v.values.of(hash) {
		yield(v.split(item))
	}
}

// A tableIndex is a table as an index.
type tableIndex struct {
	*Table
	n int // rows
}

func (x *tableIndex) len() int                  { return x.n }
func (x *tableIndex) kindsThere() []*kind       { return x.kindList }
func (x *tableIndex) kindOf(row uint32) uint32  { return x.kinds[row] }
func (x *tableIndex) micros(row uint32) int64   { return x.times[row] }
func (x *tableIndex) position(row uint32) int64 { return x.seqs[row] }
func (x *tableIndex) values(p part) values      { return (*tableValues)(&x.parts[p]) }

// A tableValues is a part of a table as values.
type tableValues tablePart

// keyed implements values.
func (v *tableValues) keyed(d domain, key []byte) []uint32 {
	if !d.named() {
		if d == tokens {
			key = packHex(nil, key)
		}
		if id, ok := v.domains[d].find(key); ok {
			return []uint32{id}
		}
		return nil
	}
	var ids []uint32
	keys := [][]byte{key}
	if d == projects {
		if name := packageName(key); len(name) > 0 {
			keys = append(keys, name)
		}
	}
	for _, key := range keys {
		for _, lists := range []*wordLists{&v.keys, &v.names} {
			for _, item := range lists.items(hashOf(idHash, key)) {
				if domain(item>>domainShift) == d {
					ids = append(ids, item&(1<<domainShift-1))
				}
			}
		}
	}
	return sorted(ids)
}

// may implements values. A table finds what it has by a hash anyway.
func (v *tableValues) may(domain, []byte) bool { return true }

// between implements values.
func (v *tableValues) between(d domain, first, last []byte) []uint32 {
	if bytes.Equal(first, last) {
		return v.keyed(d, first)
	}
	var ids []uint32
	v.each(d, func(id uint32, value []byte) {
		if bytes.Compare(value, first) >= 0 && bytes.Compare(value, last) <= 0 {
			ids = append(ids, id)
		}
	})
	return ids
}

// each implements values.
func (v *tableValues) each(d domain, yield func(id uint32, value []byte)) {
	for id := range uint32(v.domains[d].len()) {
		yield(id, v.domains[d].value(id))
	}
}

// value implements values.
func (v *tableValues) value(d domain, id uint32) []byte { return v.domains[d].value(id) }

// rows implements values.
func (v *tableValues) rows(c Column, ids []uint32) []uint32 {
	k := &v.columns[c]
	var rows []uint32
	for _, id := range ids {
		if int(id) >= len(k.heads) {
			continue
		}
		for at := k.heads[id]; at != 0; at = k.prev[at-1] {
			rows = append(rows, at-1)
		}
	}
	if len(k.extra) > 0 {
		for _, x := range k.extra {
			if slices.Contains(ids, x.id) {
				rows = append(rows, x.row)
			}
		}
	} else if len(ids) == 1 {
		slices.Reverse(rows)
	}
	return sorted(rows)
}

// hashed implements values.
func (v *tableValues) hashed(hash uint32) []uint32 { return sorted(v.texts.items(hash)) }

// worded implements values.
func (v *tableValues) worded(hash uint32, yield func(d domain, id uint32)) {
	for _, item := range v.valueTexts.items(hash) {
		yield(domain(item>>domainShift), item&(1<<domainShift-1))
	}
}
