package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/internal/journal"
)

// progressRecords is how often Check reports progress.
const progressRecords = 1 << 16

// Check compares all records that the latest checkpoint covers with all of the
// tree's files, and these with the signed root, on all cores. It returns a
// [*DisagreeError] that names the first record that is not as it should be.
// Now and then it calls progress, one call at a time, with the number of
// records done. See [Audit] for a check that trusts nothing a record says of itself.
func (t *Tree) Check(ctx context.Context, records Source, entryOf EntryOf, progress func(done int64)) error {
	signed := t.Latest()
	if signed.Message == nil {
		return nil
	}
	if have := records.Size(); int64(have) < signed.N {
		return &DisagreeError{Seq: have, Size: signed.N, Reason: "it is missing, as is all that came after"}
	}
	if err := t.check(ctx, records, entryOf, signed.N, progress); err != nil {
		return err
	}
	return t.sameRoot(signed.Tree)
}

// check compares the first n records with the files.
func (t *Tree) check(ctx context.Context, records Source, entryOf EntryOf, n int64, progress func(done int64)) error {
	c := &checker{files: &t.files, records: records, entryOf: entryOf, size: n, progress: progress}
	var group sync.WaitGroup
	errs := make([]error, runtime.GOMAXPROCS(0))
	for i := range errs {
		group.Go(func() { errs[i] = c.work(ctx) })
	}
	group.Wait()
	if err := firstDisagreement(errs); err != nil {
		return err
	}
	return c.checkUpperLevels(ctx)
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
	size    int64

	next atomic.Int64 // tile of level 0 to check next

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

// checkTile compares the records of a tile of level 0 with its entries, its
// hashes and its root.
func (c *checker) checkTile(ctx context.Context, tile, width int64) error {
	first := tile * tileWidth
	rows, err := readExactly(c.files.entries, first*bundleBytes, width*bundleBytes)
	if err != nil {
		return fmt.Errorf("tree: check: entries of record %d: %w", first, err)
	}
	leaves, err := c.files.readHashes(0, first, width)
	if err != nil {
		return fmt.Errorf("tree: check: hash of record %d: %w", first, err)
	}
	var row [bundleBytes]byte
	for i := int64(0); i < width; {
		if err := ctx.Err(); err != nil {
			return err
		}
		records, err := c.records.Read(journal.Seq(first+i), int(width-i))
		if err != nil {
			return fmt.Errorf("tree: check: read records from %d: %w", first+i, err)
		}
		if len(records) == 0 {
			return c.disagree(first+i, "it is missing")
		}
		for _, r := range records {
			entry, err := c.entryOf(r.Body)
			if err != nil {
				return c.disagree(first+i, err.Error())
			}
			leaf := leafHash(&entry)
			if !bytes.Equal(appendBundle(row[:0], &entry), rows[i*bundleBytes:(i+1)*bundleBytes]) ||
				!bytes.Equal(leaf[:], leaves[i*hashBytes:(i+1)*hashBytes]) {
				return c.disagree(first+i, "its commitment is not the one in the tree")
			}
			i++
		}
	}
	if width < tileWidth {
		return nil
	}
	return c.checkRoot(0, tile, leaves)
}

// checkUpperLevels compares the tiles above level 0 with their roots.
func (c *checker) checkUpperLevels(ctx context.Context) error {
	for level := 1; level < levels-1; level++ {
		for tile := range hashesAt(level+1, c.size) {
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
