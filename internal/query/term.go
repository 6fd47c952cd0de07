package query

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
)

// choices are the values of the kinds that have only these.
var choices = map[Kind][]string{
	Class:    event.Classes,
	Outcome:  {string(event.Success), string(event.Failure), string(event.Denied), string(event.Unknown)},
	Severity: {"info", "warn", "high", "critical"},
	Trust:    {string(event.Witnessed), string(event.Imported)},
}

// NewTerm returns the term of the given kind, not Metadata, with value: a name
// or text exactly as it is, of which no character has a meaning of its own, and
// of the other kinds what may stand in a query. It refuses what no query can
// hold: an empty value, or one longer than [MaxBytes].
func NewTerm(kind Kind, value string, now time.Time) (*Term, error) {
	switch {
	case int(kind) >= len(kindNames) || kind == Metadata:
		return nil, &Error{Column: 1, Expected: "a kind that needs nothing but a value, not " + kind.String()}
	case value == "":
		return nil, &Error{Column: 1, Expected: "a value for " + kind.String()}
	case len(value) > MaxBytes:
		return nil, tooLong(value)
	}
	if e := unfit(value); e != nil {
		return nil, e
	}
	t := &Term{Kind: kind, Value: value}
	if e := t.complete(now); e != nil {
		e.Column = 1
		return nil, e
	}
	return t, nil
}

// complete fills in the rest of t from Kind, Name, Value and Prefix, and of
// Text also from Substring, which is not nil if it is one. The column of the
// error is left to the caller.
func (t *Term) complete(now time.Time) *Error {
	t.Key = []byte(t.Value)
	switch t.Kind {
	case Project:
		t.Key = projectKey(t.Key)
	case Client:
		t.Key = AppendLower(nil, t.Key)
	case IP:
		return t.completeAddress()
	case Country:
		return t.completeCountry()
	case Class, Outcome, Severity, Trust:
		if !slices.Contains(choices[t.Kind], t.Value) {
			return &Error{Expected: "one of " + strings.Join(choices[t.Kind], ", ")}
		}
	case After, Before:
		at, ok := parseTime(t.Value, now)
		if !ok {
			return &Error{Expected: "a day like 2026-03-31, a time with zone like 2026-03-31T00:21:00Z, or one ago like -7d, -12h, -30m, -45s or -2w"}
		}
		t.Key, t.Micros = nil, at.UnixMicro()
	case Metadata:
		t.completeMember()
	case Text:
		return t.completeText()
	case Tag, Actor, OnBehalfOf, User, Org, Token, Version, Request, Source:
	}
	return nil
}

// projectKey returns id as it is among the keys of a project.
func projectKey(id []byte) []byte {
	if bytes.HasPrefix(id, purlPrefix) {
		return appendUnescaped(nil, id)
	}
	return id
}

func (t *Term) completeCountry() *Error {
	t.Key = bytes.ToUpper(t.Key)
	if len(t.Key) != 2 || t.Key[0] < 'A' || t.Key[0] > 'Z' || t.Key[1] < 'A' || t.Key[1] > 'Z' {
		return &Error{Expected: "a country as two letters (ISO 3166-1), like NL"}
	}
	return nil
}

func (t *Term) completeAddress() *Error {
	p, err := netip.ParsePrefix(t.Value)
	if err != nil {
		a, err := netip.ParseAddr(t.Value)
		if err != nil || a.Zone() != "" {
			return &Error{Expected: "an address like 203.0.113.9 or a range like 203.0.113.0/24"}
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	t.Key, t.Last = ranged(p)
	return nil
}

// ranged returns the first and last address of p, as keys.
func ranged(p netip.Prefix) (first, last []byte) {
	a := p.Addr().As16()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	b := a
	for i := bits; i < 128; i++ {
		a[i/8] &^= 0x80 >> (i % 8)
		b[i/8] |= 0x80 >> (i % 8)
	}
	return a[:], b[:]
}

// completeMember fills in what is of Metadata only.
func (t *Term) completeMember() {
	t.member = "metadata." + t.Name
	// Inside JSON a control character is written as \n or \u0001: other words.
	if !strings.ContainsFunc(t.Value, func(r rune) bool { return r < ' ' }) {
		t.Words = wordsOf(t.Key)
	}
}

// completeText fills in what is of Text only.
func (t *Term) completeText() *Error {
	if t.Substring != nil {
		t.Key, t.Substring = nil, AppendLower(nil, t.Key)
		return nil
	}
	t.Words = wordsOf(t.Key)
	if len(t.Words) == 0 {
		return &Error{
			Expected: "a letter or digit in text to search for",
			Hint:     "*text* finds any characters; so do actor:, project: and the other qualifiers",
		}
	}
	t.back = retry(t.Words)
	if t.Prefix {
		if last, _ := utf8.DecodeLastRuneInString(t.Value); !isWordRune(last) {
			return &Error{Expected: "a letter or digit before the *, which stands for the rest of a word"}
		}
		t.Key = nil
		return nil
	}
	t.project = projectKey(t.Key)
	if a, err := netip.ParseAddr(t.Value); err == nil && a.Zone() == "" {
		address := a.As16()
		t.address = address[:]
	}
	return nil
}

// wordsOf returns the words of text.
func wordsOf(text []byte) [][]byte {
	var words [][]byte
	Words(text, func(word []byte) { words = append(words, bytes.Clone(word)) })
	return words
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
