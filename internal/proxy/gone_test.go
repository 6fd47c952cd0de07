package proxy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
)

// TestClientGoneDownloading checks that a download which the client gave up is
// recorded, and not as a success: the reverse proxy panics then.
func TestClientGoneDownloading(t *testing.T) {
	b := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", b.door.URL+"/file/demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = res.Body.Close()
	if got := b.log.wait(t, 1)[0]; got.Outcome != event.Unknown || got.Reason == "" {
		t.Errorf("outcome = %s, reason %q, want unknown and why", got.Outcome, got.Reason)
	}
}

// TestClientGoneUploading checks the same for an upload that stops half way.
func TestClientGoneUploading(t *testing.T) {
	b := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}))
	conn, err := net.Dial("tcp", b.door.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(conn, "PUT /pkg/demo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	got := b.log.wait(t, 1)
	if got[0].Outcome != event.Unknown {
		t.Errorf("outcome = %s, want unknown", got[0].Outcome)
	}
}

// TestClientGoneWaiting checks that the outcome of a change is heard even when
// the client does not wait for it.
func TestClientGoneWaiting(t *testing.T) {
	here := make(chan struct{})
	b := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		close(here)
		select {
		case <-r.Context().Done(): // the proxy gave up with its client
			return
		case <-time.After(300 * time.Millisecond):
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(make([]byte, 32<<10))
	}))
	conn, err := net.Dial("tcp", b.door.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "PUT /pkg/demo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"); err != nil {
		t.Fatal(err)
	}
	<-here
	_ = conn.Close()
	if got := b.log.wait(t, 1)[0]; got.Outcome != event.Success {
		t.Errorf("outcome = %s (%s), want success: the registry said so", got.Outcome, got.Reason)
	}
}
