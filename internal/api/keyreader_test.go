package api_test

import (
	"reflect"
	"testing"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/api"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/reader"
)

// TestReaderOf checks as whom keys read: a mistake here shows one kind of reader
// what is for another.
func TestReaderOf(t *testing.T) {
	program := event.Party{Type: "service", ID: "k1", Name: "a key"}
	for _, c := range []struct {
		scope string
		reads []auth.Reading
		want  reader.Reader
	}{
		{auth.Submit, nil, reader.Reader{By: program}},
		{auth.Read, []auth.Reading{{As: auth.AsEverything}}, reader.Reader{Staff: catalogue.Staff, Clear: true, By: program}},
		{auth.Admin, []auth.Reading{{As: auth.AsEverything}}, reader.Reader{Staff: catalogue.Staff, Clear: true, By: event.Party{Type: "admin", ID: "k1", Name: "a key"}}},
		{auth.Read, []auth.Reading{{As: auth.AsAuditor}}, reader.Reader{Staff: catalogue.Auditor, By: program}},
		{auth.Read, []auth.Reading{{As: auth.AsAdmin}}, reader.Reader{Staff: catalogue.Admin, By: program}},
		{auth.Read, []auth.Reading{{As: auth.AsAdmin}, {As: auth.AsAuditor}}, reader.Reader{Staff: catalogue.Staff, By: program}},
		{auth.Read, []auth.Reading{{As: auth.AsPublic}}, reader.Reader{By: program}},
		{auth.Read, []auth.Reading{{As: auth.AsUser, ID: "u1"}, {As: auth.AsOrg, ID: "o1"}}, reader.Reader{Self: "u1", Orgs: []reader.Ref{{Type: "org", ID: "o1"}}, By: program}},
		{
			auth.Read,
			[]auth.Reading{{As: auth.AsProject, Type: "project", ID: "p1"}, {As: auth.AsProject, Type: "repository", ID: "p2"}},
			reader.Reader{Projects: []reader.Ref{{Type: "project", ID: "p1"}, {Type: "repository", ID: "p2"}}, By: program},
		},
	} {
		if got := api.ReaderOf(&auth.Key{ID: "k1", Name: "a key", Scopes: []string{c.scope}, Reads: c.reads}); !reflect.DeepEqual(*got, c.want) {
			t.Errorf("a key that may %s as %v reads as %+v, want %+v", c.scope, c.reads, *got, c.want)
		}
	}
}
