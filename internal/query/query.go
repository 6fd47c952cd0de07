// Package query is the language in which people ask the log for events.
//
// A query is words separated by spaces; an event matches if all of them hold:
//
//	tag:project:release:add   the tag; a * at the end stands for any rest
//	actor:alice               the actor's id or name
//	project:demo              a project, or a version or file of it, by name or package URL
//	ip:203.0.113.0/24         the address, or a range of them
//	token:ID                  a token, by id: used as a credential, or made, changed, revoked
//	source:NAME               the program that submitted the event
//	outcome:denied            success, failure, denied or unknown
//	after:2026-03-01          that time or later: a day, a time with zone, or -7d, -12h, -30m, -45s, -2w
//	before:2026-03-01         earlier than that
//	"two words" or word       text anywhere in the event, in any case
//
// Values that hold spaces are quoted: project:"my project". In quotes, \" and
// \\ stand for " and \. What is compared with names and ids is exact.
//
// # Promises
//
//   - A text is read in one way or refused with an [*Error] that names the
//     column and what was expected there. Words that a later version will give
//     a meaning (OR, -word, parentheses) are refused, not searched for.
//   - Parsing and matching end, in time proportional to what they are given.
//   - Parsing what [Query.String] returns gives the same query.
package query

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"github.com/custody-log/custody/event"
)

// Limits of one query.
const (
	MaxBytes = 4 << 10 // 4 KiB, the text
	MaxTerms = 64
)

// A Kind says what a term compares.
type Kind uint8

// The kinds of terms. Those up to Outcome compare with the keys of an event,
// see [Keys].
const (
	Tag Kind = iota
	Actor
	Project
	IP
	Token
	Source
	Outcome
	After
	Before
	Text
)

// Kinds is the number of kinds of keys: Tag to Outcome.
const Kinds = int(Outcome) + 1

// kindNames[k] is what stands before the colon.
var kindNames = [...]string{"tag", "actor", "project", "ip", "token", "source", "outcome", "after", "before", "text"}

// String returns the word that stands before the colon in a query.
func (k Kind) String() string { return kindNames[k] }

// A Node is a part of a query: [All] or [Term].
type Node interface {
	fmt.Stringer
	match(*subject) bool
}

// All holds if each of its nodes holds.
type All []Node

// A Term holds if one thing about an event holds.
type Term struct {
	Kind  Kind
	Value string // as written, without quotes

	// Key is what a key of the event must equal or, if Prefix is set, begin
	// with; of an address, it is the first of the range up to Last.
	Key    []byte
	Prefix bool
	Last   []byte // of IP only, 16 bytes as Key

	Micros int64 // of After and Before: microseconds since 1970
	folded []byte
}

// A Query is a parsed query. It may be used concurrently.
type Query struct {
	All All
}

// And returns a query that holds if q and all of terms hold.
func (q *Query) And(terms ...*Term) *Query {
	all := append(All(nil), q.All...)
	for _, t := range terms {
		all = append(all, t)
	}
	return &Query{All: all}
}

// Terms returns the terms that must all hold.
func (q *Query) Terms() []*Term { return q.All.terms(nil) }

func (a All) terms(list []*Term) []*Term {
	for _, n := range a {
		switch n := n.(type) {
		case *Term:
			list = append(list, n)
		case All:
			list = n.terms(list)
		}
	}
	return list
}

// String returns the query as text.
func (q *Query) String() string { return q.All.String() }

// String returns the nodes as text.
func (a All) String() string {
	var b strings.Builder
	for i, n := range a {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(n.String())
	}
	return b.String()
}

// String returns the term as text.
func (t *Term) String() string {
	if t.Kind == Text {
		return quote(t.Value, true)
	}
	return t.Kind.String() + ":" + quote(t.Value, false)
}

// A subject is an event that is being matched.
type subject struct {
	fields event.Fields
	keys   Keys
}

// Match reports whether an event with the given fields matches q.
func (q *Query) Match(fields event.Fields) bool {
	if len(q.All) == 0 {
		return true
	}
	s := subject{fields: fields}
	for i := range fields {
		s.keys.Add(&fields[i])
	}
	s.keys.End()
	return q.All.match(&s)
}

func (a All) match(s *subject) bool {
	for _, n := range a {
		if !n.match(s) {
			return false
		}
	}
	return true
}

func (t *Term) match(s *subject) bool {
	switch t.Kind {
	case After, Before:
		at, ok := s.fields.Get("time")
		return ok && t.Holds(at.Time().UnixMicro())
	case Text:
		return t.inText(s.fields)
	case Tag, Actor, Project, IP, Token, Source, Outcome:
	}
	for _, k := range s.keys.List {
		if k.Kind == t.Kind && t.Matches(k.Value) {
			return true
		}
	}
	return false
}

// Matches reports whether t holds for an event that has the given key of t's
// kind.
func (t *Term) Matches(key []byte) bool {
	switch {
	case t.Last != nil:
		return bytes.Compare(key, t.Key) >= 0 && bytes.Compare(key, t.Last) <= 0
	case t.Prefix:
		return bytes.HasPrefix(key, t.Key)
	}
	return bytes.Equal(key, t.Key)
}

// Holds reports whether t, of kind After or Before, holds for an event of that
// time, in microseconds since 1970.
func (t *Term) Holds(micros int64) bool {
	if t.Kind == After {
		return micros >= t.Micros
	}
	return micros < t.Micros
}

// Single reports whether t compares with exactly one key.
func (t *Term) Single() bool {
	return !t.Prefix && (t.Last == nil || bytes.Equal(t.Key, t.Last))
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
