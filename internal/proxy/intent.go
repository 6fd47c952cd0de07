package proxy

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/custody-log/custody/event"
)

// Tags of the proxy's own events.
const (
	tagIntent = "audit:proxy:intent" // a request is about to be forwarded
	tagVoid   = "audit:proxy:void"   // an intent that came to nothing: refused, or only a challenge
	tagStart  = "audit:proxy:start"  // a run of the proxy begins
	tagDrop   = "audit:proxy:drop"   // events of class Read were lost
)

// intend makes it durable that x is about to be forwarded, or refuses it. It
// does nothing for a request that changes nothing.
func (x *passage) intend(ctx context.Context) *refusal {
	if !x.guarded() {
		return nil
	}
	closed := x.p.policy(x.class()) == FailClosed
	if closed && !x.p.settled.Load() {
		return &refusal{http.StatusServiceUnavailable, whyStarting, "The audit proxy is starting and cannot record changes yet. Try again."}
	}
	x.p.ask(ctx, x)
	e := x.intentEvent()
	started := time.Now()
	err := x.p.record(ctx, e)
	x.p.metrics.intentSeconds.Observe(time.Since(started).Seconds())
	switch {
	case err == nil:
		x.intent = true
		return nil
	case closed:
		x.p.intents.end(x.id)
		return x.refuse(ctx, err)
	}
	e.Metadata["late"] = true // it will stand in the log after what came later
	x.intent = x.p.put(e)
	return nil
}

// refuse returns the answer for a request whose intent could not be recorded.
func (x *passage) refuse(ctx context.Context, err error) *refusal {
	if errors.Is(err, ErrRefused) {
		x.p.cfg.Log.WarnContext(ctx, "the log does not accept an intent", "request_id", x.id, "err", err)
		return &refusal{http.StatusForbidden, whyRefused, "The audit log cannot describe this request, so it was not forwarded."}
	}
	if !errors.Is(err, errAway) {
		// The try may have succeeded without our hearing of it. Then there is
		// an intent, and this is its end.
		x.p.put(x.void("refused"))
	}
	r := &refusal{http.StatusServiceUnavailable, whyLogAway, "The audit log is away, so nothing was changed. Try again in a minute."}
	if x.p.gate.away(time.Now()) > passingFault {
		r.status = http.StatusForbidden
		r.text = "The audit log has been away for some time, so nothing was changed. Ask the registry's operator."
	}
	return r
}

// intentEvent describes x before it is forwarded. It has no project among its
// subjects: a project's history shows what happened to it. What is needed to
// say so after a crash is in the metadata.
func (x *passage) intentEvent() *event.Event {
	act := x.ex.Act()
	e := x.event(tagIntent)
	e.Outcome, e.Actor, e.Credential, e.OIDC = event.Unknown, act.Actor, act.Credential, act.OIDC
	e.Metadata = map[string]any{
		"method":     x.in.Method,
		"protocol":   x.p.cfg.Protocol.Name(),
		"tag":        act.Tag,
		"object":     object(act),
		"act":        packAct(act),
		"run":        x.p.run,
		"open_since": x.p.intents.begin(x.id, x.began).UTC().Format(time.RFC3339Nano),
	}
	x.attribute(e, 0)
	bound(e)
	return e
}

// void returns the end of an intent that came to nothing.
func (x *passage) void(why string) *event.Event {
	e := x.event(tagVoid)
	e.Metadata = map[string]any{"why": why, "tag": x.ex.Act().Tag}
	if x.status != 0 {
		e.Metadata["status"] = x.status
	}
	x.attribute(e, x.status)
	bound(e)
	return e
}

// object names what act is about, for people.
func object(act *event.Event) string {
	for _, s := range act.Subjects {
		name := s.Name
		if name == "" {
			name = s.ID
		}
		if s.Version != "" {
			name += "@" + s.Version
		}
		if name != "" {
			return name
		}
	}
	return ""
}

// openIntents are the intents of this run that have no durable end yet. The
// zero value is empty.
type openIntents struct {
	mu    sync.Mutex
	began map[string]time.Time // by request ID
}

// begin adds an intent and returns when the oldest open one began. Every
// intent that is open now began no earlier, which tells the next run how far
// back it must look.
func (o *openIntents) begin(id string, began time.Time) (oldest time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.began == nil {
		o.began = make(map[string]time.Time)
	}
	o.began[id] = began
	for _, t := range o.began {
		if t.Before(began) {
			began = t
		}
	}
	return began
}

func (o *openIntents) end(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.began, id)
}

func (o *openIntents) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.began)
}
