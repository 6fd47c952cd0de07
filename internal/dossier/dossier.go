// Package dossier answers what the page about one thing has to say: a project, a
// person, a token, an organization, a network, the log itself.
//
// # Promises
//
//   - All that a dossier says of events is made of what a [Room] gives its reader.
//     It has no other way to them, so it knows nothing that the reader may not.
//   - What stands in a dossier names the event that it was taken from.
//   - A dossier is bounded, in events and in time. Where that left something out it
//     says so, and where to go on: see [Extent].
//   - Who asks for what is not there, and who asks for what they may not see, get
//     the same answer.
package dossier

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
)

// Limits of one dossier.
const (
	PageEvents = 50              // of a history
	ListEvents = 1000            // that a list is made of
	FoldEvents = 5000            // that roles are made of
	Budget     = 2 * time.Second // that all its searches may take together

	countBudget   = 300 * time.Millisecond // of one count: a part of what is there is told at once
	leastBudget   = 50 * time.Millisecond  // of one search, also when the others took all the time
	resolveEvents = 20                     // in which the thing itself is looked for
)

// What a dossier answers in place of itself.
var (
	// ErrNone means that there is nothing that the reader may see.
	ErrNone = reading.ErrNone

	// ErrNotAllowed means that nobody like the reader sees such a page, whatever
	// it is about.
	ErrNotAllowed = errors.New("dossier: not for this reader")

	// ErrMasked means that the page is about what is masked for the reader, who
	// is staff: they are to give a reason, see [reading.Room.Reveal].
	ErrMasked = errors.New("dossier: masked; hint: it is shown to staff who give a reason")

	// ErrCursor means that [Options.After] is no cursor.
	ErrCursor = store.ErrCursor
)

// none returns what to say when nothing was found: that there is nothing, unless
// the time was up before that was known.
func none(e *Extent) error {
	if e.Late {
		return context.DeadlineExceeded
	}
	return ErrNone
}

// A Room gives events as a reader may see them. It is a [reading.Room].
type Room interface {
	Search(ctx context.Context, r *reader.Reader, q reading.Request) (*reading.Answer, error)
	Count(ctx context.Context, r *reader.Reader, q store.CountRequest) (*store.Count, error)
}

// Options say more than what a dossier is about. The zero value is fine.
type Options struct {
	At    time.Time // the past moment to look at; zero: none
	Day   bool      // At is any moment of a day, UTC: who had a role at some moment of it
	After string    // cursor from which the history goes on, as [Extent].Next has it

	// Country tells the country of an address that is shown, as [query.Derive]
	// does; nil: not known.
	Country func(address [16]byte) string
}

// end returns the last moment that counts for At.
func (o *Options) end() time.Time {
	if !o.Day {
		return o.At
	}
	year, month, day := o.At.UTC().Date()
	return time.Date(year, month, day+1, 0, 0, 0, -1000, time.UTC)
}

// An Extent says what a part of a dossier was made of.
type Extent struct {
	Size   int         // events that it was made of
	Query  string      // that finds them; "" if no query does
	Next   string      // cursor of that search from where older events were left out; "" if none were
	Oldest time.Time   // of the events, if older ones were left out
	Late   bool        // the time was up, and some were not looked at
	Behind journal.Seq // events at the end of the log that were not searched yet
}

// Cut reports whether older events were left out.
func (x *Extent) Cut() bool { return x.Next != "" }

// Notes returns what a reader should know of x, a sentence each.
func (x *Extent) Notes() []Note {
	var list []Note
	if x.Late {
		list = append(list, LateNote())
	}
	if x.Cut() {
		list = append(list, CutNote(x.Size, x.Oldest))
	}
	if x.Behind > 0 {
		list = append(list, BehindNote(int64(x.Behind)))
	}
	return list
}

// A Page is a part of a history, the newest events first.
type Page struct {
	Extent

	Events []*reading.Shown
}

// An asker asks a room for one dossier.
type asker struct {
	room     Room
	reader   *reader.Reader
	deadline time.Time
	country  func(address [16]byte) string
}

func newAsker(room Room, r *reader.Reader, o *Options) *asker {
	return &asker{room: room, reader: r, deadline: time.Now().Add(Budget), country: o.Country}
}

// budget returns what the next search may take.
func (a *asker) budget() time.Duration { return max(leastBudget, time.Until(a.deadline)) }

// search returns the newest events that match, at most limit, of which there may
// be more than one answer of the room has.
func (a *asker) search(ctx context.Context, q *query.Query, limit int, after *store.Cursor) (*Page, error) {
	p := &Page{Extent: Extent{Query: q.String()}}
	for {
		n := min(limit-len(p.Events), store.MaxFound)
		answer, err := a.room.Search(ctx, a.reader, reading.Request{Query: q, After: after, Limit: n, Budget: a.budget()})
		if err != nil {
			return nil, plain(err)
		}
		p.Events = append(p.Events, answer.Events...)
		p.Behind = max(p.Behind, answer.Behind)
		p.Late = !answer.Complete
		after = answer.Next
		if after == nil || p.Late || len(p.Events) >= limit {
			break
		}
	}
	p.Size = len(p.Events)
	if after != nil {
		p.Next = after.String()
		if len(p.Events) > 0 {
			p.Oldest = p.Events[len(p.Events)-1].Time()
		}
	}
	return p, nil
}

// oldest returns the oldest events that match, at most limit.
func (a *asker) oldest(ctx context.Context, q *query.Query, limit int) ([]*reading.Shown, error) {
	answer, err := a.room.Search(ctx, a.reader, reading.Request{Query: q, Oldest: true, Limit: limit, Budget: a.budget()})
	if err != nil {
		return nil, plain(err)
	}
	return answer.Events, nil
}

// count counts the events that match, and the most frequent values of fields.
func (a *asker) count(ctx context.Context, q *query.Query, values int, fields ...string) (*tally, error) {
	c, err := a.room.Count(ctx, a.reader, store.CountRequest{Query: q, Fields: fields, Values: values, Budget: min(countBudget, a.budget())})
	if err != nil {
		return nil, plain(err)
	}
	return &tally{c.Events, c.Complete, c.Fields}, nil
}

// plain returns err, or in its place the error of this package that says it.
func plain(err error) error {
	if errors.Is(err, reading.ErrScope) {
		return ErrNotAllowed
	}
	return err
}

// history returns a page of what matches.
func (a *asker) history(ctx context.Context, q *query.Query, o *Options) (*Page, error) {
	var after *store.Cursor
	if o.After != "" {
		var err error
		if after, err = store.ParseCursor(o.After); err != nil {
			return nil, err
		}
	}
	return a.search(ctx, q, PageEvents, after)
}

// A tally is how many events match, and how many have each of the values of some
// fields.
type tally struct {
	events   int64
	complete bool
	values   map[string][]store.ValueCount // by field
}

// of returns what t says of one field.
func (t *tally) of(field string) *Tally {
	return &Tally{Events: t.events, Complete: t.complete, Values: t.values[field]}
}

// A Tally is how many events there are, and how many have each of the values of
// one field. An incomplete one is of a part: there are at least as many.
type Tally struct {
	Events   int64
	Complete bool
	Values   []store.ValueCount // the most frequent first
}

// kept keeps of p the events for which keep holds.
func (p *Page) kept(keep func(e *reading.Shown) bool) *Page {
	p.Events = slices.DeleteFunc(p.Events, func(e *reading.Shown) bool { return !keep(e) })
	return p
}

// done reports whether what e says was done, and whether even that is not sure.
func done(e *reading.Shown) (yes, unsure bool) {
	switch event.Outcome(e.Fields.Text("outcome")) {
	case "", event.Success:
		return true, false
	case event.Unknown:
		return true, true
	case event.Failure, event.Denied:
	}
	return false, false
}
