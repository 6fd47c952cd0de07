// Package denial records who was not let in: a key, a token, a link or a session
// that is wrong, expired, forged, for another log, or not for what was asked.
//
// # Promises
//
//   - Every refusal is recorded, by itself or as one of a count.
//   - A flood does not fill the log: attempts from one address, by one way, refused
//     for one reason are one event a minute; so are those of all addresses beyond
//     [MaxAddresses], by way and reason.
//   - Nobody waits for the recording, and no secret reaches it.
//   - What was not recorded when the log stops is recorded then; what cannot be
//     recorded is tried again.
package denial

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/custody-log/custody/event"
)

// A Way is how somebody tried to get in, as in the catalogue.
type Way string

// The ways.
const (
	Key     Way = "key"     // an API key
	Token   Way = "token"   // a viewer token
	Link    Way = "link"    // a sign-in link
	Session Way = "session" // the cookie of a session
	OIDC    Way = "oidc"    // OpenID Connect
)

// A Why is the reason for a refusal, as in the catalogue. Who was refused is not
// told more than that they were.
type Why string

// The reasons.
const (
	Unknown Why = "unknown" // it is nothing of the kind
	Expired Why = "expired" // it was valid once
	Forged  Why = "forged"  // it names what there is, and does not prove it
	Foreign Why = "foreign" // it is of the kind, and not for this log
	Scope   Why = "scope"   // it is valid, and not for what was asked
	Limited Why = "limited" // too many from this address failed before
)

// Limits of the recording.
const (
	// Interval is the least time between two events about attempts that are alike.
	Interval = time.Minute
	// MaxAddresses is how many addresses, ways and reasons are told apart within an
	// [Interval].
	MaxAddresses = 64
	// flushTime is how long the recording may take when the log stops.
	flushTime = 2 * time.Second
)

// A Book records refusals. Its methods may be called concurrently.
type Book struct {
	log    *slog.Logger
	record func(context.Context, *event.Event) error
	wake   chan struct{} // holds a token when there is something new

	mu    sync.Mutex
	folds map[place]*fold // at most MaxAddresses, and one more for each kind, way and reason
}

// A place is what attempts that are alike have in common.
type place struct {
	network netip.Prefix // the zero Prefix if not known, and for all beyond MaxAddresses
	signin  bool
	way     Way
	why     Why
}

// A fold is the attempts in one place that are not recorded yet.
type fold struct {
	attempts

	due time.Time // when there may be an event about them
}

// New returns a Book that records with record.
func New(log *slog.Logger, record func(context.Context, *event.Event) error) *Book {
	return &Book{log: log, record: record, wake: make(chan struct{}, 1), folds: make(map[place]*fold)}
}

// Note takes a refusal, to be recorded soon. It never waits.
func (b *Book) Note(a Attempt) {
	a.clean()
	if !b.take(a) {
		return
	}
	select {
	case b.wake <- struct{}{}:
	default: // it will wake already
	}
}

// take counts an attempt, and reports whether its place is new.
func (b *Book) take(a Attempt) (fresh bool) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	at := place{network: network(a.Address), signin: a.Signin, way: a.Way, why: a.Why}
	f := b.folds[at]
	if f == nil && len(b.folds) >= MaxAddresses {
		at.network, a.Address = netip.Prefix{}, netip.Addr{}
		f = b.folds[at]
	}
	if f == nil {
		f, fresh = &fold{due: now}, true
		b.folds[at] = f
	}
	f.add(attempts{like: a, count: 1, since: now, until: now})
	return fresh
}

// network returns the addresses that count as one: who has one address of IPv6
// has 64 bits of them.
func network(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // of the zero Addr: the zero Prefix
	return p
}

// Run records what is noted until ctx ends, and then what is left.
func (b *Book) Run(ctx context.Context) error {
	// What is being recorded when ctx ends is not cut short: nobody could tell
	// whether to record it again.
	writing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushTime, cancel) })()
	for ctx.Err() == nil {
		next := b.write(writing, false)
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
		case <-b.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	b.write(writing, true)
	return nil
}

// write records what is due, or all there is, and returns when to look again.
func (b *Book) write(ctx context.Context, all bool) (next time.Time) {
	due, next := b.due(all)
	for i, d := range due {
		if err := b.record(ctx, d.event()); err != nil {
			b.log.WarnContext(ctx, "refusals are not recorded, will retry", "places", len(due)-i, "err", err)
			b.keep(due[i:])
			break
		}
	}
	return next
}

// A counted is what an event is to be made of.
type counted struct {
	attempts

	at place
}

// due takes what may be recorded now, or all there is, and returns when the next
// may be. It forgets the places of which there was nothing for an [Interval].
func (b *Book) due(all bool) (due []counted, next time.Time) {
	now := time.Now()
	next = now.Add(Interval)
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, f := range b.folds {
		switch ready := all || !f.due.After(now); {
		case ready && f.count == 0:
			delete(b.folds, at)
		case ready:
			due = append(due, counted{f.attempts, at})
			f.attempts, f.due = attempts{}, now.Add(Interval)
		case f.due.Before(next):
			next = f.due
		}
	}
	slices.SortFunc(due, func(a, b counted) int { return a.since.Compare(b.since) })
	return due, next
}

// keep takes back what could not be recorded.
func (b *Book) keep(left []counted) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range left {
		f := b.folds[l.at]
		l.add(f.attempts)
		f.attempts = l.attempts
	}
}
