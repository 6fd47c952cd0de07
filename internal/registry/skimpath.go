package registry

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A Path says where in a document a value is. It is valid during the call in
// which a visitor is handed it.
type Path struct {
	steps []step
	names []byte // of the steps into objects, one after the other
}

// A step leads from a container to a value in it.
type step struct {
	object     bool
	start, end int // of the name, in names
	index      int // in an array
}

// Len returns how deep the value is: 0 for the document itself.
func (p *Path) Len() int { return len(p.steps) }

// Is reports whether the path consists of words. "*" stands for any name of a
// member and for any place in an array; no other word stands for a place.
func (p *Path) Is(words ...string) bool {
	return len(words) == len(p.steps) && p.under(words)
}

// under reports whether words, as far as the path goes, are its beginning.
func (p *Path) under(words []string) bool {
	for i := range min(len(words), len(p.steps)) {
		if words[i] == "*" {
			continue
		}
		s := p.steps[i]
		if !s.object || string(p.names[s.start:s.end]) != words[i] {
			return false
		}
	}
	return true
}

// leadsTo reports whether words, taken literally, are the path or go on from it.
func (p *Path) leadsTo(words []string) bool {
	if len(words) < len(p.steps) {
		return false
	}
	for i, s := range p.steps {
		if s.object && string(p.names[s.start:s.end]) != words[i] || !s.object && strconv.Itoa(s.index) != words[i] {
			return false
		}
	}
	return true
}

// Word returns step i: a member's name, or the number of an element.
func (p *Path) Word(i int) string {
	s := p.steps[i]
	if s.object {
		return string(p.names[s.start:s.end])
	}
	return strconv.Itoa(s.index)
}

func (p *Path) push(object bool) {
	p.steps = append(p.steps, step{object: object, start: len(p.names), end: len(p.names)})
}

func (p *Path) pop() {
	last := p.steps[len(p.steps)-1]
	p.names = p.names[:last.start]
	p.steps = p.steps[:len(p.steps)-1]
}

// name sets the name of the last step.
func (p *Path) name(text []byte, kept bool) {
	last := &p.steps[len(p.steps)-1]
	p.names = p.names[:last.start]
	if kept {
		p.names = append(p.names, text...)
	}
	last.end = len(p.names)
}

// simpleEscapes are the escapes of one letter, and what they mean.
const (
	simpleEscapes  = `"\/bfnrt`
	simpleMeanings = "\"\\/\b\f\n\r\t"
)

// unescape decodes the escapes of a JSON string, in place. A lone surrogate
// becomes U+FFFD.
func unescape(b []byte) ([]byte, bool) {
	out := b[:0]
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			out = append(out, b[i])
			continue
		}
		i++
		if i == len(b) {
			return nil, false
		}
		if b[i] == 'u' {
			r, n := unescapeRune(b[i-1:])
			if n == 0 {
				return nil, false
			}
			out = utf8.AppendRune(out, r)
			i += n - 2
			continue
		}
		meaning, ok := simple(b[i])
		if !ok {
			return nil, false
		}
		out = append(out, meaning)
	}
	return out, true
}

func simple(c byte) (byte, bool) {
	for i := range len(simpleEscapes) {
		if simpleEscapes[i] == c {
			return simpleMeanings[i], true
		}
	}
	return 0, false
}

// unescapeRune decodes the \uXXXX, or the pair of them, that b starts with,
// and returns how many bytes it took.
func unescapeRune(b []byte) (rune, int) {
	r := hexRune(b)
	if r < 0 {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if pair := utf16.DecodeRune(r, hexRune(b[6:])); pair != utf8.RuneError {
		return pair, 12
	}
	return utf8.RuneError, 6
}

// hexRune returns the value of the \uXXXX that b starts with, or -1.
func hexRune(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		d := hexDigit(c)
		if d < 0 {
			return -1
		}
		r = r<<4 | rune(d)
	}
	return r
}
