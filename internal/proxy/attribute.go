package proxy

import (
	"strings"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

const maxUserAgentBytes = 512 // some clients send a whole description of the machine

// event returns an event of x without actor and credential.
func (x *passage) event(tag string) *event.Event {
	return &event.Event{ID: event.NewID(), Tag: tag, Time: time.Now(), Context: x.context()}
}

// context returns how x reached the registry.
func (x *passage) context() event.Context {
	c := event.Context{
		UserAgent: cut(x.in.Header.Get("User-Agent"), maxUserAgentBytes),
		RequestID: x.id,
		TraceID:   traceID(x.in.Header.Get("Traceparent")),
		Origin:    "api",
	}
	if x.caller.client.IsValid() {
		c.IP = x.caller.client.String()
	}
	return c
}

// traceID returns the trace ID of a W3C traceparent header, or "".
func traceID(header string) string {
	parts := strings.Split(header, "-")
	if len(parts) < 4 || len(parts[1]) != 32 || strings.Trim(parts[1], "0123456789abcdef") != "" {
		return ""
	}
	return parts[1]
}

// fill adds what the protocol leaves to the proxy. status is that of
// the answer, 0 if there was none.
func (x *passage) fill(e *event.Event, status int) {
	e.ID, e.Context = event.NewID(), x.context()
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.Outcome == "" {
		e.Outcome = event.Unknown
	}
	if x.caller.peer != x.caller.client {
		set(e, "forwarder", x.caller.peer.String())
	}
	x.attribute(e, status)
	bound(e)
}

// attribute says who did e, and with what: what is known of the credential
// that was shown, unless the protocol knows better.
func (x *passage) attribute(e *event.Event, status int) {
	who, known := x.p.who.find(x.fp)
	if e.Credential == (event.Credential{}) {
		e.Credential = x.credential(who, e.Outcome)
	}
	if e.Actor.Type != "" {
		return
	}
	confirmed := status >= 200 && status < 300
	switch {
	case known && who.OIDC != (event.OIDC{}):
		e.Actor = event.Party{Type: "trusted_publisher", ID: who.OIDC.Subject, Name: who.OIDC.Repository}
		e.OIDC = who.OIDC
	case known && who.User != "" && !who.Claimed:
		e.Actor = event.Party{Type: "user", Name: who.User}
	case x.shown.User != "" && (confirmed || !x.shown.Confirm):
		e.Actor = event.Party{Type: "user", Name: x.shown.User}
	case x.fp != "":
		e.Actor = event.Party{Type: "token", ID: x.fp}
	default:
		e.Actor = event.Party{Type: "anonymous"}
		if x.shown.User != "" {
			set(e, "claimed_user", x.shown.User)
		}
	}
}

// credential describes what was shown, never the secret itself.
func (x *passage) credential(who registry.Identity, outcome event.Outcome) event.Credential {
	c := event.Credential{Kind: x.shown.Kind, ID: x.fp}
	if k := who.Credential; x.fp != "" {
		if k.Kind != "" {
			c.Kind = k.Kind
		}
		c.Name, c.MFA, c.Session = k.Name, k.MFA, k.Session
	}
	if x.shown.OTP && outcome == event.Success {
		c.MFA = "otp" // sent, and the registry was content
	}
	if c.Kind == "" {
		c.Kind = "none"
	}
	return c
}

func set(e *event.Event, name string, value any) {
	if e.Metadata == nil {
		e.Metadata = make(map[string]any)
	}
	e.Metadata[name] = value
}
