package api

import (
	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/reader"
)

// ReaderOf returns as whom a key reads. A key that reads as nobody is the public.
func ReaderOf(key *auth.Key) *reader.Reader {
	r := &reader.Reader{By: event.Party{Type: "service", ID: key.ID, Name: key.Name}}
	if key.May(auth.Admin) {
		r.By.Type = "admin" // as in the events about what is done with it
	}
	for _, as := range key.Reads {
		switch as.As {
		case auth.AsEverything:
			r.Staff, r.Clear = catalogue.Staff, true
		case auth.AsAuditor:
			r.Staff |= catalogue.Auditor
		case auth.AsAdmin:
			r.Staff |= catalogue.Admin
		case auth.AsUser:
			r.Self = as.ID
		case auth.AsProject:
			r.Projects = append(r.Projects, reader.Ref{Type: as.Type, ID: as.ID})
		case auth.AsOrg:
			r.Orgs = append(r.Orgs, reader.Ref{Type: "org", ID: as.ID})
		case auth.AsPublic: // everybody is
		}
	}
	return r
}
