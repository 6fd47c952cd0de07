package reading

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/gen"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/store"
)

// benchStart is when the events of benchmarks begin.
var benchStart = time.Date(2026, 11, 2, 12, 30, 0, 0, time.UTC)

// openRoom returns a room over n events of a registry, in the memory of a store.
func openRoom(b *testing.B, n int) *Room {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	fs := new(disk.Mem)
	sub := func(name string) disk.FS {
		dir, err := fs.Sub(name)
		must(err)
		return dir
	}
	log := slog.New(slog.DiscardHandler)
	files, err := journal.OpenFiles(sub("journal"))
	must(err)
	j := journal.New(files)
	go j.Run(b.Context())
	cat, err := catalogue.Load()
	must(err)
	desk, err := intake.Open(b.Context(), intake.Config{Log: log, Journal: j, Catalogue: cat}, nil)
	must(err)
	lines := gen.New(cat, 7, benchStart)
	var batch strings.Builder
	for _, line := range lines.Make(n) {
		batch.Write(line)
		batch.WriteByte('\n')
	}
	_, err = desk.AcceptBatch(b.Context(), intake.Origin{Source: "registry", Trust: event.Witnessed}, []byte(batch.String()), event.NDJSON)
	must(err)
	derive := &query.Derive{
		Severity: func(tag string) string { return string(cat.SeverityOf(tag)) },
		Country:  func([16]byte) string { return "NL" },
	}
	index, err := store.Open(store.Config{Dir: sub("store"), Log: log, Family: cat.RetentionOf, Derive: derive})
	must(err)
	index.Connect(store.Parts{Journal: j, Tail: files})
	records, err := j.Read(0, n)
	must(err)
	must(index.Apply(b.Context(), records))
	return &Room{Store: index, Journal: j, Desk: desk, Catalogue: cat, Policy: &reader.Policy{Catalogue: cat, Derive: derive}}
}

// A benchReader is who looks in benchmarks.
type benchReader struct {
	name string
	*reader.Reader
}

// benchReaders returns who looks at events: staff, and who owns some of the projects
// in them.
func benchReaders(events []store.Found) []benchReader {
	owner, known := new(reader.Reader), make(map[string]bool)
	for _, f := range events {
		for _, s := range f.Record.Open().Event().Subjects {
			if s.Type == "project" && !known[s.ID] && len(owner.Projects) < 20 {
				known[s.ID] = true
				owner.Projects = append(owner.Projects, reader.Ref{Type: "project", ID: s.ID})
			}
		}
	}
	return []benchReader{
		{"clear", &reader.Reader{Staff: catalogue.Admin, Clear: true}},
		{"masked", &reader.Reader{Staff: catalogue.Admin}},
		{"owner", owner},
	}
}

// openFull returns a room, and all events in it.
func openFull(b *testing.B) (*Room, *store.Answer) {
	b.Helper()
	m := openRoom(b, 400)
	all, err := m.Store.Search(b.Context(), store.Request{Query: new(query.Query), Limit: 400})
	if err != nil {
		b.Fatal(err)
	}
	return m, all
}

// BenchmarkShow has events that the store has found shown to a reader, in JSON:
// what an answer costs besides finding it. BenchmarkSearch finds them as well.
func BenchmarkShow(b *testing.B) {
	m, all := openFull(b)
	for _, r := range benchReaders(all.Found) {
		b.Run(r.name, func(b *testing.B) {
			var shown, bytes int
			var body []byte
			var err error
			b.ReportAllocs()
			for b.Loop() {
				body, shown = body[:0], 0
				for _, f := range all.Found {
					e, ok := m.disclose(r.Reader, f.Seq, f.Record)
					if !ok {
						continue
					}
					if body, err = e.AppendJSON(body); err != nil {
						b.Fatal(err)
					}
					shown++
				}
				bytes = len(body)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*shown), "ns/event")
			b.ReportMetric(float64(shown), "events")
			b.ReportMetric(float64(bytes)/float64(shown), "JSON-B/event")
		})
	}
}

// BenchmarkSearch answers a search for 50 events, in JSON.
func BenchmarkSearch(b *testing.B) {
	m, all := openFull(b)
	for _, r := range benchReaders(all.Found) {
		b.Run(r.name, func(b *testing.B) {
			var shown int
			var body []byte
			b.ReportAllocs()
			for b.Loop() {
				a, err := m.Search(b.Context(), r.Reader, Request{Query: new(query.Query), Limit: 50})
				if err != nil {
					b.Fatal(err)
				}
				body, shown = body[:0], len(a.Events)
				for _, e := range a.Events {
					if body, err = e.AppendJSON(body); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*shown), "ns/event")
			b.ReportMetric(float64(shown), "events")
		})
	}
}
