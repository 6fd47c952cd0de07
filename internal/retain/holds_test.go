package retain_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/retain"
)

func openHolds(t rapid.TB, fs disk.FS, evidence retain.Days) *retain.Holds {
	t.Helper()
	h, err := retain.OpenHolds(fs, parse, evidence)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func add(t rapid.TB, h *retain.Holds, hold retain.Hold) retain.Hold {
	t.Helper()
	placed, added, err := h.Add(hold, noon)
	if err != nil || !added {
		t.Fatalf("Add(%q) = %v, %v", hold.Scope(), added, err)
	}
	return placed
}

// fields returns those of an event by a user, on a project.
func fields(t rapid.TB, user, project string) event.Fields {
	t.Helper()
	return decode(t, recorded(t, 1, &event.Event{
		Tag: "project:release:add", Outcome: event.Success,
		Actor:    event.Party{Type: "user", ID: user, Name: "name of " + user},
		Subjects: []event.Subject{{Type: "project", ID: project, Name: project}},
	})).Open()
}

// TestHolding checks what a hold is on, until when, and that a restart changes
// nothing of it: evidence that goes during an investigation is gone.
func TestHolding(t *testing.T) {
	fs := new(disk.Mem)
	h := openHolds(t, fs, 90)
	demo := add(t, h, retain.Hold{Case: "7", Query: "project:demo", Reason: "an incident", By: "k1"}).ID
	ends := add(t, h, retain.Hold{Query: "project:demo actor:u1", Until: noon.Add(time.Hour)}).ID
	recent := add(t, h, retain.Hold{Query: "project:demo after:-7d"}).ID
	account := add(t, h, retain.Hold{Account: &retain.Person{Type: "user", ID: "u2"}}).ID
	lifted := add(t, h, retain.Hold{Query: "tag:*"}).ID
	if _, err := h.Lift(lifted, "k1", "a mistake", noon); err != nil {
		t.Fatal(err)
	}
	for _, opened := range []*retain.Holds{h, openHolds(t, fs, 90)} {
		for _, tt := range []struct {
			user, project string
			now           time.Time
			want          []string
		}{
			{"u1", "demo", noon, []string{demo, ends, recent}},
			{"u1", "demo", noon.Add(time.Hour), []string{demo, recent}},
			{"u2", "demo", noon.Add(time.Hour), []string{account, demo, recent}},
			{"u2", "other", noon, []string{account}},
			// Times in a query are counted from when the hold was placed.
			{"u3", "demo", noon.AddDate(5, 0, 0), []string{demo, recent}},
			{"u3", "other", noon, nil},
		} {
			slices.Sort(tt.want)
			if got := opened.Holding(fields(t, tt.user, tt.project), tt.now); !slices.Equal(got, tt.want) {
				t.Errorf("%s on %s at %v is held by %v, want %v", tt.user, tt.project, tt.now, got, tt.want)
			}
		}
		if n := len(opened.List()); n != 5 {
			t.Errorf("%d holds, want 5", n)
		}
	}
}

// TestAccountHold checks that the hold on an account finds events as an erasure
// of the person does: what the one misses the other must not reach.
func TestAccountHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"", "u1", "u2"})
		kind := rapid.SampledFrom([]string{"user", "admin"})
		person := retain.Person{Type: kind.Draw(t, "type"), ID: word.Draw(t, "ID"), Name: word.Draw(t, "name")}
		e := &event.Event{
			ID: "1", Time: noon, Tag: "user:login:success",
			Actor:    event.Party{Type: kind.Draw(t, "type of the actor"), ID: word.Draw(t, "ID of the actor"), Name: word.Draw(t, "name of the actor")},
			Subjects: []event.Subject{{Type: kind.Draw(t, "type of the subject"), ID: word.Draw(t, "ID of the subject"), Name: word.Draw(t, "name of the subject")}},
		}
		fields, err := e.Fields()
		if err != nil {
			t.Fatal(err)
		}
		if person.ID == "" && person.Name == "" {
			return
		}
		h, err := retain.OpenHolds(new(disk.Mem), parse, 90)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := h.Add(retain.Hold{Account: &person}, noon); err != nil {
			t.Fatal(err)
		}
		if held := len(h.Holding(fields, noon)) > 0; held != person.In(fields) {
			t.Errorf("%+v is in the event: %v, and it is held: %v", person, !held, held)
		}
	})
}

// TestHoldRefuses checks what cannot be held, and that nothing of it is kept.
func TestHoldRefuses(t *testing.T) {
	fs := new(disk.Mem)
	h := openHolds(t, fs, 90)
	var parsing *query.Error
	if _, _, err := h.Add(retain.Hold{Query: "actor:"}, noon); !errors.As(err, &parsing) {
		t.Errorf("Add with half a query = %v, want the parser's error", err)
	}
	for name, hold := range map[string]retain.Hold{
		"nothing":     {},
		"both":        {Query: "tag:*", Account: &retain.Person{Type: "user", ID: "u1"}},
		"nobody":      {Account: &retain.Person{Type: "user"}},
		"over":        {Query: "tag:*", Until: noon},
		"long reason": {Query: "tag:*", Reason: strings.Repeat("a", retain.MaxReasonBytes+1)},
		"a path":      {ID: "../policies", Query: "tag:*"},
		"not text":    {Query: "tag:*", Case: "\xff"},
	} {
		var invalid *retain.InvalidError
		if _, _, err := h.Add(hold, noon); !errors.As(err, &invalid) {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
	if _, err := h.Lift("none", "", "", noon); !errors.Is(err, retain.ErrUnknown) {
		t.Errorf("Lift of no hold = %v, want %v", err, retain.ErrUnknown)
	}
	if n := len(openHolds(t, fs, 90).List()); n != 0 {
		t.Errorf("%d holds, want none", n)
	}
}

// TestHoldIsNeverDropped checks that a hold that cannot be read, or understood,
// stops the start.
func TestHoldIsNeverDropped(t *testing.T) {
	fs := new(disk.Mem)
	id := add(t, openHolds(t, fs, 90), retain.Hold{Query: "project:demo"}).ID
	refuses := func(string, time.Time) (retain.Matcher, error) { return nil, errors.New("no such word") }
	if _, err := retain.OpenHolds(fs, refuses, 90); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("OpenHolds with another language = %v, want an error about %s", err, id)
	}
	if err := disk.ReplaceFile(fs, id+".json", []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := retain.OpenHolds(fs, parse, 90); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("OpenHolds of half a file = %v, want an error about %s", err, id)
	}
}

// deleted returns the fields of an event that says that an account was deleted.
func deleted(t rapid.TB, change func(*event.Event)) event.Fields {
	t.Helper()
	e := &event.Event{
		Tag: "user:account:delete", Outcome: event.Success,
		Actor:    event.Party{Type: "admin", ID: "a1"},
		Subjects: []event.Subject{{Type: "org", ID: "o1"}, {Type: "user", ID: "u1", Name: "one"}},
	}
	if change != nil {
		change(e)
	}
	f := decode(t, recorded(t, 1, e)).Open()
	f = append(f, event.TimeField("received", noon), event.StringField("source", "registry"))
	slices.SortFunc(f, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
	return f
}

// TestEvidenceHold checks that a deleted account keeps its tracks for the time
// configured: a thief's last act is to delete the account.
func TestEvidenceHold(t *testing.T) {
	for _, tt := range []struct {
		name     string
		evidence retain.Days
		change   func(*event.Event)
		after    time.Duration
		want     string // the account, "" for no hold
	}{
		{"an administrator did it", 90, nil, 0, "user:u1"},
		{"the user did it", 90, func(e *event.Event) {
			e.Actor, e.Subjects = event.Party{Type: "user", ID: "u2"}, nil
		}, 0, "user:u2"},
		{"just within", 90, nil, 90*24*time.Hour - 1, "user:u1"},
		{"too late", 90, nil, 90 * 24 * time.Hour, ""},
		{"for ever", retain.Forever, nil, 1000 * 24 * time.Hour, "user:u1"},
		{"asked for only", 90, func(e *event.Event) { e.Tag = "user:account:delete_request" }, 0, ""},
		{"refused", 90, func(e *event.Event) { e.Outcome = event.Denied }, 0, ""},
		{"of nobody", 90, func(e *event.Event) { e.Subjects = nil }, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := openHolds(t, new(disk.Mem), tt.evidence)
			hold, ok := h.EvidenceHold(deleted(t, tt.change), noon.Add(tt.after))
			if ok != (tt.want != "") || ok && hold.Scope() != tt.want {
				t.Fatalf("EvidenceHold = %q, %v, want %q", hold.Scope(), ok, tt.want)
			}
			if want := tt.evidence.After(noon); ok && !hold.Until.Equal(want) {
				t.Errorf("it is until %v, want %v", hold.Until, want)
			}
		})
	}
}

// TestEvidenceHoldIsPlacedOnce checks that the event may be read again and again,
// also after the hold was lifted, and that after its time nothing says any more
// whose account it was.
func TestEvidenceHoldIsPlacedOnce(t *testing.T) {
	m := new(disk.Mem)
	h := openHolds(t, m, 90)
	hold, _ := h.EvidenceHold(deleted(t, nil), noon)
	add(t, h, hold)
	if _, added, err := h.Add(hold, noon); added || err != nil {
		t.Errorf("the same hold is placed twice: %v, %v", added, err)
	}
	if got := h.Holding(fields(t, "u1", "demo"), noon); !slices.Equal(got, []string{hold.ID}) {
		t.Errorf("the account is held by %v, want %s", got, hold.ID)
	}
	told, err := h.Lift(hold.ID, "k1", "the user asked", noon)
	if err != nil || told.Scope() != "user:u1" {
		t.Errorf("Lift = %q, %v, want the hold on user:u1", told.Scope(), err)
	}
	if holds(t, m, "u1") {
		t.Error("a lifted hold still says whose account it was")
	}
	h = openHolds(t, m, 90)
	if again, added, err := h.Add(hold, noon); added || err != nil || again.Active(noon) {
		t.Errorf("a lifted hold was placed anew: %v, %v", added, err)
	}
	if got := h.Holding(fields(t, "u1", "demo"), noon); got != nil {
		t.Errorf("the account is held by %v, want nothing", got)
	}
	if over, err := h.Sweep(noon.AddDate(0, 0, 90)); err != nil || len(over) != 1 || m.Used() != 0 {
		t.Errorf("Sweep = %d holds, %v, and %d bytes stay, want 1 and nothing", len(over), err, m.Used())
	}
}

// TestSweep checks when a hold on a query is forgotten: not before somebody had
// time to read that it ended, and never while it holds.
func TestSweep(t *testing.T) {
	m := new(disk.Mem)
	h := openHolds(t, m, 90)
	add(t, h, retain.Hold{Query: "tag:*"})
	add(t, h, retain.Hold{Query: "tag:*", Until: noon.AddDate(0, 0, 1)})
	lifted := add(t, h, retain.Hold{Query: "tag:*", Until: noon.AddDate(1, 0, 0)}).ID
	if _, err := h.Lift(lifted, "", "", noon); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ day, left int }{{29, 3}, {30, 2}, {31, 1}, {3000, 1}} {
		if _, err := h.Sweep(noon.AddDate(0, 0, tt.day)); err != nil {
			t.Fatal(err)
		}
		if n, again := len(h.List()), len(openHolds(t, m, 90).List()); n != tt.left || again != tt.left {
			t.Errorf("after %d days %d holds, %d after a restart, want %d", tt.day, n, again, tt.left)
		}
	}
}

// TestHoldsSurvivePowerCuts checks that a hold that was placed is there after a
// power cut, and that one that was lifted holds nothing.
func TestHoldsSurvivePowerCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		h, err := retain.OpenHolds(w.disk, parse, 90)
		if err != nil {
			t.Fatal(err)
		}
		w.cutAfter(rapid.IntRange(0, 40).Draw(t, "operations"))
		want := make(map[string]bool) // whether it holds; of what is not in it nothing is known
		for i := range 5 {
			hold := retain.Hold{ID: fmt.Sprintf("h%d", i), Query: "tag:*"}
			if _, _, err := h.Add(hold, noon); err != nil {
				break
			}
			want[hold.ID] = true
			if i%2 == 1 {
				delete(want, hold.ID)
				if _, err := h.Lift(hold.ID, "", "", noon); err != nil {
					break
				}
				want[hold.ID] = false
			}
		}
		h, err = retain.OpenHolds(w.restart(), parse, 90)
		if err != nil {
			t.Fatalf("after a power cut: %v", err)
		}
		for id, active := range want {
			if got, ok := h.Get(id); !ok || got.Active(noon) != active {
				t.Errorf("after a power cut hold %s is there: %v, and holds: %v, want %v", id, ok, got.Active(noon), active)
			}
		}
	})
}
