package intake

import (
	"context"
	"time"

	"github.com/custody-log/custody/event"
)

// Run records what the sources owe: gaps in their counts, silences, wrong
// clocks. It ends with ctx.
func (d *Desk) Run(ctx context.Context) error {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for _, f := range d.watch.findings(now) {
				if _, err := d.Record(ctx, OwnSource, f.event); err != nil {
					d.watch.undo(f)
					if ctx.Err() == nil {
						d.log.WarnContext(ctx, "finding about a source was not recorded, will retry", "tag", f.event.Tag, "err", err)
					}
				}
			}
		}
	}
}

// A finding is an event about a source. The source's state says already that
// it was recorded; undo takes that back.
type finding struct {
	event  *event.Event
	source string
	undo   func(s *source)
}

// undo notes that f was not recorded.
func (w *watch) undo(f finding) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f.undo(w.sources.named(f.source))
}

// findings returns what is to be recorded at now, and notes it as recorded:
// what arrives meanwhile is news about a gap that is known.
func (w *watch) findings(now time.Time) []finding {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []finding
	for _, s := range w.sources {
		list = append(list, s.gapFindings(now)...)
		list = append(list, s.countFindings()...)
		list = append(list, s.silence(now)...)
		list = append(list, s.clockFindings(now)...)
	}
	return list
}

// finding returns a finding about s.
func (s *source) finding(tag string, undo func(s *source), metadata map[string]any) finding {
	metadata["source"] = s.name
	return finding{source: s.name, undo: undo, event: &event.Event{
		Tag:      tag,
		Actor:    event.Party{Type: "system", ID: OwnSource},
		Subjects: []event.Subject{{Type: "source", ID: s.name, Name: s.name}},
		Metadata: metadata,
	}}
}

func (s *source) gapFindings(now time.Time) (list []finding) {
	for i := range s.gaps {
		g := &s.gaps[i]
		if g.reported || now.Sub(g.since) < gapGrace {
			continue
		}
		g.reported = true
		first, last := g.first, g.last
		list = append(list, s.finding("audit:source:gap",
			func(s *source) { s.report(first, last, false) },
			map[string]any{"expected_seq": first, "got_seq": last + 1}))
	}
	return list
}

// report notes whether the gaps from first to last are recorded.
func (s *source) report(first, last int64, reported bool) {
	for i := range s.gaps {
		if s.gaps[i].first >= first && s.gaps[i].last <= last {
			s.gaps[i].reported = reported
		}
	}
}

// countFindings returns what came late, and a count that began anew.
func (s *source) countFindings() (list []finding) {
	if f := s.filled; f.last > 0 {
		s.filled = gap{}
		list = append(list, s.finding("audit:source:gap_close",
			func(s *source) { s.filled.widen(f.first); s.filled.widen(f.last) },
			map[string]any{"from_seq": f.first, "to_seq": f.last}))
	}
	if last := s.restarted; last > 0 {
		s.restarted = 0
		list = append(list, s.finding("audit:source:gap",
			func(s *source) { s.restarted = max(s.restarted, last) },
			map[string]any{"expected_seq": last + 1, "got_seq": 1}))
	}
	return list
}

func (s *source) silence(now time.Time) []finding {
	quiet := now.Sub(s.lastSeen)
	seen := s.lastSeen.UTC().Format(time.RFC3339)
	switch {
	case s.silentAfter > 0 && !s.silent && quiet > s.silentAfter:
		s.silent = true
		return []finding{s.finding("audit:source:silent", func(s *source) { s.silent = false }, map[string]any{"last_seen": seen})}
	case s.silent && quiet <= s.silentAfter:
		s.silent = false
		return []finding{s.finding("audit:source:resume", func(s *source) { s.silent = true }, map[string]any{"last_seen": seen})}
	}
	return nil
}

func (s *source) clockFindings(now time.Time) (list []finding) {
	if s.clock.due(now) {
		before := s.clock
		s.clock = excess{reported: now}
		list = append(list, s.finding("audit:source:clock_skew",
			func(s *source) { s.clock = before },
			map[string]any{"skew": before.worst.Milliseconds()}))
	}
	if s.late.due(now) {
		before := s.late
		s.late = excess{reported: now}
		list = append(list, s.finding("audit:ingest:late",
			func(s *source) { s.late = before },
			map[string]any{"skew": before.worst.Milliseconds()}))
	}
	return list
}
