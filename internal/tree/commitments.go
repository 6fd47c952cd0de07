package tree

import (
	"context"
	"fmt"
	"slices"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
)

// Commitment returns the commitment of the record at seq, which may long have
// been dropped. Of a record that the tree has not taken in yet the error is
// [ErrNotYet].
//
// It is what the file holds: whoever needs evidence asks [Tree.Prove], which
// compares with the signed root.
func (t *Tree) Commitment(seq journal.Seq) (event.Commitment, error) {
	row, err := t.commitments(seq, 1)
	if err != nil {
		return event.Commitment{}, err
	}
	return event.Commitment(row), nil
}

// Commitments appends to dst the commitments of n records from the one at
// from, as [Tree.Commitment] returns them: all, or none with an error. It
// reads up to 1 MiB of the file at once, which is 32,768 of them.
func (t *Tree) Commitments(from journal.Seq, n int, dst []event.Commitment) ([]event.Commitment, error) {
	if err := t.holds(from, n); err != nil {
		return dst, err
	}
	before := len(dst)
	dst = slices.Grow(dst, n)
	for n > 0 {
		some := min(n, writeBytes/hashBytes)
		row, err := t.commitments(from, some)
		if err != nil {
			return dst[:before], err
		}
		for i := 0; i < len(row); i += hashBytes {
			dst = append(dst, event.Commitment(row[i:i+hashBytes]))
		}
		from, n = from+journal.Seq(some), n-some
	}
	return dst, nil
}

// commitments returns those of n records, one after the other.
func (t *Tree) commitments(from journal.Seq, n int) ([]byte, error) {
	if err := t.holds(from, n); err != nil {
		return nil, err
	}
	row, err := t.files.readRow(0, int64(from), int64(n))
	if err != nil {
		return nil, fmt.Errorf("tree: commitment of record %d: %w", from, err)
	}
	return row, nil
}

// holds refuses what the tree does not hold, or not yet.
func (t *Tree) holds(from journal.Seq, n int) error {
	if from < 0 || n < 0 {
		return fmt.Errorf("tree: commitments of %d records from %d", n, from)
	}
	if size := t.Cursor(); int64(n) > int64(size-from) {
		return fmt.Errorf("tree: commitments of %d records from %d: %w", n, from, ErrNotYet)
	}
	return nil
}

// A keptRow is the commitments that the file holds, read from the first on. It may
// be too short.
type keptRow struct {
	files *files
	some  []byte // read and not yet returned
	read  int64  // commitments returned
	ended bool
}

// next returns the next commitment, if there is one.
func (r *keptRow) next() (event.Commitment, bool) {
	if len(r.some) == 0 && !r.ended {
		some := make([]byte, tileWidth*hashBytes)
		n, _ := r.files.rows[0].ReadAt(some, r.read*hashBytes) // what cannot be read is not there
		r.some = some[:n-n%hashBytes]
		r.ended = len(r.some) == 0
	}
	if r.ended {
		return event.Commitment{}, false
	}
	c := event.Commitment(r.some[:hashBytes])
	r.some = r.some[hashBytes:]
	r.read++
	return c, true
}

// forEachKept calls do with the commitments of the first n records, as the
// file has them. It reports whether there are as many.
func (f *files) forEachKept(ctx context.Context, n int64, do func(c *event.Commitment) error) (whole bool, err error) {
	for kept := (keptRow{files: f}); kept.read < n; {
		if len(kept.some) == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		c, ok := kept.next()
		if !ok {
			return false, nil
		}
		if err := do(&c); err != nil {
			return false, err
		}
	}
	return true, nil
}

// forEach calls do with the records from one up to another, in order.
func forEach(ctx context.Context, records Source, from, to int64, do func(seq int64, body []byte) error) error {
	for next := from; next < to; {
		if err := ctx.Err(); err != nil {
			return err
		}
		list, err := records.Read(journal.Seq(next), int(min(readRecords, to-next)))
		if err != nil {
			return fmt.Errorf("tree: read records from %d: %w", next, err)
		}
		if len(list) == 0 {
			return fmt.Errorf("tree: read records from %d: there are none", next)
		}
		for _, r := range list {
			if int64(r.Seq) != next || next == to {
				return fmt.Errorf("tree: read records: given %d, want %d, below %d", r.Seq, next, to)
			}
			if err := do(next, r.Body); err != nil {
				return err
			}
			next++
		}
	}
	return nil
}
