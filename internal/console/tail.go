package console

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/stream"
)

// tailRecords is how many records are looked at in one go.
const tailRecords = 256

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
	t := &stream.Tail{
		Next: next, Wait: c.Journal.Wait, Over: func() bool { return v.SignedIn() && !c.watching(v.Request).SignedIn() },
		Read: func(from journal.Seq) ([]byte, journal.Seq, error) {
			events, next, err := c.Room.Follow(v.Reader, s.whole, from, tailRecords)
			if err != nil {
				return nil, from, err
			}
			out, err := c.messages(events)
			return out, next, err
		},
	}
	t.Open(w)
	if v.Method == http.MethodHead {
		return nil
	}
	ctx, cancel := stream.Until(v.Context(), c.Stopping)
	defer cancel()
	if err := t.Run(ctx); err != nil {
		c.Log.ErrorContext(ctx, "a page stopped following the log", "next", t.Next, "err", err)
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

// messages returns events as messages of the stream, each the HTML that lists it.
func (c *Console) messages(events []*reading.Shown) ([]byte, error) {
	var out bytes.Buffer
	for _, e := range events {
		var item bytes.Buffer
		if err := c.drawn.ExecuteTemplate(&item, "row", c.rowOf(e)); err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "id: %d\nevent: row\n", e.Seq)
		for line := range bytes.Lines(item.Bytes()) {
			fmt.Fprintf(&out, "data: %s\n", bytes.TrimRight(line, "\r\n"))
		}
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}
