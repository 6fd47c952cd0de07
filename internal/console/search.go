package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reading"
)

// Limits of the search page.
const (
	pageEvents  = 50                    // on one page
	countBudget = 70 * time.Millisecond // for facets and histogram, unless all is to be counted
	allBudget   = 20 * time.Second      // if it is
)

// A searchPage is what templates/search.html shows.
type searchPage struct {
	View    *view
	Wrong   *wrong // the query cannot be understood; there is nothing else then
	Refused *state // the visitor may not search for this; there is nothing else then
	Events  []*row
	Chips   []chip // the times and the order that the address asks for

	Next     string // the address of the rest; ""
	Newest   string // the address of the beginning, if this is not it
	Turn     link   // the same in the other order
	Complete bool
	Behind   string // how far, as a sentence; ""
	Empty    string // why there are no events, as a sentence; ""

	Chart   *chart // nil if there is nothing to draw
	Facets  []facet
	Counted string // how many events match, as a sentence
	All     string // the address with all counted, if not all are

	Reveal  *revealing // the form that asks why, or that was answered; nil if nothing is masked
	Exports []link
	Tail    string // the address to follow the log from
	Status  int
}

func (p *searchPage) status() int { return p.Status }

// A wrong says where a query cannot be understood.
type wrong struct {
	Before, After string // the place, between them
	Sentence      string
	Hint          string
}

// A chip is something that narrows the view, with the address of the view without it.
type chip struct{ Text, Without string }

// search answers with the events that match.
func (c *Console) search(v *visit) (any, error) {
	s, err := viewOf(v.URL.Query())
	if e, ok := errors.AsType[*query.Error](err); ok {
		return &searchPage{View: s, Wrong: wrongIn(s.Text, e), Status: http.StatusBadRequest}, nil
	}
	if err != nil {
		return nil, err
	}
	done, err := c.turn(v.Context(), v.SignedIn())
	if err != nil {
		return nil, err
	}
	defer done()
	p := &searchPage{View: s, Status: http.StatusOK, Chips: s.chips(), Turn: link{Title: "Oldest first", Address: s.turned().URL()}}
	if s.Oldest {
		p.Turn.Title = "Newest first"
	}
	if s.Cursor != "" {
		p.Newest = s.first(s.Text).URL()
	}
	err = c.find(v, s, p)
	if errors.Is(err, reading.ErrScope) {
		return &searchPage{View: s, Refused: errScope, Status: errScope.Status}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := c.tally(v, s, p); err != nil {
		return nil, err
	}
	return p, nil
}

// find fills in the events.
func (c *Console) find(v *visit, s *view, p *searchPage) error {
	r, until := c.clear(v, s.about())
	answer, err := c.Room.Search(v.Context(), r, s.request())
	if err != nil {
		return err
	}
	if err := c.saw(v, s.about(), answer.Events); err != nil {
		return err
	}
	p.Events, p.Complete = c.rowsOf(answer.Events), answer.Complete
	if answer.Next != nil {
		p.Next = s.from(answer.Next).URL()
	}
	if answer.Behind > 0 {
		p.Behind = dossier.BehindNote(int64(answer.Behind)).Text
	}
	// What is masked for somebody was not compared with what they ask about it.
	masked := v.Staff() && s.whole.Touches(func(t *query.Term) bool { return !c.Room.Policy.Sees(r, t.Kind, t.Name) })
	if len(p.Events) == 0 && answer.Complete {
		p.Empty = c.emptiness(v, s, masked)
	}
	for _, e := range p.Events {
		masked = masked || e.Masked
	}
	if masked || !until.IsZero() {
		p.Reveal = c.revealing(v, until)
	}
	if v.SignedIn() {
		for _, format := range []struct{ name, title string }{{"ndjson", "NDJSON"}, {"csv", "CSV"}, {"parquet", "Parquet"}} {
			p.Exports = append(p.Exports, link{Title: format.title, Address: s.exported(format.name)})
		}
	}
	if s.Cursor == "" && !s.Oldest && s.Before == "" {
		p.Tail = s.followed(answer.Taken)
	}
	return nil
}

// emptiness says why nothing was found; masked tells that something was asked
// about what the visitor sees with a reason only.
func (c *Console) emptiness(v *visit, s *view, masked bool) string {
	size := c.Journal.Size()
	switch {
	case size == 0:
		return "The log is empty: nothing has been recorded yet."
	case s.Cursor != "":
		return "There are no more events."
	case masked:
		return "No events match in what you see. What is masked was not searched: give a reason to search that, too."
	case v.Staff():
		return "No events match. The search covers all " + plural(size, "event") + "."
	}
	return "No events match among those that you may see. The log has " + plural(size, "event") + "."
}

// wrongIn says where text cannot be understood.
func wrongIn(text string, e *query.Error) *wrong {
	at, column := len(text), 1
	for i := range text {
		if column == e.Column {
			at = i
			break
		}
		column++
	}
	return &wrong{Before: text[:at], After: text[at:], Sentence: "The query cannot be understood: " + wrongAt(e), Hint: capital(e.Hint)}
}

// chips returns what narrows the view beside its query.
func (s *view) chips() []chip {
	var list []chip
	if s.After != "" {
		list = append(list, chip{"from " + s.After, s.within("", s.Before).URL()})
	}
	if s.Before != "" {
		list = append(list, chip{"before " + s.Before, s.within(s.After, "").URL()})
	}
	return list
}

// plural returns how many things there are.
func plural[N integer](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return number(n) + " " + thing + "s"
}
