package event

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// value reads any JSON value as the typed bytes of a field. Strings, int64
// numbers and booleans have types of their own; all else becomes RFC 8785
// canonical JSON.
func (s *scanner) value() (Type, []byte) {
	switch c := s.space(); {
	case c == '"':
		return String, s.text()
	case c == 't' && s.word("true"):
		return Bool, s.keep(1)
	case c == 'f' && s.word("false"):
		return Bool, s.keep(0)
	case c == '-' || c >= '0' && c <= '9':
		start := s.pos
		if v, ok := s.whole(); ok {
			return Int, s.keepInt(v)
		}
		s.pos = start
		fallthrough
	default:
		b := s.canonical(make([]byte, 0, 64), 1)
		return JSON, b
	}
}

// whole reads a number and reports whether it is a whole one that an int64
// holds, however it is written: 1, 1.0 and 1e0 are one number to most parsers.
func (s *scanner) whole() (int64, bool) {
	digits, plain := s.number()
	if plain {
		v, err := strconv.ParseInt(string(digits), 10, 64)
		return v, err == nil
	}
	v, err := strconv.ParseFloat(string(digits), 64)
	return int64(v), err == nil && v == math.Trunc(v) && math.Abs(v) < 1<<63
}

// canonical reads any JSON value and appends its RFC 8785 form to b.
func (s *scanner) canonical(b []byte, depth int) []byte {
	if depth > MaxDepth {
		s.fail("is nested deeper than " + strconv.Itoa(MaxDepth) + " levels")
		return b
	}
	switch c := s.space(); {
	case c == '"':
		return appendCanonicalString(b, s.text())
	case c == '{':
		return s.canonicalObject(b, depth)
	case c == '[':
		s.pos++
		b = append(b, '[')
		for first := true; s.next(first, ']'); first = false {
			if !first {
				b = append(b, ',')
			}
			b = s.canonical(b, depth+1)
		}
		return append(b, ']')
	case c == 't' && s.word("true"):
		return append(b, "true"...)
	case c == 'f' && s.word("false"):
		return append(b, "false"...)
	case c == 'n' && s.word("null"):
		return append(b, "null"...)
	case c == '-' || c >= '0' && c <= '9':
		return s.canonicalNumber(b)
	}
	s.failSyntax("a value")
	return b
}

// canonicalObject reads an object and appends it with its members in the order
// of their names' UTF-16 code units, as RFC 8785 section 3.2.3 demands.
func (s *scanner) canonicalObject(b []byte, depth int) []byte {
	type member struct {
		name  []byte
		units []uint16
		value []byte
	}
	var members []member
	s.pos++
	for first := true; s.next(first, '}'); first = false {
		name := bytes.Clone(s.key())
		value := s.canonical(nil, depth+1)
		if s.err != nil {
			return b
		}
		members = append(members, member{name, utf16.Encode([]rune(string(name))), value})
	}
	slices.SortFunc(members, func(x, y member) int { return slices.Compare(x.units, y.units) })
	b = append(b, '{')
	for i, m := range members {
		if i > 0 {
			if bytes.Equal(members[i-1].name, m.name) {
				s.fail("has the member " + strconv.Quote(string(m.name)) + " twice")
				return b
			}
			b = append(b, ',')
		}
		b = appendCanonicalString(b, m.name)
		b = append(b, ':')
		b = append(b, m.value...)
	}
	return append(b, '}')
}

// maxExact is the largest whole number up to which a double holds each one.
const maxExact = 1 << 53

// canonicalNumber reads a number and appends it as ECMAScript writes doubles.
func (s *scanner) canonicalNumber(b []byte) []byte {
	digits, plain := s.number()
	if s.err != nil {
		return b
	}
	v, err := strconv.ParseFloat(string(digits), 64)
	if err != nil || math.IsInf(v, 0) {
		s.fail("has a number beyond the range of a double; send it as a string")
		return b
	}
	exact, err := strconv.ParseInt(string(digits), 10, 64)
	if plain && (err != nil || exact > maxExact || exact < -maxExact) || !plain && math.Abs(v) > maxExact && math.Abs(v) < 1e21 {
		s.fail("has a whole number that a double cannot hold exactly; send it as a string")
		return b
	}
	return appendDouble(b, v)
}

// appendDouble appends v as ECMAScript's Number::toString does (ECMA-262,
// section 6.1.6.1.20), which RFC 8785 section 3.2.2.3 demands.
func appendDouble(b []byte, v float64) []byte {
	if v == 0 {
		return append(b, '0')
	}
	if abs := math.Abs(v); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, v, 'e', -1, 64)
	// Go writes at least two digits of exponent, ECMAScript as few as it can.
	if n := len(b); n >= 4 && b[n-2] == '0' && (b[n-3] == '-' || b[n-3] == '+') {
		b[n-2] = b[n-1]
		b = b[:n-1]
	}
	return b
}

// appendCanonicalString appends text as RFC 8785 section 3.2.2.2 demands.
func appendCanonicalString(b, text []byte) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ' || c >= utf8.RuneSelf:
			b = append(b, c)
		case c == '\b':
			b = append(b, '\\', 'b')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\f':
			b = append(b, '\\', 'f')
		case c == '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(b, '"')
}
