package proxy_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
)

// TestStalled checks that a passage in which nothing moves is cut, whoever
// stopped moving, and that the next request is not.
func TestStalled(t *testing.T) {
	release := make(chan struct{})
	b := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/pkg/silent":
			_, _ = io.Copy(io.Discard, r.Body)
			if r.Method == http.MethodPut {
				<-release
			}
		case "/pkg/slow":
			_, _ = io.Copy(io.Discard, r.Body)
		}
	}))
	defer close(release)
	b.proxy.SetIdle(200 * time.Millisecond)
	if status, _ := b.do("PUT", "/pkg/silent", "", "x"); status != 502 {
		t.Errorf("a silent registry: answer = %d, want 502", status)
	}
	conn, err := net.Dial("tcp", b.door.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PUT /pkg/stalled HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	for _, e := range b.log.wait(t, 2) {
		if e.Outcome != event.Unknown {
			t.Errorf("outcome = %s, want unknown", e.Outcome)
		}
	}
	slow, feed := io.Pipe()
	go func() {
		for range 10 { // longer than the limit, but moving
			time.Sleep(50 * time.Millisecond)
			_, _ = feed.Write([]byte("x"))
		}
		_ = feed.Close()
	}()
	r := httptest.NewRequestWithContext(t.Context(), "PUT", b.door.URL+"/pkg/slow", slow)
	r.RequestURI = ""
	if status, text := b.send(r); status != 200 {
		t.Errorf("a slow upload: answer = %d %s, want 200", status, text)
	}
}
