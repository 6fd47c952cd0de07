package dossier_test

import (
	"testing"
	"time"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reading"
)

// Each part of a page links to the search that shows the same events. A link that
// finds others, or is refused, would make two views of one history.
func TestLinksFindTheSameEvents(t *testing.T) {
	b := incident(t)
	p := project(t, b, alice, "demo-http", dossier.Options{At: at(t, "2026-01-09")})
	u := user(t, b, alice, "alice")
	k := token(t, b, alice, "tok-13")
	for name, x := range map[string]dossier.Extent{
		"history": p.History.Extent, "releases": p.Releases.Extent, "fates": p.Releases.Fates, "hands": p.Hands.Extent,
		"sign-ins": u.SignIns.Extent, "tokens": u.Tokens.Extent, "keys": u.Keys.Extent, "factors": u.Factors.Extent, "emails": u.Emails.Extent,
		"projects": u.Projects.Extent, "looks": u.Looks.Extent, "person": u.History.Extent, "token": k.History.Extent,
	} {
		q, err := query.Parse(x.Query, time.Now())
		if err != nil {
			t.Errorf("%s: %q: %v", name, x.Query, err)
			continue
		}
		a, err := b.Search(t.Context(), alice, reading.Request{Query: q, Limit: 1000})
		if err != nil || len(a.Events) != x.Size {
			t.Errorf("%s: %q finds %v events, %v, want %d", name, x.Query, a, err, x.Size)
		}
		if x.Size == 0 && name != "keys" && name != "looks" {
			t.Errorf("%s: nothing was found, which shows nothing", name)
		}
	}
}
