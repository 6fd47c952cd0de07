package query

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
)

// An Error says where a query cannot be understood.
type Error struct {
	Column   int    // in characters, from 1
	Expected string // for example "a value after tag:"
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("query: column %d: expected %s", e.Column, e.Expected)
}

// outcomes are the values of outcome:.
var outcomes = []string{string(event.Success), string(event.Failure), string(event.Denied), string(event.Unknown)}

// Parse reads a query. Times like -7d are counted from now. A query of nothing
// matches every event.
func Parse(text string, now time.Time) (*Query, error) {
	if len(text) > MaxBytes {
		return nil, &Error{Column: utf8.RuneCountInString(text[:MaxBytes]) + 1, Expected: fmt.Sprintf("the end: a query has at most %d bytes", MaxBytes)}
	}
	p := parser{text: text, now: now}
	q := new(Query)
	for p.space(); p.at < len(p.text); p.space() {
		if len(q.All) == MaxTerms {
			return nil, p.expected(p.at, fmt.Sprintf("the end: a query has at most %d terms", MaxTerms))
		}
		t, err := p.term()
		if err != nil {
			return nil, err
		}
		q.All = append(q.All, t)
	}
	return q, nil
}

// NewTerm returns the term of the given kind, not Text, with value as it would
// stand in a query.
func NewTerm(kind Kind, value string, now time.Time) (*Term, error) {
	t := &Term{Kind: kind, Value: value, Key: []byte(value)}
	if value == "" {
		return nil, &Error{Column: 1, Expected: "a value for " + kind.String()}
	}
	if expected := t.complete(now); expected != "" {
		return nil, &Error{Column: 1, Expected: expected}
	}
	return t, nil
}

// A parser reads one query.
type parser struct {
	text string
	at   int
	now  time.Time
}

func (p *parser) expected(at int, what string) *Error {
	return &Error{Column: utf8.RuneCountInString(p.text[:at]) + 1, Expected: what}
}

func (p *parser) space() {
	for p.at < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		if !unicode.IsSpace(r) {
			return
		}
		p.at += size
	}
}

// term reads one term, which begins here.
func (p *parser) term() (*Term, error) {
	start := p.at
	switch p.text[start] {
	case '"':
		text, err := p.quoted()
		if err != nil {
			return nil, err
		}
		return p.words(start, text)
	case '-', '(', ')', '|', '!':
		return nil, p.expected(start, fmt.Sprintf("a word; one that begins with %q must be quoted", p.text[start]))
	}
	if i := strings.IndexFunc(p.text[start:], func(r rune) bool { return r < 'a' || r > 'z' }); i > 0 && p.text[start+i] == ':' {
		kind := slices.Index(kindNames[:Text], p.text[start:start+i])
		if kind < 0 {
			return nil, p.unknown(start)
		}
		p.at = start + i + 1
		return p.valued(Kind(kind))
	}
	word, err := p.word()
	switch {
	case err != nil:
		return nil, err
	case strings.Contains(word, ":"):
		return nil, p.unknown(start)
	case word == "OR" || word == "AND" || word == "NOT":
		return nil, p.expected(start, "a word; "+word+" must be quoted")
	}
	return p.words(start, word)
}

// unknown is the error for what looks like a term of a kind there is none of.
func (p *parser) unknown(at int) *Error {
	return p.expected(at, strings.Join(kindNames[:Text], ":, ")+":, or text in quotes")
}

// words makes a term of text that was read from start on.
func (p *parser) words(start int, text string) (*Term, error) {
	if text == "" {
		return nil, p.expected(start, "text between the quotes")
	}
	return &Term{Kind: Text, Value: text, folded: bytes.ToLower([]byte(text))}, nil
}

// valued reads the value of a term of the given kind.
func (p *parser) valued(kind Kind) (*Term, error) {
	start := p.at
	var value string
	var err error
	if start < len(p.text) && p.text[start] == '"' {
		value, err = p.quoted()
	} else {
		value, err = p.word()
	}
	if err != nil {
		return nil, err
	}
	if value == "" {
		return nil, p.expected(start, "a value after "+kind.String()+":")
	}
	t := &Term{Kind: kind, Value: value, Key: []byte(value)}
	if expected := t.complete(p.now); expected != "" {
		return nil, p.expected(start, expected)
	}
	return t, nil
}

// word reads up to the next space.
func (p *parser) word() (string, error) {
	start := p.at
	for p.at < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		if unicode.IsSpace(r) {
			break
		}
		if err := p.check(r, size); err != nil {
			return "", err
		}
		if r == '"' {
			return "", p.expected(p.at, `a space before a ", or \" within quotes`)
		}
		p.at += size
	}
	return p.text[start:p.at], nil
}

// check refuses what cannot stand in a query at all.
func (p *parser) check(r rune, size int) error {
	if r == utf8.RuneError && size == 1 {
		return p.expected(p.at, "valid UTF-8")
	}
	if unicode.IsControl(r) && !unicode.IsSpace(r) {
		return p.expected(p.at, fmt.Sprintf("a character that can be seen, not %U", r))
	}
	return nil
}

// quoted reads text in quotes and what must follow it: a space or the end.
func (p *parser) quoted() (string, error) {
	var b strings.Builder
	start := p.at
	for p.at++; p.at < len(p.text); {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		if err := p.check(r, size); err != nil {
			return "", err
		}
		p.at += size
		switch r {
		case '"':
			if next, _ := utf8.DecodeRuneInString(p.text[p.at:]); p.at < len(p.text) && !unicode.IsSpace(next) {
				return "", p.expected(p.at, "a space after the quotes")
			}
			return b.String(), nil
		case '\\':
			if p.at == len(p.text) || p.text[p.at] != '"' && p.text[p.at] != '\\' {
				return "", p.expected(p.at, `" or \ after a \`)
			}
			b.WriteByte(p.text[p.at])
			p.at++
		default:
			b.WriteRune(r)
		}
	}
	return "", p.expected(len(p.text), fmt.Sprintf("a \" that ends the quotes of column %d", utf8.RuneCountInString(p.text[:start])+1))
}

// complete fills in the rest of t from its value. It returns what was expected
// if the value is not one of its kind.
func (t *Term) complete(now time.Time) (expected string) {
	switch t.Kind {
	case Tag:
		if rest, ok := strings.CutSuffix(t.Value, "*"); ok {
			t.Key, t.Prefix = []byte(rest), true
		}
		if bytes.IndexByte(t.Key, '*') >= 0 {
			return "a tag like project:release:add, or its beginning and one * at the end"
		}
	case Project:
		if strings.HasPrefix(t.Value, "pkg:") {
			t.Key = appendUnescaped(nil, t.Key)
		}
	case IP:
		return t.address()
	case Outcome:
		if !slices.Contains(outcomes, t.Value) {
			return "one of " + strings.Join(outcomes, ", ")
		}
	case After, Before:
		at, ok := parseTime(t.Value, now)
		if !ok {
			return "a day like 2026-03-31, a time with zone like 2026-03-31T00:21:00Z, or one ago like -7d, -12h, -30m, -45s or -2w"
		}
		t.Key, t.Micros = nil, at.UnixMicro()
	case Actor, Token, Source, Text:
	}
	return ""
}

func (t *Term) address() (expected string) {
	const want = "an address like 203.0.113.9 or a range like 203.0.113.0/24"
	p, err := netip.ParsePrefix(t.Value)
	if err != nil {
		a, err := netip.ParseAddr(t.Value)
		if err != nil || a.Zone() != "" {
			return want
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	t.Key, t.Last = ranged(p)
	return ""
}

// units are what a time ago is counted in.
var units = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
}

// maxAgo bounds a time ago.
const maxAgo = 100 * 365 * 24 * time.Hour

// parseTime reads a day, a time, or a time before now.
func parseTime(s string, now time.Time) (time.Time, bool) {
	if ago, ok := strings.CutPrefix(s, "-"); ok {
		if ago == "" {
			return time.Time{}, false
		}
		unit := units[ago[len(ago)-1]]
		n, err := strconv.ParseUint(ago[:len(ago)-1], 10, 32)
		if unit == 0 || err != nil || n > uint64(maxAgo/unit) {
			return time.Time{}, false
		}
		return now.Add(-time.Duration(n) * unit), true
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, true
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

// quote returns value as it can stand in a query: as it is, or in quotes. As
// text, it must not look like anything else.
func quote(value string, text bool) string {
	plain := value != "" && !strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || r == '"' })
	if text {
		plain = plain && !strings.Contains(value, ":") && !strings.ContainsRune("-()|!", rune(value[0])) &&
			value != "OR" && value != "AND" && value != "NOT"
	}
	if plain {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}
