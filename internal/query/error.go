package query

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
)

// An Error says where a query cannot be understood.
type Error struct {
	Column   int    // in characters, from 1
	Expected string // there, for example "a value after tag:"
	Hint     string // what may help; often ""
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("query: column %d: expected %s", e.Column, e.Expected)
	if e.Hint != "" {
		text += "; hint: " + e.Hint
	}
	return text
}

// tooLong is the error for a text over [MaxBytes].
func tooLong(text string) *Error {
	return &Error{Column: utf8.RuneCountInString(text[:MaxBytes]) + 1, Expected: fmt.Sprintf("the end: a query has at most %d bytes", MaxBytes)}
}

// unfit returns the error of a text that holds what no query can hold, or nil.
func unfit(text string) *Error {
	column := 1
	for i := 0; i < len(text); column++ {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return &Error{Column: column, Expected: "valid UTF-8"}
		case unicode.IsControl(r) && !unicode.IsSpace(r):
			return &Error{Column: column, Expected: fmt.Sprintf("a character that can be seen, not %U", r)}
		}
		i += size
	}
	return nil
}

// unknown is the error for what looks like a qualifier called name, at the
// beginning of word, which stands at at.
func (p *parser) unknown(at int, name, word string) *Error {
	e := p.expected(at, "a qualifier that there is, or text in quotes")
	near := nearest(name)
	switch {
	case event.CheckTag(word) == "":
		e.Hint = "tag:" + word + " finds events by tag"
	case len(near) > 0:
		e.Hint = "did you mean " + strings.Join(near, ": or ") + ":?"
	default:
		e.Hint = "qualifiers are " + strings.Join(qualifiers(), ", ")
	}
	return e
}

// qualifiers returns how qualifiers are written.
func qualifiers() []string {
	var list []string
	for _, name := range kindNames[:Text] {
		if name == Metadata.String() {
			name += ".KEY"
		}
		list = append(list, name+":")
	}
	return list
}

// nearest returns the names of qualifiers that name is likeliest to be a slip
// of.
func nearest(name string) []string {
	const longest = 24 // bytes; what is longer is no slip
	if len(name) > longest {
		return nil
	}
	most := 2
	if len(name) <= 4 {
		most = 1
	}
	var near []string
	for slips := 0; slips <= most && near == nil; slips++ {
		for _, q := range qualifiers() {
			q = strings.TrimSuffix(q, ":")
			if distance(strings.ToLower(name), q) == slips || slips == 0 && name == Metadata.String() && strings.HasPrefix(q, name) {
				near = append(near, q)
			}
		}
	}
	return near
}

// distance returns how many characters must be put in, left out, changed, or
// swapped with the next to make b of a.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			other := 1
			if a[i] == b[j] {
				other = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+other)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, slices.Clone(row)
	}
	return last[len(b)]
}
