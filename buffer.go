package custody

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
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

// A put is one event on its way to the disk.
type put struct {
	head, tail string // the event's JSON but for its number
	numbered   bool
	at         time.Time
	done       chan struct{} // closed once err is final
	err        error
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

// Put returns nil once e would survive a power cut. It completes e: with an ID
// if it has none, so that putting e again after an error is safe. It is quick:
// it waits for this machine's disk and for nothing else. Events are checked
// here, so that what was put is refused by the log only if the log knows more.
func (b *Buffer) Put(e *Event) error {
	if err := b.put(e); err != nil {
		return fmt.Errorf("custody: buffer %s %s: %w", e.Tag, e.ID, err)
	}
	return nil
}

// Record implements [Recorder]: it is [Buffer.Put].
func (b *Buffer) Record(_ context.Context, e Event) (Ack, error) {
	err := b.Put(&e)
	return Ack{ID: e.ID, Seq: -1, Buffered: err == nil}, err
}

func (b *Buffer) put(e *Event) error {
	complete(e)
	p := &put{at: time.Now(), done: make(chan struct{})}
	if err := b.encode(p, *e); err != nil {
		return err
	}
	if err := b.enqueue(p); err != nil {
		return err
	}
	// Whoever gets the turn writes and syncs for all who wait.
	select {
	case <-p.done:
	case b.turn <- struct{}{}:
		b.writeWaiting()
		<-b.turn
		<-p.done
	}
	return p.err
}

// numberPlace is how an event's JSON ends when its number is the largest.
var numberPlace = `,"source_seq":` + strconv.FormatInt(math.MaxInt64, 10) + `}`

// encode checks e and writes its JSON into p. The number comes when the
// position is known, and so is checked at its longest.
func (b *Buffer) encode(p *put, e Event) error {
	p.numbered = b.numbered && e.SourceSeq == 0
	if p.numbered {
		e.SourceSeq = math.MaxInt64
	}
	data, _, err := encode(&e)
	if err != nil {
		return err
	}
	p.head = string(data)
	if p.numbered {
		head, ok := strings.CutSuffix(p.head, numberPlace)
		if !ok {
			return errors.New("the event has members that the log adds")
		}
		p.head, p.tail = head+`,"source_seq":`, "}"
	}
	return nil
}

func (b *Buffer) enqueue(p *put) error {
	size := int64(len(p.head) + len(numberPlace) + frameHeadBytes)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped != nil {
		return b.stopped
	}
	if b.bytes+b.claimed+size > b.maxBytes {
		return fmt.Errorf("%w: %d bytes, %d events behind the log", ErrFull, b.maxBytes, b.next-b.sent)
	}
	b.waiting = append(b.waiting, p)
	b.claimed += size
	return nil
}

// writeWaiting makes all that waits durable, or fails it. The caller has the
// turn.
func (b *Buffer) writeWaiting() {
	b.mu.Lock()
	group, stopped, first := b.waiting, b.stopped, b.next
	b.waiting, b.claimed = nil, 0
	seg := b.segments[len(b.segments)-1]
	b.mu.Unlock()
	if len(group) == 0 {
		return
	}
	err := stopped
	if err == nil && seg.end >= min(maxSegmentBytes, b.maxBytes/segmentsAtLeast) {
		seg, err = b.rotate()
	}
	if err == nil {
		err = b.write(seg, group, first)
	}
	for _, p := range group {
		p.err = err
		close(p.done)
	}
}

// write makes group durable in seg, from position first on.
func (b *Buffer) write(seg segment, group []*put, first int64) error {
	var data []byte
	for i, p := range group {
		position := first + int64(i)
		number := ""
		if p.numbered {
			number = strconv.FormatInt(position+1, 10)
		}
		data = appendFrame(data, position, p.at, p.head, number, p.tail)
	}
	if _, err := b.file.Write(data); err != nil {
		// Nothing was synced, so the file can be as it was, for example until
		// there is room on the disk.
		if cut := b.file.Truncate(seg.end); cut != nil {
			b.stop(errors.Join(err, cut))
		}
		return err
	}
	if err := b.file.Sync(); err != nil {
		b.stop(err) // nobody knows what is on the disk; opening the buffer again finds out
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.segments[len(b.segments)-1].end += int64(len(data))
	b.bytes += int64(len(data))
	if b.sent == b.next {
		b.oldest = group[0].at
	}
	b.next += int64(len(group))
	b.wake()
	return nil
}

// rotate begins a new segment. The caller has the turn.
func (b *Buffer) rotate() (segment, error) {
	b.mu.Lock()
	seg := segment{first: b.next}
	b.mu.Unlock()
	file, err := b.dir.Open(seg.name())
	if err != nil {
		return seg, err
	}
	if err := b.dir.Sync(); err != nil {
		b.stop(err)
		return seg, errors.Join(err, file.Close())
	}
	_ = b.file.Close() // all of it is synced
	b.file = file
	b.mu.Lock()
	defer b.mu.Unlock()
	b.segments = append(b.segments, seg)
	return seg, nil
}

// stop lets nothing more be written.
func (b *Buffer) stop(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped == nil {
		b.stopped = fmt.Errorf("nothing is taken any more: %w", cause)
	}
	b.wake()
}

// wake lets everybody who waits look again. b.mu must be held.
func (b *Buffer) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
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
