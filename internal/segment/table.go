package segment

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// A Table is the records that are not sealed yet, in memory, in the columns of
// a segment. Rows are in the order in which they were added.
//
// Add and Seal need it for themselves; the other methods may be called
// concurrently with each other.
type Table struct {
	openKey [16]byte // see event.OpenSecret
	fetch   func(seq int64) ([]byte, error)

	seqs, times, received []int64
	kinds                 []uint32
	kindIDs               map[string]uint32
	kindList              []*kind
	ids                   []byte // 16 for each row
	requests              []byte // 16 for each row
	exceptions            []exception
	ownOpen               map[uint32][16]byte // open secrets that are not derived
	parts                 [numParts]tablePart
	bytes                 int64 // about what it takes
	disorder              bool  // rows are not in order of time

	// Used by Add only.
	key    []byte
	source string
	entity []byte
	id     []byte

	entityName []byte
	subjects   [event.MaxSubjects][]byte // types
	slots      [numParts][numColumns]uint8
	seen       []seenEntity
	at         int64
	project    []byte
	words      wordScratch
}

// An exception is a row some of whose personal fields are erased.
type exception struct {
	row    uint32
	fields []byte // for each personal field: see appendException
}

// A tablePart is the columns of one part.
type tablePart struct {
	domains [numDomains]interned
	columns [numColumns]tableColumn
	blob    []byte
	ends    []uint32  // of each row in blob
	secrets []byte    // private ones, 16 for each row; of the side part
	texts   wordLists // words of blob: rows; request IDs

	valueTexts wordLists // words of values: domain and number
	keys       wordLists // other keys of entities: likewise
	names      wordLists // names of entities: likewise; a dictionary in order needs none
}

// A tableColumn holds for each row the number of its value, if it has one.
type tableColumn struct {
	ids   []uint32 // none, or a value; shorter than the rows if the last have none
	prev  []uint32 // row+1 of the row before with the same value
	heads []uint32 // by value: row+1 of the last row with it
	extra []extraValue
}

// An extraValue is a further value of a row in a column.
type extraValue struct {
	row  uint32
	slot uint8
	id   uint32
}

// A seenEntity is one that a row has already, to which others can refer.
type seenEntity struct {
	part   part
	column Column
	id     uint32
	fields [2]int // of its id and its name; -1: it has none
}

// NewTable returns an empty table. openKey is that of the log.
func NewTable(openKey [16]byte) *Table {
	t := &Table{openKey: openKey, kindIDs: make(map[string]uint32), ownOpen: make(map[uint32][16]byte)}
	return t
}

// Len returns the number of rows.
func (t *Table) Len() int { return len(t.seqs) }

// Bytes returns about how much memory the table takes.
func (t *Table) Bytes() int64 {
	sum := t.bytes
	for p := range t.parts {
		for _, l := range t.parts[p].lists() {
			sum += int64(l.n) * pairBytes
		}
	}
	return sum
}

// ErrRecord means that a record cannot be a row.
var ErrRecord = errors.New("segment: not a record that a table takes")

// rowBytes is about what a row takes besides its values.
const rowBytes = 120

// Add takes in the record at seq, which must be greater than those before. It
// keeps nothing of r.
func (t *Table) Add(seq int64, r *event.Record) error {
	if n := len(t.seqs); n > 0 && seq <= t.seqs[n-1] {
		return fmt.Errorf("%w: record %d comes after record %d", ErrRecord, seq, t.seqs[n-1])
	}
	if len(r.Fields) == 0 || len(r.Fields) > event.MaxFields {
		return fmt.Errorf("%w: %d fields", ErrRecord, len(r.Fields))
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; (f.Erased || f.Explicit) && !f.Private {
			return fmt.Errorf("%w: field %s is erased, but not personal", ErrRecord, f.Name)
		}
	}
	row := uint32(len(t.seqs))
	t.begin(r)
	erased := false
	for i := 0; i < len(r.Fields); i++ {
		f := &r.Fields[i]
		erased = erased || f.Erased || f.Explicit
		i += t.place(row, i, r)
	}
	t.seqs = append(t.seqs, seq)
	t.disorder = t.disorder || row > 0 && t.times[row] < t.times[row-1]
	t.kinds = append(t.kinds, t.kindOf())
	if erased {
		t.exceptions = append(t.exceptions, exception{row, appendException(nil, r)})
	}
	t.addSecrets(row, r, erased)
	for p := range t.parts {
		q := &t.parts[p]
		q.ends = append(q.ends, uint32(len(q.blob)))
	}
	t.bytes += rowBytes
	return nil
}

// begin prepares for a row.
func (t *Table) begin(r *event.Record) {
	t.key = t.key[:0]
	t.seen = t.seen[:0]
	t.slots = [numParts][numColumns]uint8{}
	t.at = 0
	t.project = t.project[:0]
	clear(t.subjects[:])
	var zero [16]byte
	t.ids = append(t.ids, zero[:]...)
	t.requests = append(t.requests, zero[:]...)
	t.times = append(t.times, 0)
	t.received = append(t.received, 0)
	last := len(t.times) - 1
	for i := range r.Fields {
		f := &r.Fields[i]
		switch code := f.Code(); {
		case code == timeCode && f.Type == event.Time && !f.Erased:
			t.at = f.Time().UnixMicro()
			t.times[last] = t.at
		case code == receivedCode && f.Type == event.Time && !f.Erased:
			t.received[last] = f.Time().UnixMicro()
		case isSubjectType[code] > 0:
			t.subjects[isSubjectType[code]-1] = f.Value
		}
	}
}

var (
	timeCode     = event.CodeOf("time")
	receivedCode = event.CodeOf("received")

	// isSubjectType says of which subject, counted from 1, a code names the type.
	isSubjectType = newIsSubjectType()
)

func newIsSubjectType() *[event.CodeLimit]int {
	t := new([event.CodeLimit]int)
	for n := range event.MaxSubjects {
		t[event.CodeOf(fmt.Sprintf("subjects.%d.type", n))] = n + 1
	}
	return t
}

// partOf returns the part that a field is in.
func partOf(f *event.StoredField) part {
	if f.Private {
		return side
	}
	return main
}

// place puts the value of field i where it belongs and describes that in key.
// It returns how many of the fields after it are placed too.
func (t *Table) place(row uint32, i int, r *event.Record) int {
	f := &r.Fields[i]
	n := naturals[f.Code()]
	p := partOf(f)
	w := n.where
	column := n.column
	if n.subject > 0 {
		var ok bool
		if column, ok = subjectColumn(t.subjects[n.subject-1], n.member); !ok {
			w = inBlob
		}
	}
	t.name(f)
	switch {
	case w == inKind && p == main && f.Type != event.JSON:
		t.key = append(t.key, byte(inKind))
		t.key = binary.AppendUvarint(t.key, uint64(len(f.Value)))
		t.key = append(t.key, f.Value...)
		return 0
	case w == isTime && p == main && f.Type == event.Time, w == isReceived && p == main && f.Type == event.Time:
		t.key = append(t.key, byte(w))
		return 0
	case w == isID && p == main && f.Type == event.String && t.placeID(row, f.Value):
		return 0
	case w == isRequest && p == main && f.Type == event.String && t.placeRequest(row, f.Value):
		return 0
	case w == inColumn && fits(column, f):
		return t.placeColumn(row, i, r, column, n.member)
	}
	t.key = append(t.key, byte(inBlob))
	t.addBlob(row, p, f, n.words)
	return 0
}

// name describes a field's name, type and privacy.
func (t *Table) name(f *event.StoredField) {
	code := f.Code()
	t.key = binary.AppendUvarint(t.key, uint64(code))
	if code == 0 || code == event.MetadataCode {
		t.key = binary.AppendUvarint(t.key, uint64(len(f.Name)))
		t.key = append(t.key, f.Name...)
	}
	head := byte(f.Type)
	if f.Private {
		head |= privateFlag
	}
	t.key = append(t.key, head)
}

const privateFlag = 0x80

// fits reports whether a value has the type of a column's, and is one that can
// be found.
func fits(c Column, f *event.StoredField) bool {
	if c == IP {
		return f.Type == event.IP
	}
	return f.Type == event.String && (f.Erased || len(f.Value) > 0)
}

// placeID puts a UUID that is written as usual; ok is false for any other text.
func (t *Table) placeID(row uint32, id []byte) (ok bool) {
	u := t.ids[16*row : 16*row+16]
	if !parseUUID(u, id) {
		return false
	}
	form := byte(idUUID)
	if ms := int64(binary.BigEndian.Uint64(u) >> 16); t.at >= 0 && ms == t.at/1000 {
		form = idTime
	}
	t.key = append(t.key, byte(isID), form)
	return true
}

// parseUUID reads 36 characters, lower case, into u.
func parseUUID(u, text []byte) bool {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return false
	}
	at := 0
	for i := 0; i < 36; i += 2 {
		if text[i] == '-' {
			i++
		}
		if !isHex(text[i]) || !isHex(text[i+1]) {
			clear(u)
			return false
		}
		u[at] = digit(text[i])<<4 | digit(text[i+1])
		at++
	}
	return true
}

func digit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'a' + 10
}

func appendUUID(dst, u []byte) []byte {
	text := [36]byte{8: '-', 13: '-', 18: '-', 23: '-'}
	for i, at := range uuidPlaces {
		binary.LittleEndian.PutUint16(text[at:], hexPairs[u[i]])
	}
	return append(dst, text[:]...)
}

var (
	// uuidPlaces is where the digits of each byte of a UUID are in its text.
	uuidPlaces = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

	// hexPairs has the two digits of each byte, the first of them low. Nobody changes
	// it.
	hexPairs = func() (pairs [256]uint16) {
		const digits = "0123456789abcdef"
		for i := range pairs {
			pairs[i] = uint16(digits[i>>4]) | uint16(digits[i&15])<<8
		}
		return pairs
	}()
)

// Bounds of what isRequest takes.
const (
	maxRequestPrefix = 8
	maxRequestBytes  = 16
)

// placeRequest puts a request ID of a prefix and up to 32 hexadecimal digits,
// such as req_5e8f… .
func (t *Table) placeRequest(row uint32, id []byte) (ok bool) {
	digits := len(id)
	for digits > 0 && isHex(id[digits-1]) {
		digits--
	}
	prefix, text := id[:digits], id[digits:]
	if len(text)%2 != 0 && len(prefix) < len(id) {
		prefix, text = id[:digits+1], id[digits+1:]
	}
	if len(prefix) > maxRequestPrefix || len(text) < minHex || len(text) > 2*maxRequestBytes {
		return false
	}
	_, _ = hex.AppendDecode(t.requests[16*row:16*row], text) // of digits only
	t.key = append(t.key, byte(isRequest), byte(len(text)/2))
	t.key = binary.AppendUvarint(t.key, uint64(len(prefix)))
	t.key = append(t.key, prefix...)
	main := &t.parts[main]
	main.texts.add(hashOf(requestHash, id), row)
	return true
}

// kindOf returns the number of the row's kind.
func (t *Table) kindOf() uint32 {
	if n, ok := t.kindIDs[string(t.key)]; ok {
		return n
	}
	n := uint32(len(t.kindList))
	key := string(t.key)
	t.kindIDs[key] = n
	t.kindList = append(t.kindList, parseKind(key))
	t.bytes += int64(8 * len(key))
	return n
}

// maxDerived is how long the name of a source may be whose events' open secrets
// are derived.
const maxDerived = 255

// addSecrets keeps the secrets of the salts of a row.
func (t *Table) addSecrets(row uint32, r *event.Record, erased bool) {
	var source, id []byte
	private := false
	for i := range r.Fields {
		f := &r.Fields[i]
		private = private || f.Private
		switch f.Code() {
		case sourceCode:
			source = f.Value
		case idCode:
			id = f.Value
		}
	}
	if string(source) != t.source {
		t.source = string(source)
	}
	if len(source) > maxDerived || r.Secrets.Open != event.OpenSecret(&t.openKey, t.source, id) {
		t.ownOpen[row] = r.Secrets.Open
		t.bytes += 64
	}
	q := &t.parts[side]
	if r.Secrets.Private != ([16]byte{}) && private && !erased {
		q.secrets = append(q.secrets, r.Secrets.Private[:]...)
		return
	}
	var none [16]byte
	q.secrets = append(q.secrets, none[:]...)
}

var (
	sourceCode = event.CodeOf("source")
	idCode     = event.CodeOf("id")
)

// A wordScratch is memory for splitting texts into words.
type wordScratch struct {
	lists *wordLists
	row   uint32
	yield func(word []byte)
}

// addWords adds the words of a value of a row to lists.
func (t *Table) addWords(lists *wordLists, row uint32, value []byte) {
	s := &t.words
	if s.yield == nil {
		s.yield = func(word []byte) { s.lists.add(hashOf(wordHash, word), s.row) }
	}
	s.lists, s.row = lists, row
	query.Words(value, s.yield)
}
