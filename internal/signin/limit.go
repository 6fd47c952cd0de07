package signin

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Limits on those who try.
const (
	maxFailures  = 10          // from one network within failureTime, then it waits
	failureTime  = time.Minute // also the first wait; each next one is twice as long
	longestWait  = 15 * time.Minute
	forgiveAfter = time.Hour // after the last failure
	maxNetworks  = 10_000    // the one that failed longest ago is forgotten first

	networkBits4 = 32
	networkBits6 = 56 // what one customer of a provider commonly has
)

// A LimitError says that there were too many failures from where a request came
// from. The answer is 429 with Retry-After.
type LimitError struct {
	Wait time.Duration // until the next try
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("signin: too many failures from this network; the next try is in %v", e.Wait)
}

// A Limiter slows down networks from which wrong secrets come: an IPv4 address,
// or an IPv6 prefix of 56 bits. The zero value is ready. Its methods may be
// called concurrently.
type Limiter struct {
	mu        sync.Mutex
	byNetwork map[netip.Prefix]*list.Element
	order     list.List // of *network; the one that failed last is last
}

// A network is where failures came from.
type network struct {
	prefix  netip.Prefix
	failed  [maxFailures]time.Time // the last failures, a ring
	next    int                    // where the next one goes: the oldest
	waits   int                    // how often it had to wait
	blocked time.Time              // until then
}

// Allow reports whether addr may try, and if not, how long it has to wait.
func (l *Limiter) Allow(addr netip.Addr) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, known := l.byNetwork[networkOf(addr)]
	if !known {
		return 0, true
	}
	wait = time.Until(at.Value.(*network).blocked)
	return max(wait, 0), wait <= 0
}

// Failed counts a failure of addr. It reports whether that was one too many.
func (l *Limiter) Failed(addr netip.Addr) (blocked bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.network(networkOf(addr), now)
	if now.Before(n.blocked) {
		return false // it came in before the wait began
	}
	n.failed[n.next] = now
	n.next = (n.next + 1) % maxFailures
	// What was written longest ago is now at next: the first of maxFailures.
	if first := n.failed[n.next]; first.IsZero() || now.Sub(first) >= failureTime {
		return false
	}
	n.blocked = now.Add(min(failureTime<<min(n.waits, 10), longestWait))
	n.waits++
	n.failed = [maxFailures]time.Time{}
	return true
}

// network returns the entry of a prefix, as the last in order. The caller holds
// the lock.
func (l *Limiter) network(prefix netip.Prefix, now time.Time) *network {
	if at, known := l.byNetwork[prefix]; known {
		n := at.Value.(*network)
		l.order.MoveToBack(at)
		last := n.failed[(n.next+maxFailures-1)%maxFailures]
		if last.Before(n.blocked) {
			last = n.blocked
		}
		if now.Sub(last) >= forgiveAfter {
			*n = network{prefix: prefix}
		}
		return n
	}
	if l.byNetwork == nil {
		l.byNetwork = make(map[netip.Prefix]*list.Element)
	}
	if l.order.Len() >= maxNetworks {
		first := l.order.Front()
		delete(l.byNetwork, first.Value.(*network).prefix)
		l.order.Remove(first)
	}
	n := &network{prefix: prefix}
	l.byNetwork[prefix] = l.order.PushBack(n)
	return n
}

// networkOf returns the network of an address. What has none shares one.
func networkOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := networkBits6
	if addr.Is4() {
		bits = networkBits4
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
