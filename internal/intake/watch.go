package intake

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/custody-log/custody/event"
)

// Bounds of the watch over sources.
const (
	gapGrace      = 10 * time.Second // events of one source may overtake each other for this long
	watchInterval = time.Second
	maxGaps       = 64 // open gaps that are told apart for each source; the oldest merge beyond
	maxSkew       = 5 * time.Minute
	skewInterval  = time.Hour // between two reports of one source's clock
)

// A watch follows the sources: their own counts, their silences, their clocks.
type watch struct {
	mu      sync.Mutex
	sources sources
}

// A source is what the watch knows of one source.
type source struct {
	name        string
	silentAfter time.Duration // 0: never reported
	lastSeen    time.Time     // of an event or a heartbeat
	lastSeq     int64         // the highest source_seq; 0 before the first
	gaps        []gap         // in order
	filled      gap           // what arrived of gaps that were reported, not reported itself yet; last is 0 when there is none
	restarted   int64         // the highest number before the source counted from 1 again, not reported yet; 0: it did not
	silent      bool          // reported as silent

	clock excess // how far the source's clock is ahead of ours
	late  excess // how long its events took to come, or how far its clock is behind
}

// An excess is something beyond maxSkew that is recorded now and then.
type excess struct {
	worst    time.Duration // not recorded yet
	reported time.Time     // when one was recorded last
}

func (e *excess) note(d time.Duration) {
	if d > maxSkew {
		e.worst = max(e.worst, d)
	}
}

// due reports whether it is time to record one.
func (e *excess) due(now time.Time) bool {
	return e.worst > 0 && now.Sub(e.reported) >= skewInterval
}

// A gap is a range of a source's count that has not arrived.
type gap struct {
	first, last int64
	since       time.Time
	reported    bool
}

// newWatch returns a watch that goes on from what is known, with some sources
// that must not fall silent.
func newWatch(known sources, configured []Source) *watch {
	for _, s := range configured {
		known.named(s.Name).silentAfter = s.SilentAfter
	}
	return &watch{sources: known}
}

// wake starts the time of the configured sources anew: while the log was away
// they could not be heard.
func (w *watch) wake(configured []Source, now time.Time) {
	for _, c := range configured {
		if s := w.sources.named(c.Name); !s.silent {
			s.lastSeen = now
		}
	}
}

// arrived notes the events of b that were recorded.
func (w *watch) arrived(b *draft) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sources.named(b.from.Source)
	s.lastSeen = b.now
	for i := range b.events {
		e := &b.events[i]
		if e.duplicate {
			continue
		}
		if e.sourceSeq > 0 {
			s.count(e.sourceSeq, b.now)
		}
		if b.from.Trust == event.Witnessed {
			s.clock.note(-e.late)
			s.late.note(e.late)
		}
	}
}

// count takes in one number of the source's own count, which begins at 1.
func (s *source) count(n int64, now time.Time) {
	switch {
	case n == s.lastSeq+1:
		s.lastSeq = n
	case n > s.lastSeq:
		s.gaps = append(s.gaps, gap{first: s.lastSeq + 1, last: n - 1, since: now})
		s.lastSeq = n
		s.merge()
	case s.fill(n):
	case n == 1: // it counts anew: whatever followed its last number is not known
		s.restarted = max(s.restarted, s.lastSeq)
		s.lastSeq = 1
		s.gaps = nil
	}
}

// merge makes one gap of the two oldest when there are too many to keep.
func (s *source) merge() {
	if len(s.gaps) <= maxGaps {
		return
	}
	s.gaps[1].first = s.gaps[0].first
	s.gaps[1].reported = s.gaps[0].reported && s.gaps[1].reported
	s.gaps = slices.Delete(s.gaps, 0, 1)
}

// fill takes n out of the gap it lies in. It reports whether there is one.
func (s *source) fill(n int64) bool {
	i := slices.IndexFunc(s.gaps, func(g gap) bool { return g.first <= n && n <= g.last })
	if i < 0 {
		return false
	}
	if s.gaps[i].reported {
		s.filled.widen(n)
	}
	left, right := s.gaps[i], s.gaps[i]
	left.last, right.first = n-1, n+1
	var rest []gap
	for _, g := range []gap{left, right} {
		if g.first <= g.last {
			rest = append(rest, g)
		}
	}
	s.gaps = slices.Replace(s.gaps, i, i+1, rest...)
	s.merge()
	return true
}

// widen makes g cover n.
func (g *gap) widen(n int64) {
	if g.last == 0 {
		g.first, g.last = n, n
		return
	}
	g.first, g.last = min(g.first, n), max(g.last, n)
}

// A SourceState is what is known of one source.
type SourceState struct {
	Name     string    `json:"name"`
	LastSeen time.Time `json:"last_seen"`
	LastSeq  int64     `json:"last_seq,omitempty"`
	Missing  int64     `json:"missing,omitempty"` // numbers of its count that have not arrived
	Silent   bool      `json:"silent,omitempty"`
}

// Sources returns the state of every source, in the order of their names.
func (d *Desk) Sources() []SourceState {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	var list []SourceState
	for _, s := range d.watch.sources {
		state := SourceState{Name: s.name, LastSeen: s.lastSeen, LastSeq: s.lastSeq, Silent: s.silent}
		for _, g := range s.gaps {
			state.Missing += g.last - g.first + 1
		}
		list = append(list, state)
	}
	slices.SortFunc(list, func(a, b SourceState) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Heartbeat notes that the source called name is there, though it has nothing
// to say.
func (d *Desk) Heartbeat(name string) {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	d.watch.sources.named(name).lastSeen = time.Now()
}
