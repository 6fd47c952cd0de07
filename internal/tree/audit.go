package tree

import (
	"context"
	"errors"
	"fmt"
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
	Where  string // the file, for example "tree/commitments"
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
// nothing, and returns the checkpoint; or a [*FalseError]. progress, if not nil,
// is told how many records are done.
//
// It also returns how many records retention dropped. What is left of them, the
// commitment, is checked like the others; whether they were to be dropped is for
// the caller to judge.
func Audit(ctx context.Context, dir disk.FS, records Source, policy *proof.Policy, progress func(done int64)) (signed *proof.Checkpoint, dropped int64, err error) {
	a := &audit{edge: new(edge), progress: progress}
	signed, err = a.all(ctx, dir, records, policy)
	return signed, a.dropped, err
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
	files    [levels]auditedFile
	dropped  int64 // how many were
	progress func(done int64)
}

func (a *audit) all(ctx context.Context, dir disk.FS, records Source, policy *proof.Policy) (*proof.Checkpoint, error) {
	signed, err := auditHead(dir, records, policy)
	if err != nil {
		return nil, err
	}
	a.signed = signed.Tree
	if err = a.open(dir); err == nil {
		err = a.run(ctx, records)
	}
	if err = errors.Join(err, a.close()); err != nil {
		return nil, err
	}
	return signed, nil
}

func (a *audit) open(dir disk.FS) (err error) {
	for level := range a.files {
		f := &a.files[level]
		f.name, f.span = fileName(level), 1<<(tileBits*level)
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

// An auditChunk is some records and, once done is closed, their leaf hashes.
type auditChunk struct {
	records []journal.Record
	leaves  []tlog.Hash
	dropped int64
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
		return a.produce(ctx, records, queue, work)
	})
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for chunk := range work {
				chunk.err = a.compute(chunk)
				close(chunk.done)
			}
			return nil
		})
	}
	g.Go(func() error { return a.consume(ctx, queue) })
	return g.Wait()
}

// produce reads all records and sends them, chunk after chunk, to each of to.
func (a *audit) produce(ctx context.Context, records Source, to ...chan<- *auditChunk) error {
	for next := journal.Seq(0); next < records.Size(); {
		list, err := records.Read(next, auditAtOnce)
		if err != nil {
			return err
		}
		if len(list) == 0 || list[0].Seq != next || list[len(list)-1].Seq != next+journal.Seq(len(list)-1) {
			return fmt.Errorf("tree: audit: record %d and those after it were not what was read", next)
		}
		chunk := &auditChunk{records: list, done: make(chan struct{})}
		for _, c := range to {
			select {
			case c <- chunk:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		next += journal.Seq(len(list))
	}
	return nil
}

// compute recomputes the commitments and compares them with the file.
func (a *audit) compute(chunk *auditChunk) error {
	f := &a.files[0]
	first := int64(chunk.records[0].Seq)
	have, err := f.read(first*hashBytes, int64(len(chunk.records))*hashBytes)
	if err != nil {
		return err
	}
	chunk.leaves = make([]tlog.Hash, len(chunk.records))
	var r event.Record
	for i, rec := range chunk.records {
		kept := have[min(i*hashBytes, len(have)):min((i+1)*hashBytes, len(have))]
		if rec.Body == nil {
			if err := a.mayBeDropped(rec.Seq, kept); err != nil {
				return err
			}
			chunk.dropped++
			r.Commitment = event.Commitment(kept)
		} else if err := a.recompute(&r, rec, kept); err != nil {
			return err
		}
		chunk.leaves[i] = leafHash(&r.Commitment)
	}
	return nil
}

// mayBeDropped refuses a record without a body of which nothing shows what it was.
func (a *audit) mayBeDropped(seq journal.Seq, kept []byte) error {
	switch {
	case int64(seq) >= a.signed.N:
		return &FalseError{seq, "journal", "it was dropped before it was signed over"}
	case len(kept) < hashBytes:
		return &FalseError{seq, "tree/" + a.files[0].name, "it was dropped, and the file ends before its commitment"}
	}
	return nil
}

// recompute reads a record into r and compares its commitment, computed anew,
// with the one kept. What is not signed over yet may be missing there.
func (a *audit) recompute(r *event.Record, rec journal.Record, kept []byte) error {
	err := r.Decode(rec.Body)
	if err == nil {
		err = r.Verify()
	}
	if err != nil {
		return &FalseError{rec.Seq, "journal", err.Error()}
	}
	return a.files[0].same(kept, r.Commitment[:], int64(rec.Seq)*hashBytes, a.signed.N)
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
		a.dropped += chunk.dropped
		if err := a.grow(chunk.leaves); err != nil {
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

// grow takes in records.
func (a *audit) grow(leaves []tlog.Hash) error {
	var out [levels][]byte
	signed := true
	for i := range leaves {
		a.edge.growLeaf(&leaves[i], &out)
		signed = signed && (a.edge.size != a.signed.N || a.edge.root() == a.signed.Hash)
	}
	a.files[0].offset = a.edge.size * hashBytes
	for level := 1; level < levels; level++ { // their mistakes name a record
		if err := a.files[level].compare(out[level], a.signed.N); err != nil {
			return a.orDropped(err)
		}
	}
	if !signed {
		return a.orDropped(&FalseError{-1, "tree/checkpoint", fmt.Sprintf("the root of %d records is not the signed one", a.signed.N)})
	}
	return nil
}

// orDropped adds to what is false about a root that a record under it may have
// been dropped: then nothing but that root tells what its commitment was.
func (a *audit) orDropped(err error) error {
	if found, ok := errors.AsType[*FalseError](err); ok && a.dropped > 0 {
		found.Reason += ", or tree/" + a.files[0].name + " is wrong about one that was dropped"
	}
	return err
}
