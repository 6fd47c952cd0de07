package query

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// term reads one term, which begins here.
func (p *parser) term() (*Term, *Error) {
	start := p.at
	if p.terms++; p.terms > MaxTerms {
		return nil, p.expected(start, fmt.Sprintf("the end: a query has at most %d terms", MaxTerms))
	}
	if e := p.foreign(); e != nil {
		return nil, e
	}
	t := new(Term)
	var err *Error
	if word := bareWord(p.text[start:]); isText(word) {
		err = p.words(t)
	} else {
		name, _, _ := strings.Cut(word, ":")
		p.at += len(name) + 1
		err = p.qualified(t, name, word)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// bareWord returns the beginning of text up to what ends a word outside quotes.
func bareWord(text string) string {
	end := strings.IndexFunc(text, endsWord)
	if end < 0 {
		return text
	}
	return text[:end]
}

// isText reports whether word is text: not one that begins with a qualifier, or
// with what looks like one. Addresses and package URLs do, and are text.
func isText(word string) bool {
	name, _, ok := strings.Cut(word, ":")
	if !ok || name == "" || name == "pkg" || !isLetter(name[0]) || strings.ContainsFunc(name, func(r rune) bool { return !isNameRune(r) }) {
		return true
	}
	_, err := netip.ParseAddr(word)
	return err == nil
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// isNameRune reports whether r can stand in a qualifier, metadata.KEY included.
func isNameRune(r rune) bool {
	return r < utf8.RuneSelf && (isLetter(byte(r)) || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-')
}

// foreign refuses what other languages have operators for.
func (p *parser) foreign() *Error {
	e := p.expected(p.at, "a term; one that begins so is put in quotes")
	switch c := p.text[p.at]; {
	case c == '!':
		e.Hint = "-word or NOT word finds what word does not"
	case c == '|':
		e.Hint = "OR stands between what is enough alone"
	case c == '&', p.keyword("AND"):
		e.Hint = "terms side by side must all hold"
	default:
		return nil
	}
	return e
}

// words reads a term of text.
func (p *parser) words(t *Term) *Error {
	start := p.at
	t.Kind = Text
	part := p.text[p.at] == '*'
	if part {
		p.at++
		t.Substring = []byte{}
	}
	if err := p.value(t, "text"); err != nil {
		return err
	}
	switch {
	case part && t.Value == "":
		return p.expected(start+1, "text between the asterisks, as in *part*")
	case part && !t.Prefix:
		e := p.expected(p.at, "a * after the text, as before it")
		e.Hint = "*part* finds a part of a word, begin* a word by its beginning"
		return e
	case t.Value == "":
		return p.expected(start, "text between the quotes")
	}
	t.Prefix = t.Prefix && !part
	if e := t.complete(p.now); e != nil {
		e.Column = p.column(start)
		return e
	}
	return nil
}

// qualified reads the value of a term whose qualifier, called name, was read;
// word is the whole term if its value is not in quotes.
func (p *parser) qualified(t *Term, name, word string) *Error {
	start := p.at
	at := start - len(name) - 1
	ok := false
	if t.Kind, t.Name, ok = kindNamed(name); !ok {
		return p.unknown(at, name, word)
	}
	if len(t.Name) > maxKeyBytes {
		return p.expected(at+len("metadata."), fmt.Sprintf("a key of metadata of 1 to %d characters", maxKeyBytes))
	}
	if err := p.value(t, "a value"); err != nil {
		return err
	}
	if t.Value == "" && !t.Prefix {
		e := p.expected(start, "a value after "+name+":")
		if strings.HasPrefix(p.text[start:], "(") {
			e.Hint = fmt.Sprintf("the qualifier stands before each value: (%s:a OR %s:b)", name, name)
		}
		return e
	}
	if e := t.complete(p.now); e != nil {
		e.Column = p.column(start)
		return e
	}
	return nil
}

// maxKeyBytes bounds a key of metadata, see docs/format/event.md.
const maxKeyBytes = 100

// kindNamed returns the kind that the qualifier called name has, and of
// metadata.KEY the key.
func kindNamed(name string) (kind Kind, key string, ok bool) {
	if key, ok := strings.CutPrefix(name, Metadata.String()+"."); ok && key != "" {
		return Metadata, key, true
	}
	i := slices.Index(kindNames[:Text], name)
	if i < 0 || Kind(i) == Metadata {
		return 0, "", false
	}
	return Kind(i), "", true
}

// value reads t's value, called what in errors, and sets Prefix if a * follows
// it that is not in quotes.
func (p *parser) value(t *Term, what string) *Error {
	var err *Error
	if p.at < len(p.text) && p.text[p.at] == '"' {
		if t.Value, err = p.quoted(); err != nil {
			return err
		}
		if t.Value != "" && t.Kind.textual() && strings.HasPrefix(p.text[p.at:], "*") {
			p.at++
			t.Prefix = true
			return p.ended("the *")
		}
		return p.ended("the quotes")
	}
	start := p.at
	if t.Value, err = p.bare(); err != nil {
		return err
	}
	if t.Kind != Text {
		if i := strings.IndexByte(t.Value, ','); i >= 0 {
			e := p.expected(start+i, "one value; one that holds a comma is put in quotes")
			e.Hint = fmt.Sprintf("several are written with OR between them: (%s:a OR %s:b)", t.label(), t.label())
			return e
		}
	}
	if !t.Kind.textual() {
		return nil
	}
	t.Value, t.Prefix = strings.CutSuffix(t.Value, "*")
	if i := strings.IndexByte(t.Value, '*'); i >= 0 {
		e := p.expected(start+i, what+" with one * at its end, or none")
		e.Hint = "in quotes, * stands for itself"
		return e
	}
	return nil
}

// bare reads up to the next space or closing parenthesis.
func (p *parser) bare() (string, *Error) {
	word := bareWord(p.text[p.at:])
	p.at += len(word)
	if word == "" || p.at == len(p.text) {
		return word, nil
	}
	switch p.text[p.at] {
	case '"':
		return "", p.expected(p.at, `a space before a ", or \" within quotes`)
	case '(':
		e := p.expected(p.at, "a space before the (")
		e.Hint = "text and values that hold parentheses are put in quotes"
		return "", e
	}
	return word, nil
}

// quoted reads text in quotes, which begins here.
func (p *parser) quoted() (string, *Error) {
	var b strings.Builder
	start := p.at
	for p.at++; p.at < len(p.text); {
		c := p.text[p.at]
		p.at++
		switch c {
		case '"':
			return b.String(), nil
		case '\\':
			if p.at == len(p.text) || p.text[p.at] != '"' && p.text[p.at] != '\\' {
				return "", p.expected(p.at, `" or \ after a \`)
			}
			b.WriteByte(p.text[p.at])
			p.at++
		default:
			b.WriteByte(c)
		}
	}
	return "", p.expected(len(p.text), fmt.Sprintf("a \" that ends the quotes of column %d", p.column(start)))
}
