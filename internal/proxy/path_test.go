package proxy_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/custody-log/custody/internal/proxy"
)

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
