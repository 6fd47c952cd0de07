package tree

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/internal/disk"
)

// writeBytes is how much is collected before it is written, when much is
// written at once.
const writeBytes = 1 << 20 // 1 MiB

// files are the tree's flat files. The first n records fix the first bytes of
// each, whatever comes later.
//
//	commitments   32 bytes for each record
//	level1        32 bytes for each full tile of leaf hashes: its root
//	level2        32 bytes for each full tile of level1: its root
//	…             and so on
type files struct {
	dir  disk.FS
	rows [levels]disk.File
}

// fileName returns the name of the file behind a level. Level 0 is computed
// from the commitments.
func fileName(level int) string {
	if level == 0 {
		return "commitments"
	}
	return fmt.Sprintf("level%d", level)
}

// open opens the files in f.dir, creating durably what is missing.
func (f *files) open() (err error) {
	for level := range levels {
		if f.rows[level], err = f.dir.Open(fileName(level)); err != nil {
			return err
		}
	}
	return f.dir.Sync()
}

// each calls do for every file with the number of bytes that n records fix.
func (f *files) each(n int64, do func(file disk.File, bytes int64) error) error {
	for level := range levels {
		if err := do(f.rows[level], hashesAt(level, n)*hashBytes); err != nil {
			return err
		}
	}
	return nil
}

// hashesAt returns how many hashes of a level n records fix.
func hashesAt(level int, n int64) int64 { return n >> (tileBits * level) }

// write appends to the files. After an error they hold any part of it.
func (f *files) write(out *[levels][]byte) error {
	for level := range levels {
		if len(out[level]) > 0 {
			if _, err := f.rows[level].Write(out[level]); err != nil {
				return err
			}
		}
	}
	return nil
}

// clearRows empties rows that were written, and keeps their memory.
func clearRows(out *[levels][]byte) {
	for level := range out {
		out[level] = out[level][:0]
	}
}

// cut makes the files hold n records and nothing else. They must hold as many.
func (f *files) cut(n int64) error {
	return f.each(n, func(file disk.File, bytes int64) error {
		switch size, err := file.Size(); {
		case err != nil:
			return err
		case size < bytes:
			return io.ErrUnexpectedEOF
		case size == bytes:
			return nil
		}
		return file.Truncate(bytes)
	})
}

// hold reports whether the files hold at least n records.
func (f *files) hold(n int64) (bool, error) {
	enough := true
	err := f.each(n, func(file disk.File, bytes int64) error {
		size, err := file.Size()
		enough = enough && size >= bytes
		return err
	})
	return enough, err
}

// sync makes durable what the records from old to n added.
func (f *files) sync(old, n int64) error {
	if old == n {
		return nil
	}
	for level := range levels {
		if hashesAt(level, old) == hashesAt(level, n) {
			return nil
		}
		if err := f.rows[level].Sync(); err != nil {
			return err
		}
	}
	return nil
}

// close closes the files.
func (f *files) close() error { return closeAll(&f.rows) }

func closeAll(rows *[levels]disk.File) error {
	var errs []error
	for _, file := range rows {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

// readHashes returns hashes first to first+count of a level, one after the
// other.
func (f *files) readHashes(level int, first, count int64) ([]byte, error) {
	row, err := f.readRow(level, first, count)
	if err == nil && level == 0 {
		hashLeaves(row)
	}
	return row, err
}

// readRow is readHashes, but of level 0 it returns the commitments.
func (f *files) readRow(level int, first, count int64) ([]byte, error) {
	return readExactly(f.rows[level], first*hashBytes, count*hashBytes)
}

func readExactly(r io.ReaderAt, offset, count int64) ([]byte, error) {
	b := make([]byte, count)
	n, err := r.ReadAt(b, offset)
	if n == len(b) {
		return b, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

// edge returns the right edge of the tree of the first n records.
func (f *files) edge(n int64) (*edge, error) {
	e := &edge{size: n}
	for level := range levels {
		width := hashesAt(level, n) % tileWidth
		row, err := f.readHashes(level, hashesAt(level, n)-width, width)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fileName(level), err)
		}
		e.tiles[level] = row
	}
	return e, nil
}

// root returns the root of the tree of the first n records.
func (f *files) root(n int64) (tlog.Hash, error) {
	e, err := f.edge(n)
	if err != nil {
		return tlog.Hash{}, err
	}
	return e.root(), nil
}

// ReadHashes implements [tlog.HashReader]. Hashes between the levels of the
// files are computed.
func (f *files) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		height, n := tlog.SplitStoredHashIndex(x)
		level, above := height/tileBits, height%tileBits
		if level >= levels {
			return nil, fmt.Errorf("hash at height %d of a tree of %d levels", height, levels)
		}
		row, err := f.readHashes(level, n<<above, 1<<above)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fileName(level), err)
		}
		list[i] = perfectRoot(row)
	}
	return list, nil
}
