package dossier_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/sample"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/internal/view"
)

// A bench is a reading room over a real log on a disk in memory.
type bench struct {
	*reading.Room

	t testing.TB
}

// open starts a log without events. Each change is applied to the configuration of
// its store.
func open(t testing.TB, change ...func(*store.Config)) *bench {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fs := new(disk.Mem)
	sub := func(name string) disk.FS {
		dir, err := fs.Sub(name)
		must(err)
		return dir
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	files, err := journal.OpenFiles(sub("journal"))
	must(err)
	j := journal.New(files)
	cat, err := catalogue.Load()
	must(err)
	keys, err := tree.GenerateKeys("custody.test/log")
	must(err)
	dir := sub("tree")
	tr, err := tree.Open(t.Context(), tree.Config{Dir: dir, Head: tree.FileHead(dir), Keys: keys, Records: j, EntryOf: tree.StoredEntry, Log: log})
	must(err)
	desk, err := intake.Open(t.Context(), intake.Config{Log: log, Journal: j, Catalogue: cat}, nil)
	must(err)
	derive := &query.Derive{Severity: func(tag string) string { return string(cat.SeverityOf(tag)) }, Country: countryOf}
	cfg := store.Config{Dir: sub("store"), Log: log, Family: cat.RetentionOf, Derive: derive}
	for _, c := range change {
		c(&cfg)
	}
	index, err := store.Open(cfg)
	must(err)
	j.SetPast(index)
	index.Connect(store.Parts{
		Journal: j, Tail: files, Tree: tr,
		Signed: func() journal.Seq { return journal.Seq(tr.Latest().N) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	loops := []func() error{
		func() error { return j.Run(ctx) },
		func() error { return tr.Run(ctx) },
		func() error { return view.Follow(ctx, log, j, tr) },
		func() error { return index.Run(ctx) },
	}
	ended := make(chan error, len(loops))
	for _, loop := range loops {
		go func() { ended <- loop() }()
	}
	t.Cleanup(func() {
		cancel()
		for range loops {
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("a part of the log ended: %v", err)
			}
		}
		if err := errors.Join(index.Close(), files.Close()); err != nil {
			t.Error(err)
		}
	})
	return &bench{t: t, Room: &reading.Room{
		Store: index, Journal: j, Tree: tr, Desk: desk, Catalogue: cat, Policy: &reader.Policy{Catalogue: cat, Derive: derive},
	}}
}

// countryOf knows where two of the networks of the tests are.
func countryOf(address [16]byte) string {
	switch a := netip.AddrFrom16(address).Unmap(); {
	case netip.MustParsePrefix("198.51.100.0/24").Contains(a):
		return "NL"
	case netip.MustParsePrefix("203.0.113.0/24").Contains(a):
		return "FR"
	}
	return ""
}

// record has the registry submit events, one JSON object a line.
func (b *bench) record(lines string) {
	b.t.Helper()
	from := intake.Origin{Source: "registry", Trust: event.Witnessed}
	if _, err := b.Desk.AcceptBatch(b.t.Context(), from, []byte(lines), event.NDJSON); err != nil {
		b.t.Fatal(err)
	}
	b.taken()
}

// own has the log record an event about itself.
func (b *bench) own(e *event.Event) {
	b.t.Helper()
	if _, err := b.Desk.Record(b.t.Context(), intake.OwnSource, e); err != nil {
		b.t.Fatal(err)
	}
	b.taken()
}

// taken has the store take in all records there are.
func (b *bench) taken() {
	b.t.Helper()
	for b.Store.Cursor() < b.Journal.Size() {
		records, err := b.Journal.Read(b.Store.Cursor(), 1000)
		if err == nil {
			err = b.Store.Apply(b.t.Context(), records)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// incident returns a log with the events of the sample.
func incident(t testing.TB) *bench {
	t.Helper()
	b := open(t)
	b.record(string(sample.Incident()))
	return b
}

// The readers of the tests: what each is in the log of the sample.
var (
	public   = &reader.Reader{}
	alice    = &reader.Reader{Self: "user-alice", Projects: []reader.Ref{{Type: "project", ID: "pkg:npm/demo-http"}}}
	bob      = &reader.Reader{Self: "user-bob", Projects: []reader.Ref{{Type: "project", ID: "pkg:npm/demo-http"}}}
	stranger = &reader.Reader{Self: "user-erin"}
	admin    = &reader.Reader{Staff: catalogue.Admin}
	cleared  = &reader.Reader{Staff: catalogue.Admin, Clear: true}
	auditor  = &reader.Reader{Staff: catalogue.Auditor}
	program  = &reader.Reader{Staff: catalogue.Staff, Clear: true}
)

// at returns a time written in RFC 3339, or a day.
func at(t testing.TB, s string) time.Time {
	t.Helper()
	layout := time.RFC3339
	if !strings.Contains(s, "T") {
		layout = time.DateOnly
	}
	v, err := time.Parse(layout, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
