package catalogue_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/custody-log/custody/catalogue"
)

// values are the fields of an event as a reader gets them.
type values map[string]string

func (v values) get(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}

// full returns an event of type t with a value for everything.
func full(t *catalogue.Type) values {
	v := values{"tag": t.Tag, "outcome": "success", "actor.type": "user", "actor.id": "u1", "actor.name": "alice", "reason": "because"}
	for i, typ := range t.Subjects {
		prefix := "subjects." + strconv.Itoa(i) + "."
		v[prefix+"type"], v[prefix+"id"], v[prefix+"name"], v[prefix+"version"] = typ, "s"+strconv.Itoa(i), "demo-"+typ, "1.0.0"
	}
	for i, f := range t.Changes {
		prefix := "changes." + strconv.Itoa(i) + "."
		v[prefix+"field"], v[prefix+"old"], v[prefix+"new"] = f.Name, "before", "afterwards"
	}
	for _, f := range t.Fields {
		v["metadata."+f.Name] = sample(f)
	}
	return v
}

func sample(f catalogue.Field) string {
	switch f.Type {
	case catalogue.Int:
		return "7"
	case catalogue.Bool:
		return "true"
	case catalogue.Time:
		return "2026-01-02T03:04:05Z"
	case catalogue.IP:
		return "203.0.113.9"
	case catalogue.List:
		return `["first","second"]`
	case catalogue.Enum:
		return f.Values[0]
	default:
		return "some-" + strings.ReplaceAll(f.Name, "_", "-")
	}
}

// checkSentence reports what no sentence may have.
func checkSentence(t *testing.T, tag, sentence string) {
	t.Helper()
	switch {
	case strings.TrimSpace(sentence) != sentence || sentence == "":
		t.Errorf("%s: blank, or with space around it: %q", tag, sentence)
	case strings.ContainsAny(sentence, "{}[]|\n"):
		t.Errorf("%s: braces or brackets are left: %q", tag, sentence)
	case strings.Contains(sentence, "  ") || strings.Contains(sentence, "<nil>") || strings.Contains(sentence, `""`):
		t.Errorf("%s: a hole is left: %q", tag, sentence)
	case strings.Contains(sentence, " ,") || strings.Contains(sentence, " :") || strings.Contains(sentence, "()"):
		t.Errorf("%s: a clause is empty: %q", tag, sentence)
	case strings.HasSuffix(sentence, ":") || strings.HasSuffix(sentence, ",") || strings.HasSuffix(sentence, "."):
		t.Errorf("%s: ends in the middle: %q", tag, sentence)
	}
}

// An event that reads as nothing, or with holes, hides what happened from the
// reader who may see only a part of it.
func TestEveryTypeHasASentence(t *testing.T) {
	c := load(t)
	for _, typ := range c.Types() {
		all := full(typ)
		checkSentence(t, typ.Tag, typ.Render(all.get))

		none := typ.Render(values{}.get)
		checkSentence(t, typ.Tag, none)
		if first := []rune(none)[0]; !unicode.IsUpper(first) {
			t.Errorf("%s: does not begin with a capital: %q", typ.Tag, none)
		}

		impersonal := values{}
		for name, value := range all {
			if !c.Personal(typ.Tag, name) && !strings.HasSuffix(name, ".id") {
				impersonal[name] = value
			}
		}
		sentence := typ.Render(impersonal.get)
		checkSentence(t, typ.Tag, sentence)
		if strings.Contains(sentence, "alice") || strings.Contains(sentence, "demo-user") {
			t.Errorf("%s: names somebody without being shown the name: %q", typ.Tag, sentence)
		}

		empty := values{}
		for name := range all {
			empty[name] = ""
		}
		checkSentence(t, typ.Tag, typ.Render(empty.get))

		// Each value alone: no clause may need one that is not shown.
		for name, value := range all {
			checkSentence(t, typ.Tag, typ.Render(values{name: value}.get))
		}
	}
}

func TestRender(t *testing.T) {
	c := load(t)
	publish := func(more values) values {
		v := values{
			"actor.type": "user", "actor.name": "alice", "outcome": "success",
			"subjects.0.type": "project", "subjects.0.name": "demo-pkg",
			"metadata.version": "1.0.0", "metadata.via": "trusted_publisher",
		}
		for name, value := range more {
			if v[name] = value; value == "-" {
				delete(v, name)
			}
		}
		return v
	}
	for _, test := range []struct {
		name, tag string
		event     values
		want      string
	}{
		{"all shown", "project:release:add", publish(nil), "alice published demo-pkg 1.0.0 via trusted publisher"},
		{"nothing shown", "project:release:add", values{}, "Somebody published a project"},
		{"actor erased", "project:release:add", publish(values{"actor.name": "-"}), "Somebody published demo-pkg 1.0.0 via trusted publisher"},
		{"actor by ID", "project:release:add", publish(values{"actor.name": "-", "actor.id": "17", "metadata.via": "-"}), "user 17 published demo-pkg 1.0.0"},
		{"anonymous actor", "project:file:download", values{"actor.type": "anonymous"}, "An anonymous client downloaded a file of a project"},
		{"version of a subject", "project:release:yank", values{"subjects.0.type": "version", "subjects.0.version": "2.0.0"}, "Somebody yanked 2.0.0 of a project"},
		{"refused", "project:release:add", publish(values{"outcome": "denied", "metadata.via": "-"}), "Denied: alice published demo-pkg 1.0.0"},
		{"failed", "project:release:add", publish(values{"outcome": "failure", "actor.name": "-"}), "Failed: somebody published demo-pkg 1.0.0 via trusted publisher"},
		{"nobody knows", "project:release:add", publish(values{"outcome": "unknown", "metadata.via": "-"}), "Outcome unknown: alice published demo-pkg 1.0.0"},
		{
			"the sentence says itself that it was refused", "project:release:denied",
			publish(values{"outcome": "denied", "metadata.reason": "version_exists"}),
			"alice was refused publishing demo-pkg 1.0.0: version exists",
		},
		{
			"login without a subject", "user:login:success",
			values{"actor.type": "user", "actor.name": "alice", "metadata.auth_method": "password"},
			"alice logged in with password",
		},
		{
			"an administrator is not taken for whom he acted on", "user:mfa:enable",
			values{"actor.type": "admin", "actor.name": "carol"},
			"Two-factor authentication was turned on for somebody",
		},
		{
			"an actor is not taken for a subject whose name is hidden", "user:mfa:enable",
			values{"actor.type": "user", "actor.name": "carol", "subjects.0.type": "user"},
			"Two-factor authentication was turned on for somebody",
		},
		{
			"old and new as a change", "project:role:change",
			values{"metadata.target_user": "bob", "subjects.0.type": "project", "subjects.0.name": "demo-pkg", "changes.0.field": "role", "changes.0.old": "reader", "changes.0.new": "owner"},
			"The role of bob in demo-pkg changed from reader to owner",
		},
		{
			"target by role", "project:role:add",
			values{"metadata.role": "owner", "subjects.0.type": "user", "subjects.0.name": "alice", "subjects.1.type": "user", "subjects.1.name": "bob", "subjects.1.role": "target"},
			"bob became owner of a project",
		},
		{
			"what changed", "project:settings_change",
			values{"actor.type": "user", "actor.name": "alice", "changes.0.field": "homepage", "changes.1.field": "issue_tracker_url"},
			"alice changed settings of a project: homepage, issue tracker url",
		},
		{
			"unit", "audit:source:clock_skew",
			values{"metadata.source": "registry", "metadata.skew": "1500"},
			"The clock of the source registry differs from the log's by 1500 ms",
		},
		{
			"list", "audit:api_key:create",
			values{"actor.type": "admin", "metadata.scopes": `["read",7,"submit"]`},
			"An administrator created the API key for read, 7, submit",
		},
		{"reason of the event", "user:account:freeze", values{"reason": "spam"}, "Somebody froze the account of somebody: spam"},
		{
			"unknown type", "project:gadget:polish",
			values{"actor.type": "user", "actor.name": "alice", "subjects.0.type": "project", "subjects.0.name": "demo-pkg", "subjects.1.type": "user"},
			`alice did "project:gadget:polish", a kind of event that is not in the catalogue, about the project demo-pkg and a user`,
		},
		{"unknown type, nothing shown", "project:gadget:polish", values{}, `Somebody did "project:gadget:polish", a kind of event that is not in the catalogue`},
		{"no tag", "", values{"outcome": "failure"}, "Failed: somebody did something that has no tag"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := c.Render(test.tag, test.event.get); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// A value is a stranger's: it must not make the sentence look like another one.
func TestValuesCannotDisturbASentence(t *testing.T) {
	c := load(t)
	for _, test := range []struct {
		name, value, want string
	}{
		{"lines", "demo\r\nalice deleted\x00 it", "Somebody archived demo alice deleted it"},
		{"right to left", "demo\u202egkp", "Somebody archived demo\ufffdgkp"},
		{"invisible", "de\u200bmo", "Somebody archived de\ufffdmo"},
		{"spaces around", "  demo\u00a0 ", "Somebody archived demo"},
		{"nothing but space", " \t\n", "Somebody archived a project"},
		{"not UTF-8", "de\xffmo", "Somebody archived de\ufffdmo"},
		{"placeholder", "{actor}", "Somebody archived {actor}"},
		{"long", strings.Repeat("ä", 300), "Somebody archived " + strings.Repeat("ä", 100) + "…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			event := values{"subjects.0.type": "project", "subjects.0.name": test.value}
			if got := c.Render("project:archive", event.get); got != test.want {
				t.Errorf("\n got %q\nwant %q", got, test.want)
			}
		})
	}
}

func FuzzRender(f *testing.F) {
	c, err := catalogue.Load()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("project:release:add", "alice", "demo-pkg", "1.0.0")
	f.Add("audit:api_key:create", "\x00", `["a",[]]`, "{}")
	f.Fuzz(func(t *testing.T, tag, a, b, n string) {
		sentence := c.Render(tag, values{"actor.name": a, "subjects.0.type": b, "subjects.0.name": n, "metadata.scopes": b, "outcome": n}.get)
		if strings.TrimSpace(sentence) == "" || strings.ContainsAny(sentence, "\n\x00\u202e") {
			t.Errorf("Render(%q) = %q", tag, sentence)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	c := load(b)
	typ, _ := c.Lookup("project:release:add")
	event := full(typ)
	b.ReportAllocs()
	for b.Loop() {
		typ.Render(event.get)
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		load(b)
	}
}

// A numbered is an event of which it is known how much there is.
type numbered struct {
	values
	subjects, changes int
}

func (n numbered) Value(name string) (string, bool) { return n.get(name) }

func (n numbered) Listed() (subjects, changes int) { return n.subjects, n.changes }

// Who says how much there is to look at gets the sentence that everybody gets, be
// there nothing to look at or more than is looked at.
func TestRenderDisclosed(t *testing.T) {
	c := load(t)
	for _, typ := range c.Types() {
		all := full(typ)
		want := c.Render(typ.Tag, all.get)
		for _, n := range []numbered{{all, len(typ.Subjects), len(typ.Changes)}, {all, 1000, 1000}} {
			if got := c.RenderDisclosed(typ.Tag, n); got != want {
				t.Errorf("%s with %d subjects and %d changes: %q, want %q", typ.Tag, n.subjects, n.changes, got, want)
			}
		}
		if got, want := c.RenderDisclosed(typ.Tag, numbered{}), c.Render(typ.Tag, values{}.get); got != want {
			t.Errorf("%s with nothing: %q, want %q", typ.Tag, got, want)
		}
	}
}
