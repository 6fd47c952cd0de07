package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
)

// Limits of following the log.
const (
	maxTailStall = 10 * time.Second // that a browser may take for what was written
	tailBeat     = 15 * time.Second // without anything to say
	tailRecords  = 256              // looked at in one go
)

// tail sends events of a view as they come, each as the HTML that lists it, as
// server-sent events. Who is slow or away costs nothing but a connection, and
// goes on where it was. What is masked stays so: a look is at what was there. A page
// that follows the log does not keep the session alive: its owner may be away.
func (c *Console) tail(w http.ResponseWriter, v *visit) error {
	s, err := viewOf(v.URL.Query())
	if err != nil {
		return err
	}
	next, err := c.tailStart(v)
	if err != nil {
		return err
	}
	// Nothing was written yet: one who may not search at all is told so.
	if _, _, err := c.Room.Follow(v.Reader, s.whole, next, 0); err != nil {
		return err
	}
	taken := c.tails.of(v.SignedIn())
	select {
	case taken <- struct{}{}:
		defer func() { <-taken }()
	default:
		return errBusy
	}
	t := &tailing{console: c, visit: v, query: s.whole, next: next, w: w, control: http.NewResponseController(w)}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")     // the deadlines of this answer are not for another
	h.Set("X-Accel-Buffering", "no") // asks proxies to pass on what comes as it comes
	if v.Method == http.MethodHead {
		return nil
	}
	ctx, cancel := c.untilStopping(v.Context())
	defer cancel()
	if err := t.run(ctx); err != nil && ctx.Err() == nil && !t.gone {
		c.Log.ErrorContext(ctx, "a page stopped following the log", "next", t.next, "err", err)
	}
	return nil // the answer has begun
}

// tailStart returns the position of the first event to look at: after the one a
// browser saw last, or that the address says, or else the next to come.
func (c *Console) tailStart(v *visit) (journal.Seq, error) {
	size, text, seen := c.Journal.Size(), v.Header.Get("Last-Event-ID"), journal.Seq(1)
	if text == "" {
		text, seen = v.URL.Query().Get("from"), 0
	}
	if text == "" {
		return size, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || journal.Seq(n)+seen > size {
		return 0, badRequest("The place to follow the log from is not in it.")
	}
	return journal.Seq(n) + seen, nil
}

// untilStopping returns a context that also ends when the server is about to
// stop.
func (c *Console) untilStopping(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if c.Stopping != nil {
		go func() {
			select {
			case <-c.Stopping:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

// A tailing is one page that follows the log.
type tailing struct {
	console *Console
	visit   *visit
	query   *query.Query
	next    journal.Seq // the first record not looked at yet
	w       http.ResponseWriter
	control *http.ResponseController
	sent    time.Time
	gone    bool // the browser cannot be written to
}

// run sends what comes until ctx or the session ends, or the browser is gone.
func (t *tailing) run(ctx context.Context) error {
	if err := t.send([]byte("retry: 1000\n\n")); err != nil {
		return err
	}
	for ctx.Err() == nil {
		wait, cancel := context.WithDeadline(ctx, t.sent.Add(tailBeat))
		err := t.console.Journal.Wait(wait, t.next)
		cancel()
		if t.over() {
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

// over reports whether the session that the page was opened in is over.
func (t *tailing) over() bool {
	return t.visit.SignedIn() && !t.console.watching(t.visit.Request).SignedIn()
}

// pass sends the events among the next records.
func (t *tailing) pass() error {
	events, next, err := t.console.Room.Follow(t.visit.Reader, t.query, t.next, tailRecords)
	if err != nil {
		return err
	}
	t.next = next
	var out bytes.Buffer
	for _, e := range events {
		var item bytes.Buffer
		if err := t.console.drawn.ExecuteTemplate(&item, "row", t.console.rowOf(e)); err != nil {
			return err
		}
		fmt.Fprintf(&out, "id: %d\nevent: row\n", e.Seq)
		for line := range bytes.Lines(item.Bytes()) {
			fmt.Fprintf(&out, "data: %s\n", bytes.TrimRight(line, "\r\n"))
		}
		out.WriteByte('\n')
	}
	if out.Len() > 0 {
		return t.send(out.Bytes())
	}
	if time.Since(t.sent) >= tailBeat {
		return t.beat()
	}
	return nil
}

// beat tells the browser, and whatever is between, that the log is there.
func (t *tailing) beat() error {
	out := []byte(": nothing new\n")
	if t.next > 0 {
		out = fmt.Appendf(out, "id: %d\n", t.next-1)
	}
	return t.send(append(out, '\n'))
}

// send writes to the browser and waits until it is on its way.
func (t *tailing) send(out []byte) error {
	now := time.Now()
	_ = t.control.SetWriteDeadline(now.Add(maxTailStall)) // not every connection can
	_, err := t.w.Write(out)
	if err == nil {
		err = t.control.Flush()
	}
	t.sent, t.gone = now, err != nil
	return err
}
