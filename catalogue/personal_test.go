package catalogue_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/custody-log/custody/catalogue"
)

// What nobody has declared is personal. A value wrongly taken for lasting would
// survive its erasure.
func TestPersonal(t *testing.T) {
	c := load(t)
	for _, test := range []struct {
		name, tag, field string
		want             bool
	}{
		{"address", "project:release:add", "context.ip", true},
		{"user agent", "project:release:add", "context.user_agent", true},
		{"tag", "project:release:add", "tag", false},
		{"actor's name", "project:release:add", "actor.name", true},
		{"actor's ID", "project:release:add", "actor.id", true},
		{"name of a subject of any type", "project:release:add", "subjects.3.name", true},
		{"ID of a subject", "project:release:add", "subjects.31.id", true},
		{"subject without a number", "project:release:add", "subjects.*.id", true},
		{"subject with a word for a number", "project:release:add", "subjects.x.id", true},
		{"unknown member of a subject", "project:release:add", "subjects.0.shoe_size", true},
		{"very long member of a subject", "project:release:add", "subjects.0." + strings.Repeat("x", 200), true},
		{"internal reason", "project:lock", "reason_internal", true},
		{"declared, lasting key", "project:release:add", "metadata.version", false},
		{"declared, personal key", "user:email:add", "metadata.email", true},
		{"unknown key", "project:release:add", "metadata.shoe_size", true},
		{"key that begins like a declared one", "project:release:add", "metadata.version.x", true},
		{"key that may come with any type", "project:release:add", "metadata.derived", false},
		{"personal key that may come with any type", "project:release:add", "metadata.error", true},
		{"key that may come with any type, of an unknown one", "project:gadget:polish", "metadata.derived", true},
		{"key of an unknown type", "project:gadget:polish", "metadata.version", true},
		{"name of what changed", "project:role:change", "changes.0.field", false},
		{"name of what changed in an unknown type", "project:gadget:polish", "changes.0.field", true},
		{"value of a change of who knows what", "project:role:change", "changes.0.new", true},
		{"address in an unknown type", "project:gadget:polish", "context.ip", true},
		{"tag of an unknown type", "project:gadget:polish", "tag", false},
		{"unknown field", "project:release:add", "shoe_size", true},
		{"no field", "project:release:add", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := c.Personal(test.tag, test.field); got != test.want {
				t.Errorf("Personal(%s, %s) = %t, want %t", test.tag, test.field, got, test.want)
			}
		})
	}
}

func TestPersonalChange(t *testing.T) {
	c := load(t)
	for _, test := range []struct {
		name, tag, field string
		want             bool
	}{
		{"declared, lasting", "project:role:change", "role", false},
		{"declared, personal", "user:token:edit", "name", true},
		{"unknown field", "project:role:change", "shoe_size", true},
		{"no field", "project:role:change", "", true},
		{"field of an unknown type", "project:gadget:polish", "role", true},
		{"key of the metadata", "project:role:change", "old_role", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := c.PersonalChange(test.tag, test.field); got != test.want {
				t.Errorf("PersonalChange(%s, %s) = %t, want %t", test.tag, test.field, got, test.want)
			}
		})
	}
}

func TestPersonalParty(t *testing.T) {
	c := load(t)
	for _, test := range []struct {
		field, partyType string
		want             bool
	}{
		{"subjects.0.name", "user", true},
		{"subjects.0.name", "token", true},
		{"subjects.0.name", "gadget", true},
		{"subjects.0.name", "", true},
		{"subjects.0.name", "project", false},
		{"subjects.7.name", "version", false},
		{"actor.name", "user", true},
		{"actor.name", "admin", true},
		{"actor.name", "trusted_publisher", false},
		{"on_behalf_of.name", "service", false},
		{"context.ip", "service", true},
	} {
		t.Run(test.field+" of "+test.partyType, func(t *testing.T) {
			if got := c.PersonalParty("project:release:add", test.field, test.partyType); got != test.want {
				t.Errorf("PersonalParty = %t, want %t", got, test.want)
			}
		})
	}
}

// A stanza that says of a field that it is personal and nothing more must not
// show it to the public, though the public sees the event.
func TestPersonalFieldsAreNotShownUnlessNamed(t *testing.T) {
	c, err := catalogue.LoadWith(fstest.MapFS{"acme.yaml": {Data: []byte(stanzaWith(
		"visibility: [public]",
		"fields: {size: {type: int}, shoe: {type: string, personal: true}, hat: {type: string, personal: true, visible: [owner]}}",
		"changes: {size: {type: int}, shoe: {type: string, personal: true}}",
	))}})
	if err != nil {
		t.Fatal(err)
	}
	const tag = "project:badge:award"
	for _, test := range []struct {
		name string
		got  catalogue.Readers
		want catalogue.Readers
	}{
		{"not personal", c.VisibleMetadata(tag, "size"), catalogue.Everybody},
		{"personal", c.VisibleMetadata(tag, "shoe"), catalogue.Self | catalogue.Staff},
		{"personal and named", c.VisibleMetadata(tag, "hat"), catalogue.Owner | catalogue.Staff},
		{"unknown key", c.VisibleMetadata(tag, "glove"), catalogue.Staff},
		{"unknown type", c.VisibleMetadata("project:gadget:polish", "size"), catalogue.Staff},
		{"change", c.VisibleChange(tag, "size"), catalogue.Everybody},
		{"personal change", c.VisibleChange(tag, "shoe"), catalogue.Self | catalogue.Staff},
		{"unknown change", c.VisibleChange(tag, "glove"), catalogue.Staff},
		{"change of an unknown type", c.VisibleChange("project:gadget:polish", "size"), catalogue.Staff},
		{"event of an unknown type", c.VisibilityOf("project:gadget:polish"), catalogue.Staff},
		{"unknown key of what auditors see", c.VisibleMetadata("audit:search", "glove"), catalogue.Auditor},
	} {
		if test.got != test.want {
			t.Errorf("%s is visible to %s, want %s", test.name, test.got, test.want)
		}
	}
}

// The names of fields that tell where somebody is or how to reach them. Other
// owners of a project must not see them of one another.
func TestWhereSomebodyIsIsForThemAndStaff(t *testing.T) {
	c := load(t)
	for _, typ := range c.Types() {
		for _, f := range append(append([]catalogue.Field(nil), typ.Fields...), typ.Changes...) {
			for _, part := range []string{"email", "cidr", "session_id", "device", "_hash", "primary", "internal"} {
				if f.Type == catalogue.Bool || !strings.Contains(f.Name, part) || f.Name == "query_hash" {
					continue
				}
				if !f.Personal || f.Visible&(catalogue.Public|catalogue.Owner|catalogue.Org) != 0 {
					t.Errorf("%s: %s is personal: %t, visible to %s", typ.Tag, f.Name, f.Personal, f.Visible)
				}
			}
		}
	}
	for _, class := range catalogue.Classes() {
		for _, name := range []string{"context.ip", "context.user_agent", "credential.name", "credential.session"} {
			f, ok := c.Core(name)
			if !ok {
				t.Fatalf("no core field %s", name)
			}
			if r := f.VisibleIn(class, "user"); r != catalogue.Self|catalogue.Staff {
				t.Errorf("%s in class %s is visible to %s, want self and staff", name, class, r)
			}
		}
	}
}

// Each field that an event can have is known, so that none is left to chance.
func TestEveryFieldOfAnEventIsKnown(t *testing.T) {
	c := load(t)
	for name := range strings.FieldsSeq(`
		id tag time outcome reason reason_internal
		actor.type actor.id actor.name on_behalf_of.type on_behalf_of.id on_behalf_of.name
		credential.kind credential.id credential.name credential.mfa credential.session
		oidc.issuer oidc.subject oidc.repository oidc.workflow_ref oidc.ref oidc.sha oidc.run_id oidc.environment
		subjects.0.type subjects.1.id subjects.31.name subjects.2.version subjects.2.role
		context.ip context.user_agent context.request_id context.trace_id context.origin changes.0.field
		source_seq received source trust seq`) {
		if f, ok := c.Core(name); !ok || f.Visible == 0 {
			t.Errorf("core field %s is not known", name)
		}
	}
	for _, name := range []string{"subjects.*.id", "subjects..id", "metadata.version", "changes.0.old", "nothing"} {
		if _, ok := c.Core(name); ok {
			t.Errorf("core field %s is known, want not", name)
		}
	}
}

func TestWhoSeesCoreFields(t *testing.T) {
	c := load(t)
	for _, test := range []struct {
		name, field, class, partyType string
		want                          catalogue.Readers
	}{
		{"who published", "actor.name", "project", "user", catalogue.Everybody},
		{"which administrator locked", "actor.name", "project", "admin", catalogue.Staff},
		{"who logged in", "actor.name", "user", "user", catalogue.Everybody &^ catalogue.Public},
		{"name of a project", "subjects.0.name", "project", "project", catalogue.Everybody},
		{"label of a token", "subjects.0.name", "project", "token", catalogue.Self | catalogue.Staff},
		{"whose token", "credential.id", "project", "", catalogue.Everybody &^ catalogue.Public},
		{"workflow", "oidc.repository", "project", "", catalogue.Everybody},
		{"country", "geo.country", "project", "", catalogue.Everybody &^ catalogue.Public},
		{"internal reason", "reason_internal", "project", "", catalogue.Staff},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, ok := c.Core(test.field)
			if !ok {
				t.Fatalf("no core field %s", test.field)
			}
			if got := f.VisibleIn(test.class, test.partyType); got != test.want {
				t.Errorf("visible to %s, want %s", got, test.want)
			}
		})
	}
}

// lookups are those of one publish.
func lookups(c *catalogue.Catalogue) (personal int) {
	const tag = "project:release:add"
	for _, name := range []string{"id", "tag", "time", "outcome", "actor.type", "actor.name", "context.ip", "context.user_agent", "received"} {
		if c.Personal(tag, name) {
			personal++
		}
	}
	for _, name := range []string{"subjects.0.name", "subjects.0.type", "subjects.1.name"} {
		if c.PersonalParty(tag, name, "project") {
			personal++
		}
	}
	for _, key := range []string{"version", "via", "integrity", "shoe_size"} {
		if c.PersonalMetadata(tag, key) || c.CheckMetadata(tag, key, catalogue.KindString) != nil {
			personal++
		}
	}
	return personal
}

func TestLookupsDoNotAllocate(t *testing.T) {
	c := load(t)
	if n := testing.AllocsPerRun(100, func() { lookups(c) }); n != 0 {
		t.Errorf("%v allocations for one event, want none", n)
	}
}

func BenchmarkPersonal(b *testing.B) {
	c := load(b)
	for _, bench := range []struct {
		name string
		ask  func()
	}{
		{"core", func() { c.Personal("project:release:add", "context.ip") }},
		{"metadata", func() { c.PersonalMetadata("project:release:add", "version") }},
		{"unknown metadata", func() { c.PersonalMetadata("project:release:add", "shoe_size") }},
		{"change", func() { c.PersonalChange("project:role:change", "role") }},
		{"subject", func() { c.PersonalParty("project:release:add", "subjects.1.name", "project") }},
		{"all of a publish", func() { lookups(c) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.ask()
			}
		})
	}
}

// Who may see a part of an event sees no field that does not name them.
func TestPartOfAnEvent(t *testing.T) {
	c := load(t)
	for _, test := range []struct {
		tag, field string
		reader     catalogue.Readers
		want       bool
	}{
		{"user:account:delete", "reason", catalogue.Public, false},
		{"user:mfa:disable", "reason", catalogue.Public, false},
		{"system:token:mass_revoke", "count", catalogue.Public, true},
		{"system:token:mass_revoke", "filter", catalogue.Public, false},
		{"project:release:scan_result", "verdict", catalogue.Public, true},
		{"project:release:scan_result", "link", catalogue.Public, false},
		{"audit:reveal_pii", "reason", catalogue.Self, true},
		{"audit:reveal_pii", "ticket", catalogue.Self, false},
		{"user:token:create", "token_id", catalogue.Owner, true}, // the whole event, if it is in scope
		{"user:token:create", "name", catalogue.Owner, false},
	} {
		typ, ok := c.Lookup(test.tag)
		if !ok {
			t.Fatalf("no type %s", test.tag)
		}
		kind, ok := typ.Condition(test.reader)
		if !ok || typ.Visibility.Has(test.reader) {
			t.Errorf("%s: %s see it without condition", test.tag, test.reader)
		}
		if got := c.VisibleMetadata(test.tag, test.field).Has(test.reader); got != test.want {
			t.Errorf("%s: %s visible to %s (%s): %t, want %t", test.tag, test.field, test.reader, kind, got, test.want)
		}
	}
}
