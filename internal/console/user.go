package console

import (
	"github.com/custody-log/custody/internal/dossier"
)

// A userPage is what templates/user.html shows.
type userPage struct {
	thing
	*dossier.User

	Search string // address of the search for all of it
	Others []link // other people who are or were called so
	Rows   []*row // the history
}

// user shows how somebody signed in, with what they did what, and what became of
// their account. The person themself is asked whether it was they.
func (c *Console) user(v *visit) (any, error) {
	q := c.inquire(v)
	d, err := dossier.NewUser(v.Context(), q, q.reader, v.PathValue("id"), q.options())
	if err != nil {
		return nil, err
	}
	p := &userPage{User: d, Search: queryURL(d.Query), Rows: c.rowsOf(d.History.Events)}
	for _, id := range d.Others {
		p.Others = append(p.Others, link{Title: id, Address: userURL(id)})
	}
	p.thing, err = q.end()
	return p, err
}

// Watched reports whether the page says who has looked at the person's data: to
// the person themself, and where there was a look that the visitor may know of.
func (p *userPage) Watched() bool { return p.Self || len(p.Looks.List) > 0 }

// EmailChanged returns the sentence about the last change of the primary address.
func (p *userPage) EmailChanged() string {
	at, ok := p.Emails.Changed()
	if !ok {
		return "No change of the primary address is known."
	}
	return "The primary address was changed last on " + at.UTC().Format("2006-01-02 15:04:05 UTC") + "."
}
