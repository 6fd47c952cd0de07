package segment

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sort"

	"github.com/custody-log/custody/event"
)

// A Reader reads rows of a segment. It is for one goroutine; what it returns
// is valid until the next call.
type Reader struct {
	s        *Segment
	round    uint32 // of the cache, when it was made
	kindIDs  column
	times    frame
	seqs     frame
	ranks    column
	received frame
	ids      fixed
	requests fixed
	open     fixed
	secrets  fixed
	parts    [numParts]partReader

	fresh   bool      // what is returned stays valid
	forms   []rowForm // by number of the kind, after [Reader.Load]; or nil
	touched int       // the rows before it were touched; seen is what came of it
	seen    byte
	kindID  int
	kind    *kind
	row     int
	micros  int64
	memory  []byte // of the values of a row
	scratch []byte
	entity  []byte
	project []byte
	erased  []byte // exception of the row, or nil
}

// A partReader reads the columns of a part.
type partReader struct {
	*segmentPart
	dicts   [numDomains]*dictReader
	columns [numColumns]segmentColumn
	ends    column
	data    reader
	block   int
	raw     []byte
	rowEnds []int
	there   bool   // rest is that of the row
	rest    []byte // of the row's blob, what was not read yet
}

// Reader returns a reader of s. Who is done with it may call [Reader.Release].
func (s *Segment) Reader() *Reader {
	round := s.parts[main].pages.begin()
	if r, ok := s.readers.Get().(*Reader); ok && r.round == round {
		return r // with the pages it has at hand
	}
	r := &Reader{
		s: s, round: round, kindIDs: s.kindIDs, times: s.times, seqs: s.seqs, ranks: s.ranks, received: s.received,
		ids: s.ids, requests: s.requests, open: s.open, secrets: s.secrets,
	}
	for p := range s.parts {
		q := &s.parts[p]
		r.parts[p] = partReader{segmentPart: q, columns: q.columns, ends: q.blob.ends, data: q.blob.data, block: -1}
		for d := range q.domains {
			r.parts[p].dicts[d] = q.domains[d].reader()
		}
	}
	return r
}

// Release gives r back, for the next who wants one. Neither r nor a [Selection]
// made with it may be used any more; records may.
func (r *Reader) Release() {
	if r.fresh {
		r.memory = nil // it belongs to a record
	}
	r.fresh, r.kind, r.erased, r.project = false, nil, nil, nil
	for p := range r.parts {
		r.parts[p].there = false
	}
	r.s.readers.Put(r)
}

func (r *Reader) name(p part) string {
	if q := r.s.parts[p].pages; q != nil {
		return q.name
	}
	return r.s.parts[main].pages.name
}

// Seq returns the position of a row's record.
func (r *Reader) Seq(row int) (seq int64, err error) {
	defer guard(r.name(main), &err)
	return r.seqs.get(row), nil
}

// RowOf returns the row of the record at seq; ok is false if it is not in the
// segment.
func (r *Reader) RowOf(seq int64) (row int, ok bool, err error) {
	defer guard(r.name(main), &err)
	i := sort.Search(r.s.rows, func(i int) bool { return r.seqs.get(r.rowAt(i)) >= seq })
	if i == r.s.rows || r.seqs.get(r.rowAt(i)) != seq {
		return 0, false, nil
	}
	return r.rowAt(i), true, nil
}

// Record makes record that of a row, all but its commitment, and returns its
// position. A personal field is as if erased, without its digest, if the side
// part is not there.
func (r *Reader) Record(row int, record *event.Record) (seq int64, err error) {
	defer guard(r.name(side), &err)
	r.start(row)
	record.Secrets = event.Secrets{}
	record.Commitment = event.Commitment{}
	var source, id []byte
	if r.forms != nil {
		source, id = r.fillForm(record)
	} else {
		source, id = r.fillFields(record)
	}
	r.fillSecrets(record, source, id)
	return r.seqs.get(row), nil
}

// fillFields sets the fields of a record to those of the row, and returns two of
// them.
func (r *Reader) fillFields(record *event.Record) (source, id []byte) {
	record.Fields = slices.Grow(record.Fields[:0], len(r.kind.fields))
	for i := range r.kind.fields {
		f := event.StoredField{Field: r.kind.fields[i].Field}
		r.fill(&f, &r.kind.fields[i], record)
		record.Fields = append(record.Fields, f)
		switch f.Code() {
		case sourceCode:
			source = f.Value
		case idCode:
			id = f.Value
		}
	}
	return source, id
}

// start goes to a row.
func (r *Reader) start(row int) {
	id := int(r.kindIDs.get(row))
	if id >= len(r.s.kinds) {
		panic(damagef("kind %d of %d", id, len(r.s.kinds)))
	}
	r.kindID, r.kind, r.row, r.micros = id, r.s.kinds[id], row, r.times.get(row)
	r.memory, r.project = r.memory[:0], nil
	if r.fresh {
		r.memory = make([]byte, 0, 512)
	}
	r.erased = nil
	if r.s.parts[side].pages != nil {
		r.erased, _ = r.s.exceptions.find(row)
	}
	for p := range r.parts {
		r.parts[p].there = false
	}
}

// goTo makes rest the blob of a row. Most rows have values in one part only.
func (q *partReader) goTo(row int) {
	q.there = true
	if q.pages == nil || !q.blob.there {
		q.rest = nil
		return
	}
	if b := row / blobRows; b != q.block {
		q.block = -1
		q.raw, q.rowEnds = q.blob.block(q.raw, q.rowEnds, b, &q.ends, &q.data)
		q.block = b
	}
	at := row % blobRows
	start := q.rowEnds[len(q.rowEnds)-1]
	if at > 0 {
		start = q.rowEnds[at-1]
	}
	q.rest = q.raw[start:q.rowEnds[at]]
}

// keep returns what a function appends, in memory that stays.
func (r *Reader) keep(value func(dst []byte) []byte) []byte {
	start := len(r.memory)
	r.memory = value(r.memory)
	return r.memory[start:len(r.memory):len(r.memory)]
}

// fill sets the value of a field.
func (r *Reader) fill(f *event.StoredField, k *kindField, record *event.Record) {
	if k.Private {
		switch {
		case r.s.parts[side].pages == nil:
			f.Erased, f.Value = true, nil
			return
		case r.erased != nil:
			r.fillException(f)
			return
		}
	}
	switch k.where {
	case inKind:
	case isTime:
		f.Value = r.number(r.micros)
	case isReceived:
		f.Value = r.number(r.received.get(r.row))
	case isID:
		f.Value = r.keep(func(dst []byte) []byte { return r.appendID(dst, k) })
	case isRequest:
		f.Value = r.keep(func(dst []byte) []byte {
			r.scratch = r.requests.get(r.scratch[:0], r.row)
			if len(r.scratch) < int(k.form) {
				panic(damagef("row %d has no request ID", r.row))
			}
			return hex.AppendEncode(append(dst, k.prefix...), r.scratch[:k.form])
		})
	case asField:
		f.Value = record.Fields[k.refer].Value
	case inColumn:
		f.Value = r.inColumn(k)
		if k.column == Project && k.member == isEntityName && len(r.project) == 0 && k.part() == main {
			r.project = f.Value
		}
	case inBlob:
		f.Value = r.keep(func(dst []byte) []byte { return r.fromBlob(dst, k) })
	}
}

func (r *Reader) number(v int64) []byte {
	return r.keep(func(dst []byte) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) })
}

// appendID appends the row's UUID.
func (r *Reader) appendID(dst []byte, k *kindField) []byte {
	var u [16]byte
	r.scratch = r.ids.get(r.scratch[:0], r.row)
	if len(r.scratch) < 10 || len(r.scratch) > 16 {
		panic(damagef("row %d has an ID of %d bytes", r.row, len(r.scratch)))
	}
	if k.form == idTime {
		binary.BigEndian.PutUint64(u[:], uint64(r.micros/1000)<<16)
	}
	copy(u[16-len(r.scratch):], r.scratch)
	return appendUUID(dst, u[:])
}

// inColumn returns a value, or a member of an entity.
func (r *Reader) inColumn(k *kindField) []byte {
	if whole := r.parts[k.part()].dicts[domainOf[k.column]].whole; whole != nil {
		return whole.at(r.valueID(k), k.member)
	}
	return r.keep(func(dst []byte) []byte { return r.column(dst, k) })
}

// valueID returns the number of the row's value in a dictionary.
func (r *Reader) valueID(k *kindField) uint32 {
	id, ok := r.parts[k.part()].columns[k.column].value(r.row, k.slot)
	if !ok {
		panic(damagef("row %d has no %s", r.row, k.Name))
	}
	return id
}

// column appends a value, or a member of an entity.
func (r *Reader) column(dst []byte, k *kindField) []byte {
	d := domainOf[k.column]
	value := r.parts[k.part()].dicts[d].at(int(r.valueID(k)))
	switch {
	case d.named():
		r.scratch, r.entity = splitEntity(r.scratch[:0], r.entity[:0], value)
		if k.member == isEntityName {
			return append(dst, r.scratch...)
		}
		return append(dst, r.entity...)
	case d == tokens:
		return unpackHex(dst, value)
	}
	return append(dst, value...)
}

// value returns the number of a row's value in a slot.
func (c *segmentColumn) value(row int, slot uint8) (id uint32, ok bool) {
	if !c.there {
		return 0, false
	}
	if slot == 0 {
		return c.ids.get(row)
	}
	for i := c.extraOf(row); i < c.extraRows.n && int(c.extraRows.get(i)) == row; i++ {
		if c.slots.get(i) == uint32(slot) {
			return c.extraIDs.get(i), true
		}
	}
	return 0, false
}

// extraOf returns the first of the extra values of a row, or of those after it.
func (c *segmentColumn) extraOf(row int) int {
	return sort.Search(c.extraRows.n, func(i int) bool { return int(c.extraRows.get(i)) >= row })
}

// fromBlob appends the next value of the row's blob.
func (r *Reader) fromBlob(dst []byte, k *kindField) []byte {
	q := &r.parts[k.part()]
	if !q.there {
		q.goTo(r.row)
	}
	switch k.Type {
	case event.Int, event.Time:
		v, n := binary.Varint(q.rest)
		if n <= 0 {
			panic(damagef("row %d ends early at %s", r.row, k.Name))
		}
		q.rest = q.rest[n:]
		if k.Type == event.Time {
			v += r.micros
		}
		return binary.BigEndian.AppendUint64(dst, uint64(v))
	case event.Bool:
		return append(dst, q.take(1)...)
	case event.IP:
		return append(dst, q.take(16)...)
	case event.String, event.JSON:
	}
	n, size := binary.Uvarint(q.rest)
	if size <= 0 {
		panic(damagef("row %d ends early at %s", r.row, k.Name))
	}
	q.rest = q.rest[size:]
	var project []byte
	if k.part() == main {
		project = r.project
	}
	return unpackText(dst, q.take(int(n)), project)
}

func (q *partReader) take(n int) []byte {
	if n < 0 || n > len(q.rest) {
		panic(damagef("a row's values end early"))
	}
	b := q.rest[:n]
	q.rest = q.rest[n:]
	return b
}

// fillException sets a personal field of a row with exceptions.
func (r *Reader) fillException(f *event.StoredField) {
	take := func(n int) []byte {
		if n > len(r.erased) {
			panic(damagef("an exception ends early"))
		}
		b := r.erased[:n:n]
		r.erased = r.erased[n:]
		return b
	}
	switch take(1)[0] {
	case fieldErased:
		f.Bury(event.Digest(take(event.DigestBytes)))
	case fieldKept:
		f.Carry(event.Salt(take(event.SaltBytes)))
		n, size := binary.Uvarint(r.erased)
		if size <= 0 {
			panic(damagef("an exception ends early"))
		}
		take(size)
		f.Value = take(int(n))
	default:
		panic(damagef("an exception has an unknown mark"))
	}
}

// fillSecrets sets the secrets of a record from that source with that ID.
func (r *Reader) fillSecrets(record *event.Record, source, id []byte) {
	if r.scratch = r.open.get(r.scratch[:0], r.row); len(r.scratch) == event.SecretBytes {
		record.Secrets.Open = [16]byte(r.scratch)
	} else {
		record.Secrets.Open = event.OpenSecret(&r.s.openKey, string(source), id)
	}
	if r.s.parts[side].pages == nil {
		return
	}
	if r.scratch = r.secrets.get(r.scratch[:0], r.row); len(r.scratch) == event.SecretBytes {
		record.Secrets.Private = [16]byte(r.scratch)
	}
}

// SeqsFrom returns how many records of the segment come before position seq.
func (r *Reader) SeqsFrom(seq int64) (n int, err error) {
	defer guard(r.name(main), &err)
	return sort.Search(r.s.rows, func(i int) bool { return r.seqs.get(r.rowAt(i)) >= seq }), nil
}

// RowAt returns the row of record i, counted by position, and that position.
func (r *Reader) RowAt(i int) (row int, seq int64, err error) {
	defer guard(r.name(main), &err)
	row = r.rowAt(i)
	return row, r.seqs.get(row), nil
}

func (r *Reader) rowAt(i int) int {
	if r.s.straight {
		return i
	}
	return int(r.ranks.get(i))
}
