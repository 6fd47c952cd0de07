package search

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
)

// Limits of one search.
const (
	MaxFound       = 1000     // events in one answer
	MaxRecordsRead = 20_000   // records
	MaxBytesRead   = 32 << 20 // 32 MiB, of records
)

const (
	chunkRecords = 64 // read at a time
	maxGap       = 8  // positions between records that are read together
)

// A Request says what to look for.
type Request struct {
	Query *query.Query
	After *Cursor // go on from here; nil to begin with the newest
	Limit int     // events, 1 to [MaxFound]
}

// An Answer is what was found.
type Answer struct {
	Found []Found // newest first

	// Next is where to go on; nil if nothing matching is left.
	Next *Cursor

	// Complete is false if the search ended early because it had read as much
	// as one may; Found may then hold fewer events than were asked for.
	Complete bool

	// Taken is how many records the index knew. Those from there on were not
	// searched.
	Taken journal.Seq

	// Read is how many records were read.
	Read int
}

// A Found is an event that matches.
type Found struct {
	Seq    journal.Seq
	Record *event.Record
}

// A Cursor is a place in the order of answers.
type Cursor struct {
	last place // the event before the next
}

// ErrCursor means that a text is not a cursor.
var ErrCursor = errors.New("search: not a cursor")

// errShort means that the journal has fewer records than it gave.
var errShort = errors.New("the journal ends early")

const cursorVersion = 1

// String returns the cursor as text that is safe in a URL.
func (c *Cursor) String() string {
	b := []byte{cursorVersion}
	b = binary.BigEndian.AppendUint64(b, uint64(c.last.micros))
	b = binary.BigEndian.AppendUint64(b, uint64(c.last.seq))
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor reads what [Cursor.String] returned.
func ParseCursor(s string) (*Cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 17 || b[0] != cursorVersion {
		return nil, ErrCursor
	}
	c := &Cursor{place{int64(binary.BigEndian.Uint64(b[1:])), int64(binary.BigEndian.Uint64(b[9:]))}}
	if c.last.seq < 0 {
		return nil, ErrCursor
	}
	return c, nil
}

// Search returns the newest events that match. It panics if r.Limit is out of
// range.
func (ix *Index) Search(ctx context.Context, r Request) (*Answer, error) {
	if r.Limit < 1 || r.Limit > MaxFound {
		panic(fmt.Sprintf("search: limit of %d events, want 1 to %d", r.Limit, MaxFound))
	}
	s := scan{index: ix, plan: ix.plan(r.Query), query: r.Query, want: r.Limit + 1, at: top}
	if r.After != nil {
		s.at = r.After.last
	}
	if err := s.run(ctx); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	a := &Answer{Found: s.found, Complete: !s.cut, Taken: journal.Seq(s.plan.size), Read: s.read}
	switch {
	case len(s.found) > r.Limit:
		a.Found = s.found[:r.Limit]
		a.Next = &Cursor{s.places[r.Limit-1]}
		a.Complete = true
	case s.cut:
		a.Next = &Cursor{s.at}
	}
	return a, nil
}

// A scan is a search under way.
type scan struct {
	index *Index
	plan  *plan
	query *query.Query
	want  int // events, one more than asked for: it shows whether there are more

	at     place // the last one looked at
	found  []Found
	places []place // of found
	read   int     // records
	bytes  int
	cut    bool // the limits ended it
}

// run looks at matches until enough are found, none is left, or the limits are
// reached.
func (s *scan) run(ctx context.Context) error {
	for k := s.want; len(s.found) < s.want && !s.cut; k = min(2*k, blockRecords) {
		places, err := s.plan.newest(ctx, s.at, k)
		if err != nil {
			return err
		}
		for rest := places; len(rest) > 0 && len(s.found) < s.want && !s.cut; {
			n := min(len(rest), chunkRecords, MaxRecordsRead-s.read)
			if err := s.look(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
			if err := ctx.Err(); err != nil {
				return err
			}
			s.cut = s.read >= MaxRecordsRead || s.bytes >= MaxBytesRead
		}
		if len(places) < k {
			s.cut = s.cut && newer(s.at, places[len(places)-1]) > 0
			return nil
		}
	}
	return nil
}

// look reads the records at places and keeps those that match. All are asked
// again: what was erased since is not found any more.
func (s *scan) look(places []place) error {
	bodies, err := s.index.bodies(places)
	if err != nil {
		return err
	}
	for _, x := range places {
		body := bodies[x.seq]
		record, err := event.DecodeRecord(body)
		if err != nil {
			return fmt.Errorf("record %d: %w", x.seq, err)
		}
		s.at = x
		s.read++
		s.bytes += len(body)
		if s.query.Match(record.Open()) {
			s.found = append(s.found, Found{journal.Seq(x.seq), record})
			s.places = append(s.places, x)
		}
		if len(s.found) == s.want {
			return nil
		}
	}
	return nil
}
