package query

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Parse reads a query. Times like -7d are counted from now. A query of nothing
// matches every event.
//
//	query    [any]
//	any      all { "OR" all }
//	all      operand { operand }
//	operand  [ "-" | "NOT" ] ( "(" any ")" | term )
func Parse(text string, now time.Time) (*Query, error) {
	if len(text) > MaxBytes {
		return nil, tooLong(text)
	}
	if e := unfit(text); e != nil {
		return nil, e
	}
	p := &parser{text: text, now: now}
	if p.space(); p.at == len(text) {
		return &Query{}, nil
	}
	root, err := p.any()
	if err != nil {
		return nil, err // not a nil *Error in an error
	}
	return &Query{Root: root}, nil
}

// A parser reads one query.
type parser struct {
	text  string
	at    int // of the next byte
	now   time.Time
	terms int
	open  []int // where the parentheses are that are open
}

// expected is the error of something else at the byte at.
func (p *parser) expected(at int, what string) *Error {
	return &Error{Column: p.column(at), Expected: what}
}

func (p *parser) column(at int) int { return utf8.RuneCountInString(p.text[:at]) + 1 }

func (p *parser) space() {
	for p.at < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		if !unicode.IsSpace(r) {
			return
		}
		p.at += size
	}
}

// any reads operands with OR between them, up to the end or a closing
// parenthesis of p.open.
func (p *parser) any() (Node, *Error) {
	var list Or
	for after := ""; ; after = " after OR" {
		n, err := p.all(after)
		if err != nil {
			return nil, err
		}
		if inner, ok := n.(Or); ok {
			list = append(list, inner...)
		} else {
			list = append(list, n)
		}
		if !p.keyword("OR") {
			break
		}
		p.at += len("OR")
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return list, nil
}

// all reads operands side by side, at least one; after says after what.
func (p *parser) all(after string) (Node, *Error) {
	var list And
	for {
		p.space()
		if p.at == len(p.text) || p.text[p.at] == ')' || p.keyword("OR") {
			break
		}
		n, err := p.operand()
		if err != nil {
			return nil, err
		}
		if inner, ok := n.(And); ok {
			list = append(list, inner...)
		} else {
			list = append(list, n)
		}
	}
	closing := p.at < len(p.text) && p.text[p.at] == ')'
	switch {
	case closing && len(p.open) == 0:
		e := p.expected(p.at, "a ( somewhere before the )")
		e.Hint = "a value that holds a parenthesis is put in quotes"
		return nil, e
	case len(list) > 1:
		return list, nil
	case len(list) == 1:
		return list[0], nil
	case p.keyword("OR"):
		return nil, p.missing("OR")
	case closing && after == "":
		return nil, p.expected(p.at, "a term between the parentheses")
	}
	return nil, p.expected(p.at, "a term"+after)
}

// missing is the error for a word like OR, which is here, with nothing before
// it.
func (p *parser) missing(word string) *Error {
	e := p.expected(p.at, "a term before "+word)
	e.Hint = `in quotes, "` + word + `" is a word to search for`
	return e
}

// keyword reports whether word is here, alone.
func (p *parser) keyword(word string) bool {
	rest, ok := strings.CutPrefix(p.text[p.at:], word)
	if !ok || rest == "" {
		return ok
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return unicode.IsSpace(r) || r == '(' || r == ')'
}

// operand reads a term or parenthesis, which begins here, and what negates it.
func (p *parser) operand() (Node, *Error) {
	negated, err := p.negation()
	if err != nil {
		return nil, err
	}
	var n Node
	if p.text[p.at] == '(' {
		n, err = p.group()
	} else {
		n, err = p.term()
	}
	if err != nil || !negated {
		return n, err
	}
	if inner, ok := n.(*Not); ok {
		return inner.Node, nil
	}
	return &Not{n}, nil
}

// negation reads - or NOT, if it is here, up to what it stands in front of.
func (p *parser) negation() (bool, *Error) {
	before := ""
	switch {
	case p.text[p.at] == '-':
		before = "-"
		p.at++
	case p.keyword("NOT"):
		before = "NOT"
		p.at += len("NOT")
		p.space()
	default:
		return false, nil
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	if p.at == len(p.text) || unicode.IsSpace(r) || r == '-' || r == ')' || p.keyword("NOT") || p.keyword("OR") {
		e := p.expected(p.at, "a term or ( after "+before)
		e.Hint = "text that begins with - is put in quotes"
		return false, e
	}
	return true, nil
}

// group reads a parenthesis, which begins here.
func (p *parser) group() (Node, *Error) {
	if len(p.open) == MaxDepth {
		return nil, p.expected(p.at, fmt.Sprintf("a term: parentheses are at most %d in one another", MaxDepth))
	}
	start := p.at
	p.open = append(p.open, start)
	p.at++
	n, err := p.any()
	if err != nil {
		return nil, err
	}
	p.open = p.open[:len(p.open)-1]
	if p.at == len(p.text) {
		return nil, p.expected(p.at, fmt.Sprintf("a ) that ends the parenthesis of column %d", p.column(start)))
	}
	p.at++
	return n, p.ended("the )")
}

// ended refuses what stands straight after a term or parenthesis, unless it is
// the end, a space or a closing parenthesis.
func (p *parser) ended(what string) *Error {
	if p.at == len(p.text) || p.text[p.at] == ')' {
		return nil
	}
	if r, _ := utf8.DecodeRuneInString(p.text[p.at:]); unicode.IsSpace(r) {
		return nil
	}
	return p.expected(p.at, "a space after "+what)
}
