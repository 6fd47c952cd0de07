package dossier

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
)

// A Project is what the page of a project shows.
type Project struct {
	Ref    reader.Ref
	Name   string   // as the newest event has it
	Kind   string   // the type of its package URL, such as "npm"; "" if it has none
	Others []string // IDs of other projects that are called as the one that was asked for
	Query  string   // that finds all of its history

	Created Mark
	State   []Act // the newest events about the state it is in, newest first, at most [stateEvents]

	Hands    Hands
	At       time.Time // the past moment that was asked for; zero: none
	Day      bool
	Then     Tenures // who had which role then
	Releases Releases
	History  Page
}

// Bounds of parts of a project's page.
const stateEvents = 20

// noise are the kinds of events that would drown a project's history. They are in
// it for who searches for them.
var noise = []string{"project:file:download", "project:release:scan_result", "project:oidc_publisher:list"}

// NewProject returns the dossier of the project that has the ID of ref, or is
// called so. Of several that are, it is the one that something happened to last.
func NewProject(ctx context.Context, room Room, r *reader.Reader, ref reader.Ref, o Options) (*Project, error) {
	a := newAsker(room, r, &o)
	p, of, err := a.project(ctx, ref)
	if err != nil {
		return nil, err
	}
	if err := a.created(ctx, p, of); err != nil {
		return nil, err
	}
	state, err := a.search(ctx, all(of, tagged(stateTags...)), stateEvents, nil)
	if err != nil {
		return nil, err
	}
	p.State = a.actsOf(state.Events, stateEvents)
	hands, err := a.hands(ctx, of, time.Time{})
	if err != nil {
		return nil, err
	}
	p.Hands = *hands
	if p.At, p.Day = o.At, o.Day; !p.At.IsZero() {
		if p.Then, err = a.handsThen(ctx, of, hands, &o); err != nil {
			return nil, err
		}
	}
	releases, err := a.releases(ctx, of)
	if err != nil {
		return nil, err
	}
	p.Releases = *releases
	history, err := a.history(ctx, all(of, not(tagged(noise...))), &o)
	if err != nil {
		return nil, err
	}
	p.History = *history
	return p, nil
}

// project returns what a project is called, and the term that finds its history.
func (a *asker) project(ctx context.Context, ref reader.Ref) (*Project, *query.Term, error) {
	of, err := about(query.Project, baseOf(ref.ID))
	if err != nil {
		return nil, nil, err
	}
	page, err := a.search(ctx, all(of, not(tagged(noise...))), resolveEvents, nil)
	if err == nil && len(page.Events) == 0 { // perhaps there is nothing but noise
		page, err = a.search(ctx, all(of), resolveEvents, nil)
	}
	if err != nil {
		return nil, nil, err
	}
	if len(page.Events) == 0 {
		return nil, nil, none(&page.Extent)
	}
	p := &Project{Ref: reader.Ref{Type: "project", ID: of.Value}, Name: of.Value}
	found := false
	for _, e := range page.Events {
		for _, s := range subjectsOf(e, "project") {
			switch {
			case !of.Matches([]byte(s.Name)) && !isProject(of, s.ID):
			case !found:
				found, p.Name = true, s.String()
				p.Ref.ID = s.Ref()
			case s.ID != "" && s.ID != p.Ref.ID && !slices.Contains(p.Others, s.ID):
				p.Others = append(p.Others, s.ID)
			}
		}
	}
	if p.Ref.ID != of.Value {
		if of, err = about(query.Project, p.Ref.ID); err != nil {
			return nil, nil, err
		}
	}
	p.Kind, p.Query = kindOf(p.Ref.ID), all(of).String()
	return p, of, nil
}

// isProject reports whether of finds what has the given ID.
func isProject(of *query.Term, id string) (found bool) {
	query.ProjectKeys([]byte(id), nil, false, func(key []byte) { found = found || of.Matches(key) })
	return found
}

// baseOf returns the package URL of the project whose version or file has the
// given ID; what is no package URL is as it is.
func baseOf(id string) string {
	base := id
	query.ProjectKeys([]byte(id), nil, false, func(key []byte) {
		if strings.HasPrefix(string(key), "pkg:") && len(key) < len(base) {
			base = string(key)
		}
	})
	return base
}

// kindOf returns the type of a package URL, or "".
func kindOf(id string) string {
	rest, ok := strings.CutPrefix(id, "pkg:")
	kind, _, cut := strings.Cut(rest, "/")
	if !ok || !cut {
		return ""
	}
	return kind
}

// created finds out when the project was created.
func (a *asker) created(ctx context.Context, p *Project, of query.Node) error {
	first, err := a.oldest(ctx, all(of, tagged("project:create")), resolveEvents)
	if err != nil {
		return err
	}
	for _, e := range first {
		if yes, _ := done(e); yes {
			p.Created = markOf(e)
			return nil
		}
	}
	return nil
}

// hands returns in whose hands a project is or, if until is not zero, was up to
// that moment.
func (a *asker) hands(ctx context.Context, of query.Node, end time.Time) (*Hands, error) {
	q := all(of, tagged(handTags...))
	if !end.IsZero() {
		q = all(of, tagged(handTags...), until(end))
	}
	page, err := a.search(ctx, q, FoldEvents, nil)
	if err != nil {
		return nil, err
	}
	var fold projectFold
	for _, e := range slices.Backward(page.Events) {
		fold.take(e)
	}
	return &Hands{
		Extent: page.Extent, Roles: fold.tenures(), Invited: fold.invited.at(time.Now()),
		Changes: a.actsOf(page.Events, ListEvents), Nameless: fold.nameless,
	}, nil
}

// handsThen returns who had which role when o says.
func (a *asker) handsThen(ctx context.Context, of query.Node, now *Hands, o *Options) (Tenures, error) {
	if !now.Cut() || now.Oldest.Before(o.At) {
		return now.Roles.as(o), nil
	}
	then, err := a.hands(ctx, of, o.end())
	if err != nil {
		return nil, err
	}
	return then.Roles.as(o), nil
}

// versionsOf returns the versions that e is about.
func versionsOf(e *reading.Shown) []string {
	var list []string
	for _, s := range subjectsOf(e, "version") {
		if s.Version != "" && !slices.Contains(list, s.Version) {
			list = append(list, s.Version)
		}
	}
	if v := textOf(e, "metadata.version"); len(list) == 0 && v != "" {
		list = append(list, v)
	}
	return list
}
