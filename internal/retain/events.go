package retain

import (
	"time"

	"github.com/custody-log/custody/event"
)

// The functions below return the events that say what was done here. Those of
// somebody's acts have no actor yet; the caller says who it was, and from where.
// What happens to a hold or an erasure once has an ID, the same however often the
// event is made, so that recording it again after a crash records nothing new.

// PolicyChanged returns the event of a changed policy.
func PolicyChanged(before, after Policy) *event.Event {
	return &event.Event{
		Tag:      "audit:retention:policy_change",
		Outcome:  event.Success,
		Metadata: map[string]any{"class": after.Class, "old": before.String(), "new": after.String()},
		Changes:  []event.Change{{Field: "retention", Old: before.String(), New: after.String()}},
	}
}

// A Purge says which events of a class expired together.
type Purge struct {
	Class          string
	First, Last    int64 // positions
	Count          int64
	TombstonesHash string // hexadecimal SHA-256 of what stays of them; "" when nothing does
}

// Purged returns the event of records that expired.
func Purged(p Purge) *event.Event {
	e := &event.Event{
		Tag:      "audit:retention:purge",
		Outcome:  event.Success,
		Actor:    theLog(),
		Metadata: map[string]any{"class": p.Class, "from_seq": p.First, "to_seq": p.Last, "count": p.Count},
	}
	if p.TombstonesHash != "" {
		e.Metadata["tombstone_digest"] = p.TombstonesHash
	}
	return e
}

// HoldPlaced returns the event of a new hold.
func HoldPlaced(h Hold) *event.Event {
	e := ofHold("audit:hold:place", h)
	e.Reason = h.Reason
	e.Metadata["scope"] = h.Scope()
	if h.Case != "" {
		e.Metadata["case"] = h.Case
	}
	if !h.Until.IsZero() {
		e.Metadata["until"] = h.Until.UTC().Format(time.RFC3339)
	}
	return e
}

// HoldReleased returns the event of a hold that was lifted.
func HoldReleased(h Hold) *event.Event {
	e := ofHold("audit:hold:release", h)
	if h.LiftReason != "" {
		e.Metadata["reason"] = h.LiftReason
	}
	return e
}

func ofHold(tag string, h Hold) *event.Event {
	e := &event.Event{
		ID:       tag + ":" + h.ID,
		Tag:      tag,
		Outcome:  event.Success,
		Subjects: []event.Subject{{Type: "hold", ID: h.ID}},
		Metadata: map[string]any{"hold": h.ID},
	}
	if h.Account != nil {
		// Named as a subject, so that an erasure reaches the event.
		e.Subjects = append(e.Subjects, subjectOf(*h.Account))
	}
	return e
}

func subjectOf(p Person) event.Subject { return event.Subject{Type: p.Type, ID: p.ID, Name: p.Name} }

// ErasureRequested returns the event of a request. It names the person, and so
// is itself among what the erasure reaches. Due is when the work is to be done;
// zero says nothing.
func ErasureRequested(e Erasure, due time.Time) *event.Event {
	made := ofErasure("audit:erasure:request", e)
	made.Reason = e.Reason // and not "basis", which lasts: somebody may write a name into it
	if !due.IsZero() {
		made.Metadata["due"] = due.UTC().Format(time.RFC3339)
	}
	return made
}

// ErasureExecuted returns the event of an erasure that is done, or done but for
// what is held. It names the pseudonym only.
func ErasureExecuted(e Erasure) *event.Event {
	made := ofErasure("audit:erasure:execute", e.anonymous())
	made.Actor = theLog()
	made.Metadata["events_count"] = e.Records
	if len(e.Kept) == 0 {
		return made
	}
	// Every time that something is still held is an outcome of its own.
	made.ID = ""
	holds := ""
	for i, k := range e.Kept {
		if len(holds) > 1024 {
			holds += ", …"
			break
		}
		if i > 0 {
			holds += ", "
		}
		holds += k.Hold
	}
	made.Metadata["kept_under_hold"] = holds
	return made
}

// ErasureDenied returns the event of an erasure that is refused; e is as it was
// before, with the person.
func ErasureDenied(e Erasure, ground string) *event.Event {
	made := ofErasure("audit:erasure:deny", e)
	made.Outcome = event.Denied
	if ground != "" {
		made.Metadata["ground"] = ground
	}
	return made
}

// ofErasure returns an event about the person of e, or the pseudonym if that is
// not known any more.
func ofErasure(tag string, e Erasure) *event.Event {
	about := event.Subject{Type: "user", ID: e.Pseudonym}
	ref := e.Pseudonym
	if p := e.Person; p != nil {
		about = subjectOf(*p)
		ref = p.Name
		if ref == "" {
			ref = p.ID
		}
	}
	return &event.Event{
		ID:       tag + ":" + e.ID,
		Tag:      tag,
		Outcome:  event.Success,
		Subjects: []event.Subject{about},
		Metadata: map[string]any{"subject_ref": ref},
	}
}

// theLog is who acts when nobody does.
func theLog() event.Party { return event.Party{Type: "system", ID: "custody"} }
