package query_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// TestMonotone checks what is left of queries of which some terms are about what
// may be taken away. What is left and should not be keeps events from people who
// may see them, and tells them what they may not.
func TestMonotone(t *testing.T) {
	hidden := func(t *query.Term) bool { return t.Kind == query.Text || t.Kind == query.IP }
	for text, want := range map[string]string{
		"":                               "",
		"alice":                          "alice",
		"alice -bob":                     "alice",
		"-alice":                         "",
		"-actor:alice":                   "-actor:alice",
		"-(actor:alice bob)":             "",
		"-(actor:alice OR bob)":          "-actor:alice",
		"-(-bob)":                        "bob",
		"-(-actor:alice bob)":            "",
		"-(-actor:alice OR bob)":         "actor:alice",
		"-(-(actor:a tag:b) OR bob) c":   "actor:a tag:b c",
		"(alice OR -bob) tag:x":          "tag:x",
		"(alice OR -actor:bob) tag:x":    "(alice OR -actor:bob) tag:x",
		"(alice OR (tag:x -bob)) tag:y":  "(alice OR tag:x) tag:y",
		"(tag:x (actor:a -ip:::1)) -bob": "tag:x actor:a",
		"tag:z OR (-bob (tag:x OR a))":   "tag:z OR tag:x OR a",
		"-ip:::/0 -ip:203.0.113.9":       "",
		"-(-(-ip:::1))":                  "",
	} {
		q := parse(t, text)
		before := q.String()
		rest := q.Monotone(hidden)
		if got := rest.String(); got != want || shape(rest.Root) != shape(parse(t, want).Root) {
			t.Errorf("%q without what may be taken away is %q (%s), want %q", text, got, shape(rest.Root), want)
		}
		if q.String() != before {
			t.Errorf("%q has become %q", before, q)
		}
	}
}

// drawParsed draws a query of which often a part matches published.
func drawParsed(t *rapid.T) *query.Query {
	var node func(depth int) string
	node = func(depth int) string {
		if depth == 0 || rapid.IntRange(0, 2).Draw(t, "leaf") == 0 {
			return rapid.OneOf(rapid.SampledFrom(finds[2:]), rapid.SampledFrom(misses)).Draw(t, "term")
		}
		n := rapid.IntRange(1, 3).Draw(t, "operands")
		parts := make([]string, n)
		for i := range parts {
			parts[i] = rapid.SampledFrom([]string{"", "-"}).Draw(t, "negated") + "(" + node(depth-1) + ")"
		}
		return strings.Join(parts, rapid.SampledFrom([]string{" ", " OR "}).Draw(t, "joint"))
	}
	q, err := query.Parse(node(3), now)
	if err != nil {
		t.Skip(err)
	}
	return q
}

// fieldsFor says for each kind which fields terms of it compare; of those not
// named here, any.
var fieldsFor = map[query.Kind][]string{
	query.Tag: {"tag"}, query.Class: {"tag"}, query.Severity: {"tag"}, query.Outcome: {"outcome"}, query.Actor: {"actor."},
	query.OnBehalfOf: {"on_behalf_of."}, query.User: {"actor.", "on_behalf_of.", "subjects."}, query.Project: {"subjects."}, query.Org: {"subjects."},
	query.IP: {"context.ip"}, query.Country: {"context.ip"}, query.Client: {"context.user_agent"}, query.Token: {"credential.id", "subjects."},
	query.Version: {"subjects."}, query.Request: {"context.request_id", "context.trace_id"}, query.Source: {"source"}, query.Trust: {"trust"},
	query.Metadata: {"metadata."}, query.After: {"time"}, query.Before: {"time"}, query.Text: {""},
}

// TestMonotoneFindsAll checks that whatever part of an event a query matches, the
// whole event is found by what is left of the query.
func TestMonotoneFindsAll(t *testing.T) {
	whole := fieldsOf(t, published)
	matched, stayed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		q := drawParsed(t)
		var taken []string
		part := slices.DeleteFunc(slices.Clone(whole), func(f event.Field) bool {
			if rapid.IntRange(0, 2).Draw(t, f.Name) > 0 {
				return false
			}
			taken = append(taken, f.Name)
			return true
		})
		rest := q.Monotone(func(term *query.Term) bool {
			return slices.ContainsFunc(taken, func(name string) bool {
				return slices.ContainsFunc(fieldsFor[term.Kind], func(prefix string) bool { return strings.HasPrefix(name, prefix) })
			})
		})
		if rest.String() != "" {
			stayed++
		}
		if !q.Match(part, derive) {
			return
		}
		matched++
		if !rest.Match(whole, derive) {
			t.Fatalf("%q matches the event without %s, but %q does not match all of it", q, taken, rest)
		}
		again, err := query.Parse(rest.String(), now)
		if err != nil || shape(again.Root) != shape(rest.Root) {
			t.Fatalf("%q leaves %s, which is read as %v, %v", q, shape(rest.Root), again, err)
		}
	})
	if matched == 0 || stayed == 0 {
		t.Errorf("%d parts matched, of %d queries something was left: nothing is tested", matched, stayed)
	}
}

// TestGiven checks that a query of which some terms are known matches as the
// whole of it does.
func TestGiven(t *testing.T) {
	whole := fieldsOf(t, published)
	rapid.Check(t, func(t *rapid.T) {
		q := drawParsed(t)
		known := rapid.SliceOfN(rapid.Bool(), query.Kinds+4, query.Kinds+4).Draw(t, "known")
		rest, possible := q.Given(func(term *query.Term) (holds, yes bool) {
			return (&query.Query{Root: term}).Match(whole, derive), known[term.Kind]
		})
		if want := q.Match(whole, derive); want != (possible && rest.Match(whole, derive)) {
			t.Fatalf("%q matches = %t, but %q of it is left, possible = %t", q, want, rest, possible)
		}
		if rest.Touches(func(term *query.Term) bool { return known[term.Kind] }) {
			t.Fatalf("%q of %q still asks what is known", rest, q)
		}
	})
}

// TestTouches checks that no term is overlooked, however deep it is.
func TestTouches(t *testing.T) {
	isIP := func(t *query.Term) bool { return t.Kind == query.IP }
	for text, want := range map[string]bool{
		"": false, "alice": false, "ip:::1": true, "-ip:::1": true, "alice (bob OR -(tag:x ip:::1))": true, "alice (bob OR -(tag:x actor:y))": false,
	} {
		if got := parse(t, text).Touches(isIP); got != want {
			t.Errorf("%q asks for an address = %t, want %t", text, got, want)
		}
	}
}
