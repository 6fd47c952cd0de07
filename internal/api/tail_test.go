package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/internal/api"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
)

// A line is a connection within this process, with a clock that synctest sets.
type line struct {
	ctx  context.Context
	body *io.PipeWriter
	head http.Header
	code chan int
}

func (l *line) Header() http.Header { return l.head }

func (l *line) WriteHeader(status int) {
	select {
	case l.code <- status:
	default:
	}
}

func (l *line) Write(b []byte) (int, error) {
	l.WriteHeader(http.StatusOK)
	return l.body.Write(b)
}

func (l *line) FlushError() error { return nil }

// A message is one of a stream.
type message struct {
	ID, Event, Data, Comment string
}

// A follower follows a tail.
type follower struct {
	t     testing.TB
	scan  *bufio.Reader
	close func()
}

// tail opens a tail; close ends it, as does the end of the test.
func (b *bench) tail(params string, header map[string]string) *follower {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	r := httptest.NewRequestWithContext(ctx, "GET", "/v1/tail"+params, nil)
	r.Header.Set("Authorization", "Bearer "+b.keys[auth.Read])
	for name, value := range header {
		r.Header.Set(name, value)
	}
	out, in := io.Pipe()
	l := &line{ctx: ctx, body: in, head: make(http.Header), code: make(chan int, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.handler.ServeHTTP(l, r)
		in.Close()
	}()
	if status := <-l.code; status != http.StatusOK {
		b.t.Fatalf("tail%s = %d", params, status)
	}
	answer := &http.Response{StatusCode: 200, Header: l.head}
	if err := theDocument.check("GET", "/v1/tail", answer, nil); err != nil {
		b.t.Errorf("tail: the document does not foresee this: %v", err)
	}
	return &follower{t: b.t, scan: bufio.NewReader(out), close: func() {
		cancel()
		out.Close()
		<-done
	}}
}

// next returns the next message, and false at the end of the stream.
func (r *follower) next() (m message, ok bool) {
	r.t.Helper()
	for {
		text, err := r.scan.ReadString('\n')
		if err != nil {
			return m, false
		}
		text = strings.TrimSuffix(text, "\n")
		if text == "" {
			return m, true
		}
		switch name, value, _ := strings.Cut(text, ": "); name {
		case "id":
			m.ID = value
		case "event":
			m.Event = value
		case "data":
			m.Data = value
		case "":
			m.Comment = value
		}
	}
}

// ids returns the ids of the events in the next n messages that are events.
func (r *follower) ids(n int) (ids []string, last string) {
	r.t.Helper()
	for len(ids) < n {
		m, ok := r.next()
		if !ok {
			r.t.Fatalf("the tail ended after %v", ids)
		}
		if m.Event == "" {
			continue
		}
		var e any
		if err := json.Unmarshal([]byte(m.Data), &e); err != nil {
			r.t.Fatalf("data %q: %v", m.Data, err)
		}
		if err := theDocument.validate(e, "components", "schemas", "RecordedEvent"); err != nil {
			r.t.Errorf("data %q: %v", m.Data, err)
		}
		if seq := fmt.Sprint(e.(map[string]any)["seq"]); seq != m.ID {
			r.t.Errorf("event %s has the id %s", seq, m.ID)
		}
		ids = append(ids, e.(map[string]any)["id"].(string))
		last = m.ID
	}
	return ids, last
}

func names(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprint("n-", i))
	}
	return list
}

// A tail ends with its key. If this fails, a key that was revoked reads on for as
// long as its connection lasts.
func TestTailEndsWithTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		key, text, err := b.api.Keys.Create("lost", "lost", []string{auth.Read})
		if err != nil {
			t.Fatal(err)
		}
		stays, goes := b.tail("", nil), b.tail("", map[string]string{"Authorization": "Bearer " + text})
		b.submit(numbered(0, "alice"))
		for _, r := range []*follower{stays, goes} {
			if got, _ := r.ids(1); !cmp.Equal(got, names(0, 1)) {
				t.Errorf("before: %v", got)
			}
		}
		if w := b.do(call{method: "DELETE", path: "/v1/keys/" + key.ID, scope: auth.Admin}); w.Code != 200 {
			t.Fatalf("revoke = %d %s", w.Code, w.Body)
		}
		b.submit(numbered(1, "alice"))
		for {
			m, ok := goes.next()
			if !ok {
				break
			}
			if m.Event != "" || m.Comment != "" {
				t.Errorf("after the key was revoked came %+v", m)
				break
			}
		}
		if got, _ := stays.ids(1); len(got) != 1 {
			t.Errorf("the tail of another key: %v", got)
		}
		goes.close()
		stays.close()
		b.stop()
	})
}

// TestTail checks where a tail begins and what it leaves out.
func TestTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		for i := range 300 { // more than are read at a time
			b.submit(numbered(i, "alice"))
		}
		for _, c := range []struct {
			name, params, last string
			want               []string
		}{
			{"from the start", "?from=0", "", names(0, 300)},
			{"from within", "?from=290", "", names(290, 300)},
			{"after the last seen", "", "289", names(290, 300)},
			{"the last seen counts more", "?from=0", "297", names(298, 300)},
			{"of a query", "?from=0&q=after:2026-04-01T00:04:50Z+OR+before:2026-04-01T00:00:01Z", "", append(names(0, 1), names(290, 300)...)},
		} {
			header := map[string]string{}
			if c.last != "" {
				header["Last-Event-ID"] = c.last
			}
			r := b.tail(c.params, header)
			if got, _ := r.ids(len(c.want)); !cmp.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
			r.close()
		}
		now := b.tail("", nil)
		other := b.tail("?q=actor:bob", nil)
		b.submit(numbered(300, "alice"))
		b.submit(numbered(301, "bob"))
		if got, _ := now.ids(2); !cmp.Equal(got, names(300, 302)) {
			t.Errorf("from now on: %v, want what came", got)
		}
		if got, _ := other.ids(1); !cmp.Equal(got, names(301, 302)) {
			t.Errorf("of bob from now on: %v", got)
		}
		now.close()
		other.close()
		for _, c := range []call{
			{path: "/v1/tail?from=303"},
			{path: "/v1/tail?from=-1"},
			{path: "/v1/tail?from=x"},
			{path: "/v1/tail?q=tag:"},
			{path: "/v1/tail?after=2026-01-01"},
			{path: "/v1/tail", header: map[string]string{"Last-Event-ID": "302"}},
			{path: "/v1/tail", header: map[string]string{"Last-Event-ID": "x"}},
		} {
			c.method, c.scope = "GET", auth.Read
			if w := b.do(c); w.Code != 400 {
				t.Errorf("%s %v = %d %s, want 400", c.path, c.header, w.Code, w.Body)
			}
		}
		if w := b.do(call{method: "HEAD", path: "/v1/tail", scope: auth.Read}); w.Code != 200 && w.Code != 0 {
			t.Errorf("HEAD = %d", w.Code)
		}
		b.stop()
	})
}

// TestTailResumes lets a reader come back again and again, also to a log that
// was started anew after a power cut: it sees every event once.
func TestTailResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		b := open(t, fs)
		b.submit(numbered(0, "alice"))
		seen, last := []string{"n-0"}, "0"
		next := 1
		for round := range 6 {
			for range 3 {
				b.submit(numbered(next, "alice"))
				next++
			}
			r := b.tail("", map[string]string{"Last-Event-ID": last})
			ids, id := r.ids(2) // and then it goes away
			r.close()
			seen, last = append(seen, ids...), id
			if round%2 == 1 {
				b.stop()
				fs = fs.Crash(func(int) int { return 0 })
				b = open(t, fs)
			}
		}
		r := b.tail("", map[string]string{"Last-Event-ID": last})
		rest, _ := r.ids(next - len(seen))
		r.close()
		if got := append(seen, rest...); !cmp.Equal(got, names(0, next)) {
			t.Errorf("seen %v, want every event once", got)
		}
		b.stop()
	})
}

// TestHeartbeat checks that a tail without events still says something every
// 15 seconds, and moves on what the reader has seen.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		b.submit(numbered(0, "alice"))
		b.submit(numbered(1, "alice"))
		r := b.tail("?q=actor:bob&from=0", nil)
		r.next() // how soon to come back
		for range 3 {
			began := time.Now()
			if m, ok := r.next(); !ok || m.Event != "" || m.ID != "1" || time.Since(began) != 15*time.Second {
				t.Errorf("%+v, %t after %v; want a sign of life with id 1 after 15s", m, ok, time.Since(began))
			}
		}
		// Events that do not match must not put it off.
		began := time.Now()
		go func() {
			for i := range 20 {
				time.Sleep(time.Second)
				b.submit(numbered(2+i, "alice"))
			}
		}()
		if m, ok := r.next(); !ok || m.Event != "" || time.Since(began) > 16*time.Second {
			t.Errorf("%+v, %t after %v among events that do not match", m, ok, time.Since(began))
		}
		time.Sleep(time.Minute)
		r.close()
		b.stop()
	})
}

// TestHeartbeatWhenBusy checks that a tail says something also while it reads
// through what does not match, on a disk that takes its time.
func TestHeartbeatWhenBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		b := open(t, &disk.Mem{Fail: func(op, path string) error {
			if slow.Load() && op == "read" && strings.HasPrefix(path, "journal/") {
				time.Sleep(6 * time.Second)
			}
			return nil
		}})
		for i := range 8 {
			array, _ := batch(500, fmt.Sprint("busy-", i))
			b.submit(array)
		}
		b.settled()
		slow.Store(true)
		r := b.tail("?q=actor:bob&from=0", nil)
		r.next() // how soon to come back
		last := time.Now()
		for m := (message{}); m.ID != "3999"; {
			m, _ = r.next()
			if quiet := time.Since(last); quiet > 22*time.Second {
				t.Errorf("nothing for %v, up to event %s", quiet, m.ID)
			}
			last = time.Now()
		}
		r.close()
		b.stop()
	})
}

// TestTailLimit checks that there is a limit on tails, and that one that ends
// makes room.
func TestTailLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopping := make(chan struct{})
		b := open(t, new(disk.Mem), func(a *api.API) { a.Stopping = stopping })
		var all []*follower
		for range 256 {
			all = append(all, b.tail("", nil))
		}
		w := b.do(call{method: "GET", path: "/v1/tail", scope: auth.Read})
		if p := decode[problem](t, w); w.Code != 503 || p.Type != "/problems/busy" || p.Limit != "256 open tails" {
			t.Errorf("one tail more = %d %s, want 503 and the limit", w.Code, w.Body)
		}
		all[7].close()
		all[7] = b.tail("", nil)
		close(stopping)
		for _, r := range all {
			for ok := true; ok; {
				_, ok = r.next() // until the end
			}
			r.close()
		}
		b.stop()
	})
}

// A wire is a listener for connections within this process.
type wire chan net.Conn

func (w wire) Accept() (net.Conn, error) {
	if c, ok := <-w; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (w wire) Close() error   { return nil }
func (w wire) Addr() net.Addr { return new(net.UnixAddr) }

// TestSlowReader connects and stops reading: the tail is dropped after ten
// seconds, and until then it holds up nobody.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		listener := make(wire)
		server := &http.Server{Handler: b.handler}
		go server.Serve(listener)
		ours, theirs := net.Pipe()
		listener <- theirs
		fmt.Fprintf(ours, "GET /v1/tail HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", b.keys[auth.Read])
		answer := bufio.NewReader(ours)
		for line := ""; !strings.HasPrefix(line, "retry"); {
			var err error
			if line, err = answer.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		for i := range 500 {
			b.submit(numbered(i, "alice"))
		}
		if took := time.Since(began); took > 0 || b.tails() != 1 {
			t.Errorf("500 events beside a slow reader took %v, and %d tails are open", took, b.tails())
		}
		time.Sleep(9 * time.Second)
		if n := b.tails(); n != 1 {
			t.Errorf("%d tails after 9 s, want the reader to have a little longer", n)
		}
		time.Sleep(2 * time.Second)
		if n := b.tails(); n != 0 {
			t.Errorf("%d tails after 11 s, want the slow reader dropped", n)
		}
		ours.Close()
		close(listener)
		server.Close()
		b.stop()
	})
}

// tails returns how many tails are open.
func (b *bench) tails() int {
	families, err := b.api.Registry.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "custody_http_tails" {
			n, _ := strconv.Atoi(fmt.Sprint(f.GetMetric()[0].GetGauge().GetValue()))
			return n
		}
	}
	b.t.Fatal("there is no metric for tails")
	return 0
}
