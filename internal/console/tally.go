package console

import (
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// What the search page counts by, in the order in which it shows it.
var facetFields = []struct{ field, title string }{
	{"tag", "What happened"},
	{"severity", "Severity"},
	{"outcome", "Outcome"},
	{"actor", "Who did it"},
	{"project", "Project"},
	{"token", "Token"},
	{"ip", "Address"},
	{"country", "Country"},
	{"client", "Client"},
}

// facetValues is how many values of each are shown.
const facetValues = 8

// A facet is one thing by which events can be narrowed.
type facet struct {
	Title  string
	Open   bool // one of its values is in the query
	Values []facetValue
}

// A facetValue is one value and how many events have it.
type facetValue struct {
	Value   string
	Count   int64
	Only    string // the address with only those events; "" if this is what the query says
	Without string // the address without them
	Any     string // the address without what the query says of it; "" if it says nothing
}

// countTime returns how long is counted for a view.
func countTime(v *visit, s *view) time.Duration {
	if s.All && v.SignedIn() {
		return allBudget
	}
	return countBudget
}

// tally fills in how many events match, when, and what they have in common.
func (c *Console) tally(v *visit, s *view, p *searchPage) error {
	r, _ := c.clear(v, s.about())
	req := store.CountRequest{Query: s.whole, Values: facetValues, Interval: store.Automatic, Budget: countTime(v, s)}
	for _, f := range facetFields {
		req.Fields = append(req.Fields, f.field)
	}
	n, err := c.Room.Count(v.Context(), r, req)
	if err != nil {
		return err
	}
	p.Counted = plural(n.Events, "event") + " match."
	if n.Events == 1 {
		p.Counted = "1 event matches."
	}
	if !n.Complete {
		p.Counted = "At least " + plural(n.Events, "event") + " match: these were counted in the time there was."
		if !s.All && v.SignedIn() {
			all := *s
			all.All = true
			p.All = all.URL()
		}
	}
	p.Chart = newChart(n.Buckets, n.Interval, func(after, before string) string { return s.within(after, before).URL() })
	for _, f := range facetFields {
		if one := s.facet(f.title, f.field, n.Fields[f.field]); len(one.Values) > 0 {
			p.Facets = append(p.Facets, one)
		}
	}
	return nil
}

// facet returns the values of a field with the views that they lead to.
func (s *view) facet(title, field string, values []store.ValueCount) facet {
	f := facet{Title: title}
	for _, value := range values {
		if field == "project" && projectOf(&event.Subject{Type: "file", ID: value.Value}) != value.Value {
			continue // the file of a version, whose project is not told by its name
		}
		x := facetValue{Value: value.Value, Count: value.Count}
		if t := term(field, value.Value); t != "" {
			if rest, found := without(s.query, t); found {
				x.Any, f.Open = s.first(rest).URL(), true
			} else {
				x.Only = s.first(also(s.query, t)).URL()
				x.Without = s.first(also(s.query, "-"+t)).URL()
			}
		}
		f.Values = append(f.Values, x)
	}
	return f
}

// also returns the query that holds if q holds and more does.
func also(q *query.Query, more string) string {
	switch root := q.Root.(type) {
	case nil:
		return more
	case query.Or:
		return "(" + root.String() + ") " + more
	}
	return q.String() + " " + more
}

// without returns the query without the term that is written t, if that must hold
// for all of it.
func without(q *query.Query, t string) (rest string, found bool) {
	all, ok := q.Root.(query.And)
	if !ok {
		return "", q.Root != nil && q.Root.String() == t
	}
	var others query.And
	for _, n := range all {
		if n.String() == t {
			found = true
		} else {
			others = append(others, n)
		}
	}
	if len(others) == 1 {
		return others[0].String(), found // an OR needs no parentheses any more
	}
	return others.String(), found
}
