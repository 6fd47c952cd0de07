package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/journal"
)

// MaxSnapshotBytes bounds what [History.Snapshot] returns. It takes thousands of
// sources with dozens of gaps each to get near; a few hundred bytes a source are
// usual.
const MaxSnapshotBytes = 64 << 20

// snapshotVersion is that of the encoding, which is JSON: the same history gives
// the same bytes.
const snapshotVersion = 1

type storedHistory struct {
	Version int            `json:"version"`
	Records journal.Seq    `json:"records"` // how many were taken in
	Sources []storedSource `json:"sources"` // in the order of their names
}

type storedSource struct {
	Name          string      `json:"name"`
	LastSeen      int64       `json:"last_seen,omitempty"` // all times: microseconds since 1970; 0: never
	LastSeq       int64       `json:"last_seq,omitempty"`
	Gaps          []storedGap `json:"gaps,omitempty"` // in order
	Filled        *storedGap  `json:"filled,omitempty"`
	Restarted     int64       `json:"restarted,omitempty"`
	Silent        bool        `json:"silent,omitempty"`
	ClockReported int64       `json:"clock_reported,omitempty"`
	LateReported  int64       `json:"late_reported,omitempty"`
}

type storedGap struct {
	First    int64 `json:"first"`
	Last     int64 `json:"last"`
	Since    int64 `json:"since,omitempty"`
	Reported bool  `json:"reported,omitempty"`
}

// Snapshot returns h as bytes, for [OpenHistory]. They are at most
// [MaxSnapshotBytes].
func (h *History) Snapshot() []byte {
	stored := storedHistory{Version: snapshotVersion, Records: h.cursor, Sources: make([]storedSource, 0, len(h.sources))}
	for _, s := range h.sources {
		stored.Sources = append(stored.Sources, s.store())
	}
	slices.SortFunc(stored.Sources, func(a, b storedSource) int { return strings.Compare(a.Name, b.Name) })
	data, err := json.Marshal(stored)
	if err != nil {
		panic("intake: " + err.Error()) // unreachable: numbers and text
	}
	return data
}

func (s *source) store() storedSource {
	stored := storedSource{
		Name: s.name, LastSeen: toMicros(s.lastSeen), LastSeq: s.lastSeq, Restarted: s.restarted, Silent: s.silent,
		ClockReported: toMicros(s.clock.reported), LateReported: toMicros(s.late.reported),
	}
	for _, g := range s.gaps {
		stored.Gaps = append(stored.Gaps, storedGap{g.first, g.last, toMicros(g.since), g.reported})
	}
	if f := s.filled; f.last > 0 {
		stored.Filled = &storedGap{First: f.first, Last: f.last}
	}
	return stored
}

// restore makes h the history that data holds.
func (h *History) restore(data []byte) error {
	if len(data) > MaxSnapshotBytes {
		return fmt.Errorf("%d bytes, want at most %d", len(data), MaxSnapshotBytes)
	}
	var stored storedHistory
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&stored)
	switch {
	case stored.Version != snapshotVersion && (err == nil || stored.Version != 0):
		return fmt.Errorf("version %d, want %d", stored.Version, snapshotVersion)
	case err != nil:
		return err
	case stored.Records < 0:
		return fmt.Errorf("%d records", stored.Records)
	case len(stored.Sources) > maxSources:
		return fmt.Errorf("%d sources, want at most %d", len(stored.Sources), maxSources)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its end")
	}
	h.cursor = stored.Records
	for i := range stored.Sources {
		from := &stored.Sources[i]
		if i > 0 && stored.Sources[i-1].Name >= from.Name {
			return fmt.Errorf("source %q is out of order", from.Name)
		}
		s, err := from.restore()
		if err != nil {
			return fmt.Errorf("source %q: %w", from.Name, err)
		}
		h.sources[s.name] = s
	}
	return nil
}

// restore returns the source, having checked what its methods rely on.
func (stored *storedSource) restore() (*source, error) {
	if stored.LastSeq < 0 || stored.Restarted < 0 {
		return nil, errors.New("counts below 0")
	}
	if len(stored.Gaps) > maxGaps {
		return nil, fmt.Errorf("%d gaps, want at most %d", len(stored.Gaps), maxGaps)
	}
	s := &source{
		name: stored.Name, lastSeen: fromMicros(stored.LastSeen), lastSeq: stored.LastSeq, restarted: stored.Restarted, silent: stored.Silent,
		clock: excess{reported: fromMicros(stored.ClockReported)}, late: excess{reported: fromMicros(stored.LateReported)},
	}
	before := int64(0)
	for _, g := range stored.Gaps {
		if g.First <= before || g.Last < g.First || g.Last >= s.lastSeq {
			return nil, fmt.Errorf("gap from %d to %d is out of order", g.First, g.Last)
		}
		before = g.Last
		s.gaps = append(s.gaps, gap{g.First, g.Last, fromMicros(g.Since), g.Reported})
	}
	if f := stored.Filled; f != nil {
		if f.First < 1 || f.Last < f.First {
			return nil, fmt.Errorf("filled from %d to %d is out of order", f.First, f.Last)
		}
		s.filled = gap{first: f.First, last: f.Last}
	}
	return s, nil
}

func toMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(v).UTC()
}
