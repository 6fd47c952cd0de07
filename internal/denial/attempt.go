package denial

import (
	"net/netip"
	"strings"
	"time"

	"github.com/custody-log/custody/event"
)

// An Attempt is one refusal.
type Attempt struct {
	Way       Way
	Why       Why
	Address   netip.Addr // of the client; the zero Addr if it is not known
	UserAgent string
	Origin    string // one of [event.Origins]
	Signin    bool   // it was to begin a session: the event is audit:signin:fail, not audit:access:deny

	// Actor is whose credential it was; zero unless that is proved.
	Actor event.Party
	// About is the key or user that the credential names, proved or not; zero if
	// it names none that there is or was.
	About event.Subject
}

// maxTextBytes bounds what strangers wrote: an event that cannot be recorded
// would be tried again for ever.
const maxTextBytes = event.MaxIDBytes

// clean makes a what an event can hold.
func (a *Attempt) clean() {
	a.Address = a.Address.Unmap().WithZone("")
	for _, text := range []*string{
		&a.UserAgent, &a.Origin, &a.Actor.ID, &a.Actor.Name,
		&a.About.ID, &a.About.Name, &a.About.Version, &a.About.Role,
	} {
		*text = strings.ToValidUTF8((*text)[:min(len(*text), maxTextBytes)], "")
	}
}

// attempts are some that are alike.
type attempts struct {
	like         Attempt // what they have in common, but for the address: that of the first
	count        int
	since, until time.Time // of the first and the last
}

// add counts later attempts, too. What they do not have in common is left out:
// an event that named the first of several would accuse it of all.
func (s *attempts) add(later attempts) {
	switch {
	case later.count == 0:
		return
	case s.count == 0:
		*s = later
		return
	}
	if s.like.Actor != later.like.Actor {
		s.like.Actor = event.Party{}
	}
	if s.like.About != later.like.About {
		s.like.About = event.Subject{}
	}
	if s.like.UserAgent != later.like.UserAgent {
		s.like.UserAgent = ""
	}
	if s.like.Origin != later.like.Origin {
		s.like.Origin = ""
	}
	s.count += later.count
	s.until = later.until
}

// event returns the event about them.
func (s *attempts) event() *event.Event {
	e := &event.Event{
		Tag:     "audit:access:deny",
		Time:    s.until,
		Outcome: event.Denied,
		Actor:   s.like.Actor,
		Context: event.Context{UserAgent: s.like.UserAgent, Origin: s.like.Origin},
		Metadata: map[string]any{
			"way": string(s.like.Way), "why": string(s.like.Why), "count": s.count,
		},
	}
	if s.like.Signin {
		e.Tag = "audit:signin:fail"
	}
	if e.Actor.Type == "" {
		e.Actor = event.Party{Type: "anonymous"}
	}
	if s.like.About.Type != "" {
		e.Subjects = []event.Subject{s.like.About}
	}
	if s.like.Address.IsValid() {
		e.Context.IP = s.like.Address.String()
	}
	if s.count > 1 {
		e.Metadata["since"] = s.since.UTC().Format(time.RFC3339Nano)
	}
	return e
}
