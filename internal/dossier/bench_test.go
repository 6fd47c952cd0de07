package dossier_test

import (
	"bytes"
	"flag"
	"net/netip"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/gen"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/store"
)

// everything is the query that finds every event.
var everything = new(query.Query)

var benchEvents = flag.Int("events", 100_000, "events in the log of the benchmark")

// BenchmarkDossiers measures each dossier over generated traffic in some 40
// segments, as a program that sees everything and as those concerned.
func BenchmarkDossiers(b *testing.B) {
	cat, err := catalogue.Load()
	if err != nil {
		b.Fatal(err)
	}
	log := open(b, func(c *store.Config) { c.SealRows = *benchEvents / 40 })
	g := gen.New(cat, 1, time.Now().AddDate(0, 0, -30))
	from := intake.Origin{Source: "registry", Trust: event.Witnessed}
	for done := 0; done < *benchEvents; done += 1000 {
		if _, err := log.Desk.AcceptBatch(b.Context(), from, bytes.Join(g.Make(1000), []byte("\n")), event.NDJSON); err != nil {
			b.Fatal(err)
		}
		log.taken()
	}
	for _, most := range []int{0, 50} { // the busiest, and a usual one
		n, err := log.Count(b.Context(), program, store.CountRequest{Fields: []string{"project", "user", "token", "org", "ip"}, Values: 100, Query: everything})
		if err != nil {
			b.Fatal(err)
		}
		name := func(field string) string { return n.Fields[field][most].Value }
		id := user(b, log, program, name("user")).Who.ID
		self := &reader.Reader{Self: id}
		owner := &reader.Reader{Self: "nobody", Projects: []reader.Ref{{Type: "project", ID: "pkg:npm/" + name("project")}}}
		ctx, of := b.Context(), reader.Ref{ID: name("project")}
		ofProject := func(as *reader.Reader) func() error {
			return func() error { return made(dossier.NewProject(ctx, log, as, of, dossier.Options{})) }
		}
		ofUser := func(as *reader.Reader) func() error {
			return func() error { return made(dossier.NewUser(ctx, log, as, id, dossier.Options{})) }
		}
		for _, c := range []struct {
			name string
			make func() error
		}{
			{"project/all", ofProject(program)},
			{"project/public", ofProject(public)},
			{"project/owner", ofProject(owner)},
			{"user/all", ofUser(program)},
			{"user/masked", ofUser(admin)},
			{"user/self", ofUser(self)},
			{"token/all", func() error { return made(dossier.NewToken(ctx, log, program, name("token"), dossier.Options{})) }},
			{"organization/all", func() error {
				return made(dossier.NewOrganization(ctx, log, program, reader.Ref{ID: name("org")}, dossier.Options{}))
			}},
			{"network/all", func() error {
				return made(dossier.NewNetwork(ctx, log, program, prefix(name("ip")), dossier.Options{}))
			}},
		} {
			kind := "busiest"
			if most > 0 {
				kind = "usual"
			}
			b.Run(c.name+"/"+kind, func(b *testing.B) {
				for b.Loop() {
					if err := c.make(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func made[T any](_ *T, err error) error { return err }

func prefix(address string) netip.Prefix {
	a := netip.MustParseAddr(address)
	return netip.PrefixFrom(a, a.BitLen())
}
