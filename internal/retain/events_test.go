package retain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/retain"
)

// TestEvents checks that the log would accept each event, that its type says
// what is in it, and that it reads as a sentence.
func TestEvents(t *testing.T) {
	pending := retain.Erasure{ID: "e1", State: retain.Pending, Pseudonym: "erased-x", Requested: noon, Person: &one, Reason: "asked by mail"}
	hold := retain.Hold{ID: "h1", Case: "7", Query: "project:demo", Reason: "an incident", Until: noon, LiftReason: "over"}
	account := retain.Hold{ID: "h2", Account: &one}
	held := pending
	held.Kept, held.Records = []retain.Kept{{Hold: "h1", Records: 2}, {Hold: "h2", Records: 1}}, 40
	before := retain.Policy{Class: "bulk", Period: retain.Period{Keep: 30}}
	after := retain.Policy{Class: "bulk", Period: retain.Period{Keep: 60, KeepPersonal: 7}}
	digest := strings.Repeat("ab", 32)
	for _, tt := range []struct {
		name string
		e    *event.Event
		want string // in the sentence
	}{
		{"policy", retain.PolicyChanged(before, after), "keep 60d, personal fields 7d"},
		{"purge", retain.Purged(retain.Purge{Class: "bulk", First: 1, Last: 9, Count: 5, TombstonesHash: digest}), "5 events"},
		{"hold", retain.HoldPlaced(hold), "h1"},
		{"account hold", retain.HoldPlaced(account), "h2"},
		{"release", retain.HoldReleased(hold), "over"},
		{"request", retain.ErasureRequested(pending, noon), "somebody"},
		{"execution", retain.ErasureExecuted(pending), "erased-x"},
		{"execution, but for what is held", retain.ErasureExecuted(held), "40 events"},
		{"denial", retain.ErasureDenied(pending, "a court"), "a court"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			typ, ok := load(t).Lookup(tt.e.Tag)
			if !ok {
				t.Fatalf("there is no type %s", tt.e.Tag)
			}
			e := *tt.e
			e.ID, e.Time = "1", time.Unix(0, 0)
			if e.Actor.Type == "" {
				e.Actor = event.Party{Type: "admin", ID: "k1"}
			}
			fields, err := e.Fields()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range fields {
				key, ok := strings.CutPrefix(f.Name, "metadata.")
				if _, declared := typ.Field(key); ok && !declared {
					t.Errorf("the type does not have metadata.%s", key)
				}
				if err := load(t).CheckMetadata(e.Tag, key, catalogue.Kind(f.Type)); ok && err != nil {
					t.Error(err)
				}
			}
			if got := typ.Render(shown(fields)); !strings.Contains(got, tt.want) {
				t.Errorf("it reads %q, want %q in it", got, tt.want)
			}
		})
	}
}

// shown lets somebody read who may read everything.
func shown(fields event.Fields) catalogue.Get {
	return func(name string) (string, bool) {
		f, ok := fields.Get(name)
		return f.Text(), ok
	}
}

// TestEventsOfAnErasure checks that who asked to be forgotten is not remembered
// for having asked: the events that name the person are reached by the erasure,
// and the one of its end names a pseudonym.
func TestEventsOfAnErasure(t *testing.T) {
	pending := retain.Erasure{ID: "e1", Pseudonym: "erased-x", Person: &one, Reason: "somebody asked"}
	executed := decode(t, recorded(t, 1, retain.ErasureExecuted(pending)))
	for _, f := range executed.Open() {
		if strings.Contains(f.Text(), one.Name) || strings.Contains(f.Text(), one.ID) {
			t.Errorf("the event of the erasure says %s = %q", f.Name, f.Text())
		}
	}
	for _, e := range []*event.Event{
		retain.ErasureRequested(pending, noon), retain.HoldPlaced(retain.Hold{ID: "h2", Account: &one}), retain.HoldReleased(retain.Hold{ID: "h2", Account: &one}),
	} {
		e.Actor = event.Party{Type: "admin", ID: "k1"}
		body := recorded(t, 1, e)
		gone, slots := retain.PersonalFields(decode(t, body), one)
		if len(slots) != 1 {
			t.Errorf("%s: the person stands in %v, want one slot", e.Tag, slots)
		}
		for _, f := range decode(t, erase(t, body, gone)).Open() {
			if strings.Contains(f.Text(), one.Name) || f.Text() == one.ID {
				t.Errorf("%s still says %s = %q", e.Tag, f.Name, f.Text())
			}
		}
	}
}
