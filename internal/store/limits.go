package store

import (
	"math"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
)

// limits are the times before which events of a family, and what is personal
// in them, are not shown any more, in microseconds since 1970.
type limits struct {
	events, personal int64
	held             func(event.Fields) bool // nil: nothing is held
}

func (s *Store) limits(family string, now time.Time) limits {
	l := limits{math.MinInt64, math.MinInt64, s.held()}
	if s.cfg.Limit == nil {
		return l
	}
	events, personal := s.cfg.Limit(family, now)
	if !events.IsZero() {
		l.events = events.UnixMicro()
	}
	if !personal.IsZero() {
		l.personal = personal.UnixMicro()
	}
	return l
}

// request returns what to ask an index for: no more than may be shown, unless
// something may be held. narrowed says that rows it gives may still be refused
// by pass.
func (l *limits) request(q *query.Query, derive *query.Derive) (r segment.Request, narrowed bool) {
	r = segment.Request{Query: q, Derive: derive}
	r.After, r.Before = q.Span()
	if l.held == nil {
		r.After = max(r.After, l.events)
	}
	if l.personal > r.After {
		r.HidesBefore = l.personal
	}
	return r, l.events > r.After || l.personal > r.After
}

// of returns what of l matters for a segment: where nothing personal is left
// nothing is to be hidden.
func (l limits) of(h *handle) limits {
	if h.Skeleton || h.Side == "" {
		l.personal = math.MinInt64
	}
	return l
}

// pass reports whether an event may be shown, and takes out of it what is
// personal and past its time; hidden says that it did.
func (l *limits) pass(micros int64, record *event.Record) (keep, hidden bool) {
	if micros >= l.events && micros >= l.personal {
		return true, false
	}
	if l.held != nil && l.held(record.Open()) {
		return true, false
	}
	if micros < l.events {
		return false, false
	}
	digests, _ := record.Digests()
	for i := range record.Fields {
		if f := &record.Fields[i]; f.Private && !f.Erased {
			f.Bury(digests[i])
			hidden = true
		}
	}
	record.Secrets.Private = [event.SecretBytes]byte{}
	return true, hidden
}

// Show reports whether an event may be shown, and takes out of it what is
// personal and past its time. Answers of the store need not be asked about.
func (s *Store) Show(record *event.Record) bool {
	l := s.limits(s.cfg.Family(textOf(record, "tag")), s.now())
	keep, _ := l.pass(timeOf(record), record)
	return keep
}

// Derive returns what answers derive from events.
func (s *Store) Derive() *query.Derive { return s.cfg.Derive }
