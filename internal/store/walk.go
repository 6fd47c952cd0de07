package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/segment"
)

// How far a walk goes before it looks anew at which segments there are. What
// was erased or is past its time is given for so long at most, and the files of
// replaced segments are kept for so long.
const (
	walkRows = 1 << 15
	walkTime = 5 * time.Second
)

// commitGap is how many commitments that nobody asked for are read on the way
// to the next, rather than asking the disk once more.
const commitGap = 64

// CursorAfter returns the cursor that goes on after the event at seq, which
// happened at the given time.
func CursorAfter(at time.Time, seq journal.Seq, oldest bool) *Cursor {
	return &Cursor{oldest, segment.Place{Micros: at.UnixMicro(), Seq: int64(seq)}}
}

// Walk calls yield with all events that match, as the answers that [Store.Search]
// gives one after the other, each with up to r.Limit events. The last has no Next;
// an answer may hold no events and say only how far the walk has come. The records
// are valid until yield returns. It takes as long as it takes, whatever r.Budget says, and ends early with ctx or an
// error of yield. No lock is held while yield runs.
//
// It panics if r.Limit is out of range.
func (s *Store) Walk(ctx context.Context, r Request, yield func(*Answer) error) error {
	if r.Limit < 1 || r.Limit > MaxFound {
		panic(fmt.Sprintf("store: limit of %d events, want 1 to %d", r.Limit, MaxFound))
	}
	next, records := &Cursor{r.Oldest, segment.Newest}, make([]event.Record, r.Limit)
	if r.Oldest {
		next.last = segment.Oldest
	}
	if r.After != nil {
		if r.After.oldest != r.Oldest {
			return ErrCursor
		}
		next = r.After
	}
	r.Budget = walkTime
	for {
		from := next.last
		var err error
		if next, err = s.stretch(ctx, &r, from, records, yield); err != nil || next == nil {
			return err
		}
		if next.last == from { // the time was up before the first event was looked at
			r.Budget *= 2
		} else {
			r.Budget = walkTime
		}
	}
}

// stretch walks on from a place for as long as the segments of this moment may be
// held, and returns where to go on; nil if nothing is left. Records are memory.
func (s *Store) stretch(ctx context.Context, r *Request, from segment.Place, records []event.Record, yield func(*Answer) error) (*Cursor, error) {
	m, err := s.merge(ctx, r.Query, r.Oldest, from, walkRows+1)
	if err != nil {
		return nil, err
	}
	defer m.close()
	m.deadline, m.records = s.now().Add(r.Budget), records
	a := &Answer{Taken: m.taken}
	give := func(next *Cursor) (*Cursor, error) {
		a.Next, a.Complete, a.Looked = next, true, m.looked
		if err := s.commit(a.Found, 1); err != nil {
			return nil, err
		}
		if err := yield(a); err != nil {
			return nil, err
		}
		a, m.looked, m.used = &Answer{Taken: m.taken, Found: a.Found[:0]}, 0, 0
		return next, nil
	}
	for n := 1; ; n++ {
		found, place, ok, err := m.next()
		switch {
		case err != nil:
			return nil, err
		case !ok && m.expired:
			return give(&Cursor{r.Oldest, m.reached()})
		case !ok:
			return give(nil)
		}
		m.used++
		if a.Found = append(a.Found, found); len(a.Found) < r.Limit && n < walkRows {
			continue
		}
		next, err := give(&Cursor{r.Oldest, place})
		if err != nil || n >= walkRows {
			return next, err
		}
	}
}

// blank returns a record for what is looked at. One that does not match is used
// again.
func (m *merging) blank() *event.Record {
	if m.used >= len(m.records) {
		return new(event.Record)
	}
	return &m.records[m.used]
}

// commit sets the commitments of events that segments gave. Of those that stand
// close to each other in the log it reads one stretch; atOnce is how many
// stretches it asks the disk for together.
func (s *Store) commit(found []Found, atOnce int) error {
	var bare []Found
	for _, f := range found {
		if f.Record.Commitment == (event.Commitment{}) {
			bare = append(bare, f)
		}
	}
	slices.SortFunc(bare, func(x, y Found) int { return cmp.Compare(x.Seq, y.Seq) })
	var work errgroup.Group
	work.SetLimit(atOnce)
	for len(bare) > 0 {
		n := 1
		for n < len(bare) && bare[n].Seq-bare[n-1].Seq <= commitGap {
			n++
		}
		some := bare[:n]
		bare = bare[n:]
		if atOnce > 1 {
			work.Go(func() error { return s.commitSome(some) })
		} else if err := s.commitSome(some); err != nil {
			return err
		}
	}
	return work.Wait()
}

func (s *Store) commitSome(some []Found) error {
	first := some[0].Seq
	list, err := s.committed(first, int(some[len(some)-1].Seq-first)+1)
	if err != nil {
		return err
	}
	for _, f := range some {
		f.Record.Commitment = list[f.Seq-first]
	}
	return nil
}
