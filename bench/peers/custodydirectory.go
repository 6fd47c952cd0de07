package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// A custodyDirectory is the data directory of a program that was stopped, opened
// for questions: the store with its usual settings, what is not sealed from the
// journal, and the commitments from the tree. Nothing in it is written to, but
// that it is locked.
type custodyDirectory struct {
	lock    io.Closer
	store   *store.Store
	commits *signedCommitments
}

// openCustodyDirectory opens what the program in a home has written. The error is
// [disk.ErrLocked] if it still runs.
func openCustodyDirectory(ctx context.Context, e *env) (*custodyDirectory, error) {
	base, err := disk.Dir(filepath.Join(e.home, custodyData))
	if err != nil {
		return nil, err
	}
	d := new(custodyDirectory)
	if d.lock, err = disk.Lock(base); err != nil {
		return nil, err
	}
	if err := d.open(ctx, readOnly{base}); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *custodyDirectory) open(ctx context.Context, data disk.FS) error {
	types, err := catalogue.Load()
	if err != nil {
		return err
	}
	if d.commits, err = openCommitments(data); err != nil {
		return err
	}
	dir, err := data.Sub("store")
	if err != nil {
		return err
	}
	d.store, err = store.Open(store.Config{
		Dir: dir, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Family: types.RetentionOf,
		Derive: &query.Derive{Severity: func(tag string) string { return string(types.SeverityOf(tag)) }},
		// Nothing is sealed here. What is left in a journal is no more than the
		// program had in memory.
		SealRows: math.MaxInt, SealBytes: math.MaxInt64,
	})
	if err != nil {
		return err
	}
	return d.replay(ctx, data)
}

// replay gives the store what is not in segments.
func (d *custodyDirectory) replay(ctx context.Context, data disk.FS) error {
	dir, err := data.Sub("journal")
	if err != nil {
		return err
	}
	files, err := journal.ReadFiles(dir, journal.From(d.store.Sealed()))
	if err != nil {
		return err
	}
	records := journal.New(files)
	records.SetPast(d.store)
	d.store.Connect(store.Parts{Journal: records, Tree: d.commits})
	for d.store.Cursor() < records.Size() {
		list, err := records.Read(d.store.Cursor(), batchEvents)
		if err != nil {
			return err
		}
		if err := d.store.Apply(ctx, list); err != nil {
			return err
		}
	}
	return nil
}

func (d *custodyDirectory) close() error {
	var errs []error
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.commits != nil {
		errs = append(errs, d.commits.file.Close())
	}
	return errors.Join(append(errs, d.lock.Close())...)
}

// A signedCommitments is the file of commitments of a tree, as far as the last
// checkpoint covers it: what comes after that the journal has, and is asked.
type signedCommitments struct {
	file disk.Reader
	size int64 // records
}

// errNotSigned means that no checkpoint covers a record yet.
var errNotSigned = errors.New("not signed yet")

// openCommitments opens the commitments in a data directory. The signature of the
// checkpoint is not checked: the program that made it was started here.
func openCommitments(data disk.FS) (*signedCommitments, error) {
	dir, err := data.Sub("tree")
	if err != nil {
		return nil, err
	}
	checkpoint, err := disk.ReadFile(dir, "checkpoint")
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(checkpoint), "\n") // origin, size, root, …
	if len(lines) < 3 {
		return nil, errors.New("tree/checkpoint is not one")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("tree/checkpoint: %w", err)
	}
	file, err := dir.OpenRead("commitments")
	if err != nil {
		return nil, err
	}
	return &signedCommitments{file, size}, nil
}

// Commitments implements [store.Commitments].
func (c *signedCommitments) Commitments(from journal.Seq, n int, dst []event.Commitment) ([]event.Commitment, error) {
	if int64(from)+int64(n) > c.size {
		return dst, errNotSigned
	}
	var one event.Commitment
	row := make([]byte, n*len(one))
	if got, err := c.file.ReadAt(row, int64(from)*int64(len(one))); got < len(row) {
		return dst, fmt.Errorf("commitments of %d records from %d: %w", n, from, err)
	}
	for ; len(row) > 0; row = row[len(one):] {
		dst = append(dst, event.Commitment(row[:len(one)]))
	}
	return dst, nil
}

// A readOnly is a directory that exists and is only looked at.
type readOnly struct{ disk.FS }

// Open implements [disk.FS].
func (d readOnly) Open(name string) (disk.File, error) { return nil, refused("open", name) }

// Remove implements [disk.FS].
func (d readOnly) Remove(name string) error { return refused("remove", name) }

// Rename implements [disk.FS].
func (d readOnly) Rename(from, _ string) error { return refused("rename", from) }

// Sync implements [disk.FS].
func (d readOnly) Sync() error { return refused("sync", ".") }

// Sub implements [disk.FS].
func (d readOnly) Sub(name string) (disk.FS, error) {
	sub, err := d.FS.Sub(name)
	if err != nil {
		return nil, err
	}
	return readOnly{sub}, nil
}

func refused(what, name string) error {
	return &fs.PathError{Op: what, Path: name, Err: fs.ErrPermission}
}
