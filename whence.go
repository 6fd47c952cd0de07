package custody

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/custody-log/custody/event"
)

// Limits of what is taken from a request whose sender may want its event to be
// refused for being too long.
const (
	maxUserAgentBytes = 512
	maxRequestIDBytes = 128
	maxForwarders     = 32 // addresses of X-Forwarded-For that are looked at
)

// fill fills in where r comes from.
func (m *middleware) fill(c *Context, r *http.Request) {
	client, trusted := m.whence(r)
	if c.IP == "" && client.IsValid() {
		c.IP = client.String()
	}
	if c.UserAgent == "" {
		c.UserAgent = cut(r.UserAgent(), maxUserAgentBytes)
	}
	if c.RequestID == "" && trusted {
		c.RequestID = plainWord(r.Header.Get("X-Request-Id"))
	}
	if c.RequestID == "" {
		c.RequestID = event.NewID()
	}
	if c.TraceID == "" {
		c.TraceID = traceID(r.Header.Get("Traceparent"))
	}
}

// whence returns the address of the client, and whether who told us is
// trusted to know it.
func (m *middleware) whence(r *http.Request) (client netip.Addr, trusted bool) {
	client, ok := address(r.RemoteAddr)
	if !ok || !m.trusts(client) {
		return client, false
	}
	// Each forwarder adds the address it heard from on the right. Walk left
	// for as long as the one who added is trusted; the rest could say anything.
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i, text := range slices.Backward(chain) {
		next, ok := address(strings.TrimSpace(text))
		if !ok || len(chain)-i > maxForwarders {
			break
		}
		client = next
		if !m.trusts(client) {
			break
		}
	}
	return client, true
}

func (m *middleware) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(m.forwarders, func(n netip.Prefix) bool { return n.Contains(a) })
}

// address reads an address with or without a port.
func address(text string) (netip.Addr, bool) {
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(text)
	return a.Unmap().WithZone(""), err == nil
}

// cut returns s as valid UTF-8 of at most limit bytes.
func cut(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	s = strings.ToValidUTF8(s, "")
	return s
}

// plainWord returns s if it is a short word of visible ASCII, else "".
func plainWord(s string) string {
	if len(s) > maxRequestIDBytes || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return s
}

// traceID returns the trace ID in a W3C traceparent header, or "".
func traceID(header string) string {
	parts := strings.Split(header, "-")
	if len(parts) < 4 || len(parts[1]) != 32 || strings.Trim(parts[1], "0123456789abcdef") != "" || strings.Trim(parts[1], "0") == "" {
		return ""
	}
	return parts[1]
}
