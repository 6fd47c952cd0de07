package event

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The record of an event is what the journal keeps and what proofs are made
// from; it is never encoded again. See docs/format/record.md.
//
//	u8 version = 1 │ u8 flags = 0 │ u16 n │ open secret[16] │ private secret[16] │ commitment[32]
//	n × field, in bytewise order of names:
//	    uvarint name code │ (code 0 or 63: uvarint length │ rest of the name)
//	    u8 type and flags │ (explicit: salt[16]) │ (erased: digest[32], else: uvarint length │ value)
const (
	recordVersion   = 1
	recordHeadBytes = 4 + 2*SecretBytes + DigestBytes
	commitmentAt    = 4 + 2*SecretBytes

	typeMask     = 0x0f
	flagPrivate  = 0x80 // the salt comes from the private secret
	flagErased   = 0x40 // value and salt are gone, the digest stands in their place
	flagExplicit = 0x20 // the private secret is gone, this field's salt stands here
	flagsKnown   = flagPrivate | flagErased | flagExplicit | typeMask
)

// MaxRecordBytes bounds one encoded record: the JSON's limit, the names that
// JSON leaves out, and the head.
const MaxRecordBytes = 256 << 10

// A Record is a decoded record.
type Record struct {
	Secrets    Secrets
	Commitment Commitment // as stored; see [Record.Verify]
	Fields     []StoredField

	scratch *Sealer // memory of Verify and Digests; nil before they are first called
}

// A StoredField is a field of a record.
type StoredField struct {
	Field
	Erased   bool
	Digest   Digest // of an erased field
	Explicit bool
	Salt     Salt // of a field that carries its own
}

// AppendRecord appends the record of f, with fresh secrets s, to dst. It
// returns the commitment too. It panics when f is not in order: what it returns
// is signed and kept.
func AppendRecord(dst []byte, f Fields, s *Secrets) ([]byte, Commitment) {
	return new(Sealer).AppendRecord(dst, f, s)
}

// A Sealer makes many records with the same memory. It is for one goroutine.
type Sealer struct {
	salts     salts
	committed []byte // what the digest of one field is the hash of
	digests   []byte // what the commitment is the hash of
}

// AppendRecord is the function [AppendRecord].
func (w *Sealer) AppendRecord(dst []byte, f Fields, s *Secrets) ([]byte, Commitment) {
	f.check()
	start := len(dst)
	dst = append(dst, recordVersion, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(f)))
	dst = append(dst, s.Open[:]...)
	dst = append(dst, s.Private[:]...)
	dst = append(dst, noCommitment[:]...)
	w.digests = appendCommitmentHead(w.digests[:0], len(f))
	w.salts.start(s)
	for i := range f {
		field := &f[i]
		w.committed = appendCommitted(w.committed[:0], w.salts.at(i, field.Private), field.Name, field.Type, field.Value)
		digest := sha256.Sum256(w.committed)
		w.digests = append(w.digests, digest[:]...)
		dst = appendName(dst, field)
		head := byte(field.Type)
		if field.Private {
			head |= flagPrivate
		}
		dst = append(dst, head)
		dst = binary.AppendUvarint(dst, uint64(len(field.Value)))
		dst = append(dst, field.Value...)
	}
	c := Commitment(sha256.Sum256(w.digests))
	copy(dst[start+commitmentAt:], c[:])
	return dst, c
}

var noCommitment Commitment // room for one

func appendName(dst []byte, f *Field) []byte {
	code := f.Code()
	dst = binary.AppendUvarint(dst, uint64(code))
	rest := f.Name
	switch code {
	case MetadataCode:
		rest = f.Name[len(metadataPrefix):]
	case literalCode:
	default:
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(rest)))
	return append(dst, rest...)
}

// ErrRecord means that bytes are not a record, or not one this version knows.
var ErrRecord = errors.New("event: not a record")

// StoredCommitment returns the commitment that the record in body carries.
func StoredCommitment(body []byte) (Commitment, error) {
	if len(body) < recordHeadBytes || body[0] != recordVersion {
		return Commitment{}, ErrRecord
	}
	return Commitment(body[commitmentAt:recordHeadBytes]), nil
}

// StoredEntry returns the tree's entry of the record in body.
func StoredEntry(body []byte) ([]byte, error) {
	c, err := StoredCommitment(body)
	if err != nil {
		return nil, err
	}
	e := c.Entry()
	return e[:], nil
}

// DecodeRecord decodes a record. The fields point into body.
func DecodeRecord(body []byte) (*Record, error) {
	r := new(Record)
	if err := r.Decode(body); err != nil {
		return nil, err
	}
	return r, nil
}

// Decode is [DecodeRecord] into r, whose memory it uses again.
func (r *Record) Decode(body []byte) error {
	if len(body) < recordHeadBytes || body[0] != recordVersion || body[1] != 0 {
		return ErrRecord
	}
	n := int(binary.BigEndian.Uint16(body[2:]))
	if n == 0 || n > MaxFields {
		return fmt.Errorf("%w: %d fields", ErrRecord, n)
	}
	copy(r.Secrets.Open[:], body[4:])
	copy(r.Secrets.Private[:], body[4+SecretBytes:])
	copy(r.Commitment[:], body[commitmentAt:])
	r.Fields = r.Fields[:0]
	d := decoder{body: body, at: recordHeadBytes}
	for i := range n {
		f := d.field()
		if d.err == nil && i > 0 && r.Fields[i-1].Name >= f.Name {
			d.err = fmt.Errorf("%w: field %d is out of order", ErrRecord, i)
		}
		if d.err != nil {
			return d.err
		}
		r.Fields = append(r.Fields, f)
	}
	if d.at != len(body) {
		return fmt.Errorf("%w: %d bytes too many", ErrRecord, len(body)-d.at)
	}
	return nil
}

// A decoder reads fields of a record until its first error.
type decoder struct {
	body []byte
	at   int
	err  error
}

func (d *decoder) field() (f StoredField) {
	name, code, rank := d.name()
	f.Name, f.code, f.rank = name, uint16(code), uint16(rank)
	head := d.bytes(1)
	if d.err != nil {
		return f
	}
	f.Type = Type(head[0] & typeMask)
	f.Private = head[0]&flagPrivate != 0
	f.Erased = head[0]&flagErased != 0
	f.Explicit = head[0]&flagExplicit != 0
	if head[0]&^flagsKnown != 0 || f.Erased && f.Explicit || f.Explicit && !f.Private {
		d.err = fmt.Errorf("%w: field %q has flags %#x", ErrRecord, f.Name, head[0])
		return f
	}
	if f.Explicit {
		copy(f.Salt[:], d.bytes(SaltBytes))
	}
	if f.Erased {
		copy(f.Digest[:], d.bytes(DigestBytes))
		return f
	}
	f.Value = d.bytes(d.uvarint())
	if d.err == nil {
		if err := f.Type.CheckValue(f.Value); err != nil {
			d.err = fmt.Errorf("%w: field %q: %w", ErrRecord, f.Name, err)
		}
	}
	return f
}

func (d *decoder) name() (name string, code, rank int) {
	code = d.uvarint()
	if d.err != nil {
		return "", 0, 0
	}
	switch {
	case code == literalCode || code == MetadataCode:
		rest := string(d.bytes(d.uvarint()))
		name = rest
		if code == MetadataCode {
			name = metadataPrefix + rest
		}
		if d.err == nil && (CodeOf(name) != code || name == "" || len(name) > MaxNameBytes || !utf8.ValidString(name)) {
			d.err = fmt.Errorf("%w: name %q", ErrRecord, name)
		}
		return name, code, rankOf(name)
	case code < CodeLimit && table.byCode[code] != "":
		return table.byCode[code], code, table.ranks[code]
	}
	d.err = fmt.Errorf("%w: name code %d", ErrRecord, code)
	return "", 0, 0
}

func (d *decoder) uvarint() int {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.body[d.at:])
	if n <= 0 || v > MaxRecordBytes || n > 1 && d.body[d.at+n-1] == 0 {
		d.err = fmt.Errorf("%w: bad length at byte %d", ErrRecord, d.at)
		return 0
	}
	d.at += n
	return int(v)
}

func (d *decoder) bytes(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n > len(d.body)-d.at {
		d.err = fmt.Errorf("%w: ends early", ErrRecord)
		return nil
	}
	b := d.body[d.at : d.at+n : d.at+n]
	d.at += n
	return b
}

// Digests returns the digest of each field, and the salt of each that has one.
func (r *Record) Digests() ([]Digest, []Salt) {
	digests := make([]Digest, len(r.Fields))
	all := make([]Salt, len(r.Fields))
	from := &r.memory().salts
	from.start(&r.Secrets)
	for i := range r.Fields {
		f := &r.Fields[i]
		switch {
		case f.Erased:
			digests[i] = f.Digest
			continue
		case f.Explicit:
			all[i] = f.Salt
		default:
			all[i] = *from.at(i, f.Private)
		}
		digests[i] = DigestOf(&all[i], f.Name, f.Type, f.Value)
	}
	return digests, all
}

func (r *Record) memory() *Sealer {
	if r.scratch == nil {
		r.scratch = new(Sealer)
	}
	return r.scratch
}

// ErrCommitment means that a record's fields are not what its commitment
// commits to.
var ErrCommitment = errors.New("event: the fields do not match the commitment")

// Verify recomputes the commitment from the fields and compares.
func (r *Record) Verify() error {
	w := r.memory()
	w.digests = appendCommitmentHead(w.digests[:0], len(r.Fields))
	w.salts.start(&r.Secrets)
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Erased {
			w.digests = append(w.digests, f.Digest[:]...)
			continue
		}
		salt := w.salts.at(i, f.Private)
		if f.Explicit {
			salt = &f.Salt
		}
		w.committed = appendCommitted(w.committed[:0], salt, f.Name, f.Type, f.Value)
		digest := sha256.Sum256(w.committed)
		w.digests = append(w.digests, digest[:]...)
	}
	if sha256.Sum256(w.digests) != r.Commitment {
		return ErrCommitment
	}
	return nil
}

// Open returns the fields that are not erased.
func (r *Record) Open() Fields {
	f := make(Fields, 0, len(r.Fields))
	for i := range r.Fields {
		if !r.Fields[i].Erased {
			f = append(f, r.Fields[i].Field)
		}
	}
	return f
}
