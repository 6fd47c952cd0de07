package intake

import (
	"context"
	"slices"
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
	sources map[string]*source
}

// A source is what the watch knows of one source.
type source struct {
	name        string
	silentAfter time.Duration // 0: never reported
	lastSeen    time.Time     // of an event or a heartbeat
	lastSeq     int64         // the highest source_seq; 0 before the first
	gaps        []gap         // in order
	late        gap           // what arrived of gaps that were reported, not reported itself yet; last is 0 when there is none
	silent      bool          // reported as silent

	skew       time.Duration // the worst not reported yet
	skewReport time.Time     // when it was last reported
}

// A gap is a range of a source's count that has not arrived.
type gap struct {
	first, last int64
	since       time.Time
	reported    bool
}

func newWatch(configured []Source, now time.Time) *watch {
	w := &watch{sources: make(map[string]*source)}
	for _, s := range configured {
		w.sources[s.Name] = &source{name: s.Name, silentAfter: s.SilentAfter, lastSeen: now}
	}
	return w
}

// source returns what is known of the source called name. w.mu must be held.
// Names are those of API keys, so there are as many as administrators made.
func (w *watch) source(name string) *source {
	s, ok := w.sources[name]
	if !ok {
		s = &source{name: name}
		w.sources[name] = s
	}
	return s
}

// clock notes that an event of name arrived skew after the time it states.
func (w *watch) clock(name string, skew time.Duration) {
	if skew.Abs() <= maxSkew {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.source(name); skew.Abs() > s.skew.Abs() {
		s.skew = skew
	}
}

// arrived notes the events of b that were recorded.
func (w *watch) arrived(b *draft) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.source(b.from.Source)
	s.lastSeen = b.now
	for i := range b.events {
		if e := &b.events[i]; !e.duplicate && e.sourceSeq > 0 {
			s.count(e.sourceSeq, b.now)
		}
	}
}

// count takes in one number of the source's own count.
func (s *source) count(n int64, now time.Time) {
	switch {
	case s.lastSeq == 0 || n == s.lastSeq+1:
		s.lastSeq = n
	case n > s.lastSeq:
		s.gaps = append(s.gaps, gap{first: s.lastSeq + 1, last: n - 1, since: now})
		s.lastSeq = n
		s.merge()
	default:
		s.fill(n)
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

// fill takes n out of the gap it lies in.
func (s *source) fill(n int64) {
	i := slices.IndexFunc(s.gaps, func(g gap) bool { return g.first <= n && n <= g.last })
	if i < 0 {
		return
	}
	if s.gaps[i].reported {
		s.late.widen(n)
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
	slices.SortFunc(list, func(a, b SourceState) int { return compareNames(a.Name, b.Name) })
	return list
}

// Heartbeat notes that the source called name is there, though it has nothing
// to say.
func (d *Desk) Heartbeat(name string) {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	d.watch.source(name).lastSeen = time.Now()
}

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
					if ctx.Err() == nil {
						d.log.WarnContext(ctx, "finding about a source was not recorded, will retry", "tag", f.event.Tag, "err", err)
					}
					break
				}
				d.watch.settle(f)
			}
		}
	}
}

// A finding is an event about a source, and how to note that it was recorded.
type finding struct {
	event  *event.Event
	source string
	done   func(s *source)
}

// settle notes that f was recorded.
func (w *watch) settle(f finding) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f.done(w.source(f.source))
}

// findings returns what is to be recorded at now.
func (w *watch) findings(now time.Time) []finding {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []finding
	for _, s := range w.sources {
		list = append(list, s.gapFindings(now)...)
		list = append(list, s.silence(now)...)
		list = append(list, s.skewFindings(now)...)
	}
	return list
}

func (s *source) gapFindings(now time.Time) (list []finding) {
	for _, g := range s.gaps {
		if g.reported || now.Sub(g.since) < gapGrace {
			continue
		}
		list = append(list, finding{
			source: s.name,
			event: about(s.name, "audit:source:gap", map[string]any{
				"source": s.name, "expected_seq": g.first, "got_seq": g.last + 1,
			}),
			done: func(s *source) { s.report(g.first, g.last) },
		})
	}
	if late := s.late; late.last > 0 {
		list = append(list, finding{
			source: s.name,
			event: about(s.name, "audit:source:gap_close", map[string]any{
				"source": s.name, "from_seq": late.first, "to_seq": late.last,
			}),
			done: func(s *source) {
				if s.late == late {
					s.late = gap{}
				}
			},
		})
	}
	return list
}

// report notes that the gaps from first to last were recorded.
func (s *source) report(first, last int64) {
	for i := range s.gaps {
		if s.gaps[i].first >= first && s.gaps[i].last <= last {
			s.gaps[i].reported = true
		}
	}
}

func (s *source) silence(now time.Time) []finding {
	quiet := now.Sub(s.lastSeen)
	switch {
	case s.silentAfter > 0 && !s.silent && quiet > s.silentAfter:
		return []finding{{
			source: s.name,
			event:  about(s.name, "audit:source:silent", map[string]any{"source": s.name, "last_seen": s.lastSeen.UTC().Format(time.RFC3339)}),
			done:   func(s *source) { s.silent = true },
		}}
	case s.silent && quiet <= s.silentAfter:
		return []finding{{
			source: s.name,
			event: about(s.name, "audit:source:resume", map[string]any{
				"source": s.name, "last_seen": s.lastSeen.UTC().Format(time.RFC3339),
			}),
			done: func(s *source) { s.silent = false },
		}}
	}
	return nil
}

func (s *source) skewFindings(now time.Time) []finding {
	if s.skew == 0 || now.Sub(s.skewReport) < skewInterval {
		return nil
	}
	skew := s.skew
	return []finding{{
		source: s.name,
		event: about(s.name, "audit:source:clock_skew", map[string]any{
			"source": s.name, "skew": skew.Milliseconds(),
		}),
		done: func(s *source) {
			s.skewReport = now
			if s.skew == skew {
				s.skew = 0
			}
		},
	}}
}

// about returns an event of the log itself about the source called name.
func about(name, tag string, metadata map[string]any) *event.Event {
	return &event.Event{
		Tag:      tag,
		Actor:    event.Party{Type: "system", ID: OwnSource},
		Subjects: []event.Subject{{Type: "source", ID: name, Name: name}},
		Metadata: metadata,
	}
}
