package proxy_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// An eccentric protocol describes what happens in a way that no log accepts.
type eccentric struct{ toy }

func (eccentric) Begin(r *registry.Request) (registry.Exchange, error) {
	x, err := toy{}.Begin(r)
	if err != nil || x == nil {
		return nil, err
	}
	return strange{x}, nil
}

type strange struct{ registry.Exchange }

func (s strange) Result() registry.Result {
	r := s.Exchange.Result()
	for _, e := range r.Events {
		e.Metadata["a name that is not one"] = true
	}
	return r
}

// TestRefusedDetails checks that an outcome which the log does not accept as
// it is described is recorded without the description.
func TestRefusedDetails(t *testing.T) {
	b := start(t, answering(201, ""))
	b.stop()
	cfg := b.config()
	cfg.Protocol = eccentric{}
	b.restartWith(cfg)
	b.ready()
	b.do("PUT", "/pkg/demo", "", "x")
	got := b.log.acts()
	if len(got) != 1 || got[0].Outcome != event.Success || len(got[0].Subjects) != 1 || got[0].Metadata["shortened"] != true {
		t.Errorf("events = %q, want one release, shortened", b.log.tags())
	}
	if b.spool.Behind() > 0 || b.proxy.Health().Lost > 0 {
		t.Error("the outcome is in the spool or lost as well")
	}
}

// TestClientsCannotMakeBadEvents checks that whatever a client writes into a
// request, the log can describe it.
func TestClientsCannotMakeBadEvents(t *testing.T) {
	b := start(t, answering(201, ""))
	name := strings.Repeat("x", 7000)
	status := raw(t, b, "PUT /pkg/"+name+" HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff\xfe"+strings.Repeat("\u00e9", 2000)+"\r\nTraceparent: 00-zz-zz-00\r\nConnection: close\r\n\r\n")
	got := b.log.acts()
	if status != 201 || len(got) != 1 || got[0].Metadata["shortened"] != true || len(got[0].Context.UserAgent) > 512 || got[0].Context.TraceID != "" {
		t.Errorf("answer %d, events %q; want 201 and one release, shortened", status, b.log.tags())
	}
}

// TestRefusedIntent checks that a request which the log does not accept is not
// forwarded, and that the log does not count as away for it.
func TestRefusedIntent(t *testing.T) {
	var heard atomic.Int64
	b := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	b.log.refuse = "audit:proxy:intent"
	status, text := b.do("PUT", "/pkg/demo", "", "x")
	if status != 403 || !strings.Contains(text, "audit_log_refused") || heard.Load() > 0 || b.proxy.Health().LogAway > 0 {
		t.Errorf("answer %d %s, forwarded %d times, log away for %v; want 403, never, and not away", status, text, heard.Load(), b.proxy.Health().LogAway)
	}
}
