package console_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A line is a connection within this process.
type line struct {
	head http.Header
	body *io.PipeWriter
	code int
}

func (l *line) Header() http.Header         { return l.head }
func (l *line) WriteHeader(status int)      { l.code = status }
func (l *line) Write(b []byte) (int, error) { return l.body.Write(b) }
func (l *line) FlushError() error           { return nil }

// follow opens a page's stream, and returns what comes, message by message, and a
// way to hang up.
func (u *browser) follow(path, last string) (next func() string, hangUp func()) {
	u.t.Helper()
	ctx, cancel := context.WithCancel(u.t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	for _, c := range u.cookies {
		r.AddCookie(c)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	in, out := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		u.handler.ServeHTTP(&line{head: make(http.Header), body: out}, r)
		out.Close()
	}()
	scan := bufio.NewReader(in)
	next = func() string {
		u.t.Helper()
		var message strings.Builder
		for {
			text, err := scan.ReadString('\n')
			if err != nil {
				return "" // the stream has ended
			}
			if text == "\n" {
				return message.String()
			}
			message.WriteString(text)
		}
	}
	if first := next(); first != "retry: 1000\n" {
		u.t.Fatalf("the stream begins with %q", first)
	}
	return next, func() {
		cancel()
		in.Close()
		<-ended
	}
}

func login(id, name string) string {
	return `{"id":"` + id + `","tag":"user:login:success","time":"2026-04-01T00:00:00Z","actor":{"type":"user","id":"user-` + name + `","name":"` + name + `"},"subjects":[{"type":"user","id":"user-` + name + `","name":"` + name + `"}],"context":{"ip":"203.0.113.5"}}`
}

// Who follows the log gets each event of the view as it comes, as the page lists
// it, as far as they may see; and after a break goes on where they were.
func TestTail(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin := b.as("admin")
		next, hangUp := admin.follow("/tail?q=user:dave", "")
		b.record(login("t-1", "carol"), login("t-2", "dave"))
		got := next()
		if !strings.Contains(got, "event: row\n") || !strings.Contains(got, fmt.Sprintf(`<li id="e%d"`, sampled+2)) || !strings.Contains(got, "dave</bdi></a> logged in") {
			t.Errorf("the event came as %q", got)
		}
		keeps(t, got, "203.0.113.5", "carol")
		hangUp()

		b.record(login("t-3", "dave"))
		next, hangUp = admin.follow("/tail?q=user:dave", strconv.Itoa(sampled+2))
		if got := next(); !strings.Contains(got, fmt.Sprintf("id: %d\n", sampled+3)) {
			t.Errorf("after a break the stream goes on with %q", got)
		}
		time.Sleep(20 * time.Second)
		if got := next(); !strings.HasPrefix(got, ": nothing new\n") {
			t.Errorf("a quiet stream says %q", got)
		}
		hangUp()
	})
}

// Who signs out follows nothing any more, in whatever window they still have open.
func TestTailEndsWithTheSession(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin := b.as("admin")
		next, hangUp := admin.follow("/tail", "")
		if w := admin.post("/signout", url.Values{"csrf": {admin.csrf()}}); w.Code != http.StatusOK {
			t.Fatalf("signing out = %d", w.Code)
		}
		b.record(login("t-1", "dave"))
		if got := next(); got != "" {
			t.Errorf("after signing out came %q", got)
		}
		hangUp()
	})
}

// A page that follows the log, and whose owner has gone, keeps no session alive.
func TestTailKeepsNoSessionAlive(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		next, hangUp := b.as("admin").follow("/tail", "")
		began := time.Now()
		for range 300 { // 75 minutes of beats
			if next() == "" {
				break
			}
		}
		hangUp()
		if took := time.Since(began); took > time.Hour+time.Minute {
			t.Errorf("the stream went on for %v, and a session is over after an hour of nothing", took)
		}
	})
}

// Visitors whom nobody knows cannot take all places of those who are signed in.
func TestStrangersLeaveRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		const path = "/tail?q=project:demo-http"
		for range 16 {
			_, hangUp := b.as("").follow(path, "")
			defer hangUp()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("one stranger too many got %d, want 503", w.Code)
		}
		_, hangUp := b.as("alice").follow("/tail", "")
		hangUp()
	})
}

// Following is for who may search, and ends when the server stops.
func TestTailRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		for path, code := range map[string]int{
			"/tail?q=user:alice": 403, "/tail?q=(": 400, "/tail?q=project:demo-http&from=-1": 400, "/tail?q=project:demo-http&from=9999": 400,
		} {
			if got := b.as("").get(path).Code; got != code {
				t.Errorf("%s = %d, want %d", path, got, code)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		stopping := make(chan struct{})
		b := open(t)
		b.console.Stopping = stopping
		w := httptest.NewRecorder()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/tail?q=project:p", http.NoBody))
		}()
		synctest.Wait()
		close(stopping)
		<-ended
	})
}
