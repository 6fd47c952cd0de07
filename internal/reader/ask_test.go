package reader_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
)

// comparedBy are the fields that terms compare, by kind; of those not named, any.
var comparedBy = map[query.Kind][]string{
	query.Tag: {"tag"}, query.Class: {"tag"}, query.Severity: {"tag"}, query.After: {"time"}, query.Before: {"time"},
	query.Outcome: {"outcome"}, query.Actor: {"actor.id", "actor.name"}, query.OnBehalfOf: {"on_behalf_of.id", "on_behalf_of.name"},
	query.User:    {"actor.id", "actor.name", "on_behalf_of.id", "on_behalf_of.name", "subjects.0.type", "subjects.0.id", "subjects.0.name"},
	query.Project: {"subjects.0.type", "subjects.0.id", "subjects.0.name"}, query.Org: {"subjects.0.type", "subjects.0.id", "subjects.0.name"},
	query.Token: {"credential.id", "subjects.0.type", "subjects.0.id"}, query.Version: {"subjects.0.version"},
	query.Request: {"context.request_id", "context.trace_id"}, query.Source: {"source"}, query.Trust: {"trust"}, query.IP: {"context.ip"},
}

// everyField returns an event of the given type that has all there can be.
func everyField(partyType string, typ *catalogue.Type) event.Fields {
	fields := event.Fields{event.StringField("tag", typ.Tag), event.StringField("metadata.undeclared", "x")}
	for _, name := range []string{"actor.type", "on_behalf_of.type", "subjects.0.type"} {
		fields = append(fields, event.StringField(name, partyType))
	}
	for code := range event.CodeLimit {
		name := event.NameOf(code)
		other := strings.HasPrefix(name, "subjects.") && !strings.HasPrefix(name, "subjects.0.") || strings.HasPrefix(name, "changes.")
		if name != "" && name != "tag" && !strings.HasSuffix(name, ".type") && !other {
			fields = append(fields, event.StringField(name, "x"))
		}
	}
	for i := range typ.Fields {
		fields = append(fields, event.StringField("metadata."+typ.Fields[i].Name, "x"))
	}
	for i, change := range append([]catalogue.Field{{Name: "undeclared"}}, typ.Changes...) {
		name := fmt.Sprintf("changes.%d.", i)
		fields = append(fields, event.StringField(name+"field", change.Name), event.StringField(name+"new", "x"))
	}
	return fields
}

// A secrecy says which fields some event hides, and which kinds of terms compare
// these.
type secrecy struct {
	fields map[string]bool
	kinds  map[query.Kind]bool
}

func newSecrecy() *secrecy {
	return &secrecy{fields: make(map[string]bool), kinds: make(map[query.Kind]bool)}
}

// add takes in an event and what is disclosed of it.
func (s *secrecy) add(fields, disclosed event.Fields) {
	shown := make(map[string]bool)
	for _, f := range disclosed {
		shown[f.Name] = true
	}
	for _, f := range fields {
		if shown[f.Name] || s.fields[f.Name] {
			continue
		}
		s.fields[f.Name] = true
		s.kinds[query.Text] = true
		for kind, compared := range comparedBy {
			s.kinds[kind] = s.kinds[kind] || slices.Contains(compared, f.Name)
		}
	}
}

// TestSees checks that whoever is answered from an index over whole events is
// shown, in each of these events, all that they ask for. One event in which they
// are not, and they can ask for what they may not see until the answer tells it.
func TestSees(t *testing.T) {
	policy := newPolicy(t)
	types := append(policy.Catalogue.Types(), &catalogue.Type{Tag: "user:thing:unheard_of"})
	for _, r := range []*reader.Reader{admin, clear, auditor, {Staff: catalogue.Auditor, Clear: true}, {Staff: catalogue.Staff}, {Staff: catalogue.Staff, Clear: true}} {
		beyond := policy.Beyond(r)
		whole := newSecrecy() // of the events that r sees as staff
		for _, typ := range types {
			if slices.Contains(beyond, typ.Tag) {
				continue
			}
			for _, partyType := range []string{"user", "admin", "service", "token", "project", "team"} {
				fields := everyField(partyType, typ)
				d, _ := policy.Disclose(r, fields)
				whole.add(fields, d.Fields)
			}
		}
		for kind := query.Tag; kind <= query.Text; kind++ {
			if kind == query.Metadata || kind == query.Country || kind == query.Client {
				continue
			}
			if got := policy.Sees(r, kind, ""); got == whole.kinds[kind] {
				t.Errorf("%+v sees all of %s = %t, but an event hides it = %t", *r, kind, got, !got)
			}
		}
		for _, key := range []string{"undeclared", "version", "email", "audited"} {
			if got := policy.Sees(r, query.Metadata, key); got && whole.fields["metadata."+key] {
				t.Errorf("%+v sees all of metadata.%s, but an event hides it", *r, key)
			}
		}
	}
}

// TestSeesByTable checks the answers that others build on.
func TestSeesByTable(t *testing.T) {
	policy := newPolicy(t)
	all := &reader.Reader{Staff: catalogue.Auditor, Clear: true}
	for _, c := range []struct {
		reader *reader.Reader
		kind   query.Kind
		name   string
		sees   bool
	}{
		{public, query.Tag, "", false},
		{owner, query.Project, "", false},
		{bob, query.User, "", false},
		{&reader.Reader{Clear: true}, query.Text, "", false},
		{&reader.Reader{Staff: catalogue.Owner}, query.Tag, "", false},
		{auditor, query.Token, "", true},
		{auditor, query.IP, "", false},
		{auditor, query.Country, "", true},
		{auditor, query.Client, "", true},
		{auditor, query.Metadata, "version", false},
		{auditor, query.Text, "", false},
		{admin, query.Token, "", true},
		{clear, query.IP, "", true},
		{clear, query.Metadata, "version", true},
		{clear, query.Metadata, "audited", false}, // of system:rare:only
		{clear, query.Text, "", false},
		{all, query.Country, "", true},
		{all, query.Metadata, "audited", true},
		{all, query.Text, "", true},
	} {
		if got := policy.Sees(c.reader, c.kind, c.name); got != c.sees {
			t.Errorf("%+v sees all of %s %s = %t", *c.reader, c.kind, c.name, got)
		}
	}
}

// TestBeyond checks that an administrator is told which events an auditor sees
// and they do not, and that to an auditor nothing is beyond.
func TestBeyond(t *testing.T) {
	policy := newPolicy(t)
	got := policy.Beyond(admin)
	for _, tag := range []string{"audit:reveal_pii", "audit:search", "audit:erasure:request", "system:legal_request", "org:rare:admin"} {
		if !slices.Contains(got, tag) {
			t.Errorf("%s is not beyond an administrator", tag)
		}
	}
	if slices.Contains(got, "user:email:add") || !slices.IsSorted(got) {
		t.Errorf("beyond an administrator is %v", got)
	}
	for _, staff := range []catalogue.Readers{catalogue.Auditor, catalogue.Staff} {
		if got := policy.Beyond(&reader.Reader{Staff: staff}); len(got) > 0 {
			t.Errorf("beyond %s is %v", staff, got)
		}
	}
}
