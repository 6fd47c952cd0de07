package custody

import (
	"errors"
	"io"
)

// An outgoing is a frame that is being sent.
type outgoing struct {
	frame

	after place // where the next frame starts
	aside bool  // the log will never take it
}

// read returns the next events to send, at most a batch; none if all are sent.
func (b *Buffer) read() ([]outgoing, error) {
	for {
		seg, following, upTo := b.current()
		switch {
		case b.from.offset < seg.end:
			frames, err := b.readSegment(seg)
			if err != nil || len(frames) > 0 {
				return frames, err
			}
		case following >= 0:
			b.from = place{following, 0}
		default:
			b.giveUp(upTo)
			return nil, nil
		}
	}
}

// current returns the segment that b.from is in, the first position of the one
// after it or -1, and the position up to which it is complete.
func (b *Buffer) current() (seg segment, following, upTo int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, s := range b.segments {
		switch {
		case s.first != b.from.segment:
		case i+1 < len(b.segments):
			return s, b.segments[i+1].first, b.next
		default:
			return s, -1, b.next
		}
	}
	panic("custody: the segment that is being sent is gone")
}

// giveUp notes that what was to be sent before upTo is not on the disk.
func (b *Buffer) giveUp(upTo int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sent < upTo {
		b.lost += upTo - b.sent
		b.sent = upTo
		b.wake()
	}
}

// readSegment reads a batch from b.from on. When it finds nothing, it has
// moved b.from over what is damaged.
func (b *Buffer) readSegment(seg segment) ([]outgoing, error) {
	start := b.from.offset
	chunk := make([]byte, min(seg.end-start, sendBytes+maxFrameBytes))
	if err := b.readAt(seg, chunk, start); err != nil {
		return nil, err
	}
	b.mu.Lock()
	sent := b.sent
	b.mu.Unlock()
	var frames []outgoing
	for at := 0; at < sendBytes && len(frames) < sendEvents; {
		f, found := nextFrame(chunk, at)
		if !found {
			break
		}
		at = int(f.end)
		if f.position >= sent {
			frames = append(frames, outgoing{frame: f, after: place{seg.first, start + f.end}})
		} else {
			b.from.offset = start + f.end
		}
	}
	switch {
	case len(frames) > 0:
		b.mu.Lock()
		b.oldest = frames[0].put
		b.mu.Unlock()
	case start+int64(len(chunk)) == seg.end:
		b.from.offset = seg.end
	case b.from.offset == start:
		b.from.offset = start + int64(len(chunk)) - maxFrameBytes
	}
	return frames, nil
}

func (b *Buffer) readAt(seg segment, p []byte, offset int64) error {
	file, err := b.dir.OpenRead(seg.name())
	if err != nil {
		return err
	}
	n, err := file.ReadAt(p, offset)
	if n == len(p) || errors.Is(err, io.EOF) {
		clear(p[n:]) // shorter than it was: what is gone is damaged
		err = nil
	}
	return errors.Join(err, file.Close())
}
