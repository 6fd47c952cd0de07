// Package search is the view in which events are found: an index in memory,
// made anew from the journal at every start. It holds where things are and
// when they happened, never what they say; that is read from the journal.
//
// # Promises
//
//   - An answer is exactly the events that match, newest first: by the time
//     the source gave, and of one time by position, the higher first.
//   - Going on from a cursor neither repeats nor leaves out an event that was
//     there when the search began, however many arrive meanwhile.
//   - A search reads at most [MaxRecordsRead] records or [MaxBytesRead] bytes.
//     If that was not enough, the answer says so and where to go on.
//   - Searching delays neither the journal nor, but for moments, the view.
//
// # Memory
//
// Each key of an event (see [query.Keys]) costs 4 bytes, its time 8, and each
// value seen for the first time about 130: some 55 bytes for a typical event.
// BenchmarkApply prints it.
package search

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/view"
)

// MaxRecords bounds the index: positions in it have 32 bits.
const MaxRecords = 1 << 32

// blockRecords is how many records share one entry in the order of times.
const blockRecords = 4096

// An Index is a [view.View]. Its methods may be called concurrently, except
// Apply, which has one caller.
type Index struct {
	journal *journal.Journal
	ranges  addresses

	// Used by Apply only.
	record event.Record
	keys   query.Keys

	mu     sync.RWMutex
	size   int64                          // records taken in
	blocks []*block                       // of blockRecords each, the last may have fewer
	ids    [query.Kinds]map[string]uint32 // place in lists, by value
	lists  [][]uint32                     // positions with one value of one kind, ascending; only ever appended to
	seen   []address                      // addresses in the order of their first event; only ever appended to
}

// A block is what is known of the times of some consecutive records.
type block struct {
	times [blockRecords]int64 // microseconds since 1970, written once each
	span                      // changes while the block is the last
}

// A span is the first and last time in a block.
type span struct {
	first, last int64
}

// New returns an empty index of the records of j.
func New(j *journal.Journal) *Index {
	ix := &Index{journal: j}
	for kind := range ix.ids {
		ix.ids[kind] = make(map[string]uint32)
	}
	return ix
}

// Name implements [view.View].
func (ix *Index) Name() string { return "search" }

// Cursor implements [view.View].
func (ix *Index) Cursor() journal.Seq {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return journal.Seq(ix.size)
}

// Apply implements [view.View].
func (ix *Index) Apply(_ context.Context, records []journal.Record) error {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for _, r := range records {
		if int64(r.Seq) != ix.size || ix.size >= MaxRecords {
			return fmt.Errorf("search: %w: given record %d, want %d, below %d", view.ErrCorrupt, r.Seq, ix.size, int64(MaxRecords))
		}
		if err := ix.record.Decode(r.Body); err != nil {
			return fmt.Errorf("search: %w: record %d: %w", view.ErrCorrupt, r.Seq, err)
		}
		ix.add(uint32(r.Seq))
	}
	return nil
}

// add takes in the record that was decoded, as the next one.
func (ix *Index) add(seq uint32) {
	var micros int64
	ix.keys.Reset()
	for i := range ix.record.Fields {
		f := &ix.record.Fields[i]
		if f.Erased {
			continue
		}
		if f.Name == "time" {
			micros = f.Time().UnixMicro()
			continue
		}
		ix.keys.Add(&f.Field)
	}
	ix.keys.End()
	for _, k := range ix.keys.List {
		list := &ix.lists[ix.list(k)]
		if n := len(*list); n == 0 || (*list)[n-1] != seq { // an event may have a key twice
			*list = append(*list, seq)
		}
	}
	ix.stamp(micros)
	ix.size++
}

// list returns the place in lists of a key, making one if needed.
func (ix *Index) list(k query.Key) uint32 {
	if id, ok := ix.ids[k.Kind][string(k.Value)]; ok {
		return id
	}
	id := uint32(len(ix.lists))
	ix.lists = append(ix.lists, nil)
	ix.ids[k.Kind][string(k.Value)] = id
	if k.Kind == query.IP {
		ix.seen = append(ix.seen, address{[16]byte(k.Value), id})
	}
	return id
}

// stamp notes the time of the next record.
func (ix *Index) stamp(micros int64) {
	at := ix.size % blockRecords
	if at == 0 {
		ix.blocks = append(ix.blocks, &block{span: span{math.MaxInt64, math.MinInt64}})
	}
	b := ix.blocks[len(ix.blocks)-1]
	b.times[at] = micros
	b.first, b.last = min(b.first, micros), max(b.last, micros)
}
