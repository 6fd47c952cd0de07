package reader

import (
	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// wherefrom are those who may know from which country, and with which program,
// something was done where they are not shown from which address. So may those whose
// account it is: see [look.wherefrom].
const wherefrom = catalogue.Owner | catalogue.Org | catalogue.Staff

// wherefrom returns as what of the above the reader sees the event. Who tried to
// get into an account, or changed it, came from somewhere, and its owner has to
// recognise that; where the registry's administrators are is not theirs to know.
func (l *look) wherefrom(e *sighting) catalogue.Readers {
	as := wherefrom
	if l.class == "user" && string(e.parties[theActor].typ) != "admin" {
		as |= catalogue.Self
	}
	return l.whole & as
}

// origin fills in what stands instead of an address and a user agent that d does
// not show.
func (p *Policy) origin(d *Disclosure, l *look, e *sighting, shown *origins) {
	as := l.wherefrom(e)
	if as == 0 {
		return
	}
	known := p.known()
	if !shown.ip && len(e.ip) == 16 && as&known.country.VisibleIn(l.class, "") != 0 && p.Derive != nil && p.Derive.Country != nil {
		d.Country = p.Derive.Country([16]byte(e.ip))
	}
	if !shown.agent && e.agent != nil && as&known.client.VisibleIn(l.class, "") != 0 {
		d.Client = string(query.ClientOf(e.agent))
	}
}

// origins says which fields a disclosure shows that say where an act came from.
type origins struct{ ip, agent bool }

var (
	codeIP    = event.CodeOf("context.ip")
	codeAgent = event.CodeOf("context.user_agent")
)
