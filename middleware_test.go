package custody_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody"
)

// A recorder remembers events, or fails.
type recorder struct {
	events []custody.Event
	fails  map[int]bool // which call fails, from 0
	calls  int
}

var errAway = errors.New("away")

func (r *recorder) Record(ctx context.Context, e custody.Event) (custody.Ack, error) {
	r.calls++
	if err := ctx.Err(); err != nil {
		return custody.Ack{}, err
	}
	if r.fails[r.calls-1] {
		return custody.Ack{}, errAway
	}
	r.events = append(r.events, e)
	return custody.Ack{}, nil
}

func describe(r *http.Request) *custody.Event {
	if r.Method == http.MethodGet {
		return nil
	}
	return &custody.Event{Tag: "project:release:add", Actor: custody.Party{Type: "anonymous"}}
}

func neverLost(t *testing.T) func(*custody.Event, error) {
	return func(e *custody.Event, err error) { t.Errorf("lost %s: %v", e.Tag, err) }
}

// The outcome says how the request ended, whatever way that was.
func TestMiddlewareOutcome(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    custody.Outcome
	}{
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, custody.Success},
		{"a body alone", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }, custody.Success},
		{"created", status(201), custody.Success},
		{"redirected", status(303), custody.Success},
		{"unauthorized", status(401), custody.Denied},
		{"forbidden", status(403), custody.Denied},
		{"not found", status(404), custody.Failure},
		{"broken", status(502), custody.Failure},
		{"hints first", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(403) }, custody.Denied},
		{"the first status counts", func(w http.ResponseWriter, _ *http.Request) { w.Write(nil); w.WriteHeader(500) }, custody.Success},
		{"a panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, custody.Failure},
		{"a panic after 200", func(w http.ResponseWriter, _ *http.Request) { w.Write(nil); panic(http.ErrAbortHandler) }, custody.Failure},
		{"the handler knows better", func(_ http.ResponseWriter, r *http.Request) {
			custody.EventOf(r.Context()).Outcome = custody.Unknown
		}, custody.Unknown},
		{"a flush", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			w.(http.Flusher).Flush()
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
		}, custody.Denied},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := new(recorder)
			serve(custody.Middleware(to, describe, neverLost(t))(c.handler), httptest.NewRequest("PUT", "/demo-pkg", nil))
			if len(to.events) != 1 || to.events[0].Outcome != c.want {
				t.Errorf("recorded %+v, want one event with outcome %s", to.events, c.want)
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// serve runs h as a server does, which survives panics.
func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	defer func() { _ = recover() }()
	h.ServeHTTP(w, r)
	return w
}

// Where a request comes from is what its connection says, or what trusted
// forwarders say, and never what the client says.
func TestMiddlewareContext(t *testing.T) {
	trusted := custody.TrustForwarders(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"))
	for _, c := range []struct {
		name, remote, forwarded, requestID string
		ip, keptID                         string
	}{
		{"direct", "203.0.113.9:1234", "", "", "203.0.113.9", ""},
		{"direct over IPv6", "[2001:db9::1%eth0]:1234", "", "", "2001:db9::1", ""},
		{"IPv4 in IPv6", "[::ffff:203.0.113.9]:1234", "", "", "203.0.113.9", ""},
		{"a client that lies", "203.0.113.9:1234", "198.51.100.1", "req-1", "203.0.113.9", ""},
		{"a forwarder", "10.0.0.1:1234", "203.0.113.9", "req-1", "203.0.113.9", "req-1"},
		{"two forwarders", "10.0.0.1:1234", "203.0.113.9, 10.0.0.2", "", "203.0.113.9", ""},
		{"a client that lies to a forwarder", "10.0.0.1:1234", "198.51.100.1, 203.0.113.9", "", "203.0.113.9", ""},
		{"a forwarder that names ports", "[2001:db8::1]:1234", "203.0.113.9:555", "", "203.0.113.9", ""},
		{"a forwarder that says nonsense", "10.0.0.1:1234", "203.0.113.9, unknown", "", "10.0.0.1", ""},
		{"a forwarder that says nothing", "10.0.0.1:1234", "", "", "10.0.0.1", ""},
		{"a request ID that is no word", "10.0.0.1:1234", "", "a b", "10.0.0.1", ""},
		{"a request ID without end", "10.0.0.1:1234", "", strings.Repeat("x", 1000), "10.0.0.1", ""},
		{"no address at all", "@", "203.0.113.9", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := new(recorder)
			r := httptest.NewRequest("PUT", "/demo-pkg", nil)
			r.RemoteAddr = c.remote
			r.Header.Set("X-Forwarded-For", c.forwarded)
			r.Header.Set("X-Request-Id", c.requestID)
			serve(custody.Middleware(to, describe, neverLost(t), trusted)(status(200)), r)
			got := to.events[0].Context
			if got.IP != c.ip || c.keptID != "" && got.RequestID != c.keptID || c.keptID == "" && got.RequestID == c.requestID || got.RequestID == "" {
				t.Errorf("context %+v, want ip %q and request ID %q", got, c.ip, c.keptID)
			}
		})
	}
}

// Nothing a client sends can make the event of its request be refused.
func TestMiddlewareHostileHeaders(t *testing.T) {
	log := newFakeLog(t)
	r := httptest.NewRequest("PUT", "/demo-pkg", nil)
	r.Header.Set("User-Agent", strings.Repeat("npm/11 \xff\u20ac", 10_000))
	r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	serve(custody.Middleware(log.client(t), describe, neverLost(t))(status(200)), r)
	events := log.events()
	if len(events) != 1 || len(events[0].Context.UserAgent) > 512 || events[0].Context.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("recorded %+v", events)
	}
	r.Header.Set("Traceparent", "00-"+strings.Repeat("x", 32)+"-1-1")
	serve(custody.Middleware(log.client(t), describe, neverLost(t))(status(200)), r)
	if events = log.events(); len(events) != 2 || events[1].Context.TraceID != "" {
		t.Errorf("recorded %+v", events)
	}
}

// With FailClosed nothing is done that was not recorded before; without it,
// and afterwards, what is lost is reported.
func TestMiddlewareWhenTheLogIsAway(t *testing.T) {
	for _, c := range []struct {
		name     string
		opts     []custody.MiddlewareOption
		fails    map[int]bool
		served   bool
		lost     int
		outcomes []custody.Outcome
	}{
		{"open, there", nil, nil, true, 0, []custody.Outcome{custody.Denied}},
		{"open, away", nil, map[int]bool{0: true}, true, 1, nil},
		{"closed, there", []custody.MiddlewareOption{custody.FailClosed()}, nil, true, 0, []custody.Outcome{custody.Unknown, custody.Denied}},
		{"closed, away", []custody.MiddlewareOption{custody.FailClosed()}, map[int]bool{0: true, 1: true}, false, 0, nil},
		{"closed, away afterwards", []custody.MiddlewareOption{custody.FailClosed()}, map[int]bool{1: true}, true, 1, []custody.Outcome{custody.Unknown}},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := &recorder{fails: c.fails}
			lost, served := 0, false
			h := custody.Middleware(to, describe, func(_ *custody.Event, err error) {
				if lost++; !errors.Is(err, errAway) {
					t.Errorf("lost because of %v", err)
				}
			}, c.opts...)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				served = true
				w.WriteHeader(403)
			}))
			w := serve(h, httptest.NewRequest("PUT", "/demo-pkg", nil))
			if served != c.served || lost != c.lost || !served && w.Code != 503 {
				t.Errorf("served %v with status %d, %d lost, want %v, %d", served, w.Code, lost, c.served, c.lost)
			}
			var outcomes []custody.Outcome
			for _, e := range to.events {
				outcomes = append(outcomes, e.Outcome)
			}
			if len(outcomes) != len(c.outcomes) {
				t.Fatalf("outcomes %v, want %v", outcomes, c.outcomes)
			}
			for i := range outcomes {
				if outcomes[i] != c.outcomes[i] || to.events[i].Context.RequestID != to.events[0].Context.RequestID {
					t.Errorf("events %+v, want outcomes %v and one request ID", to.events, c.outcomes)
				}
			}
			if len(outcomes) == 2 && to.events[0].ID != "" && to.events[0].ID == to.events[1].ID {
				t.Error("both events have one ID")
			}
		})
	}
}

// A client that hangs up does not keep its request from being recorded; a
// request that is no event is left alone.
func TestMiddlewareClientGone(t *testing.T) {
	to := new(recorder)
	h := custody.Middleware(to, describe, neverLost(t))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		custody.EventOf(r.Context()).Reason = "The handler knows."
	}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	serve(h, httptest.NewRequest("PUT", "/demo-pkg", nil).WithContext(ctx))
	if len(to.events) != 1 || to.events[0].Reason != "The handler knows." || time.Since(to.events[0].Time) > time.Minute {
		t.Errorf("recorded %+v, want what the handler added", to.events)
	}
	h = custody.Middleware(to, describe, neverLost(t))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if custody.EventOf(r.Context()) != nil {
			t.Error("a GET has an event")
		}
	}))
	serve(h, httptest.NewRequest("GET", "/demo-pkg", nil))
	if len(to.events) != 1 {
		t.Error("a GET was recorded")
	}
}
