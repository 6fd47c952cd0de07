package console

import (
	"slices"
	"strings"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/reader"
)

// shownChanges is how many of the changes of hands a page lists; the others are
// in the search.
const shownChanges = 100

// A projectPage is what templates/project.html and templates/public.html show.
type projectPage struct {
	thing
	*dossier.Project

	Address string // of this page, without the moment asked for
	Feed    string // address of the feed
	Search  string // address of the search for all of it
	Public  bool   // the visitor is nobody known
	Part    bool   // the visitor sees the public part only
	Moment  moment

	Rows   []*row   // the history
	Others []link   // other projects that are called so
	Size   int64    // events that the checkpoint covers
	Keys   []string // the log's public keys
}

// sheet implements [sheet].
func (p *projectPage) sheet() string {
	if p.Public {
		return "public.html"
	}
	return "project.html"
}

// project shows the history of a project, and in whose hands it was when.
func (c *Console) project(v *visit) (any, error) {
	at, err := momentOf(v.URL.Query().Get("at"))
	if err != nil {
		return nil, err
	}
	q := c.inquire(v)
	o := q.options()
	o.At, o.Day = at.At, at.Day
	d, err := dossier.NewProject(v.Context(), q, q.reader, reader.Ref{Type: "project", ID: v.PathValue("id")}, o)
	if err != nil {
		return nil, err
	}
	p := &projectPage{
		Project: d, Moment: at, Address: v.URL.EscapedPath(), Feed: feedURL(d.Ref.ID), Search: queryURL(d.Query),
		Public: isPublic(v.Reader), Part: seesPublicPart(v.Reader, d.Ref), Rows: c.rowsOf(d.History.Events),
		Size: c.Tree.Checkpoint().N, Keys: c.Keys().Verifiers(),
	}
	for _, id := range d.Others {
		p.Others = append(p.Others, link{Title: id, Address: projectURL(id)})
	}
	p.thing, err = q.end()
	return p, err
}

// MoreChanges returns the address of the changes of hands that are not listed; "".
func (p *projectPage) MoreChanges() string {
	if len(p.Hands.Changes) <= shownChanges {
		return ""
	}
	return queryURL(p.Hands.Query)
}

// Listed returns the newest changes of hands, as many as the page lists.
func (p *projectPage) Listed() []dossier.Act {
	return p.Hands.Changes[:min(shownChanges, len(p.Hands.Changes))]
}

// Had returns the roles that ended.
func (p *projectPage) Had() dossier.Tenures { return ended(p.Hands.Roles) }

// isPublic reports whether r is nobody known.
func isPublic(r *reader.Reader) bool {
	return !r.IsStaff() && r.Self == "" && len(r.Projects) == 0 && len(r.Orgs) == 0
}

// seesPublicPart reports whether r sees no more of a project than anybody, but
// for what they did there themself.
func seesPublicPart(r *reader.Reader, project reader.Ref) bool {
	return !r.IsStaff() && !slices.ContainsFunc(r.Projects, func(mine reader.Ref) bool {
		return mine.Type == project.Type && strings.EqualFold(mine.ID, project.ID)
	})
}
