package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/stream"
)

// Limits of tails.
const (
	maxTails    = 256 // open at once
	tailRecords = 256 // read at a time
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

	t := &stream.Tail{
		Next: next, Wait: a.Journal.Wait, Over: func() bool { return !a.Keys.Has(key.ID) },
		Read: func(from journal.Seq) (out []byte, next journal.Seq, err error) {
			events, next, err := a.Room.Follow(who, q, from, tailRecords)
			for i := 0; i < len(events) && err == nil; i++ {
				out, err = appendMessage(out, events[i])
			}
			return out, next, err
		},
	}
	t.Open(w)
	if r.Method == http.MethodHead {
		return nil
	}
	ctx, cancel := stream.Until(r.Context(), a.Stopping)
	defer cancel()
	if err := t.Run(ctx); err != nil {
		a.Log.ErrorContext(ctx, "tail ended", "next", t.Next, "err", err)
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

// appendMessage appends e as one message of the stream.
func appendMessage(out []byte, e *reading.Shown) ([]byte, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(out, "id: %d\nevent: event\ndata: %s\n\n", e.Seq, data), nil
}
