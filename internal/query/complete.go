package query

import (
	"strings"
	"unicode/utf8"
)

// A Completion says what is being typed at a place of a query.
type Completion struct {
	// Kind is that of the term whose value is being typed. It is Text for what
	// has no qualifier yet, and may become one.
	Kind   Kind
	Name   string // of Metadata: the key
	Prefix string // what stands before the cursor, without quotes

	// Start and End are the columns, from 1, of the value or word as it stands
	// there now, quotes included: what is chosen goes in its place, from the
	// character at Start up to but not including that at End.
	Start, End int

	// Choices are what the language itself has that begins with Prefix:
	// qualifiers with their colon, or the values of a kind that has few.
	Choices []string
}

// Complete says what is being typed in text when the cursor stands before the
// character at the column cursor. The text need not be a query yet. A cursor
// outside the text counts as at its nearer end.
func Complete(text string, cursor int) Completion {
	if len(text) > MaxBytes {
		return Completion{Kind: Text, Start: max(cursor, 1), End: max(cursor, 1)}
	}
	at := byteAt(text, cursor)
	start, end, open := wordAt(text, at)
	c := Completion{Kind: Text}
	typed := text[start:at]
	if name, value, ok := strings.Cut(typed, ":"); ok {
		if kind, key, ok := kindNamed(name); ok {
			c.Kind, c.Name, typed = kind, key, value
			start = at - len(value)
		}
	}
	inQuotes := strings.HasPrefix(typed, `"`)
	if i := strings.IndexByte(text[at:end], ':'); c.Kind == Text && !inQuotes && i >= 0 {
		end = at + i + 1 // a qualifier: its value stays
	}
	if open {
		end = at // where the quotes end was not typed yet: what follows may be another term
	}
	c.Prefix = unquoted(typed)
	c.Start, c.End = utf8.RuneCountInString(text[:start])+1, utf8.RuneCountInString(text[:end])+1
	offered := choices[c.Kind]
	if c.Kind == Text && !inQuotes {
		offered = qualifiers()
	}
	for _, choice := range offered {
		if strings.HasPrefix(choice, c.Prefix) {
			c.Choices = append(c.Choices, choice)
		}
	}
	return c
}

// wordAt returns where the word in which the byte at stands, or which ends
// there, begins and ends. It is open if it has quotes that nothing ends.
func wordAt(text string, at int) (start, end int, open bool) {
	var w word
	for end < len(text) {
		r, size := utf8.DecodeRuneInString(text[end:])
		if end >= at && w.endedBy(end, r) {
			break
		}
		w.take(end, r, size)
		end += size
	}
	return w.start, end, w.quoted
}

// byteAt returns the byte at which the character at column begins.
func byteAt(text string, column int) int {
	for i := range text {
		if column <= 1 {
			return i
		}
		column--
	}
	return len(text)
}

// A word is the one that was begun last in some text.
type word struct {
	start   int
	quoted  bool // inside quotes
	escaped bool // after a \ in quotes
	closed  bool // after quotes
}

// take takes in the next character, of size bytes.
func (w *word) take(at int, r rune, size int) {
	switch {
	case w.escaped:
		w.escaped = false
	case w.quoted:
		w.escaped = r == '\\'
		if r == '"' {
			w.quoted, w.closed = false, true
		}
	case w.endedBy(at, r):
		*w = word{start: at + size}
	case r == '"':
		w.quoted = true
	}
}

// endedBy reports whether r, which is at the byte at, is not part of the word.
func (w *word) endedBy(at int, r rune) bool {
	if w.quoted {
		return false
	}
	return endsWord(r) && (r != '"' || w.closed) || r == '-' && at == w.start
}

// unquoted returns value as typed so far without its quotes.
func unquoted(value string) string {
	inside, ok := strings.CutPrefix(value, `"`)
	if !ok {
		return value
	}
	var b strings.Builder
	for i := 0; i < len(inside) && inside[i] != '"'; i++ {
		if inside[i] == '\\' && i+1 < len(inside) {
			i++
		}
		b.WriteByte(inside[i])
	}
	return b.String()
}
