package event

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A scanner reads JSON (RFC 8259) strictly: valid UTF-8, no lone surrogates, no
// number that another parser could read as another one, nothing after the end.
// After its first error it stays where it is and every method returns zero.
type scanner struct {
	data []byte
	pos  int
	err  *InvalidError

	arena []byte // decoded strings and small values; grows, never shrinks
}

// An InvalidError says which member of an event cannot be accepted, and why.
type InvalidError struct {
	Index  int    // place in the batch, from 0; -1 for a single event
	Path   string // for example "subjects[2].name"; "" is the event as a whole
	Reason string // fit to show to whoever submitted the event
}

func (e *InvalidError) Error() string {
	where := e.Path
	if where == "" {
		where = "the event"
	}
	if e.Index >= 0 {
		where = fmt.Sprintf("event %d: %s", e.Index, where)
	}
	return where + " " + e.Reason
}

// fail records the first error.
func (s *scanner) fail(reason string) {
	if s.err == nil {
		s.err = &InvalidError{Index: -1, Reason: reason}
	}
}

// failSyntax records an error at the present position.
func (s *scanner) failSyntax(want string) {
	if s.err != nil {
		return
	}
	if s.pos >= len(s.data) {
		s.fail(fmt.Sprintf("ends at byte %d, where %s was expected", len(s.data), want))
		return
	}
	s.fail(fmt.Sprintf("is not valid JSON: %q at byte %d, where %s was expected", s.data[s.pos], s.pos, want))
}

// space skips white space and returns the next byte, or 0 at the end or after
// an error.
func (s *scanner) space() byte {
	if s.err != nil {
		return 0
	}
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
		s.pos++
	}
	return 0
}

// take skips white space and c, which must come next.
func (s *scanner) take(c byte, want string) bool {
	if s.space() != c || s.pos >= len(s.data) {
		s.failSyntax(want)
		return false
	}
	s.pos++
	return true
}

// next reports whether another member or element follows, having read first of
// them when first is false. It consumes the comma or the closing byte.
func (s *scanner) next(first bool, closing byte) bool {
	c := s.space()
	if c == closing && s.err == nil && s.pos < len(s.data) {
		s.pos++
		return false
	}
	if first {
		return s.err == nil
	}
	want := `"," or "}"`
	if closing == ']' {
		want = `"," or "]"`
	}
	if !s.take(',', want) {
		return false
	}
	if s.space() == closing {
		s.failSyntax("a value after the comma")
		return false
	}
	return s.err == nil
}

// key reads a member's name and the colon. The bytes are valid until the next
// string is read.
func (s *scanner) key() []byte {
	k := s.text()
	s.take(':', `":"`)
	return k
}

// text reads a string and returns its bytes: a piece of the input or, if it has
// escapes, of the arena.
func (s *scanner) text() []byte {
	if s.space() != '"' || s.pos >= len(s.data) {
		s.failSyntax("a string")
		return nil
	}
	start := s.pos + 1
	ascii := true
	for i := start + plainBytes(s.data[start:]); i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			s.pos = i + 1
			piece := s.data[start:i:i]
			if !ascii && !utf8.Valid(piece) {
				s.fail("has a string that is not valid UTF-8")
				return nil
			}
			return piece
		case c == '\\':
			return s.escaped(start, i)
		case c < ' ':
			s.pos = i
			s.failSyntax("no control character in a string")
			return nil
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	s.pos = len(s.data)
	s.failSyntax(`the end of a string`)
	return nil
}

// plainBytes returns how many bytes at the start of b are surely printable
// ASCII and neither a quote nor a backslash: it looks at eight at a time.
func plainBytes(b []byte) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	n := 0
	for ; len(b) >= n+8; n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		quote := w ^ '"'*ones
		slash := w ^ '\\'*ones
		// A byte's high bit is set where it is zero, less than a space, or not ASCII.
		found := (quote-ones)&^quote | (slash-ones)&^slash | (w - ' '*ones) | w
		if found&highs != 0 {
			break
		}
	}
	return n
}

// escaped reads the rest of a string that starts at start and has its first
// backslash at i.
func (s *scanner) escaped(start, i int) []byte {
	from := len(s.arena)
	s.arena = append(s.arena, s.data[start:i]...)
	for i < len(s.data) {
		switch c := s.data[i]; {
		case c == '"':
			s.pos = i + 1
			piece := s.arena[from:len(s.arena):len(s.arena)]
			if !utf8.Valid(piece) {
				s.fail("has a string that is not valid UTF-8")
				return nil
			}
			return piece
		case c < ' ':
			s.pos = i
			s.failSyntax("no control character in a string")
			return nil
		case c == '\\':
			n := s.escape(i)
			if n == 0 {
				return nil
			}
			i += n
		default:
			s.arena = append(s.arena, c)
			i++
		}
	}
	s.pos = len(s.data)
	s.failSyntax(`the end of a string`)
	return nil
}

// escape decodes the escape at i into the arena and returns its length.
func (s *scanner) escape(i int) int {
	s.pos = i
	if i+1 >= len(s.data) {
		s.pos = len(s.data)
		s.failSyntax("an escape")
		return 0
	}
	switch c := s.data[i+1]; c {
	case '"', '\\', '/':
		s.arena = append(s.arena, c)
	case 'b':
		s.arena = append(s.arena, '\b')
	case 'f':
		s.arena = append(s.arena, '\f')
	case 'n':
		s.arena = append(s.arena, '\n')
	case 'r':
		s.arena = append(s.arena, '\r')
	case 't':
		s.arena = append(s.arena, '\t')
	case 'u':
		return s.unicode(i)
	default:
		s.failSyntax("an escape of JSON")
		return 0
	}
	return 2
}

// unicode decodes \uXXXX, or a pair of them, at i.
func (s *scanner) unicode(i int) int {
	r, ok := hex4(s.data, i)
	if !ok {
		s.failSyntax(`four hexadecimal digits after \u`)
		return 0
	}
	if !utf16.IsSurrogate(r) {
		s.arena = utf8.AppendRune(s.arena, r)
		return 6
	}
	low, ok := hex4(s.data, i+6)
	if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
		s.arena = utf8.AppendRune(s.arena, pair)
		return 12
	}
	s.fail(fmt.Sprintf("has a lone surrogate at byte %d", i))
	return 0
}

// hex4 reads \uXXXX at i.
func hex4(data []byte, i int) (rune, bool) {
	if i+6 > len(data) || data[i] != '\\' || data[i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range data[i+2 : i+6] {
		r <<= 4
		switch {
		case c >= '0' && c <= '9':
			r |= rune(c - '0')
		case c >= 'a' && c <= 'f':
			r |= rune(c - 'a' + 10)
		case c >= 'A' && c <= 'F':
			r |= rune(c - 'A' + 10)
		default:
			return 0, false
		}
	}
	return r, true
}

// number reads a number and returns its bytes. It is whole when it has neither
// fraction nor exponent.
func (s *scanner) number() (digits []byte, whole bool) {
	start := s.pos
	i := s.pos
	if i < len(s.data) && s.data[i] == '-' {
		i++
	}
	first := i
	i = skipDigits(s.data, i)
	if i == first || s.data[first] == '0' && i > first+1 {
		s.failSyntax("a number")
		return nil, false
	}
	whole = true
	if i < len(s.data) && s.data[i] == '.' {
		whole = false
		first = i + 1
		if i = skipDigits(s.data, first); i == first {
			s.failSyntax("a number with digits after its point")
			return nil, false
		}
	}
	if i < len(s.data) && (s.data[i] == 'e' || s.data[i] == 'E') {
		whole = false
		first = i + 1
		if first < len(s.data) && (s.data[first] == '+' || s.data[first] == '-') {
			first++
		}
		if i = skipDigits(s.data, first); i == first {
			s.failSyntax("a number with digits in its exponent")
			return nil, false
		}
	}
	s.pos = i
	return s.data[start:i], whole
}

func skipDigits(data []byte, i int) int {
	for i < len(data) && data[i] >= '0' && data[i] <= '9' {
		i++
	}
	return i
}

// integer reads a whole number that an int64 can hold.
func (s *scanner) integer() int64 {
	if c := s.space(); c != '-' && (c < '0' || c > '9') {
		s.fail("must be a whole number")
		return 0
	}
	digits, whole := s.number()
	if s.err != nil {
		return 0
	}
	v, err := strconv.ParseInt(string(digits), 10, 64)
	if !whole || err != nil {
		s.fail("must be a whole number of at most 64 bits")
		return 0
	}
	return v
}

// word reads true, false or null.
func (s *scanner) word(w string) bool {
	if len(s.data)-s.pos < len(w) || string(s.data[s.pos:s.pos+len(w)]) != w {
		s.failSyntax("a value")
		return false
	}
	s.pos += len(w)
	return true
}

// end checks that nothing but white space follows.
func (s *scanner) end() {
	if s.space() != 0 || s.pos < len(s.data) {
		s.failSyntax("nothing more")
	}
}

// keep puts b into the arena and returns it there.
func (s *scanner) keep(b ...byte) []byte {
	from := len(s.arena)
	s.arena = append(s.arena, b...)
	return s.arena[from:len(s.arena):len(s.arena)]
}

// keepInt puts v as 8 bytes into the arena and returns it there.
func (s *scanner) keepInt(v int64) []byte {
	from := len(s.arena)
	s.arena = appendInt(s.arena, v)
	return s.arena[from:len(s.arena):len(s.arena)]
}
