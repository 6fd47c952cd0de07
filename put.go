package custody

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A put is one event on its way to the disk.
type put struct {
	head, tail string // the event's JSON but for its number
	numbered   bool
	at         time.Time
	done       chan struct{} // closed once err is final
	err        error
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
