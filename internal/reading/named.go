package reading

import (
	"cmp"
	"context"
	"slices"

	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/store"
)

// maxNamed bounds the events that a search for a pseudonym looks at.
const maxNamed = 10_000

// IsNamed reports whether q asks for somebody by a pseudonym in a way that no
// index can answer for r. Such an answer has one page, and no cursors.
func (m *Room) IsNamed(r *reader.Reader, q *query.Query) bool {
	_, _, ok := m.named(r, q)
	return ok
}

// named returns, if q asks for somebody by a pseudonym, the events in which it
// stands, and what q asks for besides. Only staff see events of everybody; what
// others have a part in is looked through anyway.
func (m *Room) named(r *reader.Reader, q *query.Query) (seqs []journal.Seq, rest *query.Query, ok bool) {
	if !r.IsStaff() {
		return nil, nil, false
	}
	return m.Keeper.Pseudonym(q)
}

// searchNamed answers a search for a pseudonym: the events in which it stands are
// looked at one by one. An answer that leaves something out is not complete.
func (m *Room) searchNamed(ctx context.Context, r *reader.Reader, q Request, seqs []journal.Seq, rest *query.Query) (*Answer, error) {
	if q.After != nil {
		return nil, ErrNamed
	}
	a := &Answer{Complete: len(seqs) <= maxNamed, Looked: min(len(seqs), maxNamed)}
	var err error
	if a.Events, err = m.namedEvents(ctx, r, seqs[:a.Looked], rest, q.Oldest); err != nil {
		return nil, err
	}
	if len(a.Events) > q.Limit {
		a.Events, a.Complete = a.Events[:q.Limit], false
	}
	a.Taken = m.Journal.Size()
	return a, nil
}

// namedEvents returns, in order of time, those of some events that are there, that
// match and that r may see.
func (m *Room) namedEvents(ctx context.Context, r *reader.Reader, seqs []journal.Seq, rest *query.Query, oldest bool) ([]*Shown, error) {
	events := []*Shown{}
	p := &plan{match: rest, origin: rest.Touches(isOrigin)}
	for _, seq := range seqs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records, err := m.Journal.Read(seq, 1)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			continue
		}
		e, err := m.shown(r, records[0])
		if err != nil {
			return nil, err
		}
		if e != nil && p.matches(e, m.Store.Derive()) {
			events = append(events, e)
		}
	}
	slices.SortFunc(events, func(x, y *Shown) int {
		c := cmp.Or(x.Time().Compare(y.Time()), cmp.Compare(x.Seq, y.Seq))
		if !oldest {
			c = -c
		}
		return c
	})
	return events, nil
}

// countNamed counts the events of a pseudonym.
func (m *Room) countNamed(ctx context.Context, r *reader.Reader, q store.CountRequest, seqs []journal.Seq, rest *query.Query) (*store.Count, error) {
	n := min(len(seqs), maxNamed)
	events, err := m.namedEvents(ctx, r, seqs[:n], rest, true)
	if err != nil {
		return nil, err
	}
	t := newTally(&q, q.Fields)
	for _, e := range events {
		t.add(e, m.Store.Derive())
	}
	return t.count(m.Journal.Size(), n == len(seqs)), nil
}
