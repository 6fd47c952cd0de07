package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// Reasons that go with outcomes which no answer told.
const (
	reasonLost        = "The registry's answer was lost."
	reasonClientGone  = "The connection broke before the answer was complete."
	reasonUnreachable = "The registry could not be reached."
)

// finish records how x ended. It runs whether or not the answer was delivered.
func (x *passage) finish(ctx context.Context) {
	x.p.metrics.passed(x.class(), x.status)
	if x.ex == nil {
		return
	}
	x.mu.Lock() // a tap of the request body may still be there
	x.asked.end()
	result := x.ex.Result()
	x.mu.Unlock()
	x.learn(result.Learned)
	for _, e := range result.Events {
		x.judge(e)
		x.fill(e, x.status)
	}
	for _, secret := range result.Forgotten { // only now: it was still somebody's
		x.p.who.forget(x.p.key.fingerprint(secret))
	}
	if len(result.Events) == 0 && x.intent {
		result.Events = []*event.Event{x.void("nothing_happened")}
	}
	if x.class() == registry.Read {
		x.p.later(result.Events)
		return
	}
	if x.p.conclude(ctx, x.id, result.Events) {
		x.p.intents.end(x.id)
	}
}

// learn remembers whose the credentials are that the exchange was about.
func (x *passage) learn(all []registry.Learned) {
	for _, l := range all {
		if l.Caller {
			l.User = x.callerName()
		}
		fp := x.p.key.fingerprint(l.Secret)
		x.p.who.learn(fp, l.Identity)
		x.p.unknown.drop(fp)
	}
}

// callerName returns the user who made the request, "" if that is not known.
func (x *passage) callerName() string {
	if who, ok := x.p.who.find(x.fp); ok && !who.Claimed {
		return who.User
	}
	if x.status >= 200 && x.status < 300 {
		return x.shown.User
	}
	return ""
}

// judge corrects what the protocol concluded from less than the proxy knows.
func (x *passage) judge(e *event.Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case !x.reached:
		e.Outcome, e.Reason = event.Failure, reasonUnreachable
	case !x.answered || x.status == 0:
		e.Outcome, e.Reason = event.Unknown, reasonLost
	case !x.complete && e.Outcome == event.Success && x.class() != registry.Write:
		e.Outcome, e.Reason = event.Unknown, reasonClientGone
	}
}

// conclude records the end of an intent, or of a sign-in, at once, and reports
// whether it is safe. What the log cannot take now goes to the spool. When
// there is no room there either, the intent stays open, and the next run ends it.
func (p *Proxy) conclude(ctx context.Context, id string, events []*event.Event) (safe bool) {
	if len(events) == 0 {
		return true
	}
	err := p.record(ctx, events...)
	if errors.Is(err, ErrRefused) {
		p.cfg.Log.WarnContext(ctx, "the log does not accept an event, its details are left out", "request_id", id, "err", err)
		for i, e := range events {
			events[i] = reduce(e)
		}
		err = p.record(ctx, events...)
	}
	if err == nil {
		return true
	}
	safe = true
	for _, e := range events {
		if !p.put(e) {
			safe = false
			p.lost.Add(1)
			p.metrics.events[lost].Inc()
			p.cfg.Log.ErrorContext(ctx, "an outcome could not be kept", "request_id", id, "tag", e.Tag, "err", err)
		}
	}
	return safe
}

// put spools e and reports whether it is safe.
func (p *Proxy) put(e *event.Event) bool {
	if p.cfg.Spool == nil {
		return false
	}
	if err := p.cfg.Spool.Put(e); err != nil {
		return false
	}
	p.metrics.events[spooled].Inc()
	return true
}

// Limits on events of class Read on their way to the log.
const (
	maxQueuedReads = 4096 // exchanges
	maxReadBatch   = 256  // events recorded together
)

// later records events of class Read without delaying anybody.
func (p *Proxy) later(events []*event.Event) {
	if len(events) == 0 {
		return
	}
	select {
	case p.reads <- events:
	default:
		p.drop(len(events))
	}
}

// recordReads records what later hands over, until ctx ends and nothing waits.
func (p *Proxy) recordReads(ctx context.Context) error {
	tell := time.NewTicker(tellEvery)
	defer tell.Stop()
	for {
		select {
		case events := <-p.reads:
			p.recordBatch(ctx, p.gather(events))
		case <-tell.C:
			if p.dropped.size() > 0 {
				p.recordBatch(ctx, nil)
			}
		case <-ctx.Done():
			if len(p.reads) == 0 {
				return nil
			}
			p.recordBatch(ctx, p.gather(nil))
		}
	}
}

// gather adds to events what else is waiting.
func (p *Proxy) gather(events []*event.Event) []*event.Event {
	for len(events) < maxReadBatch {
		select {
		case more := <-p.reads:
			events = append(events, more...)
		default:
			return events
		}
	}
	return events
}

// recordBatch records events of class Read, or what can be saved of them, and
// says how many were lost before.
func (p *Proxy) recordBatch(ctx context.Context, events []*event.Event) {
	batch := events
	n, since := p.dropped.take()
	if n > 0 {
		batch = append(batch[:len(batch):len(batch)], p.dropNotice(n, since))
	}
	err := p.record(ctx, batch...)
	if err == nil {
		return
	}
	p.dropped.add(n, since)
	if errors.Is(err, ErrRefused) { // one of them is to blame, not all
		for _, e := range events {
			if p.record(ctx, e) != nil {
				p.drop(1)
			}
		}
		return
	}
	for _, e := range events {
		if p.policy(registry.Read) != Spool || !p.put(e) {
			p.drop(1)
		}
	}
}

func (p *Proxy) drop(n int) {
	p.metrics.events[dropped].Add(float64(n))
	p.dropped.add(n, time.Now())
}
