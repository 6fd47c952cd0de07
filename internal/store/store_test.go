package store_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/gen"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
	"github.com/custody-log/custody/internal/store"
)

// start is when the first event happens.
var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// A memory is a journal in memory, and the tree's commitments.
type memory struct{ records []journal.Record }

func (m *memory) Size() journal.Seq { return journal.Seq(len(m.records)) }

func (m *memory) Read(from journal.Seq, limit int) ([]journal.Record, error) {
	if from >= m.Size() {
		return nil, nil
	}
	return m.records[from:min(m.Size(), from+journal.Seq(limit))], nil
}

func (m *memory) Commitments(from journal.Seq, n int, dst []event.Commitment) ([]event.Commitment, error) {
	for _, r := range m.records[from : from+journal.Seq(n)] {
		c, err := event.StoredCommitment(r.Body)
		if err != nil {
			return nil, err
		}
		dst = append(dst, c)
	}
	return dst, nil
}

// families gives each type the class of retention that the catalogue says.
func families(t testing.TB) (*catalogue.Catalogue, func(tag string) string) {
	t.Helper()
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c, func(tag string) string { return c.RetentionOf(tag) }
}

// fill returns a journal of n generated events, a second apart but for some
// that come late.
func fill(t testing.TB, c *catalogue.Catalogue, openKey [16]byte, n int) *memory {
	t.Helper()
	g := gen.New(c, 1, start)
	m := new(memory)
	var p event.Parser
	for i := range n {
		p.Added = append(p.Added[:0], event.TimeField("received", start.Add(time.Duration(i)*time.Second)),
			event.StringField("source", "registry"), event.StringField("trust", "witnessed"))
		data := g.Append(nil)
		f, err := p.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		m.add(t, f, openKey)
	}
	return m
}

func (m *memory) add(t testing.TB, f event.Fields, openKey [16]byte) {
	t.Helper()
	types := map[string]string{}
	for i := range f {
		if party, ok := strings.CutSuffix(f[i].Name, ".type"); ok {
			types[party] = string(f[i].Value)
		}
	}
	for i := range f {
		name := f[i].Name
		party := name
		if k := strings.LastIndexByte(name, '.'); k >= 0 {
			party = name[:k]
		}
		switch {
		case name == "context.ip", name == "context.user_agent", name == "reason", name == "credential.id", name == "metadata.error":
			f[i].Private = true
		case strings.HasSuffix(name, ".id"), strings.HasSuffix(name, ".name"):
			f[i].Private = types[party] == "user" || types[party] == "token" || types[party] == "admin"
		}
	}
	var s event.Secrets
	s.Open = event.OpenSecret(&openKey, f.Text("source"), f.Text("id"))
	binary.LittleEndian.PutUint64(s.Private[:], uint64(len(m.records))*0x9e3779b97f4a7c15+1)
	body, _ := event.AppendRecord(nil, f, &s)
	m.records = append(m.records, journal.Record{Seq: m.Size(), Body: body})
}

// A running store, its journal, and what brute force knows.
type rig struct {
	*store.Store
	journal *memory
	derive  *query.Derive
	decoded []decoded // the journal's, see brute
	stop    func()
}

type decoded struct {
	fields event.Fields
	place  segment.Place
}

func newRig(t testing.TB, n int, set func(*store.Config)) *rig {
	t.Helper()
	c, family := families(t)
	d := &query.Derive{
		Severity: func(tag string) string { return string(c.SeverityOf(tag)) },
		Country:  func(a [16]byte) string { return [...]string{"NL", "CZ", "DE", ""}[a[15]%4] },
	}
	cfg := store.Config{
		Dir: new(disk.Mem), Log: slog.New(slog.DiscardHandler), Family: family, Derive: d, SealRows: 1000,
	}
	if set != nil {
		set(&cfg)
	}
	s, err := store.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := fill(t, c, s.OpenKey(), n)
	s.Connect(store.Parts{Journal: m, Tree: m})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r := &rig{Store: s, journal: m, derive: d, stop: func() { cancel(); <-done }}
	t.Cleanup(func() {
		r.stop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// feed applies what the journal has.
func (r *rig) feed(t testing.TB) {
	t.Helper()
	for r.Cursor() < r.journal.Size() {
		records, _ := r.journal.Read(r.Cursor(), 100)
		if err := r.Apply(context.Background(), records); err != nil {
			t.Fatal(err)
		}
	}
}

// brute returns the places of the events that match, oldest first.
func (r *rig) brute(t testing.TB, q *query.Query) []segment.Place {
	t.Helper()
	for _, rec := range r.journal.records[len(r.decoded):] {
		record, err := event.DecodeRecord(rec.Body)
		if err != nil {
			t.Fatal(err)
		}
		f := record.Open()
		at, _ := f.Get("time")
		r.decoded = append(r.decoded, decoded{f, segment.Place{Micros: at.Time().UnixMicro(), Seq: int64(rec.Seq)}})
	}
	var places []segment.Place
	for _, d := range r.decoded {
		if q.Match(d.fields, r.derive) {
			places = append(places, d.place)
		}
	}
	slices.SortFunc(places, segment.Place.Compare)
	return places
}

// all returns the positions of all events found, page by page.
func (r *rig) all(t testing.TB, q *query.Query, oldest bool, page int) []int64 {
	t.Helper()
	var seqs []int64
	req := store.Request{Query: q, Oldest: oldest, Limit: page}
	for {
		a, err := r.Search(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Found {
			seqs = append(seqs, int64(f.Seq))
			if err := f.Record.Verify(); err != nil {
				t.Fatalf("record %d: %v", f.Seq, err)
			}
		}
		if a.Next == nil {
			return seqs
		}
		if req.After, err = store.ParseCursor(a.Next.String()); err != nil {
			t.Fatal(err)
		}
	}
}

// queries returns texts that ask for what events of the journal have.
func (r *rig) queries(t testing.TB, random *rand.Rand) []string {
	t.Helper()
	list := []string{
		"", "tag:project:*", "class:user", "outcome:failure", "severity:high", "trust:witnessed", "-tag:project:*",
		"tag:project:file:add -outcome:success", "(class:user OR class:org) outcome:success", "npm", "py", "client:npm", "client:node", "country:NL",
		"-country:NL class:user", "source:registry", "source:other", "*flask*", "tor*", `"as the owner asked"`, "metadata.via:web", "metadata.status:*",
		"ip:198.18.0.0/20", "ip:2001:db8::/33", "version:1*", "nothing-like-it", "actor:u1000*", "org:*", "request:a*",
	}
	for range 12 {
		rec, err := event.DecodeRecord(r.journal.records[random.IntN(len(r.journal.records))].Body)
		if err != nil {
			t.Fatal(err)
		}
		f := rec.Open()
		quoted := func(name string) string { return `"` + strings.ReplaceAll(f.Text(name), `"`, `\"`) + `"` }
		if f.Text("actor.id") != "" {
			list = append(list, "actor:"+quoted("actor.id"), "user:"+quoted("actor.id"), quoted("actor.id"))
		}
		if f.Text("actor.name") != "" {
			list = append(list, "actor:"+quoted("actor.name"), quoted("actor.name"))
		}
		if f.Text("subjects.0.type") == "project" {
			list = append(list, "project:"+quoted("subjects.0.name"), "project:"+quoted("subjects.0.id"), quoted("subjects.0.name"),
				"project:"+quoted("subjects.0.name")+" outcome:success tag:"+f.Text("tag"))
		}
		if f.Text("credential.id") != "" {
			list = append(list, "token:"+f.Text("credential.id"), f.Text("credential.id"))
		}
		if f.Text("context.request_id") != "" {
			list = append(list, "request:"+f.Text("context.request_id"), "-request:"+f.Text("context.request_id"))
		}
		ip, _ := f.Get("context.ip")
		list = append(list, "ip:"+ip.Text(), ip.Text(), "-ip:"+ip.Text()+" class:org", f.Text("tag"))
		at, _ := f.Get("time")
		list = append(list, "after:"+at.Text()+" outcome:failure", "before:"+at.Text()+" class:project",
			"NOT (after:"+at.Text()+" OR class:user)")
		for i := range f {
			if key, ok := strings.CutPrefix(f[i].Name, "metadata."); ok {
				list = append(list, fmt.Sprintf("metadata.%s:%q", key, f[i].Text()), "metadata."+key+":*")
			}
		}
	}
	return list
}

// Whatever is sealed, merged or still in memory, answers are those of a look at
// every event.
func TestAnswersAreThoseOfBruteForce(t *testing.T) {
	n := 5500
	if testing.Short() {
		n = 1100
	}
	r := newRig(t, n, func(c *store.Config) { c.SealRows = n / 6 })
	r.feed(t)
	random := rand.New(rand.NewPCG(1, 2))
	now := start.Add(time.Hour)
	for i, text := range r.queries(t, random) {
		q, err := query.Parse(text, now)
		if err != nil {
			t.Logf("%s: %v", text, err)
			continue
		}
		want := r.brute(t, q)
		oldest := i%2 == 0
		page := 1 + random.IntN(1000)
		got := r.all(t, q, oldest, page)
		if !oldest {
			slices.Reverse(got)
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d events, want %d", text, len(got), len(want))
			continue
		}
		for k := range got {
			if got[k] != want[k].Seq {
				t.Errorf("%s: event %d of the answer is %d, want %d", text, k, got[k], want[k].Seq)
				break
			}
		}
		n, err := r.Count(context.Background(), store.CountRequest{Query: q, Fields: []string{"tag", "actor", "project", "class", "client"}, Values: 1000, Interval: store.Minute})
		if err != nil {
			t.Fatal(err)
		}
		sum := int64(0)
		for _, b := range n.Buckets {
			sum += b.Count
		}
		tags := int64(0)
		for _, v := range n.Fields["tag"] {
			tags += v.Count
		}
		if n.Events != int64(len(want)) || sum != n.Events || tags != n.Events || !n.Complete {
			t.Errorf("%s: counted %d, in buckets %d, by tag %d, want %d", text, n.Events, sum, tags, len(want))
		}
	}
}
