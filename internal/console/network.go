package console

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/custody-log/custody/internal/dossier"
)

// A networkPage is what templates/network.html shows. Without a dossier it is
// masked, and shows the form that asks why.
type networkPage struct {
	thing
	*dossier.Network

	Title  string // the address or range
	Wider  string // address of the page about what is around a single address; ""
	Around string // what that is
	Search string // address of the search for all of it
	Chart  *chart
	Rows   []*row // the history

	Users, Places, Named, Used, Kinds, Programs, Lands []valueLink
}

// network shows which accounts and projects were reached from an address, or from
// any of a range. Staff are asked why. Others have no such page; who is signed in
// is sent to what they have a part in themself, whatever the address is.
func (c *Console) network(v *visit) (any, error) {
	prefix, err := prefixOf(v.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if !v.Staff() && !isPublic(v.Reader) {
		return nil, &elsewhere{searchURL("ip", v.PathValue("id"))}
	}
	q := c.inquire(v)
	title := prefix.String()
	if prefix.IsSingleIP() {
		title = prefix.Addr().String()
	}
	d, err := dossier.NewNetwork(v.Context(), q, q.reader, prefix, q.options())
	if errors.Is(err, dossier.ErrMasked) {
		return &networkPage{Title: title, thing: thing{Reveal: c.revealing(v, q.until)}}, nil
	}
	if err != nil {
		return nil, err
	}
	p := &networkPage{Network: d, Title: title, Search: queryURL(d.Query), Rows: c.rowsOf(d.History.Events)}
	p.Users, p.Named = countedOf(d.Accounts, userURL), countedOf(d.Projects, projectURL)
	p.Used, p.Kinds = countedOf(d.Tokens, tokenURL), countedOf(d.Tags, searched("tag"))
	p.Programs, p.Lands = countedOf(d.Clients, searched("client")), countedOf(d.Countries, searched("country"))
	p.Chart = newChart(d.Buckets, d.Interval, func(after, before string) string {
		return queryURL(d.Query + " after:" + after + " before:" + before)
	})
	if prefix.IsSingleIP() {
		p.Around = networkOf(prefix.Addr().String())
		p.Wider = networkURL(p.Around)
	} else {
		p.Places = countedOf(d.Addresses, networkURL)
	}
	p.thing, err = q.end()
	return p, err
}

// prefixOf reads an address, 192.0.2.1, or a range, 192.0.2.0/24. What is neither
// is not there.
func prefixOf(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return netip.Prefix{}, errNone
		}
		return p.Masked(), nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return netip.Prefix{}, errNone
	}
	address = address.Unmap()
	return netip.PrefixFrom(address, address.BitLen()), nil
}
