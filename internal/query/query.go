// Package query is the language in which people ask the log for events.
//
// Terms side by side must all hold; OR between them, which binds weaker, says
// that one is enough; a - or NOT in front of a term or a parenthesis says that
// it must not hold:
//
//	tag:project:release:* -actor:alice (ip:203.0.113.0/24 OR country:NL) after:-7d
//
// A term is a qualifier with a value, see [Kind], or text: a word, or a phrase
// in quotes. All of it is described in docs/query.md.
//
// # Promises
//
//   - A text is read in one way or refused with an [*Error] that names the
//     column and what was expected there. What looks like the operators of
//     other languages (!word, a | b) is refused, not searched for.
//   - Parsing ends in time proportional to the text, and matching in time
//     proportional to the event for each term.
//   - Parsing what [Query.String] returns gives the same query, and that prints
//     the same.
//   - There is one way to take text apart into words, [Words], one rule which
//     values are searched for them, [IsText], and one list of what an event is
//     found by, [Keys]. Who keeps an index uses these, and answers as
//     [Query.Match] does.
package query

import (
	"fmt"
	"math"
	"slices"
)

// Limits of the text of one query.
const (
	MaxBytes = 4 << 10 // 4 KiB
	MaxTerms = 64
	MaxDepth = 16 // parentheses in one another
)

// A Kind says what a term compares.
type Kind uint8

// The kinds of terms. Those up to Trust compare with the keys of an event, see
// [Keys], but for Class, Severity and Country, which are derived.
const (
	Tag        Kind = iota
	Class           // the first word of the tag
	Outcome         // success, failure, denied or unknown
	Severity        // info, warn, high or critical, see [Derive]
	Actor           // id or name
	OnBehalfOf      // whom the actor acted for: id or name
	User            // any of these two, or a subject of type user: id or name
	Project         // a project, or a version or file of it, see [ProjectKeys]
	Org             // a subject of type org or team: id or name
	IP              // an address, or a range of them
	Token           // id: used as a credential, or what the event is about
	Country         // of the address, see [Derive]
	Client          // the program used, see [ClientOf]
	Version         // of a subject
	Request         // the id of the request or of the trace
	Source          // the program that submitted the event
	Trust           // witnessed or imported
	Metadata        // a member of metadata, called [Term].Name
	After           // that time or later
	Before          // earlier than that
	Text            // words, or a part of a word, anywhere in the event
)

// Kinds is the number of kinds that keys may have: Tag to Trust.
const Kinds = int(Trust) + 1

// kindNames[k] is what stands before the colon.
var kindNames = [...]string{
	"tag", "class", "outcome", "severity", "actor", "on_behalf_of", "user", "project", "org", "ip", "token", "country",
	"client", "version", "request", "source", "trust", "metadata", "after", "before", "text",
}

// String returns the word that stands before the colon in a query.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kindNames[k]
}

// textual reports whether values of kind k may end in * to stand for any rest.
func (k Kind) textual() bool {
	switch k {
	case Tag, Actor, OnBehalfOf, User, Project, Org, Token, Client, Version, Request, Source, Metadata, Text:
		return true
	case Class, Outcome, Severity, IP, Country, Trust, After, Before:
	}
	return false
}

// A Node is a part of a query: [And], [Or], [*Not] or [*Term]. In a parsed
// query an And or Or has two nodes or more, none of them of its own type, and
// there is no Not of a Not.
type Node interface {
	fmt.Stringer
	holds(e *matched) bool
	span() (after, before int64)
}

// And holds if each of its nodes holds.
type And []Node

// Or holds if one of its nodes holds.
type Or []Node

// A Not holds if its node does not.
type Not struct{ Node Node }

// A Term holds if one thing about an event holds.
type Term struct {
	Kind  Kind
	Name  string // of Metadata: the key
	Value string // as written, without quotes and without the * before and after it

	// Key is what a key of the event must equal or, if Prefix is set, begin
	// with. Of IP it is the first address of the range up to Last, of After and
	// Before there is none, of Metadata it is compared with the member's value.
	// Of Text see [Term.KeyOf].
	Key    []byte
	Prefix bool   // of Text: the last of Words is the beginning of a word
	Last   []byte // of IP only, 16 bytes as Key

	Micros int64 // of After and Before: microseconds since 1970

	// Words, as [Words] yields them, stand one after another in a value for
	// which the term holds, the last perhaps longer if Prefix is set. For Text
	// this, or a key, is also enough. Metadata also holds for values that are
	// not [IsText], numbers and Booleans, and for these Words say nothing.
	Words     [][]byte
	Substring []byte // of Text written *so*: what occurs, in lower case; there are no Words then

	back    []int  // of Text: see retry
	project []byte // of Text: Key as one of a project
	address []byte // of Text: Key as one of an address, 16 bytes; nil if it is none
	member  string // of Metadata: the name of the field
}

// A Query is a parsed query. It may be used concurrently.
type Query struct {
	Root Node // nil: every event
}

// And returns a query that holds if q and all of terms hold.
func (q *Query) And(terms ...*Term) *Query {
	var all And
	switch root := q.Root.(type) {
	case nil:
	case And:
		all = slices.Clone(root)
	default:
		all = And{root}
	}
	for _, t := range terms {
		all = append(all, t)
	}
	switch len(all) {
	case 0:
		return &Query{}
	case 1:
		return &Query{Root: all[0]}
	}
	return &Query{Root: all}
}

// Span returns the narrowest times between which all events that match must
// lie: at after or later and earlier than before, in microseconds since 1970.
// They are [math.MinInt64] and [math.MaxInt64] where the query sets no bound;
// what stands under a Not sets none.
func (q *Query) Span() (after, before int64) {
	if q.Root == nil {
		return math.MinInt64, math.MaxInt64
	}
	return q.Root.span()
}

func (a And) span() (after, before int64) {
	after, before = math.MinInt64, math.MaxInt64
	for _, n := range a {
		from, to := n.span()
		after, before = max(after, from), min(before, to)
	}
	return after, before
}

func (o Or) span() (after, before int64) {
	after, before = math.MaxInt64, math.MinInt64
	for _, n := range o {
		from, to := n.span()
		after, before = min(after, from), max(before, to)
	}
	return after, before
}

func (n *Not) span() (after, before int64) { return math.MinInt64, math.MaxInt64 }

func (t *Term) span() (after, before int64) {
	after, before = math.MinInt64, math.MaxInt64
	if t.Kind == After {
		after = t.Micros
	}
	if t.Kind == Before {
		before = t.Micros
	}
	return after, before
}
