package journal

import (
	"context"
	"errors"
	"fmt"
)

// A Door is where a [Journal] keeps its records: a list that grows by
// compare-and-append. It is narrow so that local files, an object store and a
// stream server can stand behind it alike; package journaltest holds what each
// must do. Methods may be called concurrently.
type Door interface {
	// Append writes records, 1 to [MaxAppendRecords] of them, as the records
	// from expectedNext on: all of them or none, also after a power cut. It
	// returns nil only once they would survive one. If the next position is
	// not expectedNext it writes nothing and returns [ErrConflict]. After any
	// other failure to write it accepts nothing more and returns
	// [ErrStopped]. It does not keep records or change them.
	Append(ctx context.Context, expectedNext Seq, records [][]byte) error

	// Read returns up to limit durable records starting at from, in order.
	// It stops after [MaxReadBytes], so it may return fewer than there are,
	// but at least one if there is one. If the record at from is older than
	// First, or is dropped while it is read, the error is [ErrDropped].
	Read(from Seq, limit int) ([]Record, error)

	// First returns the position of the oldest record that can be read; without
	// records, Next. A door that drops nothing returns the same for ever.
	First() Seq

	// Next returns the position after the last durable record.
	Next() Seq

	// Close waits for an Append under way and ends the door; later Appends
	// return [ErrStopped].
	Close() error
}

// ErrConflict is returned by [Door.Append] when somebody else appended first.
// The caller reads what is new and decides again.
var ErrConflict = errors.New("journal: somebody else appended first")

// ErrStopped is returned by Append once a journal or door has stopped, whether
// it was told to or a failed write or sync forced it. Only opening it anew
// tells what is stored. What [Files] and [Journal.Run] return has the cause
// with it: disk.IsFull says whether the disk was full.
var ErrStopped = errors.New("journal: stopped")

// ErrDropped is returned by [Door.Read] for records that were there and are not
// any more. Nothing is wrong: who wants them asks whoever took them over, as
// [Journal.Read] does by itself if it has a [Past].
var ErrDropped = errors.New("journal: dropped")

// A CorruptError says that stored bytes are not what was written. Trying again
// does not help; somebody has to look.
type CorruptError struct {
	File   string // name of the file
	Offset int64  // in File, of what is damaged
	Seq    Seq    // the first record that is damaged or missing
	Reason string // what was found there
}

// Error implements error.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal: corrupt at record %d: file %s, offset %d: %s", e.Seq, e.File, e.Offset, e.Reason)
}
