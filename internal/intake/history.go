package intake

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
)

// A History is what the records before a position say about the sources: when
// each was last heard, what is missing of its own count, what was recorded about
// it. It is a function of these records. A desk that is given one need not read
// them again: see [Config.Snapshot].
//
// It is for one goroutine.
type History struct {
	cursor  journal.Seq
	sources sources
}

// OpenHistory returns the history that snapshot holds. Without one it returns
// that of no records.
func OpenHistory(snapshot []byte) (*History, error) {
	h := &History{sources: make(sources)}
	if len(snapshot) == 0 {
		return h, nil
	}
	if err := h.restore(snapshot); err != nil {
		return nil, fmt.Errorf("intake: state of the sources: %w; hint: it is kept beside the records that are sealed, restore it from where they were", err)
	}
	return h, nil
}

// Cursor returns how many records h has taken in, which is the position of the
// one it wants next.
func (h *History) Cursor() journal.Seq { return h.cursor }

// Take takes in the record at seq, which is that at the cursor; nil if it is
// gone, and tells nothing. It keeps nothing of r and does not check its
// commitment.
func (h *History) Take(seq journal.Seq, r *event.Record) error {
	if seq != h.cursor {
		return fmt.Errorf("intake: state of the sources: record %d instead of %d", seq, h.cursor)
	}
	if r != nil {
		h.sources.take(telling(r))
	}
	h.cursor++
	return nil
}

// A told is what one record tells about sources.
type told struct {
	source    []byte
	id        []byte
	received  time.Time
	sourceSeq int64        // 0: it has none
	own       event.Fields // of the log's own events only
}

// telling returns what r tells. It points into r.
func telling(r *event.Record) (m told) {
	for i := range r.Fields {
		switch f := &r.Fields[i]; f.Code() {
		case codeID:
			m.id = f.Value
		case codeSource:
			m.source = f.Value
		case codeReceived:
			m.received = f.Time()
		case codeSourceSeq:
			m.sourceSeq = f.Int()
		}
	}
	if string(m.source) == OwnSource {
		m.own = r.Open()
	}
	return m
}

// sources holds what is known of each source, by name.
type sources map[string]*source

// maxSources bounds how many sources are told apart. Beyond it the one that was
// not heard for the longest is forgotten, and begins anew when it is heard
// again: that it did will be recorded as a gap.
const maxSources = 4096

// named returns what is known of the source called name.
func (all sources) named(name string) *source {
	s, ok := all[name]
	if !ok {
		if len(all) >= maxSources {
			all.forget()
		}
		s = &source{name: name}
		all[name] = s
	}
	return s
}

// forget removes the source that was not heard for the longest, but none that
// must not fall silent.
func (all sources) forget() {
	var oldest *source
	for _, s := range all {
		if s.silentAfter == 0 && (oldest == nil || cmp.Or(s.lastSeen.Compare(oldest.lastSeen), strings.Compare(s.name, oldest.name)) < 0) {
			oldest = s
		}
	}
	if oldest != nil {
		delete(all, oldest.name)
	}
}

// take takes in what a record tells.
func (all sources) take(m told) {
	s, ok := all[string(m.source)]
	if !ok {
		s = all.named(string(m.source))
	}
	s.lastSeen = m.received
	if m.sourceSeq > 0 {
		s.count(m.sourceSeq, m.received)
	}
	if m.own != nil {
		all.recall(m.own, m.received)
	}
}

// recall takes in what the log recorded about a source, so that a restart does
// not record it again.
func (all sources) recall(f event.Fields, at time.Time) {
	name := f.Text("metadata.source")
	if name == "" {
		return
	}
	s := all.named(name)
	switch f.Text("tag") {
	case "audit:source:gap":
		s.restarted = 0
		first, _ := f.Get("metadata.expected_seq")
		end, _ := f.Get("metadata.got_seq")
		s.report(first.Int(), end.Int()-1, true)
	case "audit:source:gap_close":
		s.filled = gap{}
	case "audit:source:silent":
		s.silent = true
	case "audit:source:resume":
		s.silent = false
	case "audit:source:clock_skew":
		s.clock.reported = at
	case "audit:ingest:late":
		s.late.reported = at
	}
}
