package dossier

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reading"
)

// ReleaseEvents is how many releases a page shows.
const ReleaseEvents = 100

// releaseTags are the kinds of events that publish, and fateTags those after
// which a version is not what it was.
var (
	releaseTags = []string{"project:release:add", "project:release:denied"}
	fateTags    = []string{
		"project:release:yank", "project:release:unyank", "project:release:remove", "project:release:soft_remove",
		"project:release:recover", "project:release:quarantine_enter", "project:release:quarantine_exit",
		"project:release:deprecate", "project:release:undeprecate",
	}
)

// Releases are those of a project, the newest first.
type Releases struct {
	Extent

	List  []Release
	Fates Extent // what is known of what became of them
}

// A Release is one version that somebody published, or was refused to.
type Release struct {
	Seq     journal.Seq
	Time    time.Time
	Version string
	Outcome string
	Text    string

	By         Who
	Credential Credential
	Place      Place
	Workflow   Workflow
	Attested   Value // "true", "false"

	State string // "", "yanked", "removed", "hidden", "quarantined", "deprecated"
	Fates []Fate // what became of the version since, newest first

	Event *reading.Shown
}

// Refused reports whether the version was not published.
func (r *Release) Refused() bool {
	yes, _ := done(r.Event)
	return !yes || strings.HasSuffix(r.Event.Fields.Text("tag"), ":denied")
}

// A Workflow is the one that published, where a trusted publisher did.
type Workflow struct {
	Issuer, Repository, Path, Ref, Commit, Run, Environment string
}

// A Fate is something that became of a version.
type Fate struct {
	Mark

	What string // yank, unyank, remove, ...
}

// stateAfter says in which state a version is after something became of it that
// is not taken back.
var stateAfter = map[string]string{
	"yank": "yanked", "remove": "removed", "soft_remove": "hidden", "quarantine_enter": "quarantined", "deprecate": "deprecated",
}

func (a *asker) releases(ctx context.Context, of query.Node) (*Releases, error) {
	page, err := a.search(ctx, all(of, tagged(releaseTags...)), ReleaseEvents, nil)
	if err != nil {
		return nil, err
	}
	list := &Releases{Extent: page.Extent}
	for _, e := range page.Events {
		list.List = append(list.List, a.releaseOf(e))
	}
	if len(list.List) == 0 {
		return list, nil
	}
	fates, err := a.search(ctx, all(of, tagged(fateTags...)), ListEvents, nil)
	if err != nil {
		return nil, err
	}
	list.Fates = fates.Extent
	list.settle(fates.Events)
	return list, nil
}

func (a *asker) releaseOf(e *reading.Shown) Release {
	r := Release{
		Seq: e.Seq, Time: e.Time(), Outcome: e.Fields.Text("outcome"), Text: e.Text,
		By: actorOf(e), Credential: credentialOf(e), Place: a.placeOf(e),
		Workflow: Workflow{
			Issuer: textOf(e, "oidc.issuer"), Repository: textOf(e, "oidc.repository"), Path: textOf(e, "oidc.workflow_ref"),
			Ref: textOf(e, "oidc.ref"), Commit: textOf(e, "oidc.sha"), Run: textOf(e, "oidc.run_id"), Environment: textOf(e, "oidc.environment"),
		},
		Attested: valueOf(e, "metadata.attested"), Event: e,
	}
	if versions := versionsOf(e); len(versions) > 0 {
		r.Version = versions[0]
	}
	if r.Credential.ID.IsZero() {
		r.Credential.ID = valueOf(e, "metadata.token_id")
	}
	return r
}

// settle adds what became of the releases, given the newest first.
func (l *Releases) settle(events []*reading.Shown) {
	byVersion := make(map[string][]*reading.Shown)
	for _, e := range events {
		if yes, _ := done(e); !yes {
			continue
		}
		for _, v := range versionsOf(e) {
			byVersion[v] = append(byVersion[v], e)
		}
	}
	for i := range l.List {
		r := &l.List[i]
		if r.Refused() {
			continue
		}
		for _, e := range byVersion[r.Version] {
			if e.Time().Before(r.Time) { // of a release of the same version before
				continue
			}
			_, what, _ := strings.Cut(strings.TrimPrefix(e.Fields.Text("tag"), "project:"), ":")
			r.Fates = append(r.Fates, Fate{markOf(e), what})
		}
		r.State = stateOf(r.Fates)
	}
}

// stateOf returns the gravest state that fates, the newest first, left a version in.
func stateOf(fates []Fate) string {
	is := make(map[string]bool)
	for _, f := range slices.Backward(fates) {
		switch f.What {
		case "unyank":
			is["yanked"] = false
		case "recover":
			is["hidden"], is["removed"], is["yanked"] = false, false, false
		case "quarantine_exit":
			is["quarantined"] = false
		case "undeprecate":
			is["deprecated"] = false
		default:
			is[stateAfter[f.What]] = true
		}
	}
	for _, state := range []string{"removed", "hidden", "quarantined", "yanked", "deprecated"} {
		if is[state] {
			return state
		}
	}
	return ""
}
