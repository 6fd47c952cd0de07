package tree

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
)

// progressRecords is how often Check reports progress.
const progressRecords = 1 << 16

// Check compares all records that the latest checkpoint covers with all of the
// tree's files, and these with the signed root, on all cores. Of a record that
// was dropped it checks the commitment that is kept, and returns how many these
// are. It returns a [*DisagreeError] that names the first record that is not as
// it should be. Now and then it calls progress, one call at a time, with the
// number of records done. See [Audit] for a check that trusts nothing a record
// says of itself.
func (t *Tree) Check(ctx context.Context, records Source, entryOf EntryOf, progress func(done int64)) (dropped int64, err error) {
	signed := t.Latest()
	if signed.Message == nil {
		return 0, nil
	}
	if have := records.Size(); int64(have) < signed.N {
		return 0, &DisagreeError{Seq: have, Size: signed.N, Reason: "it is missing, as is all that came after"}
	}
	dropped, err = t.check(ctx, records, entryOf, 0, signed.N, progress)
	if err != nil {
		return 0, err
	}
	return dropped, t.sameRoot(signed.Tree)
}

// check compares the records from one up to the n-th with the files, and the
// tiles they are in with their roots.
func (t *Tree) check(ctx context.Context, records Source, entryOf EntryOf, from, n int64, progress func(done int64)) (dropped int64, err error) {
	if from >= n {
		return 0, nil
	}
	c := &checker{files: &t.files, records: records, entryOf: entryOf, from: from, size: n, progress: progress}
	c.next.Store(from / tileWidth)
	var group sync.WaitGroup
	errs := make([]error, runtime.GOMAXPROCS(0))
	for i := range errs {
		group.Go(func() { errs[i] = c.work(ctx) })
	}
	group.Wait()
	if err := firstDisagreement(errs); err != nil {
		return 0, err
	}
	return c.dropped.Load(), c.checkUpperLevels(ctx)
}

// firstDisagreement returns the error for the lowest record, other errors
// first. Tiles are handed out in order and a worker stops at its first, so the
// lowest of all is among them.
func firstDisagreement(errs []error) error {
	var first *DisagreeError
	for _, err := range errs {
		var disagree *DisagreeError
		if err != nil && !errors.As(err, &disagree) {
			return err
		}
		if disagree != nil && (first == nil || disagree.Seq < first.Seq) {
			first = disagree
		}
	}
	if first == nil {
		return nil
	}
	return first
}

// A checker checks tiles, several at a time.
type checker struct {
	files   *files
	records Source
	entryOf EntryOf
	from    int64 // records before it are not read
	size    int64

	next    atomic.Int64 // tile of level 0 to check next
	dropped atomic.Int64 // records of which only the commitment is left

	mu       sync.Mutex
	done     int64 // records checked
	progress func(done int64)
}

// work checks tiles until there are none left, or one is wrong.
func (c *checker) work(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		tile := c.next.Add(1) - 1
		first := tile * tileWidth
		if first >= c.size {
			return nil
		}
		width := min(tileWidth, c.size-first)
		if err := c.checkTile(ctx, tile, width); err != nil {
			c.next.Store(c.size) // the others need not go on
			return err
		}
		c.report(width)
	}
}

func (c *checker) report(width int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.done / progressRecords
	c.done += width
	if c.done/progressRecords != before || c.done == c.size {
		c.progress(c.done)
	}
}

// checkTile compares the records of a tile of level 0 with its commitments, and
// these with its root.
func (c *checker) checkTile(ctx context.Context, tile, width int64) error {
	first := tile * tileWidth
	row, err := c.files.readRow(0, first, width)
	if err != nil {
		return fmt.Errorf("tree: check: commitment of record %d: %w", first, err)
	}
	dropped := int64(0)
	err = forEach(ctx, c.records, max(first, c.from), first+width, func(seq int64, body []byte) error {
		if body == nil {
			dropped++
			return nil
		}
		want := event.Commitment(row[(seq-first)*hashBytes : (seq-first+1)*hashBytes])
		return agree(c.entryOf, seq, c.size, body, &want)
	})
	if err != nil {
		return err
	}
	c.dropped.Add(dropped)
	if width < tileWidth {
		return nil
	}
	hashLeaves(row)
	return c.checkRoot(0, tile, row)
}

// checkUpperLevels compares the tiles above level 0 with their roots, as far as
// they are about records from c.from on.
func (c *checker) checkUpperLevels(ctx context.Context) error {
	for level := 1; level < levels-1; level++ {
		for tile := hashesAt(level+1, c.from); tile < hashesAt(level+1, c.size); tile++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			row, err := c.files.readHashes(level, tile*tileWidth, tileWidth)
			if err != nil {
				return fmt.Errorf("tree: check: tile %d of level %d: %w", tile, level, err)
			}
			if err := c.checkRoot(level, tile, row); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkRoot compares a full tile, whose hashes are row, with its root in the
// level above.
func (c *checker) checkRoot(level int, tile int64, row []byte) error {
	kept, err := c.files.readHashes(level+1, tile, 1)
	if err != nil {
		return fmt.Errorf("tree: check: root of tile %d of level %d: %w", tile, level, err)
	}
	if perfectRoot(row) != tlog.Hash(kept) {
		return c.disagree(tile<<(tileBits*(level+1)), fmt.Sprintf("the root of the tile of level %d that starts with it is wrong", level))
	}
	return nil
}

func (c *checker) disagree(seq int64, reason string) error {
	return &DisagreeError{Seq: journal.Seq(seq), Size: c.size, Reason: reason}
}
