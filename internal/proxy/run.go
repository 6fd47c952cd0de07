package proxy

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/event"
)

// Limits on trying again in the background.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 10 * time.Second
	tellEvery  = 10 * time.Second // how often lost reads are looked for
)

// errBehind means that the spool must be emptied first.
var errBehind = errors.New("proxy: events of the previous run are still in the spool")

// Run does the proxy's work in the background until ctx ends: it settles what
// the previous run left open, and from then on requests that change something
// are let through; it records reads and keeps what is learned about
// credentials. When it returns, no read that was handed to it waits any more.
// Stop serving first.
func (p *Proxy) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.recordReads(ctx) })
	g.Go(func() error { p.keepIdentities(ctx); return nil })
	g.Go(func() error { p.startWhenPossible(ctx); return nil })
	return g.Wait()
}

// keepIdentities writes down who credentials belong to. A disk that fails
// costs what was learned since, at the next restart; it stops nobody.
func (p *Proxy) keepIdentities(ctx context.Context) {
	for ctx.Err() == nil {
		if err := p.who.keep(ctx); err != nil {
			p.cfg.Log.WarnContext(ctx, "cannot keep what is known of credentials, will retry", "retry", lastRetry, "err", err)
			pause(ctx, lastRetry)
		}
	}
}

// startWhenPossible settles and records the start, for as long as it takes.
func (p *Proxy) startWhenPossible(ctx context.Context) {
	report := p.Check(ctx)
	for retry := firstRetry; ctx.Err() == nil; retry = min(2*retry, lastRetry) {
		err := p.start(ctx, report)
		if err == nil {
			return
		}
		p.cfg.Log.WarnContext(ctx, "cannot settle what the previous run left open, will retry", "retry", retry, "err", err)
		pause(ctx, retry)
	}
}

// start settles what the previous run left open and records that this one
// begins. Until it has succeeded, requests that change something are refused.
func (p *Proxy) start(ctx context.Context, report Report) error {
	if p.cfg.Spool != nil && p.cfg.Spool.Behind() > 0 {
		return errBehind // the end of an open intent may be in there
	}
	settled, err := p.settle(ctx)
	if err != nil {
		return err
	}
	e := p.ownEvent(tagStart, map[string]any{
		"protocol": p.cfg.Protocol.Name(),
		"upstream": p.cfg.Upstream.String(),
		"run":      p.run,
		"settled":  settled,
		"check":    report.Verdict,
	})
	if p.cfg.Prefix != "" {
		e.Metadata["prefix"] = p.cfg.Prefix
	}
	if len(report.Foreign) > 0 {
		e.Metadata["foreign_hosts"] = report.Foreign
	}
	bound(e)
	if err := p.record(ctx, e); err != nil {
		return err
	}
	p.settled.Store(true)
	p.cfg.Log.InfoContext(ctx, "proxy is ready", "settled", settled, "check", report.Verdict)
	return nil
}

// ownEvent returns an event about the proxy itself.
func (p *Proxy) ownEvent(tag string, metadata map[string]any) *event.Event {
	return &event.Event{
		ID:       event.NewID(),
		Tag:      tag,
		Time:     time.Now(),
		Outcome:  event.Success,
		Actor:    event.Party{Type: "system", ID: p.cfg.Name},
		Subjects: []event.Subject{{Type: "source", ID: p.cfg.Name, Name: p.cfg.Name}},
		Metadata: metadata,
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// A Health says what an operator should know.
type Health struct {
	Ready   bool          // requests that change something are let through
	LogAway time.Duration // for how long nothing could be recorded, 0 when it can
	Open    int           // requests that change something, on their way
	Lost    int           // intents whose end could not be kept; the next run ends them
	Dropped int           // not told to the log yet
	Behind  int           // events on disk that are not in the log yet
	Foreign []string      // hosts to which the registry's documents send clients, round the proxy
}

// Health returns how the proxy is now.
func (p *Proxy) Health() Health {
	h := Health{
		Ready:   p.settled.Load(),
		LogAway: p.gate.away(time.Now()),
		Open:    p.intents.count(),
		Lost:    int(p.lost.Load()),
		Dropped: p.dropped.size(),
		Foreign: p.watch.foreign(),
	}
	if p.cfg.Spool != nil {
		h.Behind = p.cfg.Spool.Behind()
	}
	return h
}
