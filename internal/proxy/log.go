package proxy

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// A Recorder is the proxy's way to the log: the desk of the same process, or
// a client of a log elsewhere. Its methods may be called concurrently.
type Recorder interface {
	// Record returns nil once all events are durable. The same events may come
	// again under the same IDs. An error that wraps [ErrRefused] says that the
	// log is there and will never take these events; any other, that it is away.
	Record(ctx context.Context, events ...*event.Event) error

	// History yields the events that this source recorded, newest first.
	History(ctx context.Context) iter.Seq2[*event.Event, error]
}

// A Spooler keeps events on disk until the log is back. It is bounded.
type Spooler interface {
	// Put returns nil once e would survive a power cut.
	Put(e *event.Event) error

	// Behind returns how many events are not in the log yet.
	Behind() int
}

// ErrRefused is wrapped by a [Recorder] whose log does not accept an event as
// it is. Trying again cannot help.
var ErrRefused = errors.New("the log does not accept this event")

// A Policy says what happens to a request that cannot be recorded.
type Policy int

// The policies.
const (
	// FailClosed refuses the request: first with 503, which clients try again,
	// then with 403, which they do not.
	FailClosed Policy = iota + 1

	// Spool lets the request pass and keeps its events on disk. When there is
	// no room they are dropped, and how many is recorded later.
	Spool
)

// DefaultPolicy returns FailClosed for what can change something, and Spool
// for what only reads.
func DefaultPolicy(c registry.Class) Policy {
	if c == registry.Auth || c == registry.Write {
		return FailClosed
	}
	return Spool
}

func (p *Proxy) policy(c registry.Class) Policy {
	if policy, ok := p.cfg.OnLogAway[c]; ok {
		return policy
	}
	return DefaultPolicy(c)
}

// Limits on waiting for the log.
const (
	recordTimeout = 5 * time.Second // for one try to record
	probeInterval = time.Second     // between tries while the log is away

	// passingFault is how long the log may be away before clients are told
	// not to try again. The most patient of them tries for 71 s.
	passingFault = 2 * time.Minute
)

// errAway stands for a try that was not made, because one just failed.
var errAway = errors.New("the log is away")

// A gate remembers whether the log is there, so that while it is away one
// request a second waits for it and not all of them. The zero gate is open.
type gate struct {
	mu    sync.Mutex
	since time.Time // since when the log is away; zero while it is there
	next  time.Time // when the next request may try
}

// enter reports whether the caller should try to record.
func (g *gate) enter(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.since.IsZero() {
		return true
	}
	if now.Before(g.next) {
		return false
	}
	g.next = now.Add(probeInterval)
	return true
}

// heard takes in how a try ended.
func (g *gate) heard(now time.Time, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil || errors.Is(err, ErrRefused) {
		g.since = time.Time{}
		return
	}
	if g.since.IsZero() {
		g.since = now
	}
	g.next = now.Add(probeInterval)
}

// away returns for how long the log has been away, 0 when it is there.
func (g *gate) away(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.since.IsZero() {
		return 0
	}
	return max(now.Sub(g.since), time.Nanosecond)
}

// record makes one try to record events. It returns errAway without trying
// when the log was away a moment ago.
func (p *Proxy) record(ctx context.Context, events ...*event.Event) error {
	if !p.gate.enter(time.Now()) {
		return errAway
	}
	// What has been tried is worth knowing even if the client is gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	err := p.cfg.Recorder.Record(ctx, events...)
	p.gate.heard(time.Now(), err)
	if err == nil {
		p.metrics.events[recorded].Add(float64(len(events)))
	}
	return err
}
