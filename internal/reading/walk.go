package reading

import (
	"context"
	"fmt"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/store"
)

// Walk calls yield with all events that match and that r may see, as the answers
// that [Room.Search] gives one after the other, each with up to q.Limit events. The
// last has no Next. The events are valid until yield returns. It takes as long as
// it takes, whatever q.Budget says, and ends early with ctx or an error of yield.
//
// It panics if q.Limit is out of range.
func (m *Room) Walk(ctx context.Context, r *reader.Reader, q Request, yield func(*Answer) error) error {
	if seqs, rest, ok := m.named(r, q.Query); ok {
		if len(seqs) > maxNamed || q.After != nil {
			return ErrNamed
		}
		events, err := m.namedEvents(ctx, r, seqs, rest, q.Oldest)
		if err != nil {
			return err
		}
		return yield(&Answer{Events: events, Complete: true, Looked: len(seqs), Taken: m.Store.Cursor()})
	}
	p, err := m.plan(r, q.Query)
	if err != nil {
		return err
	}
	asked := store.Request{Query: p.query, Oldest: q.Oldest, After: q.After, Limit: q.Limit}
	return m.Store.Walk(ctx, asked, func(found *store.Answer) error {
		a := &Answer{Next: found.Next, Complete: true, Looked: found.Looked, Taken: found.Taken}
		for _, f := range found.Found {
			if e, ok := m.disclose(r, f.Seq, f.Record); ok && p.matches(e, m.Store.Derive()) {
				a.Events = append(a.Events, e)
			}
		}
		m.setBehind(a)
		if p.match == nil {
			return yield(a)
		}
		a.Looked = len(a.Events)
		switch n := len(a.Events); {
		case found.Next == nil:
		case n == 0:
			return nil // how far the walk has come tells where something hidden is
		default:
			a.Next = store.CursorAfter(a.Events[n-1].Time(), a.Events[n-1].Seq, q.Oldest)
		}
		return yield(a)
	})
}

// Follow returns those of the n records from a position on that match and that r
// may see, and the position after the last record looked at. What RevealDelay
// holds back is not among them, then or later.
func (m *Room) Follow(r *reader.Reader, q *query.Query, from journal.Seq, n int) (events []*Shown, next journal.Seq, err error) {
	p, err := m.plan(r, q)
	if err != nil {
		return nil, from, err
	}
	p.match = q // all there is is looked at
	records, err := m.Journal.Read(from, n)
	if err != nil {
		return nil, from, err
	}
	for _, record := range records {
		e, err := m.shown(r, record)
		if err != nil {
			return nil, from, err
		}
		if e != nil && p.matches(e, m.Store.Derive()) {
			events = append(events, e)
		}
	}
	return events, from + journal.Seq(len(records)), nil
}

// shown returns what r sees of a record, nil if that is nothing.
func (m *Room) shown(r *reader.Reader, stored journal.Record) (*Shown, error) {
	if stored.Body == nil { // dropped by retention
		return nil, nil //nolint:nilnil // no event and no error: there is nothing to see
	}
	record, err := event.DecodeRecord(stored.Body)
	if err != nil {
		return nil, fmt.Errorf("reading: record %d: %w", stored.Seq, err)
	}
	if !m.Store.Show(record) {
		return nil, nil //nolint:nilnil // as above
	}
	e, _ := m.disclose(r, stored.Seq, record)
	return e, nil
}
