package dossier_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/reader"
)

func user(t testing.TB, b *bench, r *reader.Reader, ref string) *dossier.User {
	t.Helper()
	u, err := dossier.NewUser(t.Context(), b, r, ref, dossier.Options{Country: countryOf})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// "When was the e-mail changed?" is how one sees that an account was taken over.
// The addresses are for the person; staff see that there are some, and give a
// reason.
func TestWhenTheEmailWasChanged(t *testing.T) {
	b := incident(t)
	for _, c := range []struct {
		name     string
		as       *reader.Reader
		old, new string
	}{
		{"the person", alice, "alice@example.org", "alice.support@example.net"},
		{"an administrator", admin, "(masked)", "(masked)"},
		{"one who gave a reason", cleared, "alice@example.org", "alice.support@example.net"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := user(t, b, c.as, "alice")
			changed, ok := u.Emails.Changed()
			if !ok || !changed.Equal(at(t, "2026-03-31T09:40:00Z")) || len(u.Emails.List) != 2 {
				t.Fatalf("the address was changed %d times, last at %v", len(u.Emails.List), changed)
			}
			if m := u.Emails.List[1]; m.Old.String() != c.old || m.New.String() != c.new || m.By.Name != "alice" {
				t.Errorf("%s: %s changed the address from %s to %s, want %s to %s", m.Time, m.By, m.Old, m.New, c.old, c.new)
			}
		})
	}
}

// An owner learns of a co-maintainer what concerns the project, and not where they
// sign in, what their address is, or what else they own; the public gets no such
// page.
func TestWhoIsNotToldOfAPerson(t *testing.T) {
	b := incident(t)
	u := user(t, b, bob, "alice")
	if len(u.SignIns.List)+len(u.Emails.List)+len(u.Keys.List)+len(u.Looks.List) != 0 {
		t.Errorf("bob is told of alice: sign-ins %v, addresses %v", u.SignIns.List, u.Emails.List)
	}
	if len(u.Projects.List) != 1 || u.Projects.List[0].Project.Name != "demo-http" {
		t.Errorf("bob is told that alice has roles in %v", u.Projects.List)
	}
	if text := fmt.Sprintf("%+v", *u); strings.Contains(text, "203.0.113") || strings.Contains(text, "demo-cookies") || strings.Contains(text, "example.net") {
		t.Error("something of what only alice may see is in what bob gets")
	}
	for _, e := range u.History.Events {
		for _, f := range e.Fields {
			if strings.HasPrefix(f.Name, "context.ip") || f.Name == "credential.session" || f.Name == "credential.name" {
				t.Errorf("bob gets %s of event %d", f.Name, e.Seq)
			}
		}
	}
	if _, err := dossier.NewUser(t.Context(), b, public, "alice", dossier.Options{}); !errors.Is(err, dossier.ErrNotAllowed) {
		t.Errorf("the public asks for a person: %v, want ErrNotAllowed", err)
	}
	for _, ref := range []string{"alice", "nobody-there", ""} {
		if _, err := dossier.NewUser(t.Context(), b, stranger, ref, dossier.Options{}); !errors.Is(err, dossier.ErrNone) {
			t.Errorf("a stranger asks for %q: %v, want ErrNone", ref, err)
		}
	}
}

// Sign-ins say from where and how; the one from a place not seen before is the one
// to look at.
func TestSignIns(t *testing.T) {
	b := incident(t)
	b.record(`{"id":"s-1","tag":"user:login:success","time":"2026-04-10T08:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"credential":{"kind":"session","id":"s-301","mfa":"webauthn"},"subjects":[{"type":"user","id":"user-alice","name":"alice"}],"context":{"ip":"192.0.2.44","user_agent":"Mozilla/5.0"},"metadata":{"auth_method":"password","mfa_method":"webauthn"}}
`)
	for _, as := range []*reader.Reader{alice, cleared, admin} {
		u := user(t, b, as, "user-alice")
		var got []string
		for _, s := range u.SignIns.List {
			got = append(got, fmt.Sprintf("%s %s %s %s %s new=%v", s.Tag, s.Outcome, s.Place.Address, s.Place.Country, s.SecondFactor, s.NewPlace))
		}
		want := []string{
			"user:login:success success 192.0.2.44  webauthn new=true",
			"user:login:new_device success 203.0.113.77 FR totp new=true",
			"user:login:failure failure 203.0.113.77 FR none new=false",
			"user:login:success success 198.51.100.24 NL totp new=false",
		}
		switch as {
		case admin:
			want[0] = "user:login:success success (masked)  webauthn new=false"
			for i := range want {
				want[i] = strings.NewReplacer("203.0.113.77", "(masked)", "198.51.100.24", "(masked)").Replace(want[i])
			}
		case alice: // she did not do what failed, whoever did, and is told from which country that was
			want[2] = "user:login:failure failure  FR  new=false"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("as %+v (-want +got):\n%s", as, diff)
		}
	}
}

// "What did each of my tokens do?" shows which one was stolen.
func TestTokensOfAPerson(t *testing.T) {
	b := incident(t)
	for _, as := range []*reader.Reader{alice, admin, program} {
		u := user(t, b, as, "alice")
		got := make(map[string]string)
		for _, k := range u.Tokens.List {
			text := fmt.Sprintf("minted=%v ended=%q uses=%d", !k.Minted.IsZero(), k.Ended.Why, k.Use.Acts.Events)
			if k.Use.First != nil {
				text += " from " + k.Use.First.Time.Format(time.DateTime) + " to " + k.Use.Last.Time.Format(time.DateTime)
			}
			got[k.ID.Text] = text
		}
		for id, want := range map[string]string{
			"tok-13": `minted=true ended="admin" uses=6 from 2026-03-31 00:20:57 to 2026-03-31 02:09:48`,
			"tok-1":  `minted=false ended="user" uses=5 from 2025-11-03 10:01:00 to 2025-12-13 08:00:05`,
		} {
			if got[id] != want {
				t.Errorf("as %+v, token %s: %s, want %s", as, id, got[id], want)
			}
		}
		if u.Tokens.List[0].ID.Text != "tok-13" {
			t.Errorf("the token made last is %s", u.Tokens.List[0].ID)
		}
	}
}

// Which second factors an account has is what is left once what was removed is
// taken away.
func TestFactors(t *testing.T) {
	b := incident(t)
	line := `{"id":"f-%d","tag":"%s","time":"2026-04-0%dT10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"user","id":"user-alice","name":"alice"}],"metadata":{"method":"%s"}}` + "\n"
	b.record(fmt.Sprintf(line, 1, "user:mfa:method_add", 1, "webauthn") + fmt.Sprintf(line, 2, "user:mfa:method_remove", 2, "totp"))
	u := user(t, b, alice, "alice")
	if len(u.Factors.Now) != 1 || u.Factors.Now[0].Method != "webauthn" || len(u.Factors.Changes) != 4 {
		t.Errorf("second factors now %+v after %d changes", u.Factors.Now, len(u.Factors.Changes))
	}
}

// A person who lost a role when nobody named them still lost it.
func TestProjectsOfAPerson(t *testing.T) {
	b := incident(t)
	b.record(`{"id":"p-1","tag":"project:delete","time":"2026-04-01T10:00:00Z","actor":{"type":"admin","id":"admin-7","name":"registry security"},"subjects":[{"type":"project","id":"pkg:npm/demo-cookies","name":"demo-cookies"}]}
`)
	u := user(t, b, program, "alice")
	var got []string
	for _, p := range u.Projects.List {
		got = append(got, fmt.Sprintf("%s %s now=%v", p.Project, roles(p.Roles), p.Now()))
	}
	want := []string{"demo-http alice=owner now=true", "demo-cookies alice=owner now=false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("projects of alice (-want +got):\n%s", diff)
	}
}

// "Was this you?" lists what whoever took the account over would have done, while
// the person can still remember.
func TestWasThisYou(t *testing.T) {
	b := open(t)
	now := time.Now().UTC().Format(time.RFC3339)
	line := func(id, tag, when string) string {
		return fmt.Sprintf(`{"id":%q,"tag":%q,"time":%q,"actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"user","id":"user-alice","name":"alice"}],"context":{"ip":"203.0.113.77"}}`, id, tag, when) + "\n"
	}
	old := time.Now().UTC().AddDate(0, 0, -dossier.RecentDays-1).Format(time.RFC3339)
	b.record(line("1", "user:email:primary_change", old) + line("2", "user:login:success", now) +
		line("3", "user:token:create", now) + line("4", "user:mfa:method_remove", now) + line("5", "user:login:new_device", now))
	u := user(t, b, alice, "user-alice")
	var got []string
	for _, a := range u.Recent.List {
		got = append(got, a.Tag)
	}
	slices.Sort(got)
	want := []string{"user:login:new_device", "user:mfa:method_remove", "user:token:create"}
	if diff := cmp.Diff(want, got); diff != "" || !u.Self {
		t.Errorf("what alice is asked about, Self = %v (-want +got):\n%s", u.Self, diff)
	}
}

// "Who has looked at my data?" The person learns that, when and why somebody did,
// and nobody else but who audits does.
func TestWhoHasLooked(t *testing.T) {
	b := incident(t)
	b.own(&event.Event{
		Tag: "audit:reveal_pii", Time: time.Now().Add(-time.Hour), Actor: event.Party{Type: "admin", ID: "admin-7", Name: "registry security"},
		Subjects: []event.Subject{{Type: "user", ID: "user-alice", Name: "alice"}},
		Metadata: map[string]any{"subject": "alice", "fields": []string{"context.ip"}, "reason": "suspected takeover"},
	})
	b.own(&event.Event{
		Tag: "audit:reveal_pii", Time: time.Now().Add(-time.Hour), Actor: event.Party{Type: "admin", ID: "admin-7", Name: "registry security"},
		Subjects: []event.Subject{{Type: "user", ID: "user-bob", Name: "bob"}}, Metadata: map[string]any{"subject": "bob", "reason": "other"},
	})
	for _, c := range []struct {
		name string
		as   *reader.Reader
		want string
	}{
		{"the person", alice, "[context.ip] suspected takeover by somebody"},
		{"who audits", auditor, "[context.ip] suspected takeover by registry security"},
		{"an administrator", admin, ""},
		{"a co-owner", bob, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got strings.Builder
			for _, l := range user(t, b, c.as, "user-alice").Looks.List {
				fmt.Fprintf(&got, "%v %s by %s", l.Fields, l.Why, l.By)
			}
			if got.String() != c.want {
				t.Errorf("looks at alice's data: %q, want %q", got.String(), c.want)
			}
		})
	}
	both := &reader.Reader{Staff: admin.Staff, Self: "user-alice"}
	if looks := user(t, b, both, "user-alice").Looks.List; len(looks) != 1 {
		t.Errorf("an administrator whose own data were looked at is told of %d looks, want 1", len(looks))
	}
}

// A name that was given up may be somebody else's now.
func TestPeopleOfOneName(t *testing.T) {
	b := incident(t)
	b.record(`{"id":"n-1","tag":"user:password:change","time":"2026-05-01T10:00:00Z","actor":{"type":"user","id":"user-alice-2","name":"alice"},"subjects":[{"type":"user","id":"user-alice-2","name":"alice"}]}
{"id":"n-2","tag":"user:key:add","time":"2026-05-01T11:00:00Z","actor":{"type":"user","name":"alice"},"subjects":[{"type":"user","name":"alice"}],"metadata":{"kind":"ssh"}}
`)
	u := user(t, b, program, "alice")
	if u.Who.ID != "user-alice-2" || len(u.SignIns.List) != 0 || len(u.Keys.List) != 2 || !slices.Contains(u.Others, "user-alice") {
		t.Errorf("alice is %s with %d sign-ins and %d keys; others are %v", u.Who.ID, len(u.SignIns.List), len(u.Keys.List), u.Others)
	}
}

// One kind of event that somebody has thousands of must not push out the few that
// matter.
func TestBusyPerson(t *testing.T) {
	b := incident(t)
	var lines strings.Builder
	for i := range 1100 {
		fmt.Fprintf(&lines, `{"id":"b-%d","tag":"user:token:create","time":"2026-05-01T10:%02d:%02dZ","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"user","id":"user-alice","name":"alice"},{"type":"token","id":"many-%d"}]}`+"\n", i, i/60, i%60, i)
	}
	b.record(lines.String())
	for _, as := range []*reader.Reader{alice, program} {
		u := user(t, b, as, "user-alice")
		changed, ok := u.Emails.Changed()
		if !ok || !changed.Equal(at(t, "2026-03-31T09:40:00Z")) || u.Emails.Cut() || u.Created.IsZero() || len(u.Factors.Changes) != 2 {
			t.Errorf("as %+v: %d addresses, last changed %v; created %v", as, len(u.Emails.List), changed, u.Created)
		}
		if !u.Tokens.Cut() || len(u.Tokens.List) < 1000 || u.Tokens.List[0].ID.Text != "many-1099" {
			t.Errorf("as %+v: %d tokens, the newest %s, cut %v", as, len(u.Tokens.List), u.Tokens.List[0].ID, u.Tokens.Cut())
		}
	}
}
