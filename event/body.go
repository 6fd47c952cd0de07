package event

import "encoding/binary"

// AppendBody appends the encoding of r to dst. It is the inverse of
// [Record.Decode]: for every record that one accepts, the same bytes. It panics
// when r is not in order, as no decoded record is: what it returns is kept.
//
// New records are made with [AppendRecord]; this is for one that was erased in
// part, or whose parts are kept apart.
func (r *Record) AppendBody(dst []byte) []byte {
	r.check()
	dst = append(dst, recordVersion, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.Fields)))
	dst = append(dst, r.Secrets.Open[:]...)
	dst = append(dst, r.Secrets.Private[:]...)
	dst = append(dst, r.Commitment[:]...)
	for i := range r.Fields {
		dst = r.Fields[i].append(dst)
	}
	return dst
}

// append appends one field of a record.
func (f *StoredField) append(dst []byte) []byte {
	dst = appendName(dst, &f.Field)
	head := byte(f.Type)
	if f.Private {
		head |= flagPrivate
	}
	switch {
	case f.Erased:
		dst = append(dst, head|flagErased)
		digest := f.Digest()
		return append(dst, digest[:]...)
	case f.Explicit:
		dst = append(dst, head|flagExplicit)
		salt := f.Salt()
		dst = append(dst, salt[:]...)
	default:
		dst = append(dst, head)
	}
	dst = binary.AppendUvarint(dst, uint64(len(f.Value)))
	return append(dst, f.Value...)
}

// check panics unless r is what Decode can have returned, as far as fields,
// their order and their flags go.
func (r *Record) check() {
	names := make(Fields, len(r.Fields))
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Erased && f.Explicit || f.Explicit && !f.Private || f.Type&^typeMask != 0 {
			panic("event: field " + f.Name + " has flags that exclude each other")
		}
		names[i] = f.Field
	}
	names.check()
}
