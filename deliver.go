package custody

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/custody-log/custody/internal/disk"
)

// Limits of sending from a buffer.
const (
	sendEvents    = 2_000            // events of one batch
	fewEvents     = 16               // events of the batch after one that had a bad event; then twice as many
	sendBytes     = 1 << 20          // 1 MiB of events in one batch; one more event may go over it
	maxSendRetry  = 30 * time.Second // between two tries while the log is away
	maxRetryAfter = 5 * time.Minute  // that the log may ask for
	saveEvery     = time.Second      // events that were sent again after a crash are at most so many seconds' worth
	tidyAfter     = 10 * time.Second // sent events stay on the disk of an idle machine for so long
)

// Run sends what was put, in order, until ctx ends; then it returns nil. What
// the log will never take is set aside. Whatever else goes wrong between here
// and the log, a revoked key included, is tried again for ever; [Buffer.State]
// says what it is. An error of Run is one of this machine's disk.
func (b *Buffer) Run(ctx context.Context) error {
	b.mu.Lock()
	busy := b.running
	b.running = true
	b.mu.Unlock()
	if busy {
		return errors.New("custody: buffer: Run is running already")
	}
	err := b.run(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = false
	if err != nil {
		return fmt.Errorf("custody: buffer: %w", err)
	}
	return nil
}

func (b *Buffer) run(ctx context.Context) error {
	for ctx.Err() == nil {
		frames, err := b.read()
		if err == nil && len(frames) == 0 {
			err = b.rest(ctx)
		} else if err == nil {
			err = b.deliver(ctx, frames)
		}
		if err != nil {
			return err
		}
	}
	return b.save()
}

// deliver sends frames, and returns when the log has them, or will never take
// them, or ctx has ended.
func (b *Buffer) deliver(ctx context.Context, frames []outgoing) error {
	n := len(frames) // how many are tried together
	for retry := firstRetry; len(frames) > 0; {
		err := b.send(ctx, frames[:n])
		b.note(err)
		if ctx.Err() != nil && err != nil {
			return nil //nolint:nilerr // being told to stop is no error; what was sent is sent again under the same IDs
		}
		e := problem(err)
		switch {
		case err == nil:
			if err := b.advance(&frames[n-1], n); err != nil {
				return err
			}
			frames = frames[n:]
			n, retry = min(len(frames), max(2*n, fewEvents)), firstRetry
		case e == nil || !e.final():
			pause := jitter(retry)
			if e != nil {
				pause = max(pause, min(e.RetryAfter, maxRetryAfter))
			}
			sleep(ctx, pause)
			retry = min(2*retry, maxSendRetry)
		default:
			culprit := culpritOf(frames[:n], e)
			if culprit < 0 {
				n = (n + 1) / 2 // it is in one of the halves
				continue
			}
			if err := b.setAside(&frames[culprit], e); err != nil {
				return err
			}
			n = culprit + 1 // those before it are sent; where one is bad more may be
		}
	}
	return nil
}

// culpritOf returns the place in frames that e is about, or -1 if e does not
// say.
func culpritOf(frames []outgoing, e *Error) int {
	var sent []int // places of those that were in the batch
	for i := range frames {
		if !frames[i].aside {
			sent = append(sent, i)
		}
	}
	switch {
	case len(sent) == 1:
		return sent[0]
	case e.Index >= 0 && e.Index < len(sent):
		return sent[e.Index]
	}
	return -1
}

// final reports whether e says that these events will never be taken. Only the
// log itself can say so, and whoever bounds the size of requests before it.
func (e *Error) final() bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity:
		return e.ours()
	}
	return e.Status == http.StatusRequestEntityTooLarge
}

// send sends frames once, as one batch, without those that are set aside.
func (b *Buffer) send(ctx context.Context, frames []outgoing) error {
	var body []byte
	answer := briefAnswer{}
	for i := range frames {
		if !frames[i].aside {
			body = append(append(body, frames[i].data...), '\n')
			answer.want++
		}
	}
	if answer.want == 0 {
		return nil
	}
	r := &request{method: http.MethodPost, path: eventsPath, body: body, contentType: typeNDJSON, brief: true}
	r.compress(b.client)
	return b.client.try(ctx, r, &answer)
}

// note remembers how the last try went.
func (b *Buffer) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failure = err
}

// advance notes that everything up to last is done with: n events, and what
// damage took between them.
func (b *Buffer) advance(last *outgoing, n int) error {
	b.from = last.after
	b.mu.Lock()
	b.lost += last.position + 1 - b.sent - int64(n)
	b.sent = last.position + 1
	b.oldest = last.put // until the next one is read, which is no older
	done := b.release()
	b.wake()
	b.mu.Unlock()
	if err := b.remove(done); err != nil {
		return err
	}
	if time.Since(b.saved) < saveEvery {
		return nil
	}
	return b.save()
}

// release takes the segments before b.from out of the list. b.mu must be held.
func (b *Buffer) release() (done []segment) {
	i := 0
	for i < len(b.segments)-1 && b.segments[i].first < b.from.segment {
		b.bytes -= b.segments[i].end
		i++
	}
	done, b.segments = b.segments[:i], b.segments[i:]
	return done
}

func (b *Buffer) remove(done []segment) error {
	for _, s := range done {
		if err := b.dir.Remove(s.name()); err != nil {
			return err
		}
	}
	return nil
}

// save makes durable how much was sent.
func (b *Buffer) save() error {
	b.saved = time.Now()
	b.mu.Lock()
	sent := b.sent
	b.mu.Unlock()
	return disk.ReplaceFile(b.dir, sentFile, formatSent(sent))
}

// rest waits for something to send. When nothing comes it removes what was
// sent from the disk: events hold personal data.
func (b *Buffer) rest(ctx context.Context) error {
	b.mu.Lock()
	idle, changed, stopped := b.sent == b.next, b.changed, b.stopped
	used := len(b.segments) > 1 || b.segments[0].end > 0
	b.mu.Unlock()
	if errors.Is(stopped, ErrClosed) {
		return ErrClosed
	}
	if !idle {
		return nil
	}
	var tidy <-chan time.Time
	if used && stopped == nil {
		t := time.NewTimer(tidyAfter)
		defer t.Stop()
		tidy = t.C
	}
	select {
	case <-changed:
	case <-ctx.Done():
	case <-tidy:
		return b.tidy(ctx)
	}
	return nil
}

// tidy removes everything that was sent, if that is everything.
func (b *Buffer) tidy(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return nil
	}
	b.mu.Lock()
	last := b.segments[len(b.segments)-1]
	idle := b.sent == b.next && b.stopped == nil
	b.mu.Unlock()
	if !idle {
		return nil
	}
	if last.end > 0 {
		var err error
		if last, err = b.rotate(); err != nil {
			return err
		}
	}
	b.from = place{last.first, 0}
	b.mu.Lock()
	done := b.release()
	b.mu.Unlock()
	return b.remove(done)
}
