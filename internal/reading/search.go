package reading

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/store"
)

// How far a search goes whose time is up. So many candidates are looked at in any
// case, unless even that takes too long: who cannot make a search end where they
// like learns nothing from where it ends.
const (
	leastLooked = 1 << 12
	patience    = 50 * time.Millisecond
)

// leastPage is how many candidates the store is asked for at a time at least.
const leastPage = 64

// Search returns events that match and that r may see, one page of them. It
// panics if q.Limit is out of range.
func (m *Room) Search(ctx context.Context, r *reader.Reader, q Request) (*Answer, error) {
	if q.Limit < 1 || q.Limit > store.MaxFound {
		panic(fmt.Sprintf("reading: limit of %d events, want 1 to %d", q.Limit, store.MaxFound))
	}
	if q.Budget <= 0 {
		q.Budget = store.DefaultBudget
	}
	if seqs, rest, ok := m.named(r, q.Query); ok {
		return m.searchNamed(ctx, r, q, seqs, rest)
	}
	p, err := m.plan(r, q.Query)
	if err != nil {
		return nil, err
	}
	var a *Answer
	if p.match == nil {
		a, err = m.searchAll(ctx, r, p, q)
	} else {
		a, err = m.sift(ctx, r, p, q)
	}
	if err != nil {
		return nil, err
	}
	m.setBehind(a)
	return a, nil
}

func (m *Room) setBehind(a *Answer) { a.Behind = max(0, m.Journal.Size()-a.Taken) }

// searchAll answers who sees all that is asked about: as the store does.
func (m *Room) searchAll(ctx context.Context, r *reader.Reader, p *plan, q Request) (*Answer, error) {
	found, err := m.Store.Search(ctx, store.Request{Query: p.query, Oldest: q.Oldest, After: q.After, Limit: q.Limit, Budget: q.Budget})
	if err != nil {
		return nil, err
	}
	a := &Answer{Events: make([]*Shown, 0, len(found.Found)), Next: found.Next, Complete: found.Complete, Looked: found.Looked, Taken: found.Taken}
	for _, f := range found.Found {
		if e, ok := m.disclose(r, f.Seq, f.Record); ok {
			a.Events = append(a.Events, e)
		}
	}
	return a, nil
}

// A sieve is a search on its way, for a reader who does not see everything.
type sieve struct {
	room   *Room
	reader *reader.Reader
	plan   *plan
	Request

	answer *Answer
	after  *store.Cursor // where the store goes on
	seen   *store.Cursor // after the last event of which the reader sees anything, or if that may be due to what is masked, that matched
	full   bool
}

// sift answers who does not: it looks at what the store finds for the plan one by
// one.
func (m *Room) sift(ctx context.Context, r *reader.Reader, p *plan, q Request) (*Answer, error) {
	s := &sieve{room: m, reader: r, plan: p, Request: q, answer: &Answer{Complete: true}, after: q.After}
	end := time.Now().Add(q.Budget)
	page := min(max(2*q.Limit, leastPage), store.MaxFound)
	for looked := 0; ; page = min(2*page, store.MaxFound) {
		left := max(time.Until(end), patience)
		found, err := m.Store.Search(ctx, store.Request{Query: p.query, Oldest: q.Oldest, After: s.after, Limit: page, Budget: left})
		if err != nil {
			return nil, err
		}
		if looked == 0 {
			s.answer.Taken = found.Taken
		}
		looked += len(found.Found)
		s.take(found)
		switch late := time.Since(end); {
		case s.full || found.Next == nil:
			s.answer.Looked = len(s.answer.Events)
			return s.answer, nil
		case late > patience || late > 0 && looked >= leastLooked && !p.hidden:
			s.answer.Looked = len(s.answer.Events)
			s.answer.Complete, s.answer.Next = false, s.cut()
			return s.answer, nil
		}
	}
}

// take takes in what the store found.
func (s *sieve) take(found *store.Answer) {
	a := s.answer
	for _, f := range found.Found {
		e, ok := s.room.see(s.reader, f.Seq, f.Record)
		if !ok {
			continue
		}
		matches := s.plan.matches(e, s.room.Store.Derive())
		if matches || !s.plan.hidden {
			s.seen = store.CursorAfter(e.Time(), e.Seq, s.Oldest)
		}
		if !matches {
			continue
		}
		if len(a.Events) == s.Limit {
			last := a.Events[s.Limit-1]
			a.Next, s.full = store.CursorAfter(last.Time(), last.Seq, s.Oldest), true
			return
		}
		s.room.tell(e)
		a.Events = append(a.Events, e)
	}
	s.after = found.Next
}

// cut returns where to go on after the time was up. For who does not work for the
// registry that is an event of which they see something, so that it tells nothing
// about the others. Where what is masked decides what is looked at, it is the last
// event that they were given, and without one they have to ask for less.
func (s *sieve) cut() *store.Cursor {
	if s.plan.hidden || s.seen != nil && !s.reader.IsStaff() {
		return s.seen
	}
	return s.after
}

// errLate ends a walk whose time is up.
var errLate = errors.New("reading: the time is up")

// each calls yield with all events that match and that r may see, in some order,
// until the budget is used up. They have no sentence, and are valid until yield
// returns.
func (m *Room) each(ctx context.Context, r *reader.Reader, p *plan, budget time.Duration, yield func(*Shown)) (taken journal.Seq, complete bool, err error) {
	end, looked := time.Now().Add(budget), 0
	inside, cancel := context.WithDeadline(ctx, end.Add(patience))
	defer cancel()
	err = m.Store.Walk(inside, store.Request{Query: p.query, Limit: store.MaxFound}, func(found *store.Answer) error {
		taken = found.Taken
		for _, f := range found.Found {
			if e, ok := m.see(r, f.Seq, f.Record); ok && p.matches(e, m.Store.Derive()) {
				yield(e)
			}
		}
		looked += len(found.Found)
		if found.Next != nil && looked >= leastLooked && !p.hidden && time.Now().After(end) {
			return errLate
		}
		return nil
	})
	switch {
	case err == nil:
		return taken, true, nil
	case errors.Is(err, errLate), ctx.Err() == nil && inside.Err() != nil && errors.Is(err, context.DeadlineExceeded):
		return taken, false, nil
	}
	return 0, false, err
}
