package reader_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/reader"
)

// Events of real types.
const (
	released = `{"id":"e-1","tag":"project:release:add","time":"2026-03-31T00:21:00Z","actor":{"type":"user","id":"user-bob","name":"bob"},
		"credential":{"kind":"token","id":"tok-13","name":"laptop","mfa":"totp","session":"s-9"},
		"oidc":{"subject":"repo:demo"},
		"subjects":[{"type":"project","id":"pkg:npm/demo-http","name":"demo-http"},{"type":"version","id":"pkg:npm/demo-http@1.0.1","name":"demo-http","version":"1.0.1"}],
		"context":{"ip":"203.0.113.9","user_agent":"npm/11.19.1 node/v20","request_id":"r-1"},
		"metadata":{"version":"1.0.1"},"reason":"asked for","reason_internal":"case 7"}`
	removed = `{"id":"e-2","tag":"project:role:remove","time":"2026-03-31T00:21:00Z","actor":{"type":"user","id":"user-bob","name":"bob"},
		"credential":{"kind":"session","id":"s-9"},
		"subjects":[{"type":"project","id":"pkg:npm/demo-http","name":"demo-http"},{"type":"user","id":"user-alice","name":"alice"}],
		"context":{"ip":"203.0.113.9","user_agent":"npm/11.19.1 node/v20"}}`
	mailed = `{"id":"e-3","tag":"user:email:primary_change","time":"2026-03-31T00:21:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},
		"subjects":[{"type":"user","id":"user-alice","name":"alice"}],"context":{"ip":"203.0.113.9"},
		"changes":[{"field":"email","old":"a@example.org","new":"b@example.org"}]}`
	revealed = `{"id":"e-4","tag":"audit:reveal_pii","time":"2026-03-31T00:21:00Z","actor":{"type":"admin","id":"admin-1","name":"root"},
		"subjects":[{"type":"user","id":"user-alice","name":"alice"}],"context":{"ip":"198.51.100.1"},
		"metadata":{"subject":"alice","fields":["context.ip"],"reason":"case 7","ticket":"T-1"}}`
	tried = `{"id":"e-20","tag":"user:login:failure","time":"2026-03-31T00:21:00Z","outcome":"failure","actor":{"type":"anonymous"},
		"subjects":[{"type":"user","id":"user-alice","name":"alice"}],"context":{"ip":"203.0.113.9","user_agent":"npm/11.19.1 node/v20"}}`
	helped = `{"id":"e-21","tag":"user:login:failure","time":"2026-03-31T00:21:00Z","outcome":"failure","actor":{"type":"admin","id":"admin-1"},
		"subjects":[{"type":"user","id":"user-alice","name":"alice"}],"context":{"ip":"203.0.113.9","user_agent":"npm/11.19.1 node/v20"}}`
	deleted = `{"id":"e-5","tag":"user:account:delete","time":"2026-03-31T00:21:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},
		"subjects":[{"type":"user","id":"user-alice","name":"alice"}],"metadata":{"reason":"gdpr"}}`
	scanned = `{"id":"e-6","tag":"project:release:scan_result","time":"2026-03-31T00:21:00Z","actor":{"type":"service","id":"scanner"},
		"subjects":[{"type":"project","id":"pkg:npm/demo-http"}],"metadata":{"version":"1.0.1","verdict":"clean","link":"somewhere"}}`
	frozen = `{"id":"e-7","tag":"user:account:freeze","time":"2026-03-31T00:21:00Z","actor":{"type":"admin","id":"admin-1","name":"root"},
		"subjects":[{"type":"user","id":"user-alice","name":"alice"}],"metadata":{"reason":"taken over","reason_internal":"case 7"}}`
	minted = `{"id":"e-8","tag":"user:token:create","time":"2026-03-31T00:21:00Z","actor":{"type":"user","id":"user-bob","name":"bob"},
		"subjects":[{"type":"user","id":"user-bob"},{"type":"token","id":"tok-13","name":"laptop"},{"type":"project","id":"pkg:npm/demo-http"}]}`
	hidden = `{"id":"e-9","tag":"project:visibility_change","time":"2026-03-31T00:21:00Z","actor":{"type":"user","id":"user-bob"},
		"subjects":[{"type":"project","id":"pkg:npm/demo-http"}],"metadata":{"old":"private","new":"public"}}`
	posed = `{"id":"e-10","tag":"user:impersonation:start","time":"2026-03-31T00:21:00Z","actor":{"type":"admin","id":"admin-1"},
		"subjects":[{"type":"user","id":"user-alice"}],"metadata":{"admin":"root"}}`
	asked    = `{"id":"e-11","tag":"system:legal_request","time":"2026-03-31T00:21:00Z","actor":{"type":"admin","id":"admin-1"},"metadata":{"kind":"subpoena"}}`
	nameless = `{"id":"e-12","tag":"user:login:success","time":"2026-03-31T00:21:00Z","actor":{"type":"user","name":"alice"},"context":{"ip":"203.0.113.9"}}`
	strange  = `{"id":"e-13","tag":"project:badge:award","time":"2026-03-31T00:21:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},
		"subjects":[{"type":"project","id":"pkg:npm/demo-http"}],"changes":[{"field":"badge","new":"gold"}],"metadata":{"sponsor":"acme"}}`
)

// noted is about bob; alice, who did it, is none of those it is about.
const noted = `{"id":"e-14","tag":"audit:rare:mine","time":"2026-03-31T00:21:00Z","actor":{"type":"user","id":"user-alice"},
	"subjects":[{"type":"user","id":"user-bob"}],"metadata":{"own":"x"}}`

// The readers.
var (
	public  = &reader.Reader{}
	alice   = &reader.Reader{Self: "user-alice"}
	bob     = &reader.Reader{Self: "user-bob"}
	named   = &reader.Reader{Self: "alice"}
	owner   = &reader.Reader{Projects: []reader.Ref{{Type: "project", ID: "pkg:npm/other"}, {Type: "project", ID: "pkg:npm/demo-http"}}}
	both    = &reader.Reader{Self: "user-alice", Projects: owner.Projects}
	admin   = &reader.Reader{Staff: catalogue.Admin}
	clear   = &reader.Reader{Staff: catalogue.Admin, Clear: true}
	auditor = &reader.Reader{Staff: catalogue.Auditor}
	insider = &reader.Reader{Staff: catalogue.Admin, Self: "user-bob"}
)

func fieldsOf(t testing.TB, text string) event.Fields {
	t.Helper()
	fields, err := event.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

// TestReaders checks what each reader gets of events that happen every day.
func TestReaders(t *testing.T) {
	policy := newPolicy(t)
	for _, c := range []struct {
		name            string
		reader          *reader.Reader
		event           string
		shown           string // names of fields that must be shown; "" for no event
		hidden          string // that must not be, nor their names
		masked          string // that only the names must be of
		country, client bool
	}{
		{"anybody and a release", public, released, "actor.name credential.kind metadata.version reason", "context.ip context.user_agent credential.id credential.mfa credential.name reason_internal", "", false, false},
		{"anybody and a person", public, mailed, "", "", "", false, false},
		{"anybody and a look", public, revealed, "", "", "", false, false},
		{"an owner and a co-maintainer's address", owner, released, "actor.name credential.id credential.mfa oidc.subject", "context.ip context.user_agent credential.name credential.session", "", true, true},
		{"an owner and a maintainer's e-mail", owner, mailed, "", "", "", false, false},
		{"an owner of another project", &reader.Reader{Projects: owner.Projects[:1]}, released, "actor.name", "credential.id credential.mfa context.ip", "", false, false},
		{"who did it", bob, released, "context.ip context.user_agent credential.id credential.name credential.session", "context.request_id reason_internal", "", false, false},
		{"whom somebody else did it to", alice, removed, "actor.id subjects.1.id credential.kind", "context.ip context.user_agent credential.id", "", false, false},
		{"whom it was done to, an owner too", both, removed, "actor.id credential.id credential.kind", "context.ip context.user_agent", "", true, true},
		{"whose account somebody tried", alice, tried, "subjects.0.id actor.type", "context.ip context.user_agent", "", true, true},
		{"whose account an administrator tried", alice, helped, "subjects.0.id actor.type", "actor.id context.ip context.user_agent", "", false, false},
		{"somebody's own e-mail", alice, mailed, "context.ip changes.0.old changes.0.new changes.0.field", "", "", false, false},
		{"somebody else's e-mail", bob, mailed, "", "", "", false, false},
		{"a person known by name only", named, nameless, "context.ip actor.name", "", "", false, false},
		{"a name that has an ID", named, mailed, "", "", "", false, false},
		{"an administrator and a release", admin, released, "actor.id actor.name credential.id credential.mfa context.request_id reason", "", "context.ip context.user_agent credential.name credential.session oidc.subject reason_internal", true, true},
		{"an administrator and a person", admin, mailed, "actor.name subjects.0.name changes.0.field", "", "changes.0.new changes.0.old context.ip", true, false},
		{"an administrator who gave a reason", clear, mailed, "context.ip changes.0.old changes.0.new", "", "", false, false},
		{"an administrator's own act", insider, released, "context.ip credential.name", "", "reason_internal", false, false},
		{"an administrator and a look", admin, revealed, "", "", "", false, false},
		{"an auditor and a look", auditor, revealed, "actor.name subjects.0.name metadata.fields metadata.reason metadata.ticket", "", "context.ip metadata.subject", true, false},
		{"a look and whom it was at", alice, revealed, "tag time metadata.fields metadata.reason", "actor.id actor.name actor.type context.ip subjects.0.id metadata.subject metadata.ticket id", "", false, false},
		{"a look and who looked", &reader.Reader{Self: "admin-1"}, revealed, "", "", "", false, false},
		{"whom the log itself is about", bob, noted, "metadata.own subjects.0.id", "", "", false, false},
		{"who did what the log itself is about", alice, noted, "", "", "", false, false},
		{"anybody and a deleted account", public, deleted, "tag time", "actor.id actor.type subjects.0.id subjects.0.name subjects.0.type metadata.reason id", "", false, false},
		{"anybody and a verdict", public, scanned, "tag time metadata.version metadata.verdict", "subjects.0.id metadata.link actor.id", "", false, false},
		{"an owner and a verdict", owner, scanned, "subjects.0.id metadata.verdict metadata.link actor.id", "", "", false, false},
		{"who is frozen, and by whom", alice, frozen, "actor.type subjects.0.id metadata.reason", "actor.id actor.name metadata.reason_internal", "", false, false},
		{"an owner and a token that may reach the project", owner, minted, "", "", "", false, false},
		{"whose token it is", bob, minted, "subjects.1.id subjects.1.name", "", "", false, false},
		{"anybody and what may be private", public, hidden, "", "", "", false, false},
		{"who was posed as", alice, posed, "", "", "", false, false},
		{"anybody and a request by law", public, asked, "", "", "", false, false},
		{"who did what nobody knows", alice, strange, "", "", "", false, false},
		{"an owner and what nobody knows", owner, strange, "", "", "", false, false},
		{"an administrator and what nobody knows", admin, strange, "actor.name subjects.0.id", "", "changes.0.field changes.0.new metadata.sponsor", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, ok := policy.Disclose(c.reader, fieldsOf(t, c.event))
			if ok != (c.shown != "") {
				t.Fatalf("disclosed = %t: %v", ok, names(d.Fields))
			}
			for name := range strings.FieldsSeq(c.shown) {
				if _, ok := d.Fields.Get(name); !ok {
					t.Errorf("%s is not shown", name)
				}
			}
			for name := range strings.FieldsSeq(c.hidden) {
				if _, ok := d.Fields.Get(name); ok || slices.Contains(d.Masked, name) {
					t.Errorf("%s is disclosed", name)
				}
			}
			if masked := strings.Join(d.Masked, " "); masked != c.masked {
				t.Errorf("masked %q, want %q", masked, c.masked)
			}
			if (d.Country != "") != c.country || (d.Client == "npm") != c.client {
				t.Errorf("country %q and client %q", d.Country, d.Client)
			}
		})
	}
}

func names(fields event.Fields) (all []string) {
	for _, f := range fields {
		all = append(all, f.Name)
	}
	return all
}

// TestAs checks as what readers see events, and that they are told why they see
// only a part.
func TestAs(t *testing.T) {
	policy := newPolicy(t)
	for _, c := range []struct {
		reader *reader.Reader
		event  string
		as     catalogue.Readers
		why    catalogue.ConditionKind
	}{
		{public, released, catalogue.Public, ""},
		{owner, released, catalogue.Public | catalogue.Owner, ""},
		{bob, released, catalogue.Public | catalogue.Self, ""},
		{insider, mailed, catalogue.Admin, ""},
		{public, deleted, catalogue.Public, catalogue.Tombstone},
		{public, scanned, catalogue.Public, catalogue.Verdict},
		{owner, scanned, catalogue.Public | catalogue.Owner, ""},
		{alice, revealed, catalogue.Self, catalogue.Notice},
		{&reader.Reader{Staff: catalogue.Owner}, released, catalogue.Public, ""},
		{&reader.Reader{Staff: catalogue.Self}, mailed, 0, ""},
	} {
		d, _ := policy.Disclose(c.reader, fieldsOf(t, c.event))
		if d.As != c.as || d.Partial != c.why {
			t.Errorf("%+v sees %.40s as %s, %q; want %s, %q", *c.reader, c.event, d.As, d.Partial, c.as, c.why)
		}
	}
}

// TestWhatIsGivenStaysAsItWas checks that the same fields can be shown to many at
// once: a store gives all of them one copy.
func TestWhatIsGivenStaysAsItWas(t *testing.T) {
	policy := newPolicy(t)
	fields := fieldsOf(t, released)
	before, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan int)
	for _, r := range []*reader.Reader{public, owner, bob, admin} {
		go func() {
			d, _ := policy.Disclose(r, fields)
			for i := range d.Fields {
				d.Fields[i].Name, d.Fields[i].Value = "gone", nil
			}
			done <- len(d.Fields)
		}()
	}
	for range 4 {
		if <-done == 0 {
			t.Error("nothing is disclosed")
		}
	}
	if after, err := json.Marshal(fields); err != nil || string(after) != string(before) {
		t.Errorf("the fields were\n%s\nand are\n%s, %v", before, after, err)
	}
}

// TestErased checks that a person whose ID was erased is nobody any more, be it
// somebody with the pseudonym for a name, and that the name of a field that was
// erased goes to whoever saw the field.
func TestErased(t *testing.T) {
	policy := newPolicy(t)
	fields := fieldsOf(t, mailed)
	for i := range fields {
		switch fields[i].Name {
		case "actor.id", "subjects.0.id":
			fields[i].Value = nil
		case "actor.name", "subjects.0.name":
			fields[i].Value = []byte("user-alice")
		case "context.ip":
			fields[i].Value = nil
		}
	}
	if d, ok := policy.Disclose(alice, fields); ok {
		t.Errorf("somebody called as who was erased sees %v", names(d.Fields))
	}
	d, ok := policy.Disclose(admin, fields)
	if _, shown := d.Fields.Get("actor.id"); !ok || !shown || !slices.Contains(d.Masked, "context.ip") || d.Country != "" {
		t.Errorf("an administrator sees %v, masked %v, country %q", names(d.Fields), d.Masked, d.Country)
	}
}

// TestImpersonatedPersonDoesNotSeeTheAdministratorsSurroundings is about acts of an
// administrator who acts as somebody: that person sees what was done, and neither
// who did it nor from where.
func TestImpersonatedPersonDoesNotSeeTheAdministratorsSurroundings(t *testing.T) {
	policy := newPolicy(t)
	for actor, sees := range map[string]bool{"admin": false, "service": true, "user": true} {
		fields := event.Fields{
			event.StringField("actor.id", "u-actor"), event.StringField("actor.type", actor),
			{Name: "context.ip", Type: event.IP, Value: []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3}},
			event.StringField("context.user_agent", "browser/1"), event.StringField("credential.id", "c-1"),
			event.StringField("on_behalf_of.id", "u-self"), event.StringField("on_behalf_of.type", "user"),
			event.StringField("tag", "user:token:create"),
		}
		d, ok := policy.Disclose(&reader.Reader{Self: "u-self"}, fields)
		if !ok {
			t.Fatalf("%s acts for a person, who does not see it", actor)
		}
		for _, name := range []string{"context.ip", "context.user_agent", "credential.id"} {
			if _, shown := d.Fields.Get(name); shown != sees {
				t.Errorf("%s acts for a person, who sees %s = %t, want %t", actor, name, shown, sees)
			}
		}
		if !sees && d.Country+d.Client != "" {
			t.Errorf("%s acts for a person, who sees country %q and client %q", actor, d.Country, d.Client)
		}
	}
}
