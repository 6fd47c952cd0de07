package retain_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/retain"
)

var loadOnce = sync.OnceValues(catalogue.Load)

func load(t rapid.TB) *catalogue.Catalogue {
	t.Helper()
	c, err := loadOnce()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// everything returns an event in which u1 acts for u2 on u3 and a token, with
// all that can be personal.
func everything() *event.Event {
	return &event.Event{
		Tag: "project:release:add", Outcome: event.Success,
		Actor:      event.Party{Type: "user", ID: "u1", Name: "one"},
		OnBehalfOf: event.Party{Type: "user", ID: "u2", Name: "two"},
		Credential: event.Credential{Kind: "token", ID: "t1", Name: "laptop", Session: "s1"},
		OIDC:       event.OIDC{Subject: "one@example.com", Issuer: "https://example.com"},
		Subjects: []event.Subject{
			{Type: "project", ID: "p1", Name: "demo"}, {Type: "user", ID: "u3", Name: "three"}, {Type: "token", ID: "t9", Name: "ci"},
		},
		Context:        event.Context{IP: "203.0.113.9", UserAgent: "npm/11", RequestID: "r1"},
		Changes:        []event.Change{{Field: "nickname", Old: "reader", New: "owner"}},
		Metadata:       map[string]any{"note": "hello"},
		Reason:         "asked",
		ReasonInternal: "ticket 7",
	}
}

// TestPersonalFields checks which fields go with whom: too few, and somebody is
// not forgotten; too many, and one person can wipe another's tracks.
func TestPersonalFields(t *testing.T) {
	said := "changes.0.new changes.0.old metadata.note reason reason_internal "
	acting := "changes.0.new changes.0.old context.ip context.user_agent credential.id credential.name credential.session metadata.note oidc.subject "
	user := func(id, name string) retain.Person { return retain.Person{Type: "user", ID: id, Name: name} }
	for _, tt := range []struct {
		name   string
		person retain.Person
		change func(*event.Event)
		fields string
		slots  string
	}{
		{"the actor", user("u1", ""), nil, "actor.id actor.name " + acting + "reason reason_internal", "actor"},
		{"for whom it was", user("u2", ""), nil, acting + "on_behalf_of.id on_behalf_of.name reason reason_internal", "on_behalf_of"},
		{"a subject", user("u3", ""), nil, said + "subjects.1.id subjects.1.name subjects.2.id subjects.2.name", "subjects.1"},
		{"a name beside an ID is not enough", user("", "one"), nil, "", ""},
		{"another's ID", user("u4", "one"), nil, "", ""},
		{"an ID and an old name", user("u1", "uno"), nil, "actor.id actor.name " + acting + "reason reason_internal", "actor"},
		{"an ID of another type", retain.Person{Type: "admin", ID: "u1"}, nil, "", ""},
		{"a part of an ID", user("u", ""), nil, "", ""},
		{"a name where no ID is said", user("u9", "one"), func(e *event.Event) { e.Actor.ID = "" }, "actor.name " + acting + "reason reason_internal", "actor"},
		{"an ID where only a name is said", user("one", ""), func(e *event.Event) { e.Actor.ID = "" }, "", ""},
		{
			"the actor is a subject too", user("u1", ""),
			func(e *event.Event) { e.Subjects[1] = event.Subject{Type: "user", ID: "u1", Name: "one"} },
			"actor.id actor.name " + acting + "reason reason_internal subjects.1.id subjects.1.name subjects.2.id subjects.2.name", "actor subjects.1",
		},
		{
			"a token of nobody else", user("u1", ""),
			func(e *event.Event) { e.Subjects = e.Subjects[2:] },
			"actor.id actor.name " + acting + "reason reason_internal subjects.0.id subjects.0.name", "actor",
		},
		{
			"a token that acts for the person", user("u2", ""),
			func(e *event.Event) { e.Actor = event.Party{Type: "token", ID: "t1", Name: "ci"} },
			"actor.id actor.name " + acting + "on_behalf_of.id on_behalf_of.name reason reason_internal", "on_behalf_of",
		},
		{"one of two users", user("u3", ""), func(e *event.Event) {
			e.Subjects = append(e.Subjects, event.Subject{Type: "user", ID: "u5"})
		}, said + "subjects.1.id subjects.1.name", "subjects.1"},
		{"nobody in it", user("u7", "seven"), nil, "", ""},
		{"a project is no person", retain.Person{Type: "project", ID: "p1"}, nil, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := everything()
			if tt.change != nil {
				tt.change(e)
			}
			r := decode(t, recorded(t, 1, e))
			numbers, slots := retain.PersonalFields(r, tt.person)
			if diff := cmp.Diff(strings.Fields(tt.fields), names(r, numbers)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			var got []string
			for _, slot := range slots {
				got = append(got, slot.String())
			}
			if strings.Join(got, " ") != tt.slots {
				t.Errorf("slots %v, want %v", got, tt.slots)
			}
			if in := tt.person.In(r.Open()); in != (tt.fields != "") && tt.person.Type != "project" {
				t.Errorf("the person is in the event: %v", in)
			}
		})
	}
}

func names(r *event.Record, numbers []int) []string {
	list := []string{}
	for _, i := range numbers {
		list = append(list, r.Fields[i].Name)
	}
	return list
}

// TestPersonalFieldsOfOneAfterAnother checks that each person is found whatever
// was erased of the others before, and that all of them together leave nothing
// that is personal.
func TestPersonalFieldsOfOneAfterAnother(t *testing.T) {
	orders := [][]string{{"u1", "u2", "u3"}, {"u3", "u2", "u1"}, {"u2", "u3", "u1"}}
	for _, order := range orders {
		body := recorded(t, 1, everything())
		for _, id := range order {
			r := decode(t, body)
			gone, slots := retain.PersonalFields(r, retain.Person{Type: "user", ID: id})
			if len(slots) != 1 {
				t.Errorf("%v: %s stands in the slots %v, want one", order, id, slots)
			}
			body = erase(t, body, gone)
		}
		if r := decode(t, body); r.Verify() != nil {
			t.Errorf("%v: the record does not verify", order)
		}
		for _, f := range decode(t, body).Open() {
			if f.Private {
				t.Errorf("%v: %s is still there", order, f.Name)
			}
		}
	}
}

// TestSlots checks that a slot has one name: the ledger holds its number for
// years.
func TestSlots(t *testing.T) {
	for slot := range retain.MaxSlots {
		if got, ok := retain.SlotNamed(slot.String()); !ok || got != slot {
			t.Errorf("SlotNamed(%q) = %d, %v, want %d", slot, got, ok, slot)
		}
	}
	for _, name := range []string{"", "subjects", "subjects.", "subjects.32", "subjects.01", "subjects.-1", "subjects.0.id", "Actor"} {
		if _, ok := retain.SlotNamed(name); ok {
			t.Errorf("SlotNamed(%q) is a slot", name)
		}
	}
}
