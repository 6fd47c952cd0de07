package proof

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
)

// A Disclosure is what one reader may know of one event: some fields opened,
// the others only as digests, without even their names. It suffices to compute
// the event's commitment.
//
// Encoded it is the "extra" of a receipt:
//
//	u8 version = 1 │ u16 n
//	n × closed: u8 0 │ digest[32]
//	    open:   u8 1 │ salt[16] │ u8 len(name) │ name │ u8 type │ u32 len(value) │ value
//
// with the fields in their order in the commitment. See docs/format/receipt.md.
type Disclosure []DisclosedField

// A DisclosedField is one field of a disclosure.
type DisclosedField struct {
	Open   bool
	Digest event.Digest // of a closed field
	Salt   event.Salt   // of an open field, as are the rest
	Name   string
	Type   event.Type
	Value  []byte
}

const (
	disclosureVersion = 1
	closedField       = 0
	openField         = 1

	// MaxDisclosureBytes bounds an encoded disclosure.
	MaxDisclosureBytes = MaxExtraBytes
)

// Disclose returns the disclosure of r in which the fields are open that are
// still there and that show says may be shown.
func Disclose(r *event.Record, show func(f *event.Field) bool) Disclosure {
	digests, salts := r.Digests()
	d := make(Disclosure, len(r.Fields))
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Erased || !show(&f.Field) {
			d[i].Digest = digests[i]
			continue
		}
		d[i] = DisclosedField{Open: true, Salt: salts[i], Name: f.Name, Type: f.Type, Value: f.Value}
	}
	return d
}

// Fields returns the open fields.
func (d Disclosure) Fields() event.Fields {
	var f event.Fields
	for i := range d {
		if d[i].Open {
			f = append(f, event.Field{Name: d[i].Name, Type: d[i].Type, Value: d[i].Value})
		}
	}
	return f
}

// Commitment returns the commitment of the event that d is a disclosure of.
func (d Disclosure) Commitment() event.Commitment {
	digests := make([]event.Digest, len(d))
	for i := range d {
		if d[i].Open {
			digests[i] = event.DigestOf(&d[i].Salt, d[i].Name, d[i].Type, d[i].Value)
		} else {
			digests[i] = d[i].Digest
		}
	}
	return event.CommitmentOfDigests(digests)
}

// Encode returns the one encoding of d.
func (d Disclosure) Encode() []byte {
	b := []byte{disclosureVersion}
	b = binary.BigEndian.AppendUint16(b, uint16(len(d)))
	for i := range d {
		f := &d[i]
		if !f.Open {
			b = append(b, closedField)
			b = append(b, f.Digest[:]...)
			continue
		}
		b = append(b, openField)
		b = append(b, f.Salt[:]...)
		b = append(b, byte(len(f.Name)))
		b = append(b, f.Name...)
		b = append(b, byte(f.Type))
		b = binary.BigEndian.AppendUint32(b, uint32(len(f.Value)))
		b = append(b, f.Value...)
	}
	return b
}

var errDisclosure = errors.New("disclosure is malformed")

// DecodeDisclosure decodes what [Disclosure.Encode] returned and refuses all
// else, open fields out of order or named twice included: with them one event
// could be shown in two ways.
func DecodeDisclosure(b []byte) (Disclosure, error) {
	if len(b) > MaxDisclosureBytes {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", errDisclosure, len(b), MaxDisclosureBytes)
	}
	if len(b) < 3 || b[0] != disclosureVersion {
		return nil, fmt.Errorf("%w: not version %d", errDisclosure, disclosureVersion)
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if n == 0 || n > event.MaxFields {
		return nil, fmt.Errorf("%w: %d fields", errDisclosure, n)
	}
	r := reader{rest: b[3:]}
	d := make(Disclosure, n)
	last := ""
	for i := range d {
		d[i] = r.field()
		if r.err == nil && d[i].Open {
			if d[i].Name <= last {
				r.err = errors.New("name is out of order")
			}
			last = d[i].Name
		}
		if r.err != nil {
			return nil, fmt.Errorf("%w: field %d: %w", errDisclosure, i, r.err)
		}
	}
	if len(r.rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", errDisclosure, len(r.rest))
	}
	return d, nil
}

// A reader reads pieces of a disclosure until its first error.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) field() (f DisclosedField) {
	switch kind := r.take(1); {
	case r.err != nil:
	case kind[0] == closedField:
		copy(f.Digest[:], r.take(event.DigestBytes))
	case kind[0] == openField:
		r.open(&f)
	default:
		r.err = fmt.Errorf("kind %d", kind[0])
	}
	return f
}

func (r *reader) open(f *DisclosedField) {
	f.Open = true
	copy(f.Salt[:], r.take(event.SaltBytes))
	if size := r.take(1); r.err == nil {
		f.Name = string(r.take(int(size[0])))
	}
	if r.err == nil && (f.Name == "" || !utf8.ValidString(f.Name)) {
		r.err = errors.New("bad name")
	}
	if kind := r.take(1); r.err == nil {
		f.Type = event.Type(kind[0])
	}
	if size := r.take(4); r.err == nil {
		f.Value = r.take(int(binary.BigEndian.Uint32(size)))
	}
	if r.err == nil {
		r.err = f.Type.CheckValue(f.Value)
	}
	if r.err == nil && f.Type == event.String && !utf8.Valid(f.Value) {
		r.err = errors.New("value is not valid UTF-8")
	}
}

func (r *reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.rest) {
		r.err = errors.New("ends early")
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}
