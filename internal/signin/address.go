package signin

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/custody-log/custody/event"
)

const maxAgentBytes = 512 // of a user agent, in an event

// Address returns where r comes from: the other end of the connection, or what
// trusted forwarders say.
func (s *Signin) Address(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := plainAddress(peer.Addr())
	// Each forwarder adds the address it heard from on the right. Walk left for as
	// long as the one who added is trusted; the rest could say anything.
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(chain) {
		trusted := slices.ContainsFunc(s.settings.Forwarders, func(n netip.Prefix) bool { return n.Contains(client) })
		addr, ok := parseAddress(strings.TrimSpace(text))
		if !trusted || !ok {
			break
		}
		client = addr
	}
	return client
}

// parseAddress reads an address, which some forwarders write with its port.
func parseAddress(text string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return plainAddress(addr), true
	}
	both, err := netip.ParseAddrPort(text)
	return plainAddress(both.Addr()), err == nil
}

func plainAddress(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// whence says where r comes from, as it stands in events.
func (s *Signin) whence(r *http.Request) event.Context {
	c := event.Context{UserAgent: clip(r.UserAgent(), maxAgentBytes), Origin: "web"}
	if addr := s.Address(r); addr.IsValid() {
		c.IP = addr.String()
	}
	return c
}

// clip returns as much of text as fits into n bytes, without what is not UTF-8.
func clip(text string, n int) string {
	return strings.ToValidUTF8(text[:min(len(text), n)], "")
}
