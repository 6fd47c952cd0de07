package tree

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// madeSuffix marks a file that is being made anew. As long as there is one,
// the others may be a mixture of old and new: all are to be made again.
const madeSuffix = ".made"

// oldFiles are those that the tree once kept and now computes.
var oldFiles = []string{"entries", "level0"}

// commitments calls do with the commitments of all records that were signed.
type commitments func(do func(c *event.Commitment) error) error

// remake makes the files anew. If the commitments give the signed root, they
// stay and all else is made from them: a record that differs from them is then
// not the one that was signed over. Otherwise they are made from the records
// too, provided that these give the signed root together with what is kept of
// those that were dropped. Until that is sure the old files stay as they are:
// they tell which record is not what it was.
func (t *Tree) remake(ctx context.Context, c *Config, signed tlog.Tree) error {
	intact, err := t.files.intact(ctx, signed)
	if err != nil {
		return err
	}
	first, list := 0, t.merged(ctx, c, signed.N)
	if intact {
		err = t.compare(ctx, c, signed)
		first, list = 1, func(do func(c *event.Commitment) error) error {
			_, err := t.files.forEachKept(ctx, signed.N, do)
			return err
		}
	} else {
		err = t.judge(ctx, c, signed)
	}
	if err != nil {
		return err
	}
	if err := t.files.remake(signed, first, list); err != nil {
		return fmt.Errorf("tree: make files anew: %w", err)
	}
	return nil
}

// intact reports whether the commitments give the signed root: then each is as
// it was when that was signed.
func (f *files) intact(ctx context.Context, signed tlog.Tree) (bool, error) {
	e := new(edge)
	var out [levels][]byte
	whole, err := f.forEachKept(ctx, signed.N, func(c *event.Commitment) error {
		clearRows(&out)
		e.grow(c, &out)
		return nil
	})
	return whole && e.root() == signed.Hash, err
}

// compare compares records with the commitments, which are intact.
func (t *Tree) compare(ctx context.Context, c *Config, signed tlog.Tree) error {
	from := min(firstCompared(c), signed.N)
	kept := keptRow{files: &t.files, read: from}
	return forEach(ctx, c.Records, from, signed.N, func(seq int64, body []byte) error {
		want, ok := kept.next()
		if !ok {
			return fmt.Errorf("tree: commitment of record %d cannot be read any more", seq)
		}
		return agree(c.EntryOf, seq, signed.N, body, &want)
	})
}

// merged returns the commitments of the records, and those that are kept of
// records that were dropped.
func (t *Tree) merged(ctx context.Context, c *Config, n int64) commitments {
	return func(do func(c *event.Commitment) error) error {
		kept := keptRow{files: &t.files}
		return forEach(ctx, c.Records, 0, n, func(seq int64, body []byte) error {
			it, ok := kept.next()
			if body == nil && !ok {
				return &LostError{journal.Seq(seq), journal.Seq(seq), n}
			}
			if body != nil {
				var err error
				if it, err = c.EntryOf.commitmentOf(body); err != nil {
					return fmt.Errorf("record %d: %w", seq, err)
				}
			}
			return do(&it)
		})
	}
}

// remake makes the files from level first on anew from list. It writes them
// beside the old ones, which it replaces once the new ones are durable and give
// the signed root. What a power cut leaves is known by its name.
func (f *files) remake(signed tlog.Tree, first int, list commitments) (err error) {
	var made [levels]disk.File
	defer func() { err = errors.Join(err, closeAll(&made)) }()
	for level := first; level < levels; level++ {
		if made[level], err = f.dir.Open(fileName(level) + madeSuffix); err != nil {
			return err
		}
		if err := made[level].Truncate(0); err != nil {
			return err
		}
	}
	if err := f.dir.Sync(); err != nil { // no name is replaced before the marks are durable
		return err
	}
	if err := writeTree(&made, signed, list); err != nil {
		return err
	}
	for _, file := range made[first:] {
		if err := file.Sync(); err != nil {
			return err
		}
	}
	for level := first; level < levels; level++ {
		if err := f.dir.Rename(fileName(level)+madeSuffix, fileName(level)); err != nil {
			return err
		}
	}
	if err := f.dir.Sync(); err != nil {
		return err
	}
	if err := f.close(); err != nil {
		return err
	}
	return f.open()
}

// writeTree writes the tree over list to those of rows that there are. It must
// have the signed root.
func writeTree(rows *[levels]disk.File, signed tlog.Tree, list commitments) error {
	e := new(edge)
	var out [levels][]byte
	flush := func() error {
		for level, file := range rows {
			if file == nil || len(out[level]) == 0 {
				continue
			}
			if _, err := file.Write(out[level]); err != nil {
				return err
			}
		}
		clearRows(&out)
		return nil
	}
	err := list(func(c *event.Commitment) error {
		e.grow(c, &out)
		if len(out[0]) >= writeBytes {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if e.size != signed.N || e.root() != signed.Hash {
		return errors.New("what is read now is not what was read before: it does not give the signed root")
	}
	return flush()
}

// interrupted reports whether making files anew was begun and did not end.
func (f *files) interrupted() (bool, error) {
	names, err := f.dir.List()
	return slices.ContainsFunc(names, isMade), err
}

func isMade(name string) bool {
	for level := range levels {
		if name == fileName(level)+madeSuffix {
			return true
		}
	}
	return false
}

// tidy removes what is not a file of the tree any more: what an interrupted
// remake left, and files of an earlier form.
func (f *files) tidy(ctx context.Context, log *slog.Logger) error {
	names, err := f.dir.List()
	if err != nil {
		return err
	}
	removed := false
	for _, name := range names {
		old := slices.Contains(oldFiles, name)
		if !old && !isMade(name) {
			continue
		}
		if err := f.dir.Remove(name); err != nil {
			return err
		}
		if removed = true; old {
			log.WarnContext(ctx, "removed a file that is not kept any more", "file", "tree/"+name)
		}
	}
	if !removed {
		return nil
	}
	return f.dir.Sync()
}
