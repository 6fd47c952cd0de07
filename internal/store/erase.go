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
	// Query finds the events that may be touched; it may find others, too.
	Query *query.Query

	// Seqs, if not nil, is asked in place of Query: it returns, in ascending
	// order, the positions from first to last of the events that may be touched.
	Seqs func(first, last journal.Seq) []journal.Seq

	// Fields returns which fields of an event are to go, all of them personal.
	Fields func(seq journal.Seq, record *event.Record) []int

	// Touched is told of each event that loses fields, before it does.
	Touched func(seq journal.Seq, record *event.Record, fields []int)

	// Before, if not nil, is called when Touched was told of all events of a
	// segment that lose fields, and before any of them does. After an error the
	// segment is as it was.
	Before func() error

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
//
// A dry run looks at what is sealed only.
func (s *Store) Erase(ctx context.Context, e Erasure) (sum Erased, err error) {
	end := s.Sealed()
	if !e.DryRun {
		if end, err = s.clear(ctx); err != nil {
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
		if err := s.eraseIn(h, &e, end, &sum); err != nil {
			return sum, err
		}
		if e.Progress != nil {
			e.Progress(i+1, len(list))
		}
	}
	return sum, nil
}

// clear seals all records there are, and has the journal drop them. It returns
// the position before which all are in segments only.
func (s *Store) clear(ctx context.Context) (end journal.Seq, err error) {
	if end, err = s.Seal(ctx); err != nil {
		return 0, err
	}
	// What arrived after the journal began another file is sealed, and still in
	// that file, which can go only after one more.
	next, err := s.Seal(ctx)
	if err != nil {
		return 0, err
	}
	if err := s.awaitSigned(ctx, next); err != nil {
		return 0, err
	}
	return end, s.drop(ctx)
}

// Generation is a number that grows with each change of the files. It is smaller
// again only when older files were put in their place.
func (s *Store) Generation() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.manifest.NextFile
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

// eraseIn rewrites one segment, if an event of it before end is touched.
func (s *Store) eraseIn(h *handle, e *Erasure, end journal.Seq, sum *Erased) error {
	if h.Side == "" || h.Skeleton {
		return nil
	}
	if h.damaged() {
		return fmt.Errorf("store: nothing was erased in a segment: %w", h.damage.Load())
	}
	t := &touching{erasure: e, end: end, held: s.held(), sum: sum, touched: make(map[int64][]int)}
	if err := t.all(h, s.cfg.Derive); err != nil || len(t.touched) == 0 || e.DryRun {
		return h.noted(err)
	}
	if e.Before != nil {
		if err := e.Before(); err != nil {
			return err
		}
	}
	return s.rewrite(h, t.touched, sum)
}

// rewrite replaces a segment by one without the touched fields, by position.
func (s *Store) rewrite(h *handle, touched map[int64][]int, sum *Erased) error {
	t := segment.NewTable(s.OpenKey())
	var erased event.Record
	err := s.each(h, func(seq int64, record *event.Record) error {
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

// A touching is what an erasure does to one segment.
type touching struct {
	erasure *Erasure
	end     journal.Seq
	held    func(event.Fields) bool
	sum     *Erased
	touched map[int64][]int // fields to erase, by position
}

// all looks at every event of h that may be touched.
func (t *touching) all(h *handle, derive *query.Derive) error {
	if t.erasure.Seqs != nil {
		return t.at(h)
	}
	q := segment.Request{Query: t.erasure.Query, Derive: derive}
	q.After, q.Before = q.Query.Span()
	x, err := h.Reader().Select(q)
	if err != nil {
		return err
	}
	var inner error
	err = x.Each(func(row uint32) bool {
		record := new(event.Record)
		var seq int64
		if seq, inner = x.Record(row, record); inner == nil {
			t.look(journal.Seq(seq), record)
		}
		return inner == nil
	})
	if err == nil {
		err = inner
	}
	return err
}

// at looks at the events of h at the positions that the erasure names.
func (t *touching) at(h *handle) error {
	r := h.Reader()
	for _, seq := range t.erasure.Seqs(journal.Seq(h.FirstSeq), journal.Seq(h.LastSeq)) {
		row, ok, err := r.RowOf(int64(seq))
		if err != nil {
			return err
		}
		if !ok { // in another family, or dropped
			continue
		}
		record := new(event.Record)
		if _, err := r.Record(row, record); err != nil {
			return err
		}
		t.look(seq, record)
	}
	return nil
}

// look decides about one event.
func (t *touching) look(seq journal.Seq, record *event.Record) {
	if seq >= t.end {
		return
	}
	fields := t.erasure.Fields(seq, record)
	if len(fields) == 0 {
		return
	}
	if t.held != nil && t.held(record.Open()) {
		t.sum.Held++
		if t.erasure.Kept != nil {
			t.erasure.Kept(seq, record)
		}
		return
	}
	if t.erasure.Touched != nil {
		t.erasure.Touched(seq, record, fields)
	}
	t.touched[int64(seq)] = fields
	t.sum.Events++
	t.sum.Fields += int64(len(fields))
}
