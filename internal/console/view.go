package console

import (
	"net/url"
	"strconv"
	"time"

	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// A view is what a search is asked, as its address says it.
type view struct {
	Text   string // the query as written
	After  string // "" or the beginning of the time looked at
	Before string // "" or its end
	Oldest bool   // oldest first
	Cursor string // "" or where to go on
	All    bool   // count until all is counted

	now    time.Time
	query  *query.Query // Text alone
	whole  *query.Query // with After and Before
	cursor *store.Cursor
}

// viewOf reads the view that an address asks for, or a form. If the query cannot
// be understood the error is a [*query.Error], and the rest of the view is there.
func viewOf(values url.Values) (*view, error) {
	s := &view{
		Text: values.Get("q"), After: values.Get("after"), Before: values.Get("before"),
		Oldest: values.Get("order") == "oldest", Cursor: values.Get("cursor"), All: values.Get("count") == "all",
		now: time.Now(),
	}
	if order := values.Get("order"); order != "" && order != "newest" && order != "oldest" {
		return s, badRequest("The order is newest or oldest.")
	}
	var err error
	if s.query, err = query.Parse(s.Text, s.now); err != nil {
		return s, err
	}
	s.whole = s.query
	for _, bound := range []struct {
		kind query.Kind
		text string
	}{{query.After, s.After}, {query.Before, s.Before}} {
		if bound.text == "" {
			continue
		}
		t, err := query.NewTerm(bound.kind, bound.text, s.now)
		if err != nil {
			return s, badRequest("The address asks for events " + bound.kind.String() + " what is no time; a time is 2026-03-31, 2026-03-31T00:21:00Z or -7d.")
		}
		s.whole = s.whole.And(t)
	}
	if s.Cursor != "" {
		if s.cursor, err = store.ParseCursor(s.Cursor); err != nil {
			return s, err
		}
	}
	return s, nil
}

// values returns the view as parameters of an address.
func (s *view) values() url.Values {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("q", s.Text)
	set("after", s.After)
	set("before", s.Before)
	set("cursor", s.Cursor)
	if s.Oldest {
		values.Set("order", "oldest")
	}
	if s.All {
		values.Set("count", "all")
	}
	return values
}

// at returns the address of the view below path.
func (s *view) at(path string) string {
	values := s.values()
	if len(values) == 0 {
		return path
	}
	return path + "?" + encoded(values)
}

// URL returns the address of the view.
func (s *view) URL() string { return s.at("/search") }

// first returns the beginning of the view, with another query.
func (s *view) first(text string) *view {
	other := *s
	other.Text, other.Cursor, other.All = text, "", false
	return &other
}

// within returns the beginning of the view between other times.
func (s *view) within(after, before string) *view {
	other := s.first(s.Text)
	other.After, other.Before = after, before
	return other
}

// turned returns the beginning of the view in the other order.
func (s *view) turned() *view {
	other := s.first(s.Text)
	other.Oldest = !s.Oldest
	return other
}

// from returns the view from a cursor on.
func (s *view) from(c *store.Cursor) *view {
	other := *s
	other.Cursor, other.All = c.String(), false
	return &other
}

// exported returns the address of all that the view shows as a file.
func (s *view) exported(format string) string {
	values := s.first(s.Text).values()
	values.Set("format", format)
	return "/export?" + encoded(values)
}

// followed returns the address from which what the view will show comes, from a
// position on.
func (s *view) followed(from journal.Seq) string {
	values := s.first(s.Text).values()
	values.Set("from", strconv.FormatInt(int64(from), 10))
	return "/tail?" + encoded(values)
}

// about names what the view shows, however it is ordered or cut into pages.
func (s *view) about() string {
	return url.Values{"q": {s.Text}, "after": {s.After}, "before": {s.Before}}.Encode()
}
