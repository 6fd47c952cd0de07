package query

import (
	"strings"
	"unicode"
)

// String returns the query as text, with no more parentheses and quotes than it
// needs. Times ago stand there as they were written.
func (q *Query) String() string {
	if q.Root == nil {
		return ""
	}
	return q.Root.String()
}

// String returns the nodes as text.
func (a And) String() string {
	var b strings.Builder
	for i, n := range a {
		if i > 0 {
			b.WriteByte(' ')
		}
		if or, ok := n.(Or); ok {
			b.WriteString("(" + or.String() + ")")
			continue
		}
		b.WriteString(n.String())
	}
	return b.String()
}

// String returns the nodes as text.
func (o Or) String() string {
	parts := make([]string, len(o))
	for i, n := range o {
		parts[i] = n.String()
	}
	return strings.Join(parts, " OR ")
}

// String returns the node as text.
func (n *Not) String() string {
	switch n.Node.(type) {
	case And, Or:
		return "-(" + n.Node.String() + ")"
	}
	return "-" + n.Node.String()
}

// String returns the term as text.
func (t *Term) String() string {
	star := ""
	if t.Prefix || t.Substring != nil {
		star = "*"
	}
	switch {
	case t.Kind != Text:
		value := t.Value
		if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r == ',' || r == '*' || endsWord(r) }) {
			value = quote(value)
		}
		if t.Value == "" && t.Prefix {
			value = ""
		}
		return t.label() + ":" + value + star
	case t.Substring != nil:
		if strings.ContainsFunc(t.Value, func(r rune) bool { return r == '*' || endsWord(r) }) {
			return star + quote(t.Value) + star
		}
		return star + t.Value + star
	case plain(t.Value, star):
		return t.Value + star
	}
	return quote(t.Value) + star
}

// label returns what stands before the colon.
func (t *Term) label() string {
	if t.Kind == Metadata {
		return Metadata.String() + "." + t.Name
	}
	return t.Kind.String()
}

// endsWord reports whether r ends a word outside quotes.
func endsWord(r rune) bool { return unicode.IsSpace(r) || r == '(' || r == ')' || r == '"' }

// plain reports whether text, with star behind it, is read as that text without
// quotes around it.
func plain(text, star string) bool {
	if text == "" || strings.ContainsRune("-!|&*", rune(text[0])) || strings.ContainsFunc(text, func(r rune) bool { return r == '*' || endsWord(r) }) {
		return false
	}
	switch text + star {
	case "OR", "AND", "NOT":
		return false
	}
	return isText(text + star)
}

// quote returns text in quotes.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
