package event

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
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
	text, plain := s.number()
	if s.err != nil {
		return 0, false
	}
	digits, isWhole := string(text), true
	if !plain {
		digits, isWhole = wholeDigits(text)
	}
	if !isWhole {
		return 0, false
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	return v, err == nil
}

// maxWholeDigits is one more than an int64 can have.
const maxWholeDigits = 20

// wholeDigits returns the digits of the number that text writes, with a sign
// but without fraction and exponent, if it is whole and has no more than
// maxWholeDigits; and whether it is whole at all.
func wholeDigits(text []byte) (digits string, isWhole bool) {
	mantissa, exponent := text, 0
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		mantissa = text[:i]
		var err error
		if exponent, err = strconv.Atoi(string(text[i+1:])); err != nil {
			exponent = math.MaxInt32 // zero stays zero; all else is far beyond a double
			if text[i+1] == '-' {
				exponent = math.MinInt32
			}
		}
	}
	sign := ""
	if mantissa[0] == '-' {
		sign, mantissa = "-", mantissa[1:]
	}
	before, after, _ := bytes.Cut(mantissa, []byte("."))
	after = bytes.TrimRight(after, "0")
	all := bytes.TrimLeft(slices.Concat(before, after), "0")
	if len(all) == 0 {
		return "0", true
	}
	shift := exponent - len(after) // zeros to add, or digits to take off
	if shift < 0 {
		kept := bytes.TrimRight(all, "0")
		if len(all)-len(kept) < -shift {
			return "", false
		}
		all, shift = all[:len(all)+shift], 0
	}
	if len(all)+shift > maxWholeDigits {
		return strings.Repeat("9", maxWholeDigits), true // beyond an int64
	}
	return sign + string(all) + strings.Repeat("0", shift), true
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
// What a double would make another kind of number, or another whole number, of
// is refused.
func (s *scanner) canonicalNumber(b []byte) []byte {
	text, plain := s.number()
	if s.err != nil {
		return b
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsInf(v, 0) {
		s.fail("has a number beyond the range of a double; send it as a string")
		return b
	}
	digits, isWhole := wholeDigits(text)
	b = appendDouble(b, v)
	switch abs := math.Abs(v); {
	case isWhole != (v == math.Trunc(v)),
		isWhole && abs > maxExact && (plain || abs < 1e21),
		isWhole && abs == maxExact && strings.TrimLeft(digits, "-") != strconv.Itoa(maxExact):
		s.fail("has a number that a double cannot hold exactly; send it as a string")
	}
	return b
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
