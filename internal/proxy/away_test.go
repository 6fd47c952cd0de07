package proxy_test

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/proxy"
	"github.com/custody-log/custody/internal/registry"
)

// TestLogAway checks what each class of request meets while nothing can be
// recorded, and that the registry hears nothing of what was refused.
func TestLogAway(t *testing.T) {
	tests := []struct {
		name, method, path string
		policy             map[registry.Class]proxy.Policy
		full               bool
		status             int
		forwarded          bool
		spooled            []string
	}{
		{name: "a change is refused", method: "PUT", path: "/pkg/demo", status: 503, spooled: []string{"audit:proxy:void "}},
		{name: "a sign-in is refused", method: "PUT", path: "/login/alice", status: 503, spooled: []string{"audit:proxy:void "}},
		{name: "a download passes", method: "GET", path: "/file/demo", status: 200, forwarded: true, spooled: []string{"project:file:download success"}},
		{name: "a download passes and is counted", method: "GET", path: "/file/demo", full: true, status: 200, forwarded: true},
		{name: "what is not recorded passes", method: "GET", path: "/other", status: 200, forwarded: true},
		{
			name: "a change passes where the operator says so", method: "PUT", path: "/pkg/demo",
			policy: map[registry.Class]proxy.Policy{registry.Write: proxy.Spool}, status: 200, forwarded: true,
			spooled: []string{"audit:proxy:intent unknown", "project:release:add success"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var heard atomic.Int64
			b := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				heard.Add(1)
			}), func(c *proxy.Config) { c.OnLogAway = test.policy })
			b.log.setDown(true)
			b.spool.full = test.full
			status, body := b.do(test.method, test.path, "", "x")
			if status != test.status {
				t.Errorf("answer = %d %s, want %d", status, body, test.status)
			}
			if got := heard.Load() > 0; got != test.forwarded {
				t.Errorf("the registry heard of it: %t, want %t", got, test.forwarded)
			}
			b.stop() // everything that waited has gone somewhere
			if diff := cmp.Diff(test.spooled, b.spool.tags()); diff != "" {
				t.Errorf("spooled (-want +got):\n%s", diff)
			}
			if dropped := b.proxy.Health().Dropped; (dropped > 0) != test.full {
				t.Errorf("dropped %d reads, full spool %t", dropped, test.full)
			}
		})
	}
}

// TestLogAwayAnswers checks that the refusal is one that clients show, first
// as a passing fault and then as one for which trying again is no use.
func TestLogAwayAnswers(t *testing.T) {
	b := start(t, answering(201, ""))
	b.log.setDown(true)
	for _, test := range []struct {
		away   time.Duration
		status int
	}{{0, 503}, {proxy.PassingFault / 2, 503}, {proxy.PassingFault + time.Minute, 403}} {
		b.proxy.LogAwaySince(time.Now().Add(-test.away))
		status, text := b.do("PUT", "/pkg/demo", "", "x")
		var answer struct {
			Error  string
			Errors []struct{ Code, Detail, Message string }
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatalf("answer %q: %v", text, err)
		}
		if status != test.status || answer.Error == "" || len(answer.Errors) != 1 || answer.Errors[0].Message != answer.Error || answer.Errors[0].Code != "audit_log_away" {
			t.Errorf("after %v: %d %+v, want status %d and the reason in error and errors", test.away, status, answer, test.status)
		}
	}
	b.log.setDown(false)
	b.proxy.LogAwaySince(time.Now())
	if status, text := b.do("PUT", "/pkg/demo", "", "x"); status != 201 {
		t.Errorf("after the log came back: %d %s, want 201", status, text)
	}
}

// TestOneRequestTriesWhileAway checks that a log that is away and slow does not
// hold up every client, only one a second.
func TestOneRequestTriesWhileAway(t *testing.T) {
	b := start(t, answering(201, ""))
	b.log.setDown(true)
	var tries atomic.Int64
	b.log.hook = func(e *event.Event) {
		if e.Tag == "audit:proxy:intent" {
			tries.Add(1)
		}
	}
	for range 50 {
		if status, _ := b.do("PUT", "/pkg/demo", "", "x"); status != 503 {
			t.Fatalf("answer = %d, want 503", status)
		}
	}
	if n := tries.Load(); n > 5 {
		t.Errorf("the log was asked %d times by 50 requests, want once a second", n)
	}
}

// TestDroppedReadsAreTold checks that the log says of itself that it is not
// complete.
func TestDroppedReadsAreTold(t *testing.T) {
	b := start(t, answering(200, "data"))
	b.log.setDown(true)
	b.spool.full = true
	for range 3 {
		b.do("GET", "/file/demo", "", "")
	}
	for end := time.Now().Add(10 * time.Second); b.proxy.Health().Dropped < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("dropped %d, want 3", b.proxy.Health().Dropped)
		}
	}
	b.log.setDown(false)
	b.proxy.LogAwaySince(time.Now())
	b.do("GET", "/file/demo", "", "")
	b.log.wait(t, 1)
	all := b.log.all()
	last := all[len(all)-1]
	if last.Tag != "audit:proxy:drop" || last.Metadata["count"] != int64(3) {
		t.Errorf("the last event is %s %v, want audit:proxy:drop with a count of 3", last.Tag, last.Metadata)
	}
}
