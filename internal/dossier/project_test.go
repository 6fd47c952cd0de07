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

func project(t testing.TB, b *bench, r *reader.Reader, id string, o dossier.Options) *dossier.Project {
	t.Helper()
	p, err := dossier.NewProject(t.Context(), b, r, reader.Ref{Type: "project", ID: id}, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// roles returns roles as text.
func roles(list dossier.Tenures) string {
	var all []string
	for _, r := range list {
		text := r.Who.String() + "=" + r.Role
		if r.Unsure {
			text += "?"
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// "Who published this version, with which token, with a second factor or not?" is
// the first question after a malicious release. An owner who could not see it
// would have to ask the registry; one who saw a co-maintainer's address could find
// out where they live.
func TestWhoPublished(t *testing.T) {
	b := incident(t)
	for _, c := range []struct {
		name string
		as   *reader.Reader
		want string // by, kind, ID, name, second factor, address, country, client
	}{
		{"the public: by whom, no more", public, "alice token   - - - "},
		{"who is nobody in the project", stranger, "alice token   - - - "},
		{"a co-owner: no address", bob, "alice token tok-13  none - FR npm"},
		{"who it was", alice, "alice token tok-13 backup none 203.0.113.77 FR npm"},
		{"an administrator: masked", admin, "alice token tok-13 (masked) none (masked) FR npm"},
		{"one who gave a reason", cleared, "alice token tok-13 backup none 203.0.113.77 FR npm"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := project(t, b, c.as, "demo-http", dossier.Options{Country: countryOf})
			i := slices.IndexFunc(p.Releases.List, func(r dossier.Release) bool { return r.Version == "1.3.1" })
			if i < 0 {
				t.Fatalf("no release 1.3.1 among %d", len(p.Releases.List))
			}
			r := p.Releases.List[i]
			dash := func(s string) string {
				if s == "" {
					return "-"
				}
				return s
			}
			factor := r.Credential.SecondFactor
			if c.as == public || c.as == stranger {
				factor = dash(factor)
			}
			got := fmt.Sprintf("%s %s %s %s %s %s %s %s", r.By, r.Credential.Kind, r.Credential.ID, r.Credential.Name,
				factor, dash(r.Place.Address.String()), dash(r.Place.Country), r.Place.Client)
			if got != c.want {
				t.Errorf("1.3.1 was published by %q, want %q", got, c.want)
			}
			if r.State != "removed" || len(r.Fates) != 1 || r.Fates[0].Why != "malware" {
				t.Errorf("1.3.1 is %q after %v, want it removed for malware", r.State, r.Fates)
			}
		})
	}
}

// Releases that a workflow made answer from which repository.
func TestReleaseOfAWorkflow(t *testing.T) {
	b := incident(t)
	p := project(t, b, public, "pkg:npm/demo-http", dossier.Options{})
	var versions []string
	for _, r := range p.Releases.List {
		versions = append(versions, r.Version+"/"+r.Workflow.Repository+"/"+r.Workflow.Run)
	}
	want := []string{"1.3.1//", "1.3.0/example/demo-http/44713", "1.2.0/example/demo-http/44712", "1.1.0//", "1.0.0//"}
	if diff := cmp.Diff(want, versions); diff != "" {
		t.Errorf("releases, newest first (-want +got):\n%s", diff)
	}
}

// "Who was a maintainer on a given day?": whoever answers wrongly accuses somebody,
// or lets somebody go.
func TestWhoWasAMaintainer(t *testing.T) {
	b := incident(t)
	b.record(`{"id":"m-1","tag":"project:role:change","time":"2026-04-02T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"project","id":"pkg:npm/demo-http","name":"demo-http"},{"type":"user","id":"user-bob","name":"bob"}],"metadata":{"old_role":"maintainer","new_role":"owner","target_user":"bob"}}
{"id":"m-2","tag":"project:role:add","time":"2026-04-03T10:00:00Z","actor":{"type":"user","id":"user-bob","name":"bob"},"subjects":[{"type":"project","id":"pkg:npm/demo-http","name":"demo-http"},{"type":"user","id":"user-carol","name":"carol"}],"metadata":{"role":"maintainer","target_user":"carol"}}
{"id":"m-3","tag":"project:role:remove","time":"2026-04-03T18:00:00Z","actor":{"type":"user","id":"user-bob","name":"bob"},"subjects":[{"type":"project","id":"pkg:npm/demo-http","name":"demo-http"},{"type":"user","id":"user-carol","name":"carol"}],"metadata":{"role":"maintainer","target_user":"carol","reason":"self"}}
{"id":"m-4","tag":"project:role:add","time":"2026-04-04T10:00:00Z","outcome":"unknown","actor":{"type":"user","id":"user-bob","name":"bob"},"subjects":[{"type":"project","id":"pkg:npm/demo-http","name":"demo-http"},{"type":"user","id":"user-dave","name":"dave"}],"metadata":{"role":"maintainer","target_user":"dave"}}
{"id":"m-5","tag":"project:transfer","time":"2026-04-05T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"project","id":"pkg:npm/demo-http","name":"demo-http"},{"type":"user","id":"user-erin","name":"erin"}],"metadata":{"from":"alice","to":"erin"}}
`)
	for _, c := range []struct {
		at   string
		day  bool
		want string
	}{
		{"2025-11-03T10:00:59Z", false, ""},
		{"2025-11-03", true, "alice=owner"},
		{"2026-01-08T11:29:59Z", false, "alice=owner"},
		{"2026-01-08T11:30:00Z", false, "alice=owner bob=maintainer"},
		{"2026-03-31T01:03:00Z", false, "alice=owner bob=maintainer"}, // bob's removal was denied
		{"2026-04-02T12:00:00Z", false, "alice=owner bob=owner"},
		{"2026-04-03T12:00:00Z", false, "alice=owner bob=owner carol=maintainer"},
		{"2026-04-03T23:00:00Z", false, "alice=owner bob=owner"},
		{"2026-04-03T23:00:00Z", true, "alice=owner bob=owner carol=maintainer"},
		{"2026-04-04T12:00:00Z", false, "alice=owner bob=owner dave=maintainer?"},
		{"2026-04-06", false, "bob=owner dave=maintainer? erin=owner"},
	} {
		t.Run(c.at, func(t *testing.T) {
			for _, as := range []*reader.Reader{public, bob, admin, program} {
				p := project(t, b, as, "pkg:npm/demo-http", dossier.Options{At: at(t, c.at), Day: c.day})
				if got := roles(p.Then); got != c.want {
					t.Errorf("as %+v, roles on %s = %q, want %q", as, c.at, got, c.want)
				}
			}
		})
	}
	p := project(t, b, public, "demo-http", dossier.Options{})
	if got := roles(p.Hands.Roles.Now()); got != "bob=owner dave=maintainer? erin=owner" {
		t.Errorf("roles now = %q", got)
	}
	i := slices.IndexFunc(p.Hands.Roles, func(r dossier.Tenure) bool { return r.Who.Name == "carol" })
	if c := p.Hands.Roles[i]; c.Since.By.Name != "bob" || c.Until.Why != "self" || c.Until.Seq != c.Since.Seq+1 {
		t.Errorf("carol's role is evidenced by %+v to %+v", c.Since, c.Until)
	}
	if refused := p.Hands.Changes[slices.IndexFunc(p.Hands.Changes, func(a dossier.Act) bool { return a.Outcome == "denied" })]; !refused.Refused() {
		t.Error("the refused removal of bob is not among what was tried")
	}
}

// One name may be that of two projects. Who asks by name must not be shown the
// maintainers of one and the releases of the other.
func TestProjectsOfOneName(t *testing.T) {
	b := incident(t)
	b.record(`{"id":"o-1","tag":"project:create","time":"2026-05-01T10:00:00Z","actor":{"type":"user","id":"user-dave","name":"dave"},"subjects":[{"type":"project","id":"pkg:pypi/demo-http","name":"demo-http"}]}
`)
	p := project(t, b, public, "demo-http", dossier.Options{})
	if p.Ref.ID != "pkg:pypi/demo-http" || p.Kind != "pypi" || roles(p.Hands.Roles) != "dave=owner" || len(p.Releases.List) != 0 || len(p.History.Events) != 1 {
		t.Errorf("%s of kind %s has roles %s and %d releases", p.Ref.ID, p.Kind, roles(p.Hands.Roles), len(p.Releases.List))
	}
	if diff := cmp.Diff([]string{"pkg:npm/demo-http"}, p.Others); diff != "" {
		t.Errorf("others of the name (-want +got):\n%s", diff)
	}
	if p := project(t, b, public, "pkg:npm/demo-http@1.3.1", dossier.Options{}); p.Ref.ID != "pkg:npm/demo-http" || len(p.Releases.List) != 5 {
		t.Errorf("the project of a version is %s with %d releases", p.Ref.ID, len(p.Releases.List))
	}
}

// What is not there and what one may not see must be the same: that there is a
// private project is a secret, too.
func TestNothingToSee(t *testing.T) {
	b := incident(t)
	b.record(`{"id":"h-1","tag":"project:webhook:add","time":"2026-05-01T10:00:00Z","actor":{"type":"user","id":"user-dave","name":"dave"},"subjects":[{"type":"project","id":"pkg:npm/hidden","name":"hidden"}]}
`)
	for _, id := range []string{"pkg:npm/hidden", "pkg:npm/nothing", "", strings.Repeat("x", 1<<13), "a\x00b"} {
		p, err := dossier.NewProject(t.Context(), b, public, reader.Ref{Type: "project", ID: id}, dossier.Options{})
		if p != nil || !errors.Is(err, dossier.ErrNone) {
			t.Errorf("NewProject(%.20q) = %v, %v, want ErrNone", id, p, err)
		}
	}
}

// A list that is cut must say so, and where it goes on; else who reads it takes
// what is left out for what did not happen.
func TestCutListsSaySo(t *testing.T) {
	b := open(t)
	var lines strings.Builder
	for i := range dossier.ReleaseEvents + 30 {
		fmt.Fprintf(&lines, `{"id":"r-%d","tag":"project:release:add","time":"2026-05-01T10:%02d:%02dZ","actor":{"type":"user","id":"user-dave","name":"dave"},"subjects":[{"type":"project","id":"pkg:npm/busy","name":"busy"},{"type":"version","id":"pkg:npm/busy@%d","version":"%d"}]}`+"\n", i, i/60, i%60, i, i)
	}
	b.record(lines.String())
	p := project(t, b, public, "busy", dossier.Options{})
	if len(p.Releases.List) != dossier.ReleaseEvents || !p.Releases.Cut() || len(p.Releases.Notes()) != 1 || p.Releases.Notes()[0].State != dossier.Cut {
		t.Fatalf("%d releases, with %v", len(p.Releases.List), p.Releases.Notes())
	}
	if len(p.History.Events) != dossier.PageEvents || !p.History.Cut() {
		t.Errorf("a page of the history has %d events", len(p.History.Events))
	}
	again := project(t, b, public, "busy", dossier.Options{After: p.History.Next})
	if again.History.Events[0].Seq != p.History.Events[dossier.PageEvents-1].Seq-1 {
		t.Errorf("the next page begins at %d", again.History.Events[0].Seq)
	}
	if _, err := dossier.NewProject(t.Context(), b, public, p.Ref, dossier.Options{After: "nonsense"}); !errors.Is(err, dossier.ErrCursor) {
		t.Errorf("a cursor that is none: %v", err)
	}
}
