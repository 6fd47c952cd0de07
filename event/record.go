package event

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
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

	scratch *verifier // memory of Verify and Digests; nil before they are first called
}

// A StoredField is a field of a record.
type StoredField struct {
	Field
	Erased   bool // value and salt are gone, see [StoredField.Digest]
	Explicit bool // it carries its own salt, see [StoredField.Salt]

	// The digest of an erased field, or the salt of one that carries its own; nil
	// otherwise, and where neither is known. Few fields have either, and all are
	// copied: so it stands elsewhere. It is never written to.
	proof *Digest
}

// Digest returns the digest of an erased field, or zeros if it is not known.
func (f *StoredField) Digest() Digest {
	if !f.Erased || f.proof == nil {
		return Digest{}
	}
	return *f.proof
}

// Salt returns the salt that a field carries, or zeros if it carries none.
func (f *StoredField) Salt() Salt {
	if !f.Explicit || f.proof == nil {
		return Salt{}
	}
	return Salt(f.proof[:SaltBytes])
}

// Bury takes the value of a field and the salt that it carries out of it; d is
// its digest.
func (f *StoredField) Bury(d Digest) {
	f.Erased, f.Explicit, f.Value, f.proof = true, false, nil, &d
}

// Carry makes a field that is not erased carry its own salt.
func (f *StoredField) Carry(s Salt) {
	f.Explicit, f.proof = true, new(Digest)
	copy(f.proof[:], s[:])
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
	r.Fields = slices.Grow(r.Fields[:0], n)
	d := decoder{body: body, at: recordHeadBytes}
	for i := range n {
		r.Fields = r.Fields[:i+1]
		f := &r.Fields[i]
		d.field(f)
		if d.err == nil && i > 0 && !r.Fields[i-1].before(&f.Field) {
			d.err = fmt.Errorf("%w: field %d is out of order", ErrRecord, i)
		}
		if d.err != nil {
			return d.err
		}
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

// field reads a field into f, whatever is in it.
func (d *decoder) field(f *StoredField) {
	d.name(&f.Field)
	f.Value, f.proof = nil, nil
	head := byte(0)
	if b := d.bytes(1); d.err == nil {
		head = b[0]
	}
	f.Type = Type(head & typeMask)
	f.Private = head&flagPrivate != 0
	f.Erased = head&flagErased != 0
	f.Explicit = head&flagExplicit != 0
	if d.err == nil && (head&^flagsKnown != 0 || f.Erased && f.Explicit || f.Explicit && !f.Private) {
		d.err = fmt.Errorf("%w: field %q has flags %#x", ErrRecord, f.Name, head)
	}
	if f.Explicit {
		if b := d.bytes(SaltBytes); d.err == nil {
			f.Carry(Salt(b))
		}
	}
	if f.Erased {
		if b := d.bytes(DigestBytes); d.err == nil {
			f.Bury(Digest(b))
		}
		return
	}
	f.Value = d.bytes(d.uvarint())
	if d.err == nil {
		if err := f.Type.CheckValue(f.Value); err != nil {
			d.err = fmt.Errorf("%w: field %q: %w", ErrRecord, f.Name, err)
		}
	}
}

// name reads the name of f.
func (d *decoder) name(f *Field) {
	f.Name, f.code, f.rank = "", 0, 0
	code := d.uvarint()
	if d.err != nil {
		return
	}
	switch {
	case code == MetadataCode:
		rest := d.bytes(d.uvarint())
		if d.err == nil {
			f.Name, d.err = metadataName(rest)
		}
	case code == literalCode:
		f.Name = string(d.bytes(d.uvarint()))
		if d.err == nil && (CodeOf(f.Name) != code || !isName(f.Name)) {
			d.err = fmt.Errorf("%w: name %q", ErrRecord, f.Name)
		}
		f.rank = uint16(rankOf(f.Name))
		return
	case code < CodeLimit && table.byCode[code] != "":
		f.Name = table.byCode[code]
	default:
		d.err = fmt.Errorf("%w: name code %d", ErrRecord, code)
		return
	}
	f.code, f.rank = uint16(code), uint16(table.ranks[code])
}

func isName(s string) bool { return s != "" && len(s) <= MaxNameBytes && utf8.ValidString(s) }

// metadataName returns the name of the member of metadata that is called rest.
func metadataName(rest []byte) (string, error) {
	if name, ok := metadataNames.find(rest); ok {
		return name, nil
	}
	name := metadataPrefix + string(rest)
	if len(rest) == 0 || !isName(name) {
		return "", fmt.Errorf("%w: name %q", ErrRecord, name)
	}
	metadataNames.add(name)
	return name, nil
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
			digests[i] = f.Digest()
			continue
		case f.Explicit:
			all[i] = f.Salt()
		default:
			all[i] = *from.at(i, f.Private)
		}
		digests[i] = DigestOf(&all[i], f.Name, f.Type, f.Value)
	}
	return digests, all
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
