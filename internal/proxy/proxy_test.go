package proxy_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/proxy"
	"github.com/custody-log/custody/internal/registry"
)

// TestIntentPrecedesForwarding checks the order that makes the log complete: a
// registry must not have heard of a change before its intent is durable, and
// the client must not have the answer before the outcome is.
func TestIntentPrecedesForwarding(t *testing.T) {
	var b *bench
	var before []string
	b = start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			before = b.log.tags()
		}
		w.WriteHeader(http.StatusCreated)
	}))
	b.do("PUT", "/pkg/demo", "t0ken", "x")
	after := b.log.tags()
	if want := []string{"audit:proxy:start success", "audit:proxy:intent unknown"}; !slices.Equal(before, want) {
		t.Errorf("when the registry saw the change the log had %q, want %q", before, want)
	}
	want := append(before, "project:release:add success")
	if !slices.Equal(after, want) {
		t.Errorf("when the client had the answer the log had %q, want %q", after, want)
	}
}

// TestIntentSaysEnough compares an intent whole: it must name the act, and
// must not be part of the project's history.
func TestIntentSaysEnough(t *testing.T) {
	b := start(t, answering(201, ""))
	b.do("PUT", "/pkg/demo", "", "x")
	intent, final := b.log.all()[1], b.log.all()[2]
	if intent.Context.RequestID == "" || intent.Context.RequestID != final.Context.RequestID {
		t.Errorf("request IDs of intent and outcome are %q and %q, want the same", intent.Context.RequestID, final.Context.RequestID)
	}
	delete(intent.Metadata, "run")
	delete(intent.Metadata, "open_since")
	got := event.Event{Tag: intent.Tag, Outcome: intent.Outcome, Actor: intent.Actor, Credential: intent.Credential, Subjects: intent.Subjects, Metadata: intent.Metadata}
	want := event.Event{
		Tag: "audit:proxy:intent", Outcome: event.Unknown,
		Actor: event.Party{Type: "anonymous"}, Credential: event.Credential{Kind: "none"},
		Metadata: map[string]any{
			"method": "PUT", "protocol": "toy", "tag": "project:release:add", "object": "demo",
			"act": map[string]any{
				"metadata": map[string]any{"method": "PUT"},
				"subjects": []any{map[string]any{"type": "project", "id": "pkg:toy/demo", "name": "demo"}},
			},
		},
	}
	if diff := cmp.Diff(plainJSON(t, want), plainJSON(t, got)); diff != "" {
		t.Errorf("intent (-want +got):\n%s", diff)
	}
}

func plainJSON(t *testing.T, v any) (plain any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &plain)
	}
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

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
			b := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
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

// TestAnswerLost checks that an act whose answer nobody heard is not called a
// failure: the registry may have done it.
func TestAnswerLost(t *testing.T) {
	b := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	status, _ := b.do("PUT", "/pkg/demo", "", "x")
	got := b.log.acts()
	if status != 502 || len(got) != 1 || got[0].Outcome != event.Unknown || got[0].Reason == "" {
		t.Errorf("answer %d, events %v; want 502 and one act with outcome unknown", status, b.log.tags())
	}
}

// TestRegistryAway checks that an act is called a failure when the registry
// cannot have heard of it.
func TestRegistryAway(t *testing.T) {
	b := start(t, answering(201, ""))
	b.upstream.Close()
	status, _ := b.do("PUT", "/pkg/demo", "", "x")
	got := b.log.acts()
	if status != 502 || len(got) != 1 || got[0].Outcome != event.Failure {
		t.Errorf("answer %d, events %q; want 502 and one failure", status, b.log.tags())
	}
}

// TestChallengeIsNoEvent checks that an intent which comes to nothing is ended
// all the same, or the next run would call it unknown.
func TestChallengeIsNoEvent(t *testing.T) {
	b := start(t, answering(401, ""))
	b.do("POST", "/pkg/demo", "", "x")
	want := []string{"audit:proxy:start success", "audit:proxy:intent unknown", "audit:proxy:void "}
	if got := b.log.tags(); !slices.Equal(got, want) {
		t.Errorf("events = %q, want %q", got, want)
	}
}

// TestOutcomeIsSpooled checks that an outcome survives a log that goes away
// between intent and outcome, and that its loss is noticed when it does not.
func TestOutcomeIsSpooled(t *testing.T) {
	for _, full := range []bool{false, true} {
		var b *bench
		b = start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				b.log.setDown(true)
			}
		}))
		b.spool.full = full
		if status, text := b.do("PUT", "/pkg/demo", "", "x"); status != 200 {
			t.Errorf("answer = %d %s, want the registry's 200", status, text)
		}
		spooled, lost := slices.Contains(b.spool.tags(), "project:release:add success"), b.proxy.Health().Lost
		if spooled == full || (lost == 1) != full {
			t.Errorf("full spool %t: spooled %t, lost %d", full, spooled, lost)
		}
	}
}

// TestPaths checks that nothing reaches the registry which it could read
// differently than the log does.
func TestPaths(t *testing.T) {
	tests := []struct {
		name, line string
		header     string
		status     int
		forwarded  bool
	}{
		{name: "an escaped slash inside a name", line: "PUT /r/pkg/@scope%2fdemo", status: 200, forwarded: true},
		{name: "dots", line: "PUT /r/pkg/../pkg/demo", status: 400},
		{name: "encoded dots", line: "PUT /r/pkg/%2e%2e/demo", status: 400},
		{name: "a double slash", line: "PUT /r//pkg/demo", status: 400},
		{name: "an encoded letter", line: "PUT /r/%70kg/demo", status: 400},
		{name: "a backslash", line: `PUT /r/pkg\demo`, status: 400},
		{name: "beside the prefix", line: "PUT /other/pkg/demo", status: 404},
		{name: "almost the prefix", line: "PUT /rr/pkg/demo", status: 404},
		{name: "a method in a header", line: "POST /r/file/demo", header: "X-HTTP-Method-Override: DELETE\r\n", status: 400},
		{name: "a path in a header", line: "GET /r/file/demo", header: "X-Original-URL: /pkg/demo\r\n", status: 400},
		{name: "two credentials", line: "PUT /r/pkg/demo", header: "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", status: 400},
		{name: "an encoding we cannot read", line: "PUT /r/pkg/demo", header: "Content-Encoding: br\r\nContent-Length: 0\r\n", status: 415},
		{name: "a tunnel", line: "CONNECT 203.0.113.9:443", status: 400},
		{name: "every path", line: "OPTIONS *", status: 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var heard atomic.Value
			b := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard.Store(r.RequestURI) }), func(c *proxy.Config) {
				c.Prefix = "/r"
			})
			status := raw(t, b, test.line+" HTTP/1.1\r\nHost: registry.test\r\nConnection: close\r\n"+test.header+"\r\n")
			if status != test.status {
				t.Errorf("answer = %d, want %d", status, test.status)
			}
			uri, _ := heard.Load().(string)
			want := ""
			if test.forwarded {
				_, want, _ = strings.Cut(test.line, " ")
			}
			if uri != want {
				t.Errorf("the registry heard of %q, want %q", uri, want)
			}
		})
	}
}

// raw sends bytes as they are and returns the status of the answer.
func raw(t *testing.T, b *bench, text string) int {
	t.Helper()
	status, _ := rawAnswer(t, b, text)
	return status
}

func rawAnswer(t *testing.T, b *bench, text string) (int, string) {
	t.Helper()
	conn, err := net.Dial("tcp", b.door.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	version, rest, _ := strings.Cut(string(all), " ")
	if !strings.HasPrefix(version, "HTTP/1.") || len(rest) < 3 {
		t.Fatalf("answer = %q", all)
	}
	return int(rest[0]-'0')*100 + int(rest[1]-'0')*10 + int(rest[2]-'0'), string(all)
}

// TestConnectionHeaderCannotHide checks that client and registry cannot be made
// to see different credentials: what Connection takes out of the request, the
// log does not see either.
func TestConnectionHeaderCannotHide(t *testing.T) {
	var seen http.Header
	b := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			seen = r.Header.Clone()
		}
	}))
	raw(t, b, "PUT /pkg/demo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t0ken\r\nUpgrade: h2c\r\nConnection: close, authorization, upgrade\r\n\r\n")
	if _, ok := seen["Authorization"]; ok || seen.Get("Upgrade") != "" {
		t.Errorf("the registry saw %v, want neither Authorization nor Upgrade", seen)
	}
	if got := b.log.acts()[0].Actor.Type; got != "anonymous" {
		t.Errorf("actor = %s, want anonymous as the registry saw it", got)
	}
}

// TestForwarders checks from whom an address is believed.
func TestForwarders(t *testing.T) {
	const us = "127.0.0.1/32"
	tests := []struct {
		name    string
		trusted []string
		header  []string
		ip      string
		id      bool // the request ID sent is kept
	}{
		{name: "nobody is trusted", header: []string{"203.0.113.9"}, ip: "127.0.0.1"},
		{name: "the peer is trusted and says nothing", trusted: []string{us}, ip: "127.0.0.1", id: true},
		{name: "the peer is trusted", trusted: []string{us}, header: []string{"203.0.113.9"}, ip: "203.0.113.9", id: true},
		{name: "the client lied before it", trusted: []string{us}, header: []string{"198.51.100.1, 203.0.113.9"}, ip: "203.0.113.9", id: true},
		{name: "a chain of trusted forwarders", trusted: []string{us, "10.0.0.0/8"}, header: []string{"198.51.100.1, 203.0.113.9", "10.1.2.3"}, ip: "203.0.113.9", id: true},
		{name: "all are trusted", trusted: []string{us, "10.0.0.0/8"}, header: []string{"10.9.9.9, 10.1.2.3"}, ip: "10.9.9.9", id: true},
		{name: "with a port", trusted: []string{us}, header: []string{"203.0.113.9:4711"}, ip: "203.0.113.9", id: true},
		{name: "IPv6", trusted: []string{us}, header: []string{"2001:db8::7"}, ip: "2001:db8::7", id: true},
		{name: "IPv4 inside IPv6", trusted: []string{us}, header: []string{"::ffff:203.0.113.9"}, ip: "203.0.113.9", id: true},
		{name: "not an address", trusted: []string{us}, header: []string{"203.0.113.9, unknown"}, ip: "127.0.0.1", id: true},
		{name: "another network is trusted", trusted: []string{"10.0.0.0/8"}, header: []string{"203.0.113.9"}, ip: "127.0.0.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var told http.Header
			b := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told = r.Header.Clone() }), trust(test.trusted...))
			r := httptest.NewRequestWithContext(t.Context(), "PUT", b.door.URL+"/pkg/demo", nil)
			r.RequestURI = ""
			r.Header["X-Forwarded-For"] = test.header
			r.Header.Set("X-Request-Id", "theirs")
			r.Header.Set("X-Real-Ip", "198.51.100.77")
			b.send(r)
			e := b.log.acts()[0]
			if e.Context.IP != test.ip {
				t.Errorf("address = %s, want %s", e.Context.IP, test.ip)
			}
			if got := e.Context.RequestID == "theirs"; got != test.id {
				t.Errorf("request ID = %s, kept %t, want %t", e.Context.RequestID, got, test.id)
			}
			if told.Get("X-Request-Id") != e.Context.RequestID || told.Get("X-Real-Ip") != "" {
				t.Errorf("the registry was told %v, want the request ID %s and no X-Real-Ip", told, e.Context.RequestID)
			}
			chain := told.Get("X-Forwarded-For")
			if !strings.HasSuffix(chain, "127.0.0.1") || (!test.id && chain != "127.0.0.1") {
				t.Errorf("the registry was told X-Forwarded-For: %s", chain)
			}
		})
	}
}
