package proxy

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/custody-log/custody/event"
)

// A caller says where a request comes from.
type caller struct {
	peer    netip.Addr // the other end of the connection
	client  netip.Addr // peer, or what trusted forwarders say
	trusted bool       // peer is a trusted forwarder
}

// whence returns where r comes from.
func (p *Proxy) whence(r *http.Request) caller {
	c := caller{}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.peer = plain(peer.Addr())
	}
	c.client, c.trusted = c.peer, p.trusts(c.peer)
	if !c.trusted {
		return c
	}
	// Each forwarder adds the address it heard from on the right. Walk left
	// for as long as the one who added is trusted; the rest could say anything.
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(chain) {
		addr, ok := parseForwarded(strings.TrimSpace(text))
		if !ok {
			break
		}
		c.client = addr
		if !p.trusts(addr) {
			break
		}
	}
	return c
}

func (p *Proxy) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(p.cfg.TrustedForwarders, func(n netip.Prefix) bool {
		return n.Contains(addr)
	})
}

// parseForwarded reads an address, which some forwarders write with its port.
func parseForwarded(text string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return plain(addr), true
	}
	if both, err := netip.ParseAddrPort(text); err == nil {
		return plain(both.Addr()), true
	}
	return netip.Addr{}, false
}

// plain returns addr as people write it: no zone, no IPv4 inside IPv6.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

const maxRequestIDBytes = 128

// requestID returns the forwarder's request ID if it has a sane one, else a
// new one.
func (c caller) requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if !c.trusted || id == "" || len(id) > maxRequestIDBytes {
		return event.NewID()
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return event.NewID()
		}
	}
	return id
}

// forwardedHeaders are the headers that say who asks. Only what this proxy or a
// trusted forwarder set reaches the registry.
var forwardedHeaders = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
	"X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Real-Ip", "X-Client-Ip", "X-Request-Id",
}

// forwardTo sets in out what the registry is told about the asker of in.
func (c caller) forwardTo(out, in http.Header, host string, tls bool, requestID string) {
	for _, name := range forwardedHeaders {
		out.Del(name)
	}
	chain, proto := "", "http"
	if tls {
		proto = "https"
	}
	if c.trusted {
		chain = strings.Join(in.Values("X-Forwarded-For"), ", ")
		proto = cmp.Or(in.Get("X-Forwarded-Proto"), proto)
		host = cmp.Or(in.Get("X-Forwarded-Host"), host)
	}
	if chain != "" {
		chain += ", "
	}
	if c.peer.IsValid() {
		out.Set("X-Forwarded-For", chain+c.peer.String())
	}
	out.Set("X-Forwarded-Host", host)
	out.Set("X-Forwarded-Proto", proto)
	out.Set("X-Request-Id", requestID)
}
