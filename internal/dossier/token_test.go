package dossier_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/store"
)

func token(t testing.TB, b *bench, r *reader.Reader, id string) *dossier.Token {
	t.Helper()
	k, err := dossier.NewToken(t.Context(), b, r, id, dossier.Options{Country: countryOf})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// "When was the token minted, from where, with a second factor or not, and what
// else did it do?" decides what else has to be taken back.
func TestTokenTellsItsLife(t *testing.T) {
	b := incident(t)
	for _, c := range []struct {
		name string
		as   *reader.Reader
		mint string // when, by, from, session, with
		acts int64
		nets dossier.Networks
	}{
		{
			"its holder", alice, "2026-03-30 22:58:44 by alice from 203.0.113.77 FR in s-666 with totp", 6,
			dossier.Networks{Addresses: one("203.0.113.77", 6), Countries: one("FR", 6), Clients: one("npm", 6)},
		},
		{
			"an administrator", admin, "2026-03-30 22:58:44 by alice from (masked) FR in s-666 with totp", 6,
			dossier.Networks{Countries: one("FR", 6), Clients: one("npm", 6)},
		},
		{
			"one who gave a reason", cleared, "2026-03-30 22:58:44 by alice from 203.0.113.77 FR in s-666 with totp", 6,
			dossier.Networks{Addresses: one("203.0.113.77", 6), Countries: one("FR", 6), Clients: one("npm", 6)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := token(t, b, c.as, "tok-13")
			if k.Mint == nil {
				t.Fatal("nothing says when it was minted")
			}
			m := k.Mint
			mint := fmt.Sprintf("%s by %s from %s %s in %s with %s", m.Time.Format("2006-01-02 15:04:05"), m.By, m.Place.Address, m.Place.Country, m.Credential.Session, m.Credential.SecondFactor)
			if mint != c.mint || m.BypassMFA.Text != "true" || fmt.Sprint(m.Permissions) != "[publish]" {
				t.Errorf("minted %s, permissions %v, want %s", mint, m.Permissions, c.mint)
			}
			if m.SignIn == nil || m.SignIn.Tag != "user:login:new_device" || m.SignIn.SecondFactor != "totp" {
				t.Errorf("the session began with %+v", m.SignIn)
			}
			if k.Use.Acts.Events != c.acts || k.Refused != 1 || k.Use.First.Tag != "user:token:first_use" || k.Use.Last.Tag != "user:token:denied" {
				t.Errorf("used %d times, refused %d, from %v to %v", k.Use.Acts.Events, k.Refused, k.Use.First, k.Use.Last)
			}
			if k.Ended.Why != "admin" || k.Ended.Seq != 29 || k.Owner.Name != "alice" {
				t.Errorf("of %s, ended %+v", k.Owner, k.Ended)
			}
			if diff := cmp.Diff(c.nets, k.Networks); diff != "" {
				t.Errorf("networks (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]store.ValueCount{{Value: "demo-http", Count: 3}, {Value: "demo-cookies", Count: 1}}, k.Projects); diff != "" {
				t.Errorf("projects (-want +got):\n%s", diff)
			}
			if len(k.History.Events) != 8 {
				t.Errorf("%d events with it, want 8", len(k.History.Events))
			}
		})
	}
}

func one(value string, n int64) []store.ValueCount {
	return []store.ValueCount{{Value: value, Count: n}}
}

// A co-owner sees what a token did to the project of both, and from which country;
// not the holder's other projects, not the address, not how it was minted.
func TestTokenForAnOwner(t *testing.T) {
	b := incident(t)
	k := token(t, b, bob, "tok-13")
	if len(k.Networks.Addresses) != 0 || k.Mint != nil || len(k.Projects) != 1 || k.Projects[0].Value != "demo-http" {
		t.Errorf("an owner sees networks %+v, mint %v, projects %v", k.Networks, k.Mint, k.Projects)
	}
	if len(k.Networks.Countries) != 1 || k.Networks.Countries[0].Value != "FR" {
		t.Errorf("an owner sees countries %v, want FR", k.Networks.Countries)
	}
}

// Who may not know of a token cannot tell whether there is one.
func TestTokenForNobody(t *testing.T) {
	b := incident(t)
	for _, id := range []string{"tok-13", "tok-nothing", ""} {
		if _, err := dossier.NewToken(t.Context(), b, stranger, id, dossier.Options{}); !errors.Is(err, dossier.ErrNone) {
			t.Errorf("a stranger asks for %q: %v, want ErrNone", id, err)
		}
	}
	for _, id := range []string{"tok-13", "tok-nothing"} {
		if _, err := dossier.NewToken(t.Context(), b, public, id, dossier.Options{}); !errors.Is(err, dossier.ErrNotAllowed) {
			t.Errorf("the public asks for %q: %v, want ErrNotAllowed", id, err)
		}
	}
}

// "Which accounts signed in from that address?" finds who else was taken over. It
// is asked by staff who say why, and by nobody else.
func TestNetwork(t *testing.T) {
	b := incident(t)
	b.record(`{"id":"w-1","tag":"user:login:success","time":"2026-03-31T05:00:00Z","actor":{"type":"user","id":"user-dave","name":"dave"},"credential":{"kind":"session","id":"s-9"},"subjects":[{"type":"user","id":"user-dave","name":"dave"}],"context":{"ip":"203.0.113.78","user_agent":"curl/8"}}
`)
	n, err := dossier.NewNetwork(t.Context(), b, cleared, netip.MustParsePrefix("203.0.113.77/24"), dossier.Options{Country: countryOf})
	if err != nil {
		t.Fatal(err)
	}
	accounts := make(map[string]int64)
	for _, a := range n.Accounts {
		accounts[a.Value] = a.Count
	}
	if n.Prefix.String() != "203.0.113.0/24" || accounts["alice"] != 10 || accounts["dave"] != 1 || accounts["bob"] != 0 || n.Events != 12 {
		t.Errorf("%s has %d events of %v", n.Prefix, n.Events, n.Accounts)
	}
	if len(n.Projects) != 2 || !n.First.Equal(at(t, "2026-03-30T22:47:19Z")) || !n.Last.Equal(at(t, "2026-03-31T05:00:00Z")) || len(n.Buckets) == 0 {
		t.Errorf("projects %v, from %v to %v, %d buckets", n.Projects, n.First, n.Last, len(n.Buckets))
	}
	if len(n.SignIns.List) != 3 || n.SignIns.List[0].By.Name != "dave" {
		t.Errorf("signed in from there: %+v", n.SignIns.List)
	}
	if diff := cmp.Diff([]store.ValueCount{{Value: "alice", Count: 1}, {Value: "dave", Count: 1}}, n.SignedIn); diff != "" || n.Tried[0].Value != "alice" {
		t.Errorf("tried %v; signed in to (-want +got):\n%s", n.Tried, diff)
	}
	one, err := dossier.NewNetwork(t.Context(), b, cleared, netip.MustParsePrefix("203.0.113.78/32"), dossier.Options{})
	if err != nil || one.Events != 1 {
		t.Errorf("one address: %v, %v", one, err)
	}
	for _, c := range []struct {
		as   *reader.Reader
		want error
	}{{admin, dossier.ErrMasked}, {auditor, dossier.ErrMasked}, {alice, dossier.ErrNotAllowed}, {public, dossier.ErrNotAllowed}} {
		if n, err := dossier.NewNetwork(t.Context(), b, c.as, netip.MustParsePrefix("203.0.113.0/24"), dossier.Options{}); n != nil || !errors.Is(err, c.want) {
			t.Errorf("as %+v: %v, want %v", c.as, err, c.want)
		}
	}
	if _, err := dossier.NewNetwork(t.Context(), b, cleared, netip.MustParsePrefix("10.0.0.0/8"), dossier.Options{}); !errors.Is(err, dossier.ErrNone) {
		t.Errorf("a network nobody came from: %v, want ErrNone", err)
	}
}
