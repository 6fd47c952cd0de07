package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
)

// Limits of tails.
const (
	maxTails     = 256              // open at once
	maxTailStall = 10 * time.Second // that a reader may take for what was written; then it is dropped, and can resume
	heartbeat    = 15 * time.Second // without anything to say
	tailRecords  = 256              // read at a time
	tailRetry    = 1000             // milliseconds after which a reader should come back
)

var tailLimit = fmt.Sprintf("%d open tails", maxTails)

// tail sends events as they become durable, as server-sent events. It reads
// the journal itself: it holds nothing back for a reader, so a slow one costs
// nothing but its connection.
func (a *API) tail(w http.ResponseWriter, r *http.Request, key *auth.Key, who *reader.Reader) error {
	params, err := parameters(r, "q", "from")
	if err != nil {
		return err
	}
	q, err := parseQuery(url.Values{"q": params["q"]})
	if err != nil {
		return err
	}
	next, err := a.tailStart(r, params)
	if err != nil {
		return err
	}
	if err := a.Room.Check(who, q); err != nil {
		return err
	}
	select {
	case a.tails <- struct{}{}:
		defer func() { <-a.tails }()
	default:
		return busy(tailLimit)
	}
	a.metrics.tails.Inc()
	defer a.metrics.tails.Dec()

	t := &tail{api: a, key: key.ID, reader: who, query: q, next: next, w: w, control: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Connection", "close")     // the deadlines of this answer are not for another
	w.Header().Set("X-Accel-Buffering", "no") // asks proxies to pass on what comes as it comes
	if r.Method == http.MethodHead {
		return nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if a.Stopping != nil {
		go func() {
			select {
			case <-a.Stopping:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	if err := t.run(ctx); err != nil && ctx.Err() == nil && !t.gone {
		a.Log.ErrorContext(ctx, "tail ended", "next", t.next, "err", err)
	}
	return nil // the answer has begun; the reader comes back for the rest
}

// tailStart returns the position of the first event to send.
func (a *API) tailStart(r *http.Request, params url.Values) (journal.Seq, error) {
	size := a.Journal.Size()
	name, text, seen := "Last-Event-ID", r.Header.Get("Last-Event-ID"), journal.Seq(1)
	if text == "" {
		if !params.Has("from") {
			return size, nil
		}
		name, text, seen = "from", params.Get("from"), 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, badRequest("%s must be the position of an event: a whole number from 0", name)
	}
	if next := journal.Seq(n) + seen; next <= size {
		return next, nil
	}
	return 0, badRequest("%s is %d, and the log has %d events", name, n, size)
}

// A tail is one reader that follows the log.
type tail struct {
	api     *API
	key     string // ID of the one that lets the reader in
	reader  *reader.Reader
	query   *query.Query
	next    journal.Seq // the first event not looked at yet
	w       http.ResponseWriter
	control *http.ResponseController
	sent    time.Time
	gone    bool // the reader cannot be written to
}

// run sends what there is and what comes until ctx ends, the key is revoked or the
// reader is gone.
func (t *tail) run(ctx context.Context) error {
	if err := t.send(fmt.Appendf(nil, "retry: %d\n\n", tailRetry)); err != nil {
		return err
	}
	for ctx.Err() == nil {
		wait, cancel := context.WithDeadline(ctx, t.sent.Add(heartbeat))
		err := t.api.Journal.Wait(wait, t.next)
		cancel()
		if !t.api.Keys.Has(t.key) {
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

// pass sends the events of the next records.
func (t *tail) pass() error {
	events, next, err := t.api.Room.Follow(t.reader, t.query, t.next, tailRecords)
	if err != nil {
		return err
	}
	var out []byte
	for _, e := range events {
		if out, err = appendMessage(out, e); err != nil {
			return err
		}
	}
	t.next = next
	if out != nil {
		return t.send(out)
	}
	if time.Since(t.sent) >= heartbeat {
		return t.beat()
	}
	return nil
}

// appendMessage appends e as one message of the stream.
func appendMessage(out []byte, e *reading.Shown) ([]byte, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(out, "id: %d\nevent: event\ndata: %s\n\n", e.Seq, data), nil
}

// beat tells the reader, and whatever is between, that the log is there. It
// moves the reader's last event on: what did not match need not be looked at
// again.
func (t *tail) beat() error {
	out := []byte(": nothing new\n")
	if t.next > 0 {
		out = fmt.Appendf(out, "id: %d\n", t.next-1)
	}
	return t.send(append(out, '\n'))
}

// send writes to the reader and waits until it is on its way.
func (t *tail) send(out []byte) error {
	now := time.Now()
	_ = t.control.SetWriteDeadline(now.Add(maxTailStall)) // not every connection can
	_, err := t.w.Write(out)
	if err == nil {
		err = t.control.Flush()
	}
	t.sent, t.gone = now, err != nil
	return err
}
