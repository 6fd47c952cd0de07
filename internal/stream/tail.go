package stream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/custody-log/custody/internal/journal"
)

// Limits of tails.
const (
	maxTailStall = 10 * time.Second // that a reader may take for what was written; then it is dropped, and can resume
	heartbeat    = 15 * time.Second // without anything to say
	tailRetry    = 1000             // milliseconds after which a reader should come back
)

// A Tail sends what comes into the log as server-sent events. It holds nothing
// back for a reader, so a slow one costs nothing but its connection.
type Tail struct {
	Next journal.Seq // the first record not looked at yet

	// Wait waits until there is a record at a position.
	Wait func(ctx context.Context, at journal.Seq) error

	// Over reports whether the reader may not follow the log any more. It is asked
	// before anything is sent.
	Over func() bool

	// Read returns what to send of the records from a position on, which may be
	// nothing, and the position after them.
	Read func(from journal.Seq) (messages []byte, next journal.Seq, err error)

	w       http.ResponseWriter
	control *http.ResponseController
	sent    time.Time
	gone    bool
}

// Open writes the head of the answer.
func (t *Tail) Open(w http.ResponseWriter) {
	t.w, t.control = w, http.NewResponseController(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")     // the deadlines of this answer are not for another
	h.Set("X-Accel-Buffering", "no") // asks proxies to pass on what comes as it comes
}

// Run sends what there is and what comes until ctx ends, the tail is over or the
// reader is gone. The error is nil then.
func (t *Tail) Run(ctx context.Context) error {
	err := t.run(ctx)
	if ctx.Err() != nil || t.gone {
		return nil //nolint:nilerr // there is nobody to tell, and nothing wrong
	}
	return err
}

func (t *Tail) run(ctx context.Context) error {
	if err := t.send(fmt.Appendf(nil, "retry: %d\n\n", tailRetry)); err != nil {
		return err
	}
	for ctx.Err() == nil {
		wait, cancel := context.WithDeadline(ctx, t.sent.Add(heartbeat))
		err := t.Wait(wait, t.Next)
		cancel()
		if t.Over() {
			return nil
		}
		switch {
		case err == nil:
			err = t.pass()
		case errors.Is(err, context.DeadlineExceeded):
			err = t.beat()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pass sends what is among the next records.
func (t *Tail) pass() error {
	out, next, err := t.Read(t.Next)
	if err != nil {
		return err
	}
	t.Next = next
	if len(out) > 0 {
		return t.send(out)
	}
	if time.Since(t.sent) >= heartbeat {
		return t.beat()
	}
	return nil
}

// beat tells the reader, and whatever is between, that the log is there. It
// moves the reader's last event on: what did not match need not be looked at
// again.
func (t *Tail) beat() error {
	out := []byte(": nothing new\n")
	if t.Next > 0 {
		out = fmt.Appendf(out, "id: %d\n", t.Next-1)
	}
	return t.send(append(out, '\n'))
}

// send writes to the reader and waits until it is on its way.
func (t *Tail) send(out []byte) error {
	now := time.Now()
	_ = t.control.SetWriteDeadline(now.Add(maxTailStall)) // not every connection can
	_, err := t.w.Write(out)
	if err == nil {
		err = t.control.Flush()
	}
	t.sent, t.gone = now, err != nil
	return err
}
