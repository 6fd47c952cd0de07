// Package journal is the log's memory: the one durable, ordered list of recent
// records. Everything else the service shows or sends is computed from it and
// can be computed again.
//
// # Promises
//
//   - Records are numbered without gaps, and never change.
//   - When [Journal.Append] returns nil, its records survive a power cut.
//   - Records of one Append are stored all or not at all, side by side.
//   - A reader sees a record only after it would survive a power cut.
//   - After any failure to write or sync, the journal accepts nothing more.
//   - An acknowledged record is never lost in silence: if stored bytes are
//     not what was written, opening or reading says from which record on.
//   - Only [Files.Drop] removes records, and only those that the caller says
//     somebody else has. A reader of these is told so, or gets them from there
//     ([Past]).
//   - Of several who append at the same position, one succeeds.
//
// What these files alone cannot show is that somebody cut the newest records
// off cleanly; the signed checkpoint shows that.
//
// # Format
//
// [Files] keeps records in files named after their first record. Each begins
// with a header and holds groups; an Append is stored in one group:
//
//	00000000000000000000.journal       00000000000000148211.journal
//	┌────────┬───────┬─── ─ ─┬─────┐   ┌────────┬───────┬───────┬ ─ ─
//	│ header │ group │ group  │ end │   │ header │ group │ group │
//	└────────┴───────┴─── ─ ─┴─────┘   └────────┴───────┴───────┴ ─ ─
//
//	file header  "custjrnl" ‖ u32 version ‖ u64 first record ‖ mark[8] ‖ u32 CRC-32C of these
//	group        mark[8] ‖ u32 kind ‖ u32 records ‖ u64 first record ‖ u32 bytes of frames ‖ u32 CRC-32C of these ‖ frame …
//	frame        u32 length ‖ u32 CRC-32C of body ‖ body
//
// Integers are little-endian. The mark is random for each file. A group is
// written only once all before it are durable. So a power cut can tear the
// last group and nothing else, and damage that a later group follows is not a
// power cut's. Groups without records mark that: a seal, written at every
// start and end, and the end of a file that another one follows. Files are
// dropped whole, oldest first; the last one always stays. All of it is
// in docs/format/journal.md.
package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A Seq is the position of a record in the journal, counted from 0.
type Seq int64

// A Record is one entry of the journal.
type Record struct {
	Seq  Seq
	Body []byte // never modified after it is returned
}

// Limits.
const (
	MaxRecordBytes   = 1 << 20  // body of one record
	MaxAppendRecords = 10_000   // records of one Append
	MaxGroupBytes    = 32 << 20 // stored form of one Append: bodies, and 8 bytes for each
	MaxGatherBytes   = 8 << 20  // a group takes in no further Append beyond this
	MaxReadBytes     = 8 << 20  // bodies after which one Read returns no further record
)

// A Journal lets many appends share one sync: whatever queues while a sync
// runs is the next group. Its methods may be called concurrently. It does not
// own its door.
type Journal struct {
	door    Door
	framed  framedDoor    // door, if it takes frames
	queued  chan struct{} // holds a token if Run has to look
	writing frames        // the group being stored; Run's own
	records [][]byte      // the same for a door that takes no frames; Run's own

	mu       sync.Mutex
	filling  frames        // queued for the next group
	outcome  *outcome      // of filling
	room     chan struct{} // closed and replaced by nil when filling is taken; nil if nobody waits
	grown    chan struct{} // closed and replaced by nil when size grows; nil if nobody waits
	size     Seq
	past     Past // nil: none
	finished bool // nothing may queue any more
}

// A framedDoor is a [Door] that stores frames as they are, so that they are
// made while the group before is being synced.
type framedDoor interface {
	appendFrames(ctx context.Context, expectedNext Seq, fr *frames) error
}

// An outcome is what those who wait for a group want to know. Its other fields
// are set before done is closed.
type outcome struct {
	done  chan struct{}
	first Seq
	err   error
}

// New returns a journal that keeps its records behind door. Nobody else may
// append there. Call [Journal.Run] to let it accept records.
func New(door Door) *Journal {
	j := &Journal{
		door:    door,
		queued:  make(chan struct{}, 1),
		outcome: &outcome{done: make(chan struct{})},
		size:    door.Next(),
	}
	j.framed, _ = door.(framedDoor)
	j.filling.reset()
	j.writing.reset()
	return j
}

// Append writes bodies as consecutive records and returns the position of the
// first. It returns nil only once they would survive a power cut. It copies
// them.
//
// After an error the records may or may not be kept, all or none; the caller
// finds out by reading, or by appending again under the same event ID.
func (j *Journal) Append(ctx context.Context, bodies ...[]byte) (Seq, error) {
	if err := checkAppend(bodies); err != nil {
		return 0, err
	}
	o, offset, err := j.queue(ctx, bodies)
	if err != nil {
		return 0, err
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if o.err != nil {
		return 0, o.err
	}
	return o.first + offset, nil
}

// checkAppend refuses what no door would take.
func checkAppend(bodies [][]byte) error {
	if len(bodies) == 0 || len(bodies) > MaxAppendRecords {
		return fmt.Errorf("journal: append of %d records, want 1 to %d", len(bodies), MaxAppendRecords)
	}
	total := 0
	for i, b := range bodies {
		if len(b) == 0 || len(b) > MaxRecordBytes {
			return fmt.Errorf("journal: append: record %d of %d bytes, want 1 to %d", i, len(b), MaxRecordBytes)
		}
		total += frameHeaderBytes + len(b)
	}
	if total > MaxGroupBytes {
		return fmt.Errorf("journal: append of %d bytes, want at most %d", total, MaxGroupBytes)
	}
	return nil
}

// queue adds bodies to the next group, waiting for room if that is full. They
// are its records from offset on.
func (j *Journal) queue(ctx context.Context, bodies [][]byte) (o *outcome, offset Seq, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	for {
		j.mu.Lock()
		if j.finished {
			j.mu.Unlock()
			return nil, 0, ErrStopped
		}
		if j.fits(bodies) {
			o, offset = j.outcome, Seq(len(j.filling.ends))
			j.filling.add(bodies)
			j.mu.Unlock()
			select {
			case j.queued <- struct{}{}:
			default: // Run will look anyway
			}
			return o, offset, nil
		}
		if j.room == nil {
			j.room = make(chan struct{})
		}
		room := j.room
		j.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// fits reports whether bodies may join the next group. The first always may.
func (j *Journal) fits(bodies [][]byte) bool {
	if len(j.filling.ends) == 0 {
		return true
	}
	total := len(j.filling.buf)
	for _, b := range bodies {
		total += frameHeaderBytes + len(b)
	}
	return total <= MaxGatherBytes
}

// Size returns the position the next record will have: with the first record
// at 0, the number of durable records.
func (j *Journal) Size() Seq {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size
}

// Wait blocks until the journal holds record n, or until ctx ends.
func (j *Journal) Wait(ctx context.Context, n Seq) error {
	for {
		j.mu.Lock()
		if j.size > n {
			j.mu.Unlock()
			return nil
		}
		if j.grown == nil {
			j.grown = make(chan struct{})
		}
		grown := j.grown
		j.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Read returns up to limit records starting at from, in order. It may return
// fewer than there are, as it stops after [MaxReadBytes] and between the past
// and the door, but at least one if there is one: who wants all goes on behind
// the last. If the record at from is damaged the error is a [*CorruptError].
//
// The Body of a record that the door has dropped is nil if retention dropped
// that too: then only the position is left, and the reader skips it or says so.
// Without a [Past] the error for records that the door has dropped is
// [ErrDropped].
func (j *Journal) Read(from Seq, limit int) ([]Record, error) {
	j.mu.Lock()
	size, past := j.size, j.past
	j.mu.Unlock()
	if from >= size || limit <= 0 {
		return nil, nil
	} else if int64(limit) > int64(size-from) {
		limit = int(size - from)
	}
	// The door itself says what it has dropped. To ask for its First before
	// would leave time for more to be dropped.
	records, err := j.door.Read(from, limit)
	if past != nil && errors.Is(err, ErrDropped) {
		return readPast(past, from, limit)
	}
	return records, err
}
