package event

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"sort"
	"time"
)

// A Type says how the value of a field is written as bytes. The numbers are
// part of the committed format.
type Type byte

// The types, with the bytes of their values.
const (
	String Type = 1 // UTF-8, exactly as sent
	Int    Type = 2 // 8 bytes, big-endian, two's complement
	Bool   Type = 3 // 1 byte, 0 or 1
	Time   Type = 4 // 8 bytes, big-endian, microseconds since 1970-01-01 UTC, two's complement
	IP     Type = 5 // 16 bytes, IPv4 mapped to IPv6
	JSON   Type = 6 // RFC 8785 canonical JSON: numbers that are no int64, null, arrays, objects
)

// A Field is one named, typed value of an event.
type Field struct {
	Name  string
	Value []byte // see [Type]; nil once erased
	Type  Type

	// Private says that the field is personal: its salt comes from the private
	// secret, which an erasure destroys. It is not part of what is committed to.
	Private bool

	code uint16 // see names.go
	rank uint16 // see rankOf; 0 when code and rank were not looked up
}

// Code returns the number by which records call the field: one of 1 to
// [CodeLimit]-1 for a name that every event may have, [MetadataCode] for a
// member of metadata, 0 for any other name. See docs/format/record.md.
func (f *Field) Code() int {
	f.lookUp()
	return int(f.code)
}

// lookUp sets code and rank, unless they are.
func (f *Field) lookUp() {
	if f.rank == 0 {
		f.code, f.rank = uint16(CodeOf(f.Name)), uint16(rankOf(f.Name))
	}
}

// before reports whether f comes before g in bytewise order of names. Both have
// been looked up.
func (f *Field) before(g *Field) bool {
	return f.rank < g.rank || f.rank == g.rank && f.Name < g.Name
}

// Fields are the fields of one event, in bytewise order of their names, each
// name once.
type Fields []Field

// Get returns the field called name.
func (f Fields) Get(name string) (Field, bool) {
	for i := range f {
		if f[i].Name == name {
			return f[i], true
		}
	}
	return Field{}, false
}

// Text returns the value of the string field called name, or "".
func (f Fields) Text(name string) string {
	field, ok := f.Get(name)
	if !ok || field.Type != String {
		return ""
	}
	return string(field.Value)
}

// maxRank is more than any rank, see names.go.
const maxRank = 1024

// A sorter puts fields in bytewise order of names. Its memory is used again.
type sorter struct {
	present [maxRank / 64]uint64 // a bit for each rank that a field has
	place   [maxRank]uint8       // by rank: the field that has it; of several, the first
	shared  []uint8              // fields that share a rank with an earlier one
	sorted  Fields
}

// sort returns f, of at most MaxFields, in order; the result is valid until the
// next call.
func (s *sorter) sort(f Fields) Fields {
	s.present = [maxRank / 64]uint64{}
	s.shared = s.shared[:0]
	for i := range f {
		f[i].lookUp()
		word, bit := &s.present[f[i].rank/64], uint64(1)<<(f[i].rank%64)
		if *word&bit != 0 {
			s.shared = append(s.shared, uint8(i))
			continue
		}
		*word |= bit
		s.place[f[i].rank] = uint8(i)
	}
	s.sorted = s.sorted[:0]
	for w, word := range s.present {
		for ; word != 0; word &= word - 1 {
			rank := 64*w + bits.TrailingZeros64(word)
			s.sorted = append(s.sorted, f[s.place[rank]])
			s.sharing(f, rank)
		}
	}
	return s.sorted
}

// sharing puts the other fields of a rank, which are the members of metadata
// and names without a code, in order of their names behind the first.
func (s *sorter) sharing(f Fields, rank int) {
	first := len(s.sorted) - 1
	for _, i := range s.shared {
		if int(f[i].rank) != rank {
			continue
		}
		s.sorted = append(s.sorted, f[i])
		for k := len(s.sorted) - 1; k > first && s.sorted[k].Name < s.sorted[k-1].Name; k-- {
			s.sorted[k], s.sorted[k-1] = s.sorted[k-1], s.sorted[k]
		}
	}
}

// check panics unless f is what a commitment may be made to. The formats would
// keep a mistake of ours for ever.
func (f Fields) check() {
	if len(f) == 0 || len(f) > MaxFields {
		panic(fmt.Sprintf("event: %d fields, want 1 to %d", len(f), MaxFields))
	}
	for i := range f {
		if f[i].Name == "" || len(f[i].Name) > MaxNameBytes {
			panic("event: name of " + fmt.Sprint(len(f[i].Name)) + " bytes")
		}
		if i > 0 && f[i-1].Name >= f[i].Name {
			panic("event: fields " + f[i-1].Name + " and " + f[i].Name + " are out of order")
		}
	}
}

// StringField returns a field of type [String].
func StringField(name, value string) Field {
	return Field{Name: name, Type: String, Value: []byte(value)}
}

// TimeField returns a field of type [Time].
func TimeField(name string, value time.Time) Field {
	return Field{Name: name, Type: Time, Value: appendInt(nil, value.UnixMicro())}
}

func appendInt(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(v))
}

// Int returns the value of a field of type [Int], or 0.
func (f Field) Int() int64 {
	if f.Type != Int || len(f.Value) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(f.Value))
}

// Time returns the value of a field of type [Time] in UTC, or the zero time.
func (f Field) Time() time.Time {
	if f.Type != Time || len(f.Value) != 8 {
		return time.Time{}
	}
	return time.UnixMicro(int64(binary.BigEndian.Uint64(f.Value))).UTC()
}

// IP returns the value of a field of type [IP], or the zero address.
func (f Field) IP() netip.Addr {
	if f.Type != IP || len(f.Value) != 16 {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(f.Value)).Unmap()
}

// Text returns the value as people write it: times in RFC 3339, addresses in
// their usual form, JSON as it is.
func (f Field) Text() string {
	switch f.Type {
	case Int:
		return fmt.Sprint(f.Int())
	case Bool:
		return fmt.Sprint(len(f.Value) == 1 && f.Value[0] == 1)
	case Time:
		return f.Time().Format(time.RFC3339Nano)
	case IP:
		return f.IP().String()
	case String, JSON:
	}
	return string(f.Value)
}

// CheckValue reports whether value has the form that t demands. Text and JSON
// are checked for nothing but being UTF-8 elsewhere.
func (t Type) CheckValue(value []byte) error {
	var want int
	switch t {
	case String, JSON:
		return nil
	case Int, Time:
		want = 8
	case Bool:
		want = 1
	case IP:
		want = 16
	default:
		return fmt.Errorf("event: type %d is not known", t)
	}
	if len(value) != want || t == Bool && value[0] > 1 {
		return fmt.Errorf("event: value of type %d has %d bytes, want %d", t, len(value), want)
	}
	return nil
}

// namesInOrder returns all names a record writes as a code, in bytewise order.
func namesInOrder() []string {
	all := append([]string(nil), scalarNames...)
	for n := range MaxSubjects {
		for _, member := range subjectMembers {
			all = append(all, fmt.Sprintf("subjects.%d.%s", n, member))
		}
	}
	for n := range MaxChanges {
		for _, member := range changeMembers {
			all = append(all, fmt.Sprintf("changes.%d.%s", n, member))
		}
	}
	sort.Strings(all)
	return all
}
