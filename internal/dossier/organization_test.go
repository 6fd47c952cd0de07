package dossier_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/reader"
)

// orgEvents is the life of an organization.
const orgEvents = `{"id":"g-1","tag":"org:create","time":"2026-01-01T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"}],"metadata":{"name":"demo"}}
{"id":"g-2","tag":"org:member:invite","time":"2026-01-02T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"},{"type":"user","id":"user-bob","name":"bob"}],"metadata":{"role":"member","target_user":"bob"}}
{"id":"g-3","tag":"org:member:add","time":"2026-01-03T10:00:00Z","actor":{"type":"user","id":"user-bob","name":"bob"},"subjects":[{"type":"org","id":"org-1","name":"demo"},{"type":"user","id":"user-bob","name":"bob"}],"metadata":{"role":"member","target_user":"bob","source":"invite"}}
{"id":"g-4","tag":"org:team:create","time":"2026-01-04T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"},{"type":"team","id":"team-1","name":"core"}],"metadata":{"team":"core"}}
{"id":"g-5","tag":"org:team:member_add","time":"2026-01-05T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"},{"type":"team","id":"team-1","name":"core"},{"type":"user","id":"user-bob","name":"bob"}],"metadata":{"team":"core","target_user":"bob"}}
{"id":"g-6","tag":"project:org:add","time":"2026-01-06T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"project","id":"pkg:npm/demo-http","name":"demo-http"},{"type":"org","id":"org-1","name":"demo"}],"metadata":{"org":"demo"}}
{"id":"g-7","tag":"project:team_role:add","time":"2026-01-07T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"project","id":"pkg:npm/demo-http","name":"demo-http"},{"type":"team","id":"team-1","name":"core"},{"type":"org","id":"org-1","name":"demo"}],"metadata":{"role":"write","team":"core"}}
{"id":"g-8","tag":"org:member:role_change","time":"2026-01-08T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"},{"type":"user","id":"user-bob","name":"bob"}],"metadata":{"old_role":"member","new_role":"admin","target_user":"bob"}}
{"id":"g-9","tag":"org:member:remove","time":"2026-01-09T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"},{"type":"user","id":"user-bob","name":"bob"}],"metadata":{"role":"admin","target_user":"bob","reason":"left"}}
{"id":"g-10","tag":"org:member:invite","time":"2026-01-10T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"},{"type":"user","id":"user-carol","name":"carol"}],"metadata":{"role":"member","target_user":"carol"}}
{"id":"g-11","tag":"org:mfa_requirement_change","time":"2026-01-11T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"}],"metadata":{"old":false,"new":true}}
`

var (
	demoOrg  = reader.Ref{Type: "org", ID: "demo"}
	orgOwner = &reader.Reader{Self: "user-alice", Orgs: []reader.Ref{{Type: "org", ID: "org-1"}}}
)

// Who was in an organization, and in which of its teams, is asked of the day
// something went wrong.
func TestOrganizationAtAMoment(t *testing.T) {
	b := open(t)
	b.record(orgEvents)
	for _, c := range []struct{ at, want string }{
		{"2026-01-01T09:00:00Z", " | "},
		{"2026-01-02T12:00:00Z", "alice=owner | "},
		{"2026-01-05T12:00:00Z", "alice=owner bob=member | core: bob= on "},
		{"2026-01-08T12:00:00Z", "alice=owner bob=admin | core: bob= on demo-http=write"},
		{"2026-01-09T12:00:00Z", "alice=owner | core:  on demo-http=write"},
	} {
		t.Run(c.at, func(t *testing.T) {
			for _, as := range []*reader.Reader{orgOwner, admin, program} {
				o, err := dossier.NewOrganization(t.Context(), b, as, demoOrg, dossier.Options{At: at(t, c.at)})
				if err != nil {
					t.Fatal(err)
				}
				var got strings.Builder
				got.WriteString(roles(o.Then.Members) + " | ")
				for _, team := range o.Then.Teams {
					fmt.Fprintf(&got, "%s: %s on %s", team.Who, roles(team.Members), roles(team.Roles))
				}
				if got.String() != c.want {
					t.Errorf("as %+v: %q, want %q", as, got.String(), c.want)
				}
			}
		})
	}
	o, err := dossier.NewOrganization(t.Context(), b, orgOwner, demoOrg, dossier.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := o.Roster.Now()
	if roles(now.Members) != "alice=owner" || len(o.Invited) != 1 || o.Invited[0].Who.Name != "carol" || len(now.Projects) != 1 || len(o.Rules) != 1 || len(o.History.Events) != 11 || o.Ref.ID != "org-1" {
		t.Errorf("now: members %s, invited %v, projects %v, %d rules, %d events", roles(now.Members), o.Invited, now.Projects, len(o.Rules), len(o.History.Events))
	}
	i := slices.IndexFunc(o.Roster.Members, func(m dossier.Tenure) bool { return m.Role == "admin" })
	if i < 0 || o.Roster.Members[i].Until.Why != "left" {
		t.Errorf("how bob left: %+v", o.Roster.Members)
	}
}

// Who is in an organization is not for those outside.
func TestOrganizationForOthers(t *testing.T) {
	b := open(t)
	b.record(orgEvents)
	if _, err := dossier.NewOrganization(t.Context(), b, public, demoOrg, dossier.Options{}); !errors.Is(err, dossier.ErrNotAllowed) {
		t.Errorf("the public: %v, want ErrNotAllowed", err)
	}
	for _, id := range []string{"demo", "nothing"} {
		if _, err := dossier.NewOrganization(t.Context(), b, stranger, reader.Ref{Type: "org", ID: id}, dossier.Options{}); !errors.Is(err, dossier.ErrNone) {
			t.Errorf("a stranger asks for %q: %v, want ErrNone", id, err)
		}
	}
	o, err := dossier.NewOrganization(t.Context(), b, bob, demoOrg, dossier.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var tags []string
	for _, a := range o.Changes {
		tags = append(tags, a.Tag)
	}
	want := []string{"org:member:remove", "org:member:role_change", "project:team_role:add", "project:org:add", "org:team:member_add", "org:member:add", "org:member:invite"}
	if diff := cmp.Diff(want, tags); diff != "" {
		t.Errorf("a former member sees, of what is not about bob or bob's project (-want +got):\n%s", diff)
	}
}
