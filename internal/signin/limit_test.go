package signin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/internal/signin"
)

// Ten failures in a minute make a network wait, longer each time, and nobody else.
func TestLimitGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l signin.Limiter
		bad, other := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
		var waits []time.Duration
		for range 6 {
			for n := range 10 {
				if _, ok := l.Allow(bad); !ok {
					t.Fatalf("refused after %d failures", n)
				}
				if blocked := l.Failed(bad); blocked != (n == 9) {
					t.Fatalf("failure %d blocked: %v", n+1, blocked)
				}
			}
			wait, ok := l.Allow(bad)
			if ok {
				t.Fatal("allowed after ten failures")
			}
			waits = append(waits, wait)
			time.Sleep(wait)
		}
		want := []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute}
		if !slices.Equal(waits, want) {
			t.Errorf("waits %v, want %v", waits, want)
		}
		if _, ok := l.Allow(other); !ok {
			t.Error("a neighbour has to wait, too")
		}
		time.Sleep(time.Hour)
		for range 10 {
			l.Failed(bad)
		}
		if wait, _ := l.Allow(bad); wait != time.Minute {
			t.Errorf("an hour after the last failure the wait is %v, want a minute again", wait)
		}
	})
}

// Who mistypes now and then is never made to wait.
func TestSlowFailuresAreAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l signin.Limiter
		for range 100 {
			time.Sleep(7 * time.Second)
			l.Failed(netip.MustParseAddr("192.0.2.7"))
		}
		if wait, ok := l.Allow(netip.MustParseAddr("192.0.2.7")); !ok {
			t.Errorf("has to wait %v", wait)
		}
	})
}

// A network is what one customer has: all of an IPv6 prefix of 56 bits is one.
func TestNetworks(t *testing.T) {
	for _, tt := range []struct {
		name, failing, asking string
		ok                    bool
	}{
		{"one address", "192.0.2.7", "192.0.2.7", false},
		{"written as IPv6", "::ffff:192.0.2.7", "192.0.2.7", false},
		{"within 56 bits", "2001:db8:0:12::1", "2001:db8:0:ff::2", false},
		{"beyond 56 bits", "2001:db8:0:12::1", "2001:db8:0:100::1", true},
		{"a zone", "fe80::1%eth0", "fe80::1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l signin.Limiter
			for range 10 {
				l.Failed(netip.MustParseAddr(tt.failing))
			}
			if _, ok := l.Allow(netip.MustParseAddr(tt.asking)); ok != tt.ok {
				t.Errorf("%s is allowed: %v, want %v", tt.asking, ok, tt.ok)
			}
		})
	}
}

// Failures from a hundred thousand networks do not make the log forget the one
// that failed last, and cost no more memory than ten thousand.
func TestLimitIsBounded(t *testing.T) {
	var l signin.Limiter
	first := netip.MustParseAddr("192.0.2.7")
	block := func(addr netip.Addr) {
		for range 10 {
			l.Failed(addr)
		}
	}
	block(first)
	address := netip.MustParseAddr("10.0.0.0")
	for range 9_999 {
		address = address.Next()
		l.Failed(address)
	}
	if _, ok := l.Allow(first); ok {
		t.Error("forgotten with 10,000 networks known")
	}
	l.Failed(address.Next())
	if _, ok := l.Allow(first); !ok {
		t.Error("more than 10,000 networks are known")
	}
}

// Eleven wrong keys: the eleventh is not even looked at, and neither is a right
// one, until the wait is over. That is on record.
func TestWrongKeysHaveToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		for range 10 {
			if answer := h.do("POST", "/signin", url.Values{"key": {"wrong"}}); answer.StatusCode != http.StatusForbidden {
				t.Fatalf("a wrong key gave %d, want 403", answer.StatusCode)
			}
		}
		time.Sleep(500 * time.Millisecond)
		answer := h.do("POST", "/signin", url.Values{"key": {goodKey}})
		if got := answer.Header.Get("Retry-After"); answer.StatusCode != http.StatusTooManyRequests || got != "60" {
			t.Errorf("got %d, Retry-After %q, want 429 and 60", answer.StatusCode, got)
		}
		want := slices.Concat(slices.Repeat([]string{"key unknown"}, 10), []string{"key limited"})
		if got := h.whys(); !slices.Equal(got, want) {
			t.Errorf("refused %q, want %q", got, want)
		}
		time.Sleep(time.Minute)
		h.enter()
	})
}

// What a page of another site can make anybody's browser send, an image of the way
// back from the provider or of a view, keeps nobody there from signing in.
func TestOtherSitesLockNobodyOut(t *testing.T) {
	o := newOracle(t)
	h := newHouse(t, func(s *signin.Settings) {
		o.settings(s)
		viewers(s)
	})
	for range 30 {
		h.do("GET", "/signin/callback?code=c&state=guessed", nil)
		r := httptest.NewRequest("GET", public+"/embed/user?token=x", nil)
		r.RemoteAddr = client
		h.Viewer(r, "x")
	}
	if answer := h.do("POST", "/signin", url.Values{"key": {goodKey}}); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("signing in after them = %d, want 303", answer.StatusCode)
	}
	if got := h.whys(); !slices.Contains(got, "oidc unknown") || !slices.Contains(got, "token unknown") {
		t.Errorf("on record are %q, want both ways", got)
	}
}

// Where a request comes from is what trusted forwarders say, and nothing that a
// client can make up.
func TestAddress(t *testing.T) {
	h := newHouse(t, func(s *signin.Settings) {
		s.Forwarders = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	for _, tt := range []struct{ name, peer, forwarded, want string }{
		{"straight", "192.0.2.1:1", "", "192.0.2.1"},
		{"straight, with a lie", "192.0.2.1:1", "203.0.113.9", "192.0.2.1"},
		{"forwarded", "10.0.0.1:1", "192.0.2.1", "192.0.2.1"},
		{"forwarded twice", "10.0.0.1:1", "192.0.2.1, 10.0.0.2", "192.0.2.1"},
		{"forwarded, with a lie", "10.0.0.1:1", "203.0.113.9, 192.0.2.1", "192.0.2.1"},
		{"with a port", "10.0.0.1:1", "192.0.2.1:4000", "192.0.2.1"},
		{"garbage", "10.0.0.1:1", "somebody", "10.0.0.1"},
		{"nothing", "10.0.0.1:1", "", "10.0.0.1"},
		{"IPv4 in IPv6", "[::ffff:192.0.2.1]:1", "", "192.0.2.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.peer
			if tt.forwarded != "" {
				r.Header.Set("X-Forwarded-For", tt.forwarded)
			}
			if got := fmt.Sprint(h.Address(r)); got != tt.want {
				t.Errorf("comes from %s, want %s", got, tt.want)
			}
		})
	}
}
