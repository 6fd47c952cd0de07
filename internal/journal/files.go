package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/custody-log/custody/internal/disk"
)

// maxFileBytes is how long a file may get: the next group then goes into a new
// one. The last file is read in full at every start.
const maxFileBytes = 64 << 20

// Files is the [Door] of local files. The caller holds the lock of the data
// directory ([disk.Lock]) for as long as one is open.
type Files struct {
	fs        disk.FS
	fileBytes int64 // maxFileBytes, less in tests
	wanted    Seq   // the oldest record that must be there
	readOnly  bool

	// turn is held, by sending to it, by whoever writes. It guards what stands
	// below it. Unlike a mutex it can be waited for with a context, and it may
	// be held across a sync.
	turn    chan struct{}
	file    disk.File // the last file, nil once closed
	frames  frames    // for Append
	failed  error     // why nothing is accepted any more
	remains []span    // sorted; files before older that cannot be read, or may come back: Drop removes them

	mu    sync.Mutex
	older []*olderFile // sorted; its elements are never replaced, so that a copy stays true
	tail  tail
}

// A span is the records that a file holds.
type span struct {
	base Seq // its first record
	end  Seq // position after its last record
}

// A tail is the last file, as far as it is durable.
type tail struct {
	base  Seq // its first record
	next  Seq // position after its last record
	end   int64
	mark  mark
	index index
}

// An olderFile is followed by another one and never changes.
type olderFile struct {
	span
	content atomic.Pointer[olderContent] // nil until it is first read
}

// An olderContent is what can be read of an older file.
type olderContent struct {
	mark   mark
	index  index
	end    int64         // offset after the last group that can be found
	next   Seq           // position after the last record that can be found
	bad    *CorruptError // why that is not all, or nil
	damage *CorruptError // the first of any kind, or nil
}

// An Option says what is not so by default.
type Option func(*Files)

// From says that the records before wanted were taken over by somebody else,
// who has them durably, so that [Files.Drop] may have removed them. All records
// from wanted on must be there; so must the last file, even if it holds none of
// them. Without From wanted is 0: nothing was ever dropped.
func From(wanted Seq) Option { return func(f *Files) { f.wanted = wanted } }

// OpenFiles opens the journal in fs, creating it if there is none, and cuts off
// a group that a power cut tore. If anything else is wrong with what is wanted
// it changes nothing and returns a [*CorruptError]. After it returns nil, all
// that can be read would survive a power cut.
func OpenFiles(fs disk.FS, options ...Option) (*Files, error) {
	return openFiles(&Files{fs: fs, fileBytes: maxFileBytes}, options)
}

// ReadFiles opens the journal in fs without writing anything, for looking at a
// copy or at the files of a service that runs. It shows what was there when it
// was opened and accepts no records.
//
// A service that runs may drop files between the moment at which the caller
// found out what is wanted and this: who looks at one tries again with what is
// wanted then before believing a [*CorruptError].
func ReadFiles(fs disk.FS, options ...Option) (*Files, error) {
	return openFiles(&Files{fs: fs, readOnly: true}, options)
}

func openFiles(f *Files, options []Option) (*Files, error) {
	for _, option := range options {
		option(f)
	}
	if f.wanted < 0 {
		return nil, fmt.Errorf("journal: open from record %d: want a position from 0 on", f.wanted)
	}
	f.turn = make(chan struct{}, 1)
	f.frames.reset()
	if err := f.recover(); err != nil {
		if f.file != nil {
			_ = f.file.Close() // why it cannot be used is the better error
		}
		return nil, err
	}
	return f, nil
}

// Next implements [Door].
func (f *Files) Next() Seq {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tail.next
}

// First implements [Door].
func (f *Files) First() Seq {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.older) > 0 {
		return f.older[0].base
	}
	return f.tail.base
}

// Append implements [Door].
func (f *Files) Append(ctx context.Context, expectedNext Seq, records [][]byte) error {
	if err := checkAppend(records); err != nil {
		return err
	}
	if err := f.take(ctx, expectedNext); err != nil {
		return err
	}
	defer f.release()
	f.frames.reset()
	f.frames.add(records)
	return f.write(&f.frames, kindRecords)
}

// appendFrames is Append for records that are framed already.
func (f *Files) appendFrames(ctx context.Context, expectedNext Seq, fr *frames) error {
	if err := f.take(ctx, expectedNext); err != nil {
		return err
	}
	defer f.release()
	return f.write(fr, kindRecords)
}

// take waits for the turn to write at expectedNext. If it returns nil, the
// caller must call release.
func (f *Files) take(ctx context.Context, expectedNext Seq) error {
	if err := f.takeTurn(ctx); err != nil {
		return err
	}
	if f.tail.next != expectedNext {
		f.release()
		return ErrConflict
	}
	return nil
}

// takeTurn waits for the turn to write. If it returns nil, the caller must call
// release. Once a write begins it is not cut short, so ctx ends here.
func (f *Files) takeTurn(ctx context.Context) error {
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	err := f.failed
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		f.release()
	}
	return err
}

func (f *Files) release() { <-f.turn }

// write stores fr as one group, durably, and shows it to readers. The caller
// has the turn. After an error nothing more is accepted.
func (f *Files) write(fr *frames, k kind) error { return f.stopAfter(f.tryWrite(fr, k)) }

// stopAfter lets nothing be accepted any more if err, which is how a write or
// sync ended, is not nil.
func (f *Files) stopAfter(err error) error {
	if err == nil {
		return nil
	}
	if disk.IsFull(err) {
		err = fmt.Errorf("%w (make room and start again: what was acknowledged is there)", err)
	}
	f.failed = fmt.Errorf("%w after: %w", ErrStopped, err)
	return f.failed
}

func (f *Files) tryWrite(fr *frames, k kind) error {
	if k == kindRecords && f.tail.next > f.tail.base && f.tail.end+int64(len(fr.buf)) > f.fileBytes {
		if err := f.rotate(); err != nil {
			return err
		}
	}
	fr.seal(k, f.tail.next, f.tail.mark)
	if _, err := f.file.Write(fr.buf); err != nil {
		return fmt.Errorf("write group at record %d: %w", f.tail.next, err)
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("sync group at record %d: %w", f.tail.next, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tail.index.grow(f.tail.next, f.tail.end, len(fr.ends), fr.ends)
	f.tail.next += Seq(len(fr.ends))
	f.tail.end += int64(len(fr.buf))
	return nil
}

// rotate ends the last file and begins the next. The new file is durable
// before the old one says that there is one, so that a file that is missing
// later was taken away.
func (f *Files) rotate() error {
	old, next := f.file, f.tail.next
	file, m, err := f.create(next)
	if err != nil {
		return err
	}
	var end frames
	end.reset()
	end.seal(kindEnd, next, f.tail.mark)
	if err := errors.Join(writeSynced(old, end.buf), old.Close()); err != nil {
		_ = file.Close() // empty
		return fmt.Errorf("end %s: %w", fileName(f.tail.base), err)
	}
	f.file = file
	f.mu.Lock()
	defer f.mu.Unlock()
	done := &olderFile{span: span{base: f.tail.base, end: next}}
	done.content.Store(&olderContent{mark: f.tail.mark, index: f.tail.index, end: f.tail.end, next: next})
	f.older = append(f.older, done)
	f.tail = tail{base: next, next: next, end: fileHeaderBytes, mark: m}
	return nil
}

// create makes a file for records from base on. It and its name are durable.
func (f *Files) create(base Seq) (disk.File, mark, error) {
	var m mark
	if _, err := rand.Read(m[:]); err != nil {
		return nil, m, fmt.Errorf("create %s: %w", fileName(base), err)
	}
	file, err := f.fs.Open(fileName(base))
	if err != nil {
		return nil, m, fmt.Errorf("create %s: %w", fileName(base), err)
	}
	size, err := file.Size()
	switch {
	case err != nil:
	case size > fileHeaderBytes:
		err = errors.New("there is such a file, with content")
	default:
		err = file.Truncate(0) // a power cut may have left the beginning of a header
	}
	if err == nil {
		err = writeSynced(file, appendFileHeader(nil, base, m))
	}
	if err == nil {
		err = f.fs.Sync()
	}
	if err != nil {
		_ = file.Close() // it holds nothing
		return nil, m, fmt.Errorf("create %s: %w", fileName(base), err)
	}
	return file, m, nil
}

func writeSynced(file disk.File, b []byte) error {
	if _, err := file.Write(b); err != nil {
		return err
	}
	return file.Sync()
}

// Close implements [Door]. It writes a seal, so that a later Open knows that
// nothing at the end is missing, unless a failure stopped the journal.
func (f *Files) Close() error {
	f.turn <- struct{}{}
	defer f.release()
	if f.file == nil {
		f.failed = ErrStopped
		return nil
	}
	var err error
	if f.failed == nil {
		f.frames.reset()
		err = f.write(&f.frames, kindSeal)
	}
	if f.failed == nil {
		f.failed = ErrStopped
	}
	err = errors.Join(err, f.file.Close())
	f.file = nil
	if err != nil {
		return fmt.Errorf("journal: close: %w", err)
	}
	return nil
}
