package store

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/segment"
)

// stretchRows is how many rows of a segment one core checks at a time: a
// segment may hold most of all records.
const stretchRows = 1 << 13

// run checks all segments. One goroutine reads their pages, the largest segment
// first, and hands their rows to all cores.
func (k *check) run(ctx context.Context, list []*handle) error {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *handle) int { return cmp.Compare(b.Rows, a.Rows) })
	g, ctx := errgroup.WithContext(ctx)
	cores := runtime.GOMAXPROCS(0)
	work := make(chan *rowChecker, cores) // so much may be ready for who is done
	g.Go(func() error {
		defer close(work)
		for _, h := range list {
			if err := k.segment(ctx, h, work); err != nil {
				return err
			}
		}
		return nil
	})
	for range cores {
		g.Go(func() error {
			for r := range work {
				if err := r.check(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// segment checks the pages of one segment and hands its rows to work. What is
// wrong is found; an error is about the check itself.
func (k *check) segment(ctx context.Context, h *handle, work chan<- *rowChecker) error {
	if err := h.usable(); err != nil {
		k.damage(h, err, -1, h.Rows)
		k.step(h.Rows)
		return nil
	}
	reader := h.Reader()
	err := h.CheckPages()
	if err == nil {
		err = reader.Load()
	}
	if err != nil {
		k.damage(h, err, -1, 0)
	}
	if h.Len() != h.Rows {
		k.found(h.Main, -1, fmt.Sprintf("it has %d rows, the manifest says %d", h.Len(), h.Rows))
	}
	s := &segmentCheck{check: k, h: h, left: h.Len()}
	for from := 0; from < h.Len(); from += stretchRows {
		r := &rowChecker{segmentCheck: s, from: from, end: min(from+stretchRows, h.Len()), reader: reader.Another()}
		select {
		case work <- r:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// A segmentCheck is what the checkers of a segment's rows found together.
// Whoever holds mu of the check may use it.
type segmentCheck struct {
	*check

	h    *handle
	left int // rows that are not checked yet
	rows rowsChecked
}

// rowsChecked is what is said of rows.
type rowsChecked struct {
	good     int64
	unproved int64
	unread   int
	first    error // why the first of these could not be read
	firstRow int
}

// add adds what is said of other rows.
func (a *rowsChecked) add(b *rowsChecked) {
	if b.unread > 0 && (a.unread == 0 || b.firstRow < a.firstRow) {
		a.first, a.firstRow = b.first, b.firstRow
	}
	a.good += b.good
	a.unproved += b.unproved
	a.unread += b.unread
}

// A rowChecker checks some rows of a segment.
type rowChecker struct {
	*segmentCheck

	rows       rowsChecked
	from, end  int // rows
	reader     *segment.Reader
	commitment func(seq int64, c *event.Commitment) (bool, error)
	record     event.Record
}

func (r *rowChecker) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.commitment = r.Commitment()
	for row := r.from; row < r.end; row++ {
		if err := r.row(row); err != nil {
			return err
		}
	}
	r.step(r.end - r.from)
	if r.done() {
		return r.finish()
	}
	return nil
}

// done adds what was found, and reports whether these were the last rows.
func (r *rowChecker) done() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.segmentCheck.rows.add(&r.rows)
	r.left -= r.end - r.from
	return r.left == 0
}

// finish sums up a segment whose rows are all checked.
func (s *segmentCheck) finish() error {
	if s.rows.unread > 0 {
		seq, err := s.h.Reader().Seq(s.rows.firstRow)
		if err != nil {
			seq = -1
		}
		s.damage(s.h, s.rows.first, seq, s.rows.unread)
	}
	s.mu.Lock()
	s.sum.Records[s.h.Family] += s.rows.good
	s.sum.Unproved += s.rows.unproved
	s.mu.Unlock()
	if s.rows.good == int64(s.h.Rows) && s.Deep {
		return s.deep(s.h)
	}
	return nil
}

// row checks one row.
func (r *rowChecker) row(row int) error {
	seq, err := r.reader.Record(row, &r.record)
	if err != nil {
		if r.rows.unread++; r.rows.unread == 1 {
			r.rows.first, r.rows.firstRow = err, row
		}
		return nil
	}
	if seq < r.h.FirstSeq || seq > r.h.LastSeq || seq >= r.sealed {
		r.found(r.h.Main, seq, fmt.Sprintf("it is not between %d and %d, and before %d", r.h.FirstSeq, r.h.LastSeq, r.sealed))
		return nil
	}
	if old := r.seen[seq/64].Or(1 << (seq % 64)); old&(1<<(seq%64)) != 0 {
		r.found(r.h.Main, seq, "it is in the store twice")
		return nil
	}
	switch known, err := r.commitment(seq, &r.record.Commitment); {
	case err != nil:
		return err
	case !known:
		r.rows.unproved++
		r.rows.good++
	case r.record.Verify() != nil:
		digests, _ := r.record.Digests()
		gives := event.CommitmentOfDigests(digests)
		r.add(Finding{File: r.h.Main, Or: r.other(), Seq: seq, Reason: "its fields do not match its commitment in the tree", Gives: &gives})
	default:
		r.rows.good++
	}
	return nil
}

// other returns the side part of the segment, if fields of the record are in
// it: nothing tells in which part it is wrong.
func (r *rowChecker) other() string {
	for i := range r.record.Fields {
		if r.record.Fields[i].Private {
			return r.h.Side
		}
	}
	return ""
}
