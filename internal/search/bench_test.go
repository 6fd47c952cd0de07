package search_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/search"
)

// typical returns events as a registry has them: 100,000 users with a token
// and an address each, 200,000 projects.
func typical(b *testing.B, n int) []journal.Record {
	random := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(random, 1.1, 10, 199_999)
	records := make([]journal.Record, n)
	for i := range records {
		user := random.IntN(100_000)
		project := zipf.Uint64()
		e := &event.Event{
			ID: event.NewID(), Tag: []string{"project:release:add", "project:release:yank", "user:login:success"}[random.IntN(3)],
			Time: start.Add(time.Duration(i) * time.Millisecond), Outcome: event.Success,
			Actor:      event.Party{Type: "user", ID: fmt.Sprint("u-", user), Name: fmt.Sprint("user", user)},
			Credential: event.Credential{Kind: "token", ID: fmt.Sprintf("t-%016x", user)},
			Subjects:   []event.Subject{{Type: "project", ID: fmt.Sprint("pkg:npm/project", project), Name: fmt.Sprint("project", project)}},
			Context:    event.Context{IP: fmt.Sprintf("10.%d.%d.9", user>>8&0xff, user&0xff), UserAgent: "npm/11.0.0 node/v24", Origin: "cli"},
			Metadata:   map[string]any{"version": "1.0.0"},
			Source:     "registry",
		}
		records[i] = journal.Record{Seq: journal.Seq(i), Body: record(b, e)}
	}
	return records
}

// BenchmarkApply measures how fast events become findable and what memory
// each costs.
func BenchmarkApply(b *testing.B) {
	const n = 1_000_000
	records := typical(b, n)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		ix := search.New(nil)
		began := time.Now()
		for from := 0; from < n; from += 256 {
			if err := ix.Apply(context.Background(), records[from:min(from+256, n)]); err != nil {
				b.Fatal(err)
			}
		}
		took := time.Since(began)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(n/took.Seconds(), "events/s")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "bytes/event")
		runtime.KeepAlive(ix)
	}
	runtime.KeepAlive(records)
}

// BenchmarkSearch measures the newest 50 of various things in a million.
func BenchmarkSearch(b *testing.B) {
	s := open(b)
	defer s.stop()
	records := typical(b, 1_000_000)
	for from := 0; from < len(records); from += 1000 {
		var bodies [][]byte
		for _, r := range records[from : from+1000] {
			bodies = append(bodies, r.Body)
		}
		if _, err := s.journal.Append(b.Context(), bodies...); err != nil {
			b.Fatal(err)
		}
	}
	s.add()
	for _, text := range []string{"", "project:project7", "project:project150000", "actor:user77", "tag:project:* outcome:success", "ip:10.1.0.0/16", "ip:10.0.0.0/8 tag:user:*", "outcome:denied", "project7 actor:user5", "nowhere"} {
		b.Run(text, func(b *testing.B) {
			q := s.parse(text)
			for b.Loop() {
				if _, err := s.index.Search(b.Context(), search.Request{Query: q, Limit: 50}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
