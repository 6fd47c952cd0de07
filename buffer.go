package custody

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/custody-log/custody/internal/disk"
)

// Limits of a buffer.
const (
	DefaultMaxBytes = 1 << 30  // 1 GiB, all its files of events
	minMaxBytes     = 1 << 20  // 1 MiB
	maxSegmentBytes = 16 << 20 // 16 MiB; a file that has as many is written to no more
	segmentsAtLeast = 8        // files that a full buffer has
)

// ErrFull is wrapped by the error of [Buffer.Put] when the buffer has no room.
// The event was not taken.
var ErrFull = errors.New("the buffer is full")

// ErrClosed is wrapped by the error of [Buffer.Put] after [Buffer.Close]. The
// event was not taken.
var ErrClosed = errors.New("the buffer is closed")

// A Buffer keeps events on this machine's disk until the log has them. See the
// package comment for what it promises. Its methods may be called concurrently.
//
// Trust in it: who can write to its directory can change, invent or drop
// events that are not in the log yet, and nothing that is.
type Buffer struct {
	client    *Client
	dir       disk.FS
	lock      io.Closer
	maxBytes  int64
	numbered  bool
	onRefused func(Refused)

	turn chan struct{} // holds one token while somebody writes to the last segment
	file disk.File     // the last segment; owned by who has the turn

	from  place     // where the event at sent is; owned by Run
	saved time.Time // when sent was last saved; owned by Run

	mu       sync.Mutex
	waiting  []*put        // to be written by the next who has the turn
	claimed  int64         // bytes of waiting
	segments []segment     // in order, durable bytes only; the last is written to
	bytes    int64         // in all segments
	next     int64         // position of the next event; all before are durable
	sent     int64         // position before which all events are in the log or set aside
	oldest   time.Time     // when the event at sent was put; zero if there is none
	refused  int64         // events in refused.ndjson
	lost     int64         // positions that damage took
	failure  error         // why the last try to send failed, nil if it did not
	stopped  error         // why nothing more is written, nil if it is
	running  bool          // somebody is in Run
	changed  chan struct{} // closed and replaced when next, sent or stopped change
}

// A BufferOption changes what [OpenBuffer] does otherwise.
type BufferOption func(*Buffer)

// WithMaxBytes bounds the buffer's files of events to n bytes, at least 1 MiB.
func WithMaxBytes(n int64) BufferOption {
	return func(b *Buffer) { b.maxBytes = max(n, minMaxBytes) }
}

// WithoutSourceSeq leaves SourceSeq as it is. Otherwise the buffer counts its
// events from 1, so that the log notices when one is missing; then no other
// program may number events under the same source.
func WithoutSourceSeq() BufferOption {
	return func(b *Buffer) { b.numbered = false }
}

// OnRefused calls f for each event that the log will never take, after it was
// set aside. f must not call the Buffer.
func OnRefused(f func(Refused)) BufferOption {
	return func(b *Buffer) { b.onRefused = f }
}

// OpenBuffer opens the buffer in the directory at path, which is made if its
// parent is there. One process at a time can have it. Events are sent by
// [Buffer.Run].
func OpenBuffer(path string, client *Client, opts ...BufferOption) (*Buffer, error) {
	dir, err := openDirectory(path)
	if err != nil {
		return nil, fmt.Errorf("custody: open buffer: %w", err)
	}
	b, err := openBuffer(dir, client, opts)
	if err != nil {
		return nil, fmt.Errorf("custody: open buffer %s: %w", path, err)
	}
	return b, nil
}

func openBuffer(dir disk.FS, client *Client, opts []BufferOption) (*Buffer, error) {
	b := &Buffer{
		client: client, dir: dir, maxBytes: DefaultMaxBytes, numbered: true,
		turn: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	for _, opt := range opts {
		opt(b)
	}
	var err error
	if b.lock, err = disk.Lock(dir); err != nil {
		return nil, err
	}
	if err := b.recover(); err != nil {
		return nil, errors.Join(err, b.lock.Close())
	}
	return b, nil
}

// recover takes over what is on disk.
func (b *Buffer) recover() error {
	s, err := recoverSpool(b.dir)
	if err != nil {
		return err
	}
	if b.refused, err = countRefused(b.dir); err != nil {
		return err
	}
	b.segments, b.next, b.sent, b.oldest, b.from = s.segments, s.next, s.sent, s.oldest, s.from
	for _, seg := range b.segments {
		b.bytes += seg.end
	}
	b.file, err = b.dir.Open(b.segments[len(b.segments)-1].name())
	return err
}

// Close lets go of the directory. [Buffer.Run] must have returned. What was
// not sent stays for the next OpenBuffer.
func (b *Buffer) Close() error {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	b.mu.Lock()
	if errors.Is(b.stopped, ErrClosed) {
		b.mu.Unlock()
		return nil
	}
	b.stopped = ErrClosed
	b.wake()
	b.mu.Unlock()
	if err := errors.Join(b.file.Close(), b.lock.Close()); err != nil {
		return fmt.Errorf("custody: close buffer: %w", err)
	}
	return nil
}

// A BufferState says how a buffer is.
type BufferState struct {
	Behind  int64         // events that are not in the log yet
	Age     time.Duration // of the oldest of them; 0 if there is none
	Bytes   int64         // on disk
	Refused int64         // events that the log will never take, set aside in refused.ndjson
	Lost    int64         // events that damage to the files took, since the buffer was opened
	Err     error         // why the last try to send failed; nil if it did not
}

// State returns how far the buffer is behind the log, and why.
func (b *Buffer) State() BufferState {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := BufferState{Behind: b.next - b.sent, Bytes: b.bytes, Refused: b.refused, Lost: b.lost, Err: b.failure}
	if b.stopped != nil && !errors.Is(b.stopped, ErrClosed) {
		s.Err = b.stopped
	}
	if s.Behind > 0 && !b.oldest.IsZero() {
		s.Age = time.Since(b.oldest)
	}
	return s
}

// Behind returns how many events are not in the log yet. [Buffer.State] also
// says how old they are.
func (b *Buffer) Behind() int { return int(b.State().Behind) }

// Wait returns once all events that were put before are in the log, or set
// aside because it will never take them.
func (b *Buffer) Wait(ctx context.Context) error {
	b.mu.Lock()
	until := b.next
	b.mu.Unlock()
	for {
		b.mu.Lock()
		sent, changed, stopped := b.sent, b.changed, b.stopped
		b.mu.Unlock()
		switch {
		case sent >= until:
			return nil
		case errors.Is(stopped, ErrClosed):
			return fmt.Errorf("custody: buffer is %d events behind: %w", until-sent, stopped)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("custody: buffer is %d events behind: %w", until-sent, ctx.Err())
		}
	}
}
