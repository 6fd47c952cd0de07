package store_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/gen"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// BenchmarkQueries asks a store of many sealed events, on the real disk.
func BenchmarkQueries(b *testing.B) {
	const n = 600_000
	c, family := families(b)
	dir, err := disk.Dir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(store.Config{Dir: dir, Log: slog.New(slog.DiscardHandler), Family: family})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	g := gen.Spread(c, 1, start, 365*24*time.Hour, n)
	m := new(memory)
	var p event.Parser
	s.Connect(store.Parts{Journal: m})
	ctx := b.Context()
	go s.Run(ctx)
	var names, users []string
	for i := range n {
		p.Added = append(p.Added[:0], event.TimeField("received", start.Add(time.Duration(i)*time.Second)),
			event.StringField("source", "registry"), event.StringField("trust", "witnessed"))
		f, err := p.Parse(g.Append(nil))
		if err != nil {
			b.Fatal(err)
		}
		if i%2000 == 0 {
			if f.Text("subjects.0.type") == "project" {
				names = append(names, f.Text("subjects.0.name"))
			}
			users = append(users, f.Text("actor.name"))
		}
		m.add(b, f, s.OpenKey())
		if len(m.records)-int(s.Cursor()) == 1000 {
			if err := s.Apply(ctx, m.records[s.Cursor():]); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := s.Seal(ctx); err != nil {
		b.Fatal(err)
	}
	if err := s.Tidy(ctx); err != nil {
		b.Fatal(err)
	}
	m.records = m.records[:0:0]
	b.Logf("%d bytes/event in %d segments", s.Bytes()/n, s.Segments())
	from := start.Add(335 * 24 * time.Hour).Format("2006-01-02")
	for _, q := range []struct {
		name  string
		texts []string
		count bool
	}{
		{"project", prefixed("project:", names), false},
		{"user90d", prefixed("after:"+start.Add(275*24*time.Hour).Format("2006-01-02")+" user:", users), false},
		{"word", []string{"evoke", "flask", "ticket", "torch"}, false},
		{"count30d", []string{"tag:project:file:add outcome:success after:" + from}, true},
	} {
		b.Run(q.name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				text := q.texts[i%len(q.texts)]
				i++
				parsed, err := query.Parse(text, start)
				if err != nil {
					b.Fatal(text, err)
				}
				if q.count {
					_, err = s.Count(ctx, store.CountRequest{Query: parsed, Fields: []string{"project"}, Values: 10, Interval: store.Day})
				} else {
					_, err = s.Search(ctx, store.Request{Query: parsed, Limit: 50})
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func prefixed(prefix string, values []string) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = prefix + `"` + v + `"`
	}
	return list
}
