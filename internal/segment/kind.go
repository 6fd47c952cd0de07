package segment

import (
	"slices"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// A kind is what rows have in common that have the same fields, and the same
// values where there are few: tag, outcome, types, source. It is written as a
// list of fields, in order:
//
//	uvarint name code │ (code 0 or 63: uvarint length │ name) │ u8 type, 0x80 personal │ u8 where │
//	    in the kind   uvarint length │ value
//	    in a column   u8 column │ u8 slot │ u8 member
//	    as a field    u8 its number
//	    id            u8 form
//	    request       u8 bytes │ uvarint length │ prefix
type kind struct {
	key    string
	fields []kindField

	words []uint32 // hashes of the words in what all its rows have in common, sorted

	// Where tag, outcome, source and trust are in fields; -1: there is none.
	tag, outcome, source, trust int
}

// A kindField is a field that the rows of a kind have.
type kindField struct {
	event.Field // Value is that of the kind, if where is inKind

	where  where
	column Column
	slot   uint8
	member uint8
	refer  uint8  // another field's number
	form   uint8  // of an ID; bytes of a request ID
	prefix []byte // of a request ID
}

// part returns the part the value is in.
func (f *kindField) part() part {
	if f.Private {
		return side
	}
	return main
}

// parseKind reads a kind. It panics with a [*DamageError] if it is none.
func parseKind(key string) *kind {
	k := &kind{key: key, tag: -1, outcome: -1, source: -1, trust: -1}
	d := footer{data: []byte(key)}
	for len(d.data) > 0 {
		if len(k.fields) == event.MaxFields {
			panic(damagef("a kind has more than %d fields", event.MaxFields))
		}
		k.fields = append(k.fields, d.kindField(len(k.fields)))
		k.note(len(k.fields) - 1)
	}
	slices.Sort(k.words)
	k.words = slices.Compact(k.words)
	return k
}

// hasWord reports whether the word of a hash may be in what all rows of the kind
// have in common.
func (k *kind) hasWord(hash uint32) bool {
	_, found := slices.BinarySearch(k.words, hash)
	return found
}

// note remembers where field i is, if it is asked for often, and the words of its
// value.
func (k *kind) note(i int) {
	f := &k.fields[i]
	if f.where == inKind && naturals[f.Code()].words {
		query.Words(f.Value, func(word []byte) { k.words = append(k.words, hashOf(wordHash, word)) })
	}
	switch f.Code() {
	case tagCode:
		k.tag = i
	case outcomeCode:
		k.outcome = i
	case sourceCode:
		k.source = i
	case trustCode:
		k.trust = i
	}
}

func (f *footer) kindField(number int) (k kindField) {
	code := f.count(event.CodeLimit - 1)
	if code == 0 || code == event.MetadataCode {
		k.Name = string(f.text())
	} else if k.Name = event.NameOf(code); k.Name == "" {
		panic(damagef("a kind names code %d", code))
	}
	k.Code() // looked up once, for all rows
	head := f.byte()
	k.Type, k.Private = event.Type(head&^privateFlag), head&privateFlag != 0
	switch k.where = where(f.byte()); k.where {
	case inKind:
		k.Value = f.text()
	case inColumn:
		k.column, k.slot, k.member = Column(f.byte()), f.byte(), f.byte()
		if k.column >= numColumns || k.member > 1 {
			panic(damagef("a kind names column %d", k.column))
		}
	case asField:
		if k.refer = f.byte(); int(k.refer) >= number {
			panic(damagef("field %d of a kind is as field %d", number, k.refer))
		}
	case isID:
		k.form = f.byte()
	case isRequest:
		k.form = f.byte()
		k.prefix = f.text()
	case inBlob, isTime, isReceived:
	default:
		panic(damagef("field %d of a kind is at %d", number, k.where))
	}
	return k
}

func (f *footer) byte() byte {
	if len(f.data) == 0 {
		panic(damagef("a kind ends early"))
	}
	b := f.data[0]
	f.data = f.data[1:]
	return b
}

// value returns the value that all rows of the kind have of a field, or nil.
func (k *kind) value(code int) []byte {
	for i := range k.fields {
		if k.fields[i].Code() == code && k.fields[i].where == inKind {
			return k.fields[i].Value
		}
	}
	return nil
}
