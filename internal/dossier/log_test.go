package dossier_test

import (
	"context"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/retain"
)

// stated are the facts of a log.
type stated dossier.Facts

func (s stated) Facts(context.Context) (dossier.Facts, error) { return dossier.Facts(s), nil }

// What the log says about itself tells who is under investigation, and who asked to
// be forgotten: each reader gets what the events about that are for.
func TestLogForEachReader(t *testing.T) {
	b := incident(t)
	b.own(&event.Event{
		Tag: "audit:search", Actor: event.Party{Type: "admin", ID: "admin-7", Name: "registry security"}, Metadata: map[string]any{"rows": 4},
	})
	b.own(&event.Event{
		Tag: "audit:source:gap", Actor: event.Party{Type: "system", ID: intake.OwnSource},
		Subjects: []event.Subject{{Type: "source", ID: "registry"}}, Metadata: map[string]any{"source": "registry", "expected_seq": 4, "got_seq": 7},
	})
	facts := stated{
		Origin: "custody.test/log", Size: b.Journal.Size(), Witnesses: []dossier.Witness{{Name: "w", Size: 3}},
		Sources: []intake.SourceState{{Name: "registry", Missing: 3}}, Views: []dossier.View{{Name: "store", Lag: 1}},
		Holds:    []retain.Hold{{ID: "h1", Query: "user:alice", Reason: "alice is suspected", By: "admin-7", Case: "c-1"}},
		Erasures: []retain.Erasure{{ID: "e1", State: retain.Pending, Person: &retain.Person{Type: "user", Name: "bob"}, By: "admin-7"}},
	}
	for _, c := range []struct {
		name                                      string
		as                                        *reader.Reader
		sources, holds, erasures, findings, looks int
		open                                      bool // whom holds and erasures are about
	}{
		{"the public", public, 0, 0, 0, 0, 0, false},
		{"a person", alice, 0, 0, 0, 0, 0, false},
		{"an administrator", cleared, 1, 0, 0, 1, 0, true},
		{"who audits", auditor, 1, 1, 1, 1, 1, false},
		{"who audits and gave a reason", program, 1, 1, 1, 1, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := dossier.NewLog(t.Context(), b, c.as, facts, dossier.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(l.Sources) != c.sources || len(l.Holds) != c.holds || len(l.Erasures) != c.erasures || len(l.Findings.List) != c.findings || len(l.Looks.List) != c.looks {
				t.Errorf("%d sources, %d holds, %d erasures, %d findings, %d looks", len(l.Sources), len(l.Holds), len(l.Erasures), len(l.Findings.List), len(l.Looks.List))
			}
			if l.Size != b.Journal.Size() || len(l.Witnesses) != 1 {
				t.Errorf("size %d with %d witnesses", l.Size, len(l.Witnesses))
			}
			for _, h := range l.Holds {
				if (h.Query != "" || h.Reason != "") != c.open || h.Case != "c-1" {
					t.Errorf("a hold: %+v", h)
				}
			}
			for _, e := range l.Erasures {
				if (e.Person != nil || e.By != "") != c.open {
					t.Errorf("an erasure: %+v", e)
				}
			}
		})
	}
	if facts.Holds[0].Query == "" || facts.Erasures[0].Person == nil {
		t.Error("what is left out was taken from whoever stated it")
	}
}

// Each state has a sentence, and the numbers in it can be read.
func TestNotes(t *testing.T) {
	when := time.Date(2026, 3, 31, 0, 21, 0, 0, time.UTC)
	for _, c := range []struct {
		note  dossier.Note
		state dossier.State
		want  string
	}{
		{dossier.LateNote(), dossier.Late, "The time was up before everything was looked at; there may be more."},
		{dossier.CutNote(1000, when), dossier.Cut, "This is made of the newest 1,000 events; there are older ones, from before 2026-03-31 00:21:00 UTC."},
		{dossier.CutNote(1, time.Time{}), dossier.Cut, "This is made of the newest 1 event; there are older ones."},
		{dossier.BehindNote(312), dossier.Behind, "The search is 312 events behind the log."},
		{dossier.ExpiredNote("user-auth", 90), dossier.Expired, "The event is past its time and was dropped: events of the class user-auth are kept for 90d. That it was recorded can still be proved."},
		{dossier.ExpiredNote("", 0), dossier.Expired, "The event is past its time and was dropped. That it was recorded can still be proved."},
		{dossier.ErasedNote(1), dossier.Erased, "1 field of the event was erased, or kept no longer. What is left can still be proved."},
		{dossier.MaskedNote(3), dossier.Masked, "3 personal fields are masked. They are shown to staff who give a reason, and the person concerned sees that."},
		{dossier.MaskedNote(0), dossier.Masked, "This is about personal data. They are shown to staff who give a reason, and the person concerned sees that."},
		{dossier.NotAllowedNote(), dossier.NotAllowed, "There is nothing here that you may see."},
	} {
		if c.note.State != c.state || c.note.String() != c.want {
			t.Errorf("%s: %q, want %s: %q", c.note.State, c.note, c.state, c.want)
		}
	}
}
