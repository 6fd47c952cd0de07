package console

import (
	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/reader"
)

// An organizationPage is what templates/organization.html shows.
type organizationPage struct {
	thing
	*dossier.Organization

	Address string // of this page, without the moment asked for
	Search  string // address of the search for all of it
	Moment  moment
	Rows    []*row // the history
}

// organization shows who is in an organization, and was at any past moment.
func (c *Console) organization(v *visit) (any, error) {
	at, err := momentOf(v.URL.Query().Get("at"))
	if err != nil {
		return nil, err
	}
	q := c.inquire(v)
	o := q.options()
	o.At, o.Day = at.At, at.Day
	d, err := dossier.NewOrganization(v.Context(), q, q.reader, reader.Ref{Type: "org", ID: v.PathValue("id")}, o)
	if err != nil {
		return nil, err
	}
	p := &organizationPage{
		Organization: d, Address: v.URL.EscapedPath(), Search: queryURL(d.Query), Moment: at, Rows: c.rowsOf(d.History.Events),
	}
	p.thing, err = q.end()
	return p, err
}

// Newest returns the newest changes, as many as the page lists.
func (p *organizationPage) Newest() []dossier.Act {
	return p.Changes[:min(shownChanges, len(p.Changes))]
}

// MoreChanges returns the address of the changes that are not listed; "".
func (p *organizationPage) MoreChanges() string {
	if len(p.Changes) <= shownChanges {
		return ""
	}
	return queryURL(p.Extent.Query)
}

// Left returns the roles that ended.
func (p *organizationPage) Left() dossier.Tenures { return ended(p.Roster.Members) }

// ended returns those of list that are had no more.
func ended(list dossier.Tenures) dossier.Tenures {
	var past dossier.Tenures
	for i := range list {
		if !list[i].Until.IsZero() {
			past = append(past, list[i])
		}
	}
	return past
}
