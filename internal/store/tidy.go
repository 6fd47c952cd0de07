package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/segment"
)

// How merging is bounded: one merge at a time, of at most as many rows as are
// sealed together, and none while records wait to be sealed. A row is rewritten
// only with as many others as its segment had, so about 9 times in all for a
// segment that grows from 512 rows to 262,144.
const (
	mergeLeast = 4  // segments
	spanShare  = 16 // a merged segment spans at most this part of how long its family is kept
)

// signedWait is how long a purge waits for a checkpoint over what is sealed.
const signedWait = 2 * time.Second

// Tidy merges what is small, until nothing is left to do.
func (s *Store) Tidy(ctx context.Context) error {
	for ctx.Err() == nil {
		merged, err := s.mergeSmall()
		if err != nil || !merged {
			return err
		}
	}
	return nil
}

// A Purged is what a purge did.
type Purged struct {
	Segments int   `json:"segments"` // files dropped, whole
	Events   int64 `json:"events"`   // in them
	Personal int64 `json:"personal"` // events that lost their personal fields
	Held     int64 `json:"held"`     // events that were kept by holds
	Bytes    int64 `json:"bytes"`    // freed
}

// Purge drops the segments whose events are all past their time, and the
// personal parts of those whose personal fields are.
func (s *Store) Purge(ctx context.Context) (p Purged, err error) {
	wait, cancel := context.WithTimeout(ctx, signedWait)
	_ = s.awaitSigned(wait, s.Sealed()) // what is not signed over by then is for the next purge
	cancel()
	s.change.Lock()
	defer s.change.Unlock()
	held := s.held()
	var drop []*handle
	var later []*handle
	for _, h := range s.current() {
		if ctx.Err() != nil {
			return p, ctx.Err()
		}
		if h.damaged() || !s.signed(h) {
			continue
		}
		l := s.limits(h.Family, s.now())
		switch {
		case h.EndTime < l.events && held == nil:
			drop = append(drop, h)
			p.Segments++
			p.Events += int64(h.Rows)
			p.Bytes += h.Bytes
		case l.events > math.MinInt64 && h.FirstTime < l.events-s.slack(l), h.EndTime < l.events,
			h.EndTime < l.personal && h.Side != "" && !h.Skeleton:
			later = append(later, h)
		}
	}
	if len(drop) > 0 {
		if err := s.replace(drop, nil, nil, nil); err != nil {
			return p, err
		}
	}
	for _, h := range later {
		sum := p
		if err := s.expire(h, &sum); err == nil {
			p = sum
		} else if err := s.setAside(h, err); err != nil {
			return p, err
		}
	}
	return p, nil
}

// signed reports whether a checkpoint covers all of a segment. What is dropped
// before is in no tree: nobody could prove that it was ever there.
func (s *Store) signed(h *handle) bool {
	return s.parts.Signed == nil || h.LastSeq < int64(s.parts.Signed())
}

// slack is how long single events may be past their time, in microseconds,
// before a segment is rewritten for them.
func (s *Store) slack(l limits) int64 {
	return max(int64(24*time.Hour/time.Microsecond), (s.now().UnixMicro()-l.events)/spanShare)
}

// current returns the segments. The caller holds change.
func (s *Store) current() []*handle {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.segments)
}

// expire rewrites a segment without what is past its time.
func (s *Store) expire(h *handle, p *Purged) error {
	if last, ok := s.examined[h.Main]; ok && s.held() != nil && s.now().Sub(last) < time.Hour {
		return nil // all that it has is held, or was a moment ago
	}
	x := &expiry{limits: s.limits(h.Family, s.now()), table: segment.NewTable(s.OpenKey()), purged: p, skeleton: true}
	if err := s.each(h, x.take); err != nil {
		return err
	}
	if !x.changed {
		if s.examined == nil {
			s.examined = make(map[string]time.Time)
		}
		s.examined[h.Main] = s.now()
		return nil
	}
	p.Bytes += h.Bytes
	var list []written
	if x.table.Len() > 0 {
		w, err := s.write(h.Family, x.table)
		if err != nil {
			return err
		}
		w.info.Skeleton = x.skeleton
		p.Bytes -= w.info.Bytes
		list = append(list, w)
	}
	return s.replace([]*handle{h}, list, nil, nil)
}

// An expiry is a segment that is being rewritten.
type expiry struct {
	limits   limits
	table    *segment.Table // of what stays
	purged   *Purged
	changed  bool
	skeleton bool // nothing personal stays
}

// take takes in the next record.
func (x *expiry) take(seq int64, record *event.Record) error {
	micros, before := timeOf(record), len(record.Open())
	keep, _ := x.limits.pass(micros, record)
	if !keep {
		x.changed = true
		x.purged.Events++
		return nil
	}
	if micros < x.limits.events {
		x.purged.Held++
	}
	if len(record.Open()) < before {
		x.changed = true
		x.purged.Personal++
	}
	for i := range record.Fields {
		x.skeleton = x.skeleton && (!record.Fields[i].Private || record.Fields[i].Erased)
	}
	return x.table.Add(seq, record)
}

// each calls yield with the records of a segment, in the order of their
// positions, with the digests of what is personal in reach.
func (s *Store) each(h *handle, yield func(seq int64, record *event.Record) error) error {
	g, err := segment.Open(s.cfg.Dir, h.Main, h.Side, s.OpenKey(), s.quiet)
	if err != nil {
		return err
	}
	defer func() { _ = g.Close() }() // only read
	r := g.Reader()
	var record event.Record
	for i := range g.Len() {
		row, _, err := r.RowAt(i)
		if err != nil {
			return err
		}
		seq, err := r.Record(row, &record)
		if err != nil {
			return err
		}
		if err := yield(seq, &record); err != nil {
			return err
		}
	}
	return nil
}

// timeOf returns the time of an event, in microseconds since 1970.
func timeOf(r *event.Record) int64 {
	for i := range r.Fields {
		if r.Fields[i].Name == "time" {
			return r.Fields[i].Time().UnixMicro()
		}
	}
	return 0
}

// mergeSmall merges one run of small segments, if there is one.
func (s *Store) mergeSmall() (merged bool, err error) {
	s.change.Lock()
	defer s.change.Unlock()
	s.mu.RLock()
	busy := s.frozen != nil
	s.mu.RUnlock()
	if busy {
		return false, nil
	}
	run := s.smallRun()
	if run == nil {
		return false, nil
	}
	t := segment.NewTable(s.OpenKey())
	skeleton := true
	for _, h := range run {
		skeleton = skeleton && h.Skeleton
		if err := s.each(h, t.Add); err != nil {
			if err = s.setAside(h, err); err == nil {
				return true, nil // there may be another run
			}
			return false, fmt.Errorf("store: merge: %w", err)
		}
	}
	w, err := s.write(run[0].Family, t)
	if err != nil {
		return false, err
	}
	w.info.Skeleton = skeleton
	return true, s.replace(run, []written{w}, nil, nil)
}

// smallRun returns segments of one family, side by side, that are worth
// merging: at least four, none of them larger than the others together.
func (s *Store) smallRun() []*handle {
	list := s.current()
	var best []*handle
	least := s.cfg.SealRows + 1
	for i, first := range list {
		rows, largest := 0, 0
		for k := i; k < len(list) && list[k].Family == first.Family && list[k].Skeleton == first.Skeleton && !list[k].damaged(); k++ {
			h := list[k]
			rows += h.Rows
			largest = max(largest, h.Rows)
			if rows >= least || h.EndTime-first.FirstTime > s.mergeSpan(h.Family) || k > i && h.FirstSeq <= list[k-1].LastSeq {
				break
			}
			if k-i+1 >= mergeLeast && 2*largest <= rows+mergeLeast {
				best, least = list[i:k+1], rows
				break
			}
		}
	}
	return slices.Clone(best)
}

// mergeSpan returns how much time a merged segment of a family may span, in
// microseconds, so that it can be dropped not long after its events are past
// their time.
func (s *Store) mergeSpan(family string) int64 {
	now := s.now()
	l := s.limits(family, now)
	span := int64(1) << 62
	for _, limit := range []int64{l.events, l.personal} {
		if limit > math.MinInt64 {
			span = min(span, s.slack(limits{events: limit}))
		}
	}
	return span
}
