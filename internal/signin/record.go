package signin

import (
	"context"
	"net/http"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/denial"
)

// limited returns a [*LimitError] if too much of what came from where r comes
// from was wrong.
func (s *Signin) limited(r *http.Request) error {
	if wait, ok := s.Limit.Allow(s.Address(r)); !ok {
		return &LimitError{Wait: wait}
	}
	return nil
}

// refused counts that somebody did not get in, and has it recorded.
func (s *Signin) refused(r *http.Request, way denial.Way, why denial.Why) {
	s.Limit.Failed(s.Address(r))
	s.note(r, way, why)
}

// note has it recorded that somebody did not get in. Who looks with a viewer
// token or the cookie of a session begins no session.
func (s *Signin) note(r *http.Request, way denial.Way, why denial.Why) {
	if s.doors.Denied == nil {
		return
	}
	s.doors.Denied(denial.Attempt{
		Way: way, Why: why, Signin: way != denial.Token && way != denial.Session,
		Address: s.Address(r), UserAgent: r.UserAgent(), Origin: "web",
	})
}

// recordSignin records that a session begins.
func (s *Signin) recordSignin(r *http.Request, session *Session, credential event.Credential) error {
	who := session.Reader
	e := &event.Event{
		Tag: "audit:signin:success", Actor: who.By, Credential: credential, Subjects: subjectsOf(who.Self, session.Name),
		Context:  s.whence(r),
		Metadata: map[string]any{"way": string(session.Way), "expires": session.Expires.UTC().Format(time.RFC3339)},
	}
	if roles := rolesOf(who); len(roles) > 0 {
		e.Metadata["roles"] = roles
	}
	return s.doors.Record(context.WithoutCancel(r.Context()), e)
}

// recordSignout records that a session ended, and why.
func (s *Signin) recordSignout(ctx context.Context, session *Session, why string) {
	e := &event.Event{
		Tag: "audit:signout", Actor: session.Reader.By, Subjects: subjectsOf(session.Reader.Self, session.Name),
		Metadata: map[string]any{"why": why},
	}
	if err := s.doors.Record(context.WithoutCancel(ctx), e); err != nil {
		s.doors.Log.ErrorContext(ctx, "the end of a session was not recorded", "why", why, "err", err)
	}
}

// subjectsOf names the person whom an event concerns, if the registry knows them.
func subjectsOf(id, name string) []event.Subject {
	if id == "" {
		return nil
	}
	return []event.Subject{{Type: "user", ID: id, Name: name}}
}
