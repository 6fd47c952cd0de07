package store

import (
	"context"
	"fmt"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
)

// An Erasure says what to erase.
type Erasure struct {
	// Query finds the events that may be touched.
	Query *query.Query

	// Fields returns which fields of an event are to go, all of them personal.
	Fields func(record *event.Record) []int

	// Touched is told of each event that loses fields, before it does.
	Touched func(seq journal.Seq, record *event.Record, fields []int)

	// Kept is told of each event that would, but is held.
	Kept func(seq journal.Seq, record *event.Record)

	// Progress, if not nil, is told how many of how many segments are done.
	Progress func(done, all int)

	// DryRun makes nothing change.
	DryRun bool
}

// An Erased is what an erasure did.
type Erased struct {
	Events   int64 `json:"events"`   // that lost fields
	Fields   int64 `json:"fields"`   // that are gone
	Held     int64 `json:"held"`     // events that were kept by holds
	Segments int   `json:"segments"` // that were rewritten
}

// Erase takes fields out of all events there are when it is called. First all
// of them are sealed and the journal drops them, so that what is rewritten are
// segments only. It can be called again after a power cut, and then does what
// is left.
func (s *Store) Erase(ctx context.Context, e Erasure) (sum Erased, err error) {
	if !e.DryRun {
		end, err := s.Seal(ctx)
		if err != nil {
			return sum, err
		}
		if err := s.awaitSigned(ctx, end); err != nil {
			return sum, err
		}
		if err := s.drop(ctx); err != nil {
			return sum, err
		}
	}
	s.change.Lock()
	defer s.change.Unlock()
	list := s.current()
	for i, h := range list {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		if err := s.eraseIn(h, &e, &sum); err != nil {
			return sum, err
		}
		if e.Progress != nil {
			e.Progress(i+1, len(list))
		}
	}
	return sum, nil
}

// awaitSigned waits until a checkpoint covers all records before end, so that the
// journal can let go of them.
func (s *Store) awaitSigned(ctx context.Context, end journal.Seq) error {
	for s.parts.Signed != nil && s.parts.Signed() < end {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// eraseIn rewrites one segment, if an event of it is touched.
func (s *Store) eraseIn(h *handle, e *Erasure, sum *Erased) error {
	if !h.HasSide() || h.Skeleton {
		return nil
	}
	touched, err := s.touched(h, e, sum)
	if err != nil || len(touched) == 0 || e.DryRun {
		return err
	}
	t := segment.NewTable(s.OpenKey())
	var erased event.Record
	err = s.each(h, func(seq int64, record *event.Record) error {
		fields, ok := touched[seq]
		if !ok {
			return t.Add(seq, record)
		}
		gone := make(map[int]bool, len(fields))
		for _, i := range fields {
			gone[i] = true
		}
		committed, err := s.committed(journal.Seq(seq), 1)
		if err != nil {
			return err
		}
		record.Commitment = committed[0]
		body, err := event.Erase(record.AppendBody(nil), func(i int, _ *event.StoredField) bool { return gone[i] })
		if err != nil {
			return fmt.Errorf("store: record %d: %w", seq, err)
		}
		if err := erased.Decode(body); err != nil {
			return fmt.Errorf("store: record %d: %w", seq, err)
		}
		return t.Add(seq, &erased)
	})
	if err != nil {
		return err
	}
	w, err := s.write(h.Family, t)
	if err != nil {
		return err
	}
	sum.Segments++
	return s.replace([]*handle{h}, []written{w}, nil, nil)
}

// touched returns the fields to erase, by position.
func (s *Store) touched(h *handle, e *Erasure, sum *Erased) (map[int64][]int, error) {
	r := segment.Request{Query: e.Query, Derive: s.cfg.Derive}
	r.After, r.Before = e.Query.Span()
	x, err := h.Reader().Select(r)
	if err != nil {
		return nil, err
	}
	held := s.held()
	touched := make(map[int64][]int)
	var inner error
	err = x.Each(func(row uint32) bool {
		record := new(event.Record)
		seq, err := x.Record(row, record)
		if err != nil {
			inner = err
			return false
		}
		fields := e.Fields(record)
		if len(fields) == 0 {
			return true
		}
		if held != nil && held(record.Open()) {
			sum.Held++
			if e.Kept != nil {
				e.Kept(journal.Seq(seq), record)
			}
			return true
		}
		if e.Touched != nil {
			e.Touched(journal.Seq(seq), record, fields)
		}
		touched[seq] = fields
		sum.Events++
		sum.Fields += int64(len(fields))
		return true
	})
	if err == nil {
		err = inner
	}
	return touched, err
}
