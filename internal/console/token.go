package console

import (
	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/store"
)

// A tokenPage is what templates/token.html shows.
type tokenPage struct {
	thing
	*dossier.Token

	Search string // address of the search for all of it
	Rows   []*row // everything done with it, and to it

	Addresses, Countries, Clients, Named []valueLink
}

// A valueLink is one value, with how many events have it.
type valueLink struct {
	Value   string
	Count   int64
	Address string // of the page about it, or of the search for it; "" if there is none
}

// countedOf returns values with the addresses that address has for them.
func countedOf(values []store.ValueCount, address func(value string) string) []valueLink {
	list := make([]valueLink, len(values))
	for i, v := range values {
		list[i] = valueLink{v.Value, v.Count, address(v.Value)}
	}
	return list
}

// searched returns what leads to the search for a value of a qualifier.
func searched(qualifier string) func(value string) string {
	return func(value string) string { return searchURL(qualifier, value) }
}

// token shows how a token, or another credential, came to be, and all that was
// done with it.
func (c *Console) token(v *visit) (any, error) {
	q := c.inquire(v)
	d, err := dossier.NewToken(v.Context(), q, q.reader, v.PathValue("id"), q.options())
	if err != nil {
		return nil, err
	}
	p := &tokenPage{
		Token: d, Search: queryURL(d.Query), Rows: c.rowsOf(d.History.Events),
		Addresses: countedOf(d.Networks.Addresses, networkURL),
		Countries: countedOf(d.Networks.Countries, searched("country")),
		Clients:   countedOf(d.Networks.Clients, searched("client")),
		Named:     countedOf(d.Projects, projectURL),
	}
	p.thing, err = q.end()
	return p, err
}

// Unplaced reports whether nothing says from where the token was used.
func (p *tokenPage) Unplaced() bool {
	return len(p.Addresses) == 0 && len(p.Countries) == 0 && len(p.Clients) == 0
}
