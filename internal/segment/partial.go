package segment

import (
	"bytes"
	"encoding/binary"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// byPart finds candidates by a part of a text, in lower case: in the values of
// dictionaries and kinds at once, in blobs row by row, when somebody goes there.
func (e *evaluation) byPart(part []byte) set {
	s := e.kindPart(part)
	for p := range numParts {
		v := e.values(p)
		if v == nil {
			continue
		}
		for d := range numDomains {
			var ids []uint32
			v.each(d, func(id uint32, value []byte) {
				if e.valueHasPart(d, value, part) {
					ids = append(ids, id)
				}
			})
			if len(ids) == 0 {
				continue
			}
			for c := range numColumns {
				if domainOf[c] == d {
					s = s.or(listed(v.rows(c, ids), false), e.len())
				}
			}
		}
	}
	in := s.has(e.len())
	scan := &blobScan{part: part, digits: onlyDigits(part)}
	return set{test: func(row uint32) bool { return in(row) || e.blobHas(row, scan) }}
}

// valueHasPart reports whether a value of d may have a part.
func (e *evaluation) valueHasPart(d domain, value, part []byte) bool {
	has := func(text []byte) bool {
		e.lower = query.AppendLower(e.lower[:0], text)
		return bytes.Contains(e.lower, part)
	}
	switch d { //nolint:exhaustive // the others are alike
	case people, orgs:
		e.name, e.id = splitEntity(e.name[:0], e.id[:0], value)
		return has(e.name) || has(e.id)
	case projects:
		e.name, e.id = splitEntity(e.name[:0], e.id[:0], value)
		found := false
		query.ProjectKeys(e.id, e.name, len(e.name) == 0, func(key []byte) { found = found || has(key) })
		return found
	case tokens:
		e.id = unpackHex(e.id[:0], value)
		return has(e.id)
	case addresses:
		f := event.Field{Type: event.IP, Value: value}
		return has([]byte(f.Text()))
	}
	return has(value)
}

// kindPart returns the rows of kinds with a value that has a part.
func (e *evaluation) kindPart(part []byte) set {
	return e.having(func(f *kindField) bool {
		if f.where != inKind {
			return false
		}
		e.lower = query.AppendLower(e.lower[:0], f.Value)
		return bytes.Contains(e.lower, part)
	})
}

// onlyDigits reports whether a part is made of hexadecimal digits.
func onlyDigits(part []byte) bool {
	for _, c := range part {
		if !isHex(c) {
			return false
		}
	}
	return true
}

// A blobScan looks for a part of a text in the blobs of rows.
type blobScan struct {
	part   []byte
	digits bool // it is made of hexadecimal digits
	text   []byte
	lower  []byte
}

// in reports whether a text of the row's blob may have the part. Values that
// are not text are stepped over.
func (s *blobScan) in(k *kind, p part, rest []byte, project func() []byte) bool {
	for i := range k.fields {
		f := &k.fields[i]
		if f.where != inBlob || f.part() != p {
			continue
		}
		switch f.Type {
		case event.Int, event.Time:
			_, n := binary.Varint(rest)
			rest = rest[max(n, 0):]
		case event.Bool:
			rest = rest[1:]
		case event.IP:
			rest = rest[16:]
		case event.String, event.JSON:
			n, size := binary.Uvarint(rest)
			if size <= 0 || n > uint64(len(rest)-size) {
				panic(damagef("a row's values end early"))
			}
			packed := rest[size : size+int(n)]
			rest = rest[size+int(n):]
			if s.has(packed, project) {
				return true
			}
		}
	}
	return false
}

func (s *blobScan) has(packed []byte, project func() []byte) bool {
	var name []byte
	if bytes.IndexByte(packed, codeProject) >= 0 {
		name = project()
	}
	s.text = unpackText(s.text[:0], packed, name)
	s.lower = query.AppendLower(s.lower[:0], s.text)
	return bytes.Contains(s.lower, s.part)
}

// blobHas implements index.
func (x *sealedIndex) blobHas(row uint32, s *blobScan) bool {
	r := x.Reader
	k := r.s.kinds[r.kindIDs.get(int(row))]
	for p := range numParts {
		if p == side && r.s.parts[side].pages == nil {
			continue
		}
		if p == side {
			if _, found := r.s.exceptions.find(int(row)); found {
				return true // what is left stands there
			}
		}
		if !k.hasBlob(p) {
			continue
		}
		q := &r.parts[p]
		q.goTo(int(row))
		rest := q.rest
		q.there = false // it is for whoever reads the row, from the start
		if s.in(k, p, rest, func() []byte { return r.projectOf(k, int(row)) }) {
			return true
		}
	}
	return k.mayRequest(s.digits)
}

// projectOf returns the name for which codeProject stands in a row.
func (r *Reader) projectOf(k *kind, row int) []byte {
	for i := range k.fields {
		if f := &k.fields[i]; f.where == inColumn && f.column == Project && f.member == isEntityName && !f.Private {
			r.row = row
			return r.column(nil, f)
		}
	}
	return nil
}

// blobHas implements index. What a table has can be read again as it is.
func (x *tableIndex) blobHas(row uint32, s *blobScan) bool {
	k := x.kindList[x.kinds[row]]
	for p := range numParts {
		q := &x.parts[p]
		if !k.hasBlob(p) {
			continue
		}
		start := uint32(0)
		if row > 0 {
			start = q.ends[row-1]
		}
		if s.in(k, p, q.blob[start:q.ends[row]], func() []byte { return nil }) {
			return true
		}
		if bytes.IndexByte(q.blob[start:q.ends[row]], codeProject) >= 0 {
			return true // a candidate: the name is not at hand
		}
	}
	return k.mayRequest(s.digits)
}

// hasBlob reports whether rows of the kind have values in the blob of a part.
func (k *kind) hasBlob(p part) bool {
	for i := range k.fields {
		if k.fields[i].where == inBlob && k.fields[i].part() == p {
			return true
		}
	}
	return false
}

// mayRequest reports whether a row of the kind may have a part of a text in its
// request ID. digits says that it is made of hexadecimal digits.
func (k *kind) mayRequest(digits bool) bool {
	for i := range k.fields {
		if f := &k.fields[i]; f.where == isRequest {
			return digits || len(f.prefix) > 0
		}
	}
	return false
}
