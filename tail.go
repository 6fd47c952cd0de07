package custody

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// Now as the position to tail from means: only what is recorded from now on.
	Now int64 = -1

	// tailSilence is how long the log may say nothing before it counts as away.
	// It sends a comment every 15 s.
	tailSilence = 45 * time.Second

	// maxTailLine bounds one line of the stream, which holds one event.
	maxTailLine = 1 << 20 // 1 MiB
)

// Tail yields events that match the query as the log records them, oldest
// first, starting with the one at seq from. When the connection is lost it
// makes a new one, for ever, and goes on after the last event it yielded: none
// is left out or comes twice. It ends with ctx, which is no error, or with an
// error that trying again does not mend.
func (c *Client) Tail(ctx context.Context, query string, from int64) iter.Seq2[*Found, error] {
	return func(yield func(*Found, error) bool) {
		t := &tail{client: c, query: query, next: from}
		retry := firstRetry
		for ctx.Err() == nil {
			began, next := time.Now(), t.next
			more, err := t.listen(ctx, yield)
			if !more || ctx.Err() != nil {
				return
			}
			if !isPassing(ctx, err) {
				yield(nil, fmt.Errorf("custody: tail: %w", err))
				return
			}
			if t.next != next || time.Since(began) > maxRetry {
				retry = firstRetry // it was a connection worth having
			}
			if !sleep(ctx, jitter(retry)) {
				return
			}
			retry = min(2*retry, maxRetry)
		}
	}
}

// A tail is how far a Tail has come.
type tail struct {
	client *Client
	query  string
	next   int64 // the seq after the last event that was yielded; Now if not known
}

// listen yields what one connection brings. It reports whether more is wanted,
// and why it stopped.
func (t *tail) listen(ctx context.Context, yield func(*Found, error) bool) (more bool, err error) {
	if t.next < 0 {
		// "Now" must stay the same moment when the connection has to be made
		// anew before the first event.
		info, err := t.client.Info(ctx)
		if err != nil {
			return true, err
		}
		t.next = info.Size
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := time.AfterFunc(tailSilence, cancel)
	defer watch.Stop()
	resp, err := t.client.open(ctx, t.request())
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxTailLine)) // the status remains
		return true, readProblem(resp, body)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxTailLine)
	var m message
	for lines.Scan() {
		watch.Reset(tailSilence)
		if !m.line(lines.Bytes()) {
			continue
		}
		f, err := m.event()
		if err != nil {
			return true, err
		}
		if f != nil && f.Seq >= t.next {
			if !yield(f, nil) {
				return false, nil
			}
			t.next = f.Seq + 1
		} else if f == nil && m.id != "" {
			t.skip(m.id)
		}
		m = message{}
	}
	if err := lines.Err(); err != nil {
		return true, err
	}
	return true, errors.New("the connection ended")
}

// skip notes that no event up to the one with this ID matches.
func (t *tail) skip(id string) {
	if seq, err := strconv.ParseInt(id, 10, 64); err == nil {
		t.next = max(t.next, seq+1)
	}
}

// request asks for what follows.
func (t *tail) request() *request {
	v := url.Values{"from": {strconv.FormatInt(t.next, 10)}}
	if t.query != "" {
		v.Set("q", t.query)
	}
	return &request{method: http.MethodGet, path: "/v1/tail?" + v.Encode()}
}

// A message is one server-sent event.
type message struct {
	id   string
	name string
	data []byte
}

// line takes in one line and reports whether the message is complete.
func (m *message) line(line []byte) bool {
	if len(line) == 0 {
		return true
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "id":
		m.id = string(value)
	case "event":
		m.name = string(value)
	case "data":
		if m.data != nil {
			m.data = append(m.data, '\n')
		}
		m.data = append(m.data, value...)
	}
	return false
}

// event returns the event in m, or nil if it is a message of another kind.
func (m *message) event() (*Found, error) {
	if m.name != "event" || m.data == nil {
		return nil, nil // of a later version of the log
	}
	f := new(Found)
	if err := decode(m.data, f); err != nil {
		return nil, err
	}
	return f, nil
}
