package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/proof"
)

// auditAtOnce is how many records an audit hands to one core.
const auditAtOnce = 2048

// A FalseError says what an audit found wrong. Seq is the first record it is
// about, -1 if it is about none.
type FalseError struct {
	Seq    journal.Seq
	Where  string // the file, for example "tree/level0"
	Reason string
}

func (e *FalseError) Error() string {
	if e.Seq < 0 {
		return e.Where + ": " + e.Reason
	}
	return fmt.Sprintf("%s: record %d: %s", e.Where, e.Seq, e.Reason)
}

// Audit checks all records and every byte of the tree's files in dir against
// each other and against the last signed checkpoint, whose signature must be by
// a log key of policy. It computes all commitments and hashes anew, changes
// nothing, and returns the checkpoint; or a [*FalseError]. progress, if not
// nil, is told how many records are done.
func Audit(ctx context.Context, dir disk.FS, records Source, policy *proof.Policy, progress func(done int64)) (*proof.Checkpoint, error) {
	signed, err := auditHead(dir, records, policy)
	if err != nil {
		return nil, err
	}
	a := &audit{signed: signed.Tree, edge: new(edge), progress: progress}
	if err := a.open(dir); err != nil {
		return nil, errors.Join(err, a.close())
	}
	err = errors.Join(a.run(ctx, records), a.close())
	if err != nil {
		return nil, err
	}
	return signed, nil
}

// auditHead returns the signed checkpoint in dir.
func auditHead(dir disk.FS, records Source, policy *proof.Policy) (*proof.Checkpoint, error) {
	const where = "tree/checkpoint"
	msg, err := FileHead(dir).Load()
	if err != nil {
		return nil, err
	}
	if msg == nil {
		return nil, &FalseError{-1, where, "there is no signed checkpoint"}
	}
	logs, err := proof.KeyPolicy(policy.Logs()...) // what is kept here has no cosignatures
	if err != nil {
		return nil, err
	}
	signed, err := proof.OpenCheckpoint(msg, logs)
	if err != nil {
		return nil, &FalseError{-1, where, err.Error()}
	}
	if n := records.Size(); int64(n) < signed.N {
		return nil, &FalseError{n, "journal", fmt.Sprintf("it is missing, as is all that came after; %d were signed", signed.N)}
	}
	return signed, nil
}

// An audit compares what the records give with what the files hold.
type audit struct {
	signed   tlog.Tree
	edge     *edge
	files    [levels + 1]auditedFile // the levels, then the entries
	progress func(done int64)
}

// An auditedFile is a file that is read along with what should be in it.
type auditedFile struct {
	name   string
	reader disk.Reader
	offset int64
	size   int64
	unit   int64 // bytes for each record, tile of records and so on
	span   int64 // records behind one unit
}

func (a *audit) open(dir disk.FS) (err error) {
	for i := range a.files {
		f := &a.files[i]
		f.name, f.unit, f.span = fmt.Sprintf("level%d", i), hashBytes, 1<<(tileBits*i)
		if i == levels {
			f.name, f.unit, f.span = "entries", bundleBytes, 1
		}
		if f.reader, err = dir.OpenRead(f.name); errors.Is(err, fs.ErrNotExist) {
			return &FalseError{-1, "tree/" + f.name, "the file is missing"}
		}
		if err == nil {
			f.size, err = f.reader.Size()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *audit) close() error {
	var errs []error
	for _, f := range a.files {
		if f.reader != nil {
			errs = append(errs, f.reader.Close())
		}
	}
	return errors.Join(errs...)
}

// An auditChunk is some records and, once done is closed, their entries.
type auditChunk struct {
	records []journal.Record
	entries []event.Entry
	done    chan struct{}
	err     error
}

// run checks all records, on all cores.
func (a *audit) run(ctx context.Context, records Source) error {
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan *auditChunk, 2*runtime.GOMAXPROCS(0))
	work := make(chan *auditChunk)
	g.Go(func() error {
		defer close(queue)
		defer close(work)
		for next := journal.Seq(0); next < records.Size(); {
			list, err := records.Read(next, auditAtOnce)
			if err != nil {
				return err
			}
			chunk := &auditChunk{records: list, done: make(chan struct{})}
			for _, to := range []chan<- *auditChunk{queue, work} {
				select {
				case to <- chunk:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			next += journal.Seq(len(list))
		}
		return nil
	})
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for chunk := range work {
				chunk.compute()
			}
			return nil
		})
	}
	g.Go(func() error { return a.consume(ctx, queue) })
	return g.Wait()
}

// compute recomputes the entries.
func (c *auditChunk) compute() {
	defer close(c.done)
	var r event.Record
	for _, rec := range c.records {
		err := r.Decode(rec.Body)
		if err == nil {
			err = r.Verify()
		}
		if err != nil {
			c.err = &FalseError{rec.Seq, "journal", err.Error()}
			return
		}
		c.entries = append(c.entries, r.Commitment.Entry())
	}
}

// consume compares chunk after chunk with the files.
func (a *audit) consume(ctx context.Context, queue <-chan *auditChunk) error {
	for chunk := range queue {
		select {
		case <-chunk.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if chunk.err != nil {
			return chunk.err
		}
		if err := a.grow(chunk.entries); err != nil {
			return err
		}
		if a.progress != nil {
			a.progress(a.edge.size)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i := range a.files {
		if f := &a.files[i]; f.size > f.offset {
			return &FalseError{-1, "tree/" + f.name, fmt.Sprintf("has %d bytes more than the records give", f.size-f.offset)}
		}
	}
	return nil
}

// grow takes in entries, up to the signed size first.
func (a *audit) grow(entries []event.Entry) error {
	var out [levels][]byte
	var rows []byte
	for i := range entries {
		leaf := leafHash(&entries[i])
		a.edge.grow(&leaf, &out)
		rows = appendBundle(rows, &entries[i])
		if a.edge.size == a.signed.N && a.edge.root() != a.signed.Hash {
			return &FalseError{-1, "tree/checkpoint", fmt.Sprintf("the root of %d records is not the signed one", a.signed.N)}
		}
	}
	// Entries and leaves first: their mistakes name a record.
	if err := a.files[levels].compare(rows, a.signed.N); err != nil {
		return err
	}
	for level := range levels {
		if err := a.files[level].compare(out[level], a.signed.N); err != nil {
			return err
		}
	}
	return nil
}

// compare compares the next bytes of the file with want. What is not signed
// over yet may be missing.
func (f *auditedFile) compare(want []byte, signed int64) error {
	if len(want) == 0 {
		return nil
	}
	have := make([]byte, min(int64(len(want)), max(0, f.size-f.offset)))
	if n, err := f.reader.ReadAt(have, f.offset); n < len(have) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("tree: %s: %w", f.name, err)
	}
	if !bytes.Equal(have, want[:len(have)]) {
		i := 0
		for have[i] == want[i] {
			i++
		}
		at := f.offset + int64(i)
		return &FalseError{journal.Seq(at / f.unit * f.span), "tree/" + f.name, fmt.Sprintf("byte %d is not what the records give", at)}
	}
	f.offset += int64(len(have))
	if first := f.offset / f.unit * f.span; len(have) < len(want) && first+f.span <= signed {
		return &FalseError{journal.Seq(first), "tree/" + f.name, "the file ends before what was signed"}
	}
	return nil
}
