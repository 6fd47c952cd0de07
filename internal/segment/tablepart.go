package segment

import (
	"bytes"
	"encoding/binary"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// valueBytes is about what a value in a table takes besides its bytes.
const valueBytes = 60

// placeColumn puts a value, or an entity of two, into a column. It returns how
// many of the fields after i belong to it.
func (t *Table) placeColumn(row uint32, i int, r *event.Record, c Column, member uint8) int {
	f := &r.Fields[i]
	d := domainOf[c]
	if !d.named() {
		t.placeValue(row, i, f, c)
		return 0
	}
	p := partOf(f)
	var id, name *event.StoredField
	fields := [2]int{-1, -1}
	fields[member] = i
	more := 0
	if member == isEntityID {
		id = f
		if name = t.partner(i, r, c); name != nil {
			fields[isEntityName], more = i+1, 1
		}
	} else {
		name = f
	}
	slot := t.slots[p][c]
	t.slots[p][c]++
	value := t.entityOf(id, name)
	refer := -1
	if len(value) > 0 {
		q := &t.parts[p]
		n := t.intern(q, d, value, name)
		if refer = t.sameAs(p, c, n, fields); refer < 0 {
			t.put(q, c, row, slot, n)
			t.seen = append(t.seen, seenEntity{p, c, n, fields})
		}
		if c == Project && len(t.project) == 0 && p == main && name != nil {
			t.project = append(t.project, name.Value...)
		}
	}
	for m, at := range fields {
		if at < 0 {
			continue
		}
		if m == isEntityName && more > 0 {
			t.name(&r.Fields[at])
		}
		if refer >= 0 {
			t.key = append(t.key, byte(asField), byte(t.seen[refer].fields[m]))
		} else {
			t.key = append(t.key, byte(inColumn), byte(c), slot, byte(m))
		}
	}
	return more
}

// partner returns the name that belongs to the id in field i, if it goes to the
// same column of the same part.
func (t *Table) partner(i int, r *event.Record, c Column) *event.StoredField {
	if i+1 >= len(r.Fields) {
		return nil
	}
	f, next := &r.Fields[i], &r.Fields[i+1]
	n := naturals[next.Code()]
	if next.Code() != f.Code()+1 || n.where != inColumn || n.member != isEntityName || next.Private != f.Private || next.Type != event.String {
		return nil
	}
	if n.subject > 0 {
		if column, ok := subjectColumn(t.subjects[n.subject-1], n.member); !ok || column != c {
			return nil
		}
	}
	return next
}

// entityOf returns the entity of those of two fields that are there and not
// erased; nothing if neither is.
func (t *Table) entityOf(id, name *event.StoredField) []byte {
	var i, n []byte
	if id != nil && !id.Erased {
		i = id.Value
	}
	if name != nil && !name.Erased {
		n = name.Value
	}
	if len(i) == 0 && len(n) == 0 {
		return nil
	}
	t.entity = appendEntity(t.entity[:0], n, i)
	return t.entity
}

// sameAs returns which seen entity of the column is the given one, with the same
// members. One of another column does not do: it would not be found in this.
func (t *Table) sameAs(p part, c Column, n uint32, fields [2]int) int {
	for k := range t.seen {
		s := &t.seen[k]
		if s.part == p && s.column == c && s.id == n && (s.fields[0] < 0) == (fields[0] < 0) && (s.fields[1] < 0) == (fields[1] < 0) {
			return k
		}
	}
	return -1
}

// placeValue puts a value that is no entity into its column.
func (t *Table) placeValue(row uint32, i int, f *event.StoredField, c Column) {
	p, d := partOf(f), domainOf[c]
	slot := t.slots[p][c]
	t.slots[p][c]++
	if !f.Erased {
		value := f.Value
		if d == tokens {
			t.entity = packHex(t.entity[:0], value)
			value = t.entity
		}
		q := &t.parts[p]
		n := t.intern(q, d, value, f)
		if k := t.sameAs(p, c, n, [2]int{i, -1}); k >= 0 {
			t.key = append(t.key, byte(asField), byte(t.seen[k].fields[0]))
			return
		}
		t.put(q, c, row, slot, n)
		t.seen = append(t.seen, seenEntity{p, c, n, [2]int{i, -1}})
	}
	t.key = append(t.key, byte(inColumn), byte(c), slot, 0)
}

// intern returns the number of a value. A new one is found by its keys, and by
// the words of text, if that is not nil.
func (t *Table) intern(q *tablePart, d domain, value []byte, text *event.StoredField) uint32 {
	n, fresh := q.domains[d].number(value)
	if !fresh {
		return n
	}
	t.bytes += int64(valueBytes + len(value))
	item := uint32(d)<<domainShift | n
	if d.named() {
		t.id, t.entityName = t.id[:0], t.entityName[:0]
		t.entityName, t.id = splitEntity(t.entityName, t.id, value)
		hashedKeys(d, t.entityName, t.id, func(key []byte) { q.keys.add(hashOf(idHash, key), item) })
		if len(t.entityName) > 0 {
			q.names.add(hashOf(idHash, t.entityName), item)
		}
	}
	if text != nil && !text.Erased && d != tokens && d != addresses {
		t.addWords(&q.valueTexts, item, text.Value)
	}
	return n
}

// domainShift is where the domain stands in the number of a value.
const domainShift = 28

// hashedKeys calls yield with those keys of an entity by which the order of the
// dictionary does not find it.
func hashedKeys(d domain, name, id []byte, yield func(key []byte)) {
	if d != projects {
		if len(id) > 0 && !bytes.Equal(id, name) {
			yield(id)
		}
		return
	}
	query.ProjectKeys(id, name, len(name) == 0, func(key []byte) {
		if len(name) == 0 || !bytes.Equal(key, name) && !bytes.Equal(packageName(key), name) {
			yield(key)
		}
	})
}

// packageName returns the name in a package URL without version, or nil.
func packageName(key []byte) []byte {
	rest, ok := bytes.CutPrefix(key, []byte("pkg:"))
	if !ok {
		return nil
	}
	_, name, _ := bytes.Cut(rest, []byte("/"))
	return name
}

// put gives a row a value in a column.
func (t *Table) put(q *tablePart, c Column, row uint32, slot uint8, id uint32) {
	k := &q.columns[c]
	for int(id) >= len(k.heads) {
		k.heads = append(k.heads, 0)
	}
	if slot > 0 {
		k.extra = append(k.extra, extraValue{row, slot, id})
		t.bytes += 16
		return
	}
	for uint32(len(k.ids)) < row {
		k.ids = append(k.ids, none)
		k.prev = append(k.prev, 0)
	}
	k.ids = append(k.ids, id)
	k.prev = append(k.prev, k.heads[id])
	k.heads[id] = row + 1
}

// addBlob appends a value to the blob of a part. What is erased is not there;
// nor is anything personal of a row with exceptions, which carry it.
func (t *Table) addBlob(row uint32, p part, f *event.StoredField, words bool) {
	q := &t.parts[p]
	if f.Erased {
		return
	}
	if words && (f.Type == event.String || f.Type == event.JSON) {
		t.addWords(&q.texts, row, f.Value)
	}
	if code := f.Code(); code == requestCode || code == traceCode {
		q.texts.add(hashOf(requestHash, f.Value), row)
	}
	if f.Explicit {
		return
	}
	at := len(q.blob)
	switch f.Type {
	case event.Int:
		q.blob = binary.AppendVarint(q.blob, f.Int())
	case event.Time:
		q.blob = binary.AppendVarint(q.blob, f.Time().UnixMicro()-t.at)
	case event.Bool, event.IP:
		q.blob = append(q.blob, f.Value...)
	case event.String, event.JSON:
		project := t.project
		if p != main {
			project = nil
		}
		t.entity = packText(t.entity[:0], f.Value, project)
		q.blob = binary.AppendUvarint(q.blob, uint64(len(t.entity)))
		q.blob = append(q.blob, t.entity...)
	}
	t.bytes += int64(len(q.blob) - at)
}

// appendException appends what a row has of each of its personal fields, when
// some of them are erased and the secret of their salts is gone:
//
//	u8 1 │ digest[32]                    erased
//	u8 2 │ salt[16] │ uvarint │ value    kept
func appendException(dst []byte, r *event.Record) []byte {
	digests, salts := r.Digests()
	for i := range r.Fields {
		f := &r.Fields[i]
		switch {
		case !f.Private:
		case f.Erased:
			dst = append(dst, fieldErased)
			dst = append(dst, digests[i][:]...)
		default:
			dst = append(dst, fieldKept)
			dst = append(dst, salts[i][:]...)
			dst = binary.AppendUvarint(dst, uint64(len(f.Value)))
			dst = append(dst, f.Value...)
		}
	}
	return dst
}

// Marks of fields in exceptions.
const (
	fieldErased = 1
	fieldKept   = 2
)
