package registry

import (
	"errors"
	"io"
)

// Limits of a [Skimmer]. Together they bound its memory.
const (
	MaxStringBytes = 4 << 10  // 4 KiB, a string as it is written; longer ones are dropped
	MaxMemberBytes = 512      // a member's name; what a longer one names is skipped
	MaxVisited     = 16       // levels of nesting that a visitor sees; deeper ones are skipped
	MaxNesting     = 64 << 10 // levels of nesting at all, at one bit each
	maxNumberBytes = 64
)

// A Kind is the kind of a JSON value.
type Kind byte

// The kinds. The zero Kind is no value at all.
const (
	Null Kind = iota + 1
	False
	True
	Number
	String
	Object
	Array
)

// A Value is a JSON value that holds no others.
type Value struct {
	Kind    Kind
	Text    []byte // of a string or number; valid during the call
	Length  int64  // of a string as it is written, in bytes
	Dropped bool   // the string is longer than MaxStringBytes: Text is empty
}

// A Visitor is told what is in a JSON document, in the order of the document.
// A name that occurs twice is told twice: the last one counts, as it does for
// nearly every program that reads JSON.
type Visitor interface {
	// Open is told that an object or array starts. It returns whether Visitor
	// wants to know what is in it.
	Open(path *Path, kind Kind) bool

	// Value is told any other value.
	Value(path *Path, v Value)
}

// A Skimmer is a writer that reads one JSON document as it passes and tells a
// visitor what is in it. It keeps a bounded part of the document, whatever is
// written. Its Write never fails: for what is not JSON, [Skimmer.Err] says so.
//
// It may accept what is not quite JSON. It never takes one document for another.
type Skimmer struct {
	visitor Visitor
	state   state
	err     error

	nesting []uint64 // one bit for each open container: 1 is an object
	depth   int      // open containers
	skip    int      // depth of the outermost skipped container, 0: none
	path    Path     // to the value being read, or read last
	nameOK  bool     // the member's name was kept

	raw     []byte // the string, number or word being read
	length  int64  // bytes of it, kept or not
	keep    bool   // keep it
	escapes bool   // raw has backslashes
	pending bool   // the last byte was a backslash that the next one belongs to
	inName  bool   // it is a member's name
}

// A state says what may come next.
type state byte

const (
	atStart   state = iota // a byte order mark or a value
	atValue                // a value
	atElement              // a value, or the end of an empty array
	atName                 // a member's name
	atMember               // a member's name, or the end of an empty object
	atColon
	atNext // a comma, or the end of the container
	inString
	inWord // a number, true, false, null
	atEnd  // white space
)

var (
	errNotJSON = errors.New("registry: reading JSON: not JSON")
	errNesting = errors.New("registry: reading JSON: nested too deep")
)

// NewSkimmer returns a skimmer that tells v.
func NewSkimmer(v Visitor) *Skimmer { return &Skimmer{visitor: v} }

// Write reads on. It never fails.
func (s *Skimmer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && s.err == nil {
		switch s.state {
		case inString:
			p = s.readString(p)
		case inWord:
			p = s.readWord(p)
		case atStart, atValue, atElement, atName, atMember, atColon, atNext, atEnd:
			p = s.readStructure(p)
		}
	}
	return n, nil
}

// Err returns nil if what was written is one whole JSON document.
func (s *Skimmer) Err() error {
	switch {
	case s.err != nil:
		return s.err
	case s.state == atEnd:
		return nil
	case s.state == inWord && s.depth == 0:
		s.endWord()
		return s.err
	}
	return io.ErrUnexpectedEOF
}

func (s *Skimmer) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

const byteOrderMark = "\xef\xbb\xbf"

// readStructure reads what is neither string nor word, up to the first byte
// that is.
func (s *Skimmer) readStructure(p []byte) []byte {
	for i, c := range p {
		if c == ' ' || c == '\n' || c == '\t' || c == '\r' {
			continue
		}
		if s.state == atStart && s.length < int64(len(byteOrderMark)) && c == byteOrderMark[s.length] {
			s.length++ // registries drop it, so it must not blind us
			continue
		}
		switch c {
		case '"':
			s.beginString()
		case ':':
			s.expect(s.state == atColon, atValue)
		case ',':
			s.comma()
		case '{', '[':
			s.open(c == '{')
		case '}', ']':
			s.close(c == '}')
		default:
			s.beginWord()
			return p[i:] // its first byte belongs to it
		}
		if s.err != nil || s.state == inString {
			return p[i+1:]
		}
	}
	return nil
}

// expect goes to the next state if ok.
func (s *Skimmer) expect(ok bool, next state) {
	if !ok {
		s.fail(errNotJSON)
		return
	}
	s.state = next
}

// wantsValue reports whether a value may come.
func (s *Skimmer) wantsValue() bool {
	return s.state == atValue || s.state == atElement || s.state == atStart
}

// inObject reports whether the innermost open container is an object.
func (s *Skimmer) inObject() bool {
	d := s.depth - 1
	return d >= 0 && s.nesting[d/64]&(1<<(d%64)) != 0
}

func (s *Skimmer) comma() {
	if s.state != atNext {
		s.fail(errNotJSON)
		return
	}
	if s.inObject() {
		s.state = atName
		return
	}
	s.state = atValue
	s.nextElement()
}

// visiting reports whether the visitor wants to know of the value that comes.
func (s *Skimmer) visiting() bool { return s.skip == 0 && s.nameOK }

func (s *Skimmer) open(object bool) {
	kind := Array
	if object {
		kind = Object
	}
	switch {
	case !s.wantsValue():
		s.fail(errNotJSON)
		return
	case s.depth == MaxNesting:
		s.fail(errNesting)
		return
	}
	visited := s.depth == 0 || s.visiting()
	wanted := visited && s.visitor.Open(&s.path, kind) && s.depth < MaxVisited
	s.push(object)
	switch {
	case wanted:
		s.path.push(object)
		s.nameOK = !object // an array's elements need no name
	case s.skip == 0:
		s.skip = s.depth
	}
	s.state = atElement
	if object {
		s.state = atMember
	}
}

func (s *Skimmer) push(object bool) {
	word, bit := s.depth/64, uint64(1)<<(s.depth%64)
	if word == len(s.nesting) {
		s.nesting = append(s.nesting, 0)
	}
	s.nesting[word] &^= bit
	if object {
		s.nesting[word] |= bit
	}
	s.depth++
}

func (s *Skimmer) close(object bool) {
	empty := s.state == atMember && object || s.state == atElement && !object
	if s.depth == 0 || s.inObject() != object || s.state != atNext && !empty {
		s.fail(errNotJSON)
		return
	}
	switch s.skip {
	case 0:
		s.path.pop()
	case s.depth:
		s.skip = 0
	}
	s.depth--
	s.nameOK = s.skip == 0 // whoever visits a container kept its name
	s.endValue()
}

// endValue is called after each value.
func (s *Skimmer) endValue() {
	s.state = atNext
	if s.depth == 0 {
		s.state = atEnd
	}
}

// nextElement moves the path to the next element of the array.
func (s *Skimmer) nextElement() {
	if s.skip == 0 {
		s.path.steps[len(s.path.steps)-1].index++
	}
}
