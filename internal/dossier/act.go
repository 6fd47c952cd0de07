package dossier

import (
	"time"

	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reading"
)

// An Act is one event in a list.
type Act struct {
	Seq      journal.Seq
	Time     time.Time
	Tag      string
	Text     string // the event as a sentence
	Severity string
	Outcome  string

	By         Who
	For        Who // whom they acted for
	Credential Credential
	Place      Place

	Event *reading.Shown
}

// Refused reports whether what the act was about did not happen.
func (a *Act) Refused() bool {
	yes, _ := done(a.Event)
	return !yes
}

// actOf returns e as an act.
func (a *asker) actOf(e *reading.Shown) Act {
	return Act{
		Seq: e.Seq, Time: e.Time(), Tag: e.Fields.Text("tag"), Text: e.Text, Severity: e.Severity,
		Outcome: e.Fields.Text("outcome"), By: actorOf(e), For: whoAt(e, "on_behalf_of"),
		Credential: credentialOf(e), Place: a.placeOf(e), Event: e,
	}
}

// actsOf returns the first events of a list as acts, at most n.
func (a *asker) actsOf(events []*reading.Shown, n int) []Act {
	list := make([]Act, 0, min(n, len(events)))
	for _, e := range events[:min(n, len(events))] {
		list = append(list, a.actOf(e))
	}
	return list
}

// A Mark is the event with which something began or ended. The zero Mark says
// that no event does.
type Mark struct {
	Seq  journal.Seq
	Time time.Time // not zero, unless the Mark is
	Tag  string
	Text string // the event as a sentence
	By   Who
	Why  string // in the words of the registry; "" if it says nothing
}

// IsZero reports whether no event says when it was.
func (m Mark) IsZero() bool { return m.Time.IsZero() }

func markOf(e *reading.Shown) Mark {
	return Mark{
		Seq: e.Seq, Time: e.Time(), Tag: e.Fields.Text("tag"), Text: e.Text, By: actorOf(e),
		Why: valueOf(e, "metadata.reason", "metadata.source", "metadata.via", "reason").Text,
	}
}
