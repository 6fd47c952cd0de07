package intake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
)

var from = intake.Origin{Source: "registry", Trust: event.Witnessed}

// A bench is a desk over a real journal on a disk in memory.
type bench struct {
	*intake.Desk
	journal *journal.Journal
	stop    func() error // power off, in order
}

func open(t *testing.T, fs disk.FS, sources ...intake.Source) *bench {
	t.Helper()
	files, err := journal.OpenFiles(fs)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{journal: journal.New(files)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.journal.Run(ctx) }()
	b.stop = func() error {
		cancel()
		return errors.Join(<-ended, files.Close())
	}
	b.Desk, err = intake.Open(ctx, intake.Config{
		Log: slog.New(slog.DiscardHandler), Journal: b.journal, Catalogue: cat, Sources: sources,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// published is an event of the registry.
func published(id, name string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"tag":"project:release:add","time":%q,"actor":{"type":"user","name":%q},`+
		`"subjects":[{"type":"project","name":"demo-pkg"}],"context":{"ip":"203.0.113.9"},"metadata":{"version":"1.0.0"}}`,
		id, time.Now().Format(time.RFC3339Nano), name)
}

func (b *bench) records(t *testing.T) (list []*event.Record) {
	t.Helper()
	for next := journal.Seq(0); next < b.journal.Size(); {
		records, err := b.journal.Read(next, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			r, err := event.DecodeRecord(rec.Body)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, r)
		}
		next += journal.Seq(len(records))
	}
	return list
}

// TestAcceptOnce has many clients submit the same event at once, and again
// after a power cut: it is recorded once and all learn the same position.
func TestAcceptOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		b := open(t, fs)
		data := published("1", "alice")
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if got, err := b.Accept(t.Context(), from, data); err != nil || got.Seq != 0 {
					t.Errorf("Accept = %v, %v, want position 0", got, err)
				}
			})
		}
		all.Wait()
		if n := b.journal.Size(); n != 1 {
			t.Errorf("the journal holds %d records, want 1", n)
		}
		first := b.records(t)[0].Commitment

		fs = fs.Crash(func(int) int { return 0 })
		_ = b.stop() // the old life; its disk is gone
		b = open(t, fs)
		got, err := b.Accept(t.Context(), from, data)
		if err != nil || got.Seq != 0 || !got.Duplicate || got.Commitment != first {
			t.Errorf("Accept after a power cut = %+v, %v, want a duplicate of position 0", got, err)
		}
		_, err = b.Accept(t.Context(), from, published("1", "mallory"))
		if conflict, ok := errors.AsType[*intake.ConflictError](err); !ok || conflict.Seq != 0 {
			t.Errorf("Accept of another event with a known ID = %v, want a conflict with position 0", err)
		}
		other := intake.Origin{Source: "mirror", Trust: event.Witnessed}
		if got, err := b.Accept(t.Context(), other, data); err != nil || got.Seq != 1 {
			t.Errorf("Accept of the same ID from another source = %+v, %v, want position 1", got, err)
		}
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestBatchIsAllOrNothing checks that whatever is wrong with one event of a
// batch, nothing of the batch is stored.
func TestBatchIsAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		if _, err := b.Accept(t.Context(), from, published("known", "alice")); err != nil {
			t.Fatal(err)
		}
		lines := func(events ...[]byte) []byte {
			var all []string
			for _, e := range events {
				all = append(all, string(e))
			}
			return []byte(strings.Join(all, "\n"))
		}
		good := published("1", "alice")
		for _, tt := range []struct {
			name string
			data []byte
			want string
		}{
			{"invalid", lines(good, []byte(`{"id":"2"}`)), "event 1: tag is missing"},
			{"conflict with the log", lines(good, published("known", "mallory")), `event 1 of the batch: event 0 has the ID "known"`},
			{"conflict within", lines(good, published("1", "mallory")), `event 1 of the batch: an event of the same batch has the ID "1"`},
			{"not as the catalogue has it", lines(good, []byte(strings.Replace(string(published("2", "alice")), `"1.0.0"`, `1`, 1))), "event 1: metadata.version must be"},
		} {
			if _, err := b.AcceptBatch(t.Context(), from, tt.data, event.NDJSON); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: AcceptBatch = %v, want %q", tt.name, err, tt.want)
			}
			if n := b.journal.Size(); n != 1 {
				t.Fatalf("%s: the journal holds %d records, want 1", tt.name, n)
			}
		}
		got, err := b.AcceptBatch(t.Context(), from, lines(good, good, published("2", "bob"), good), event.NDJSON)
		if err != nil {
			t.Fatal(err)
		}
		var seqs []string
		for _, a := range got {
			seqs = append(seqs, fmt.Sprint(a.Seq, a.Duplicate))
		}
		if s := strings.Join(seqs, ", "); s != "1 false, 1 true, 2 false, 1 true" {
			t.Errorf("AcceptBatch with repetitions = %s", s)
		}
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestPersonalFieldsAreMarked checks that what an erasure must reach hangs on
// the private secret, and what must outlive it does not.
func TestPersonalFieldsAreMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		unknown := `{"id":"2","tag":"project:stamp:add","time":"2026-03-31T00:21:00Z","actor":{"type":"service","id":"s1"},"metadata":{"colour":"red"},"changes":[{"field":"shape","new":"round"}]}`
		changed := `{"id":"3","tag":"project:visibility_change","time":"2026-03-31T00:21:00Z","actor":{"type":"service","id":"s1"},` +
			`"changes":[{"field":"visibility","old":"public","new":"private"},{"field":"colour","new":"red"}]}`
		for _, data := range []string{string(published("1", "alice")), unknown, changed} {
			if _, err := b.Accept(t.Context(), from, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		records := b.records(t)
		for _, tt := range []struct {
			event   int
			field   string
			private bool
		}{
			{0, "actor.name", true},
			{0, "context.ip", true},
			{0, "actor.type", false},
			{0, "subjects.0.name", false},
			{0, "metadata.version", false},
			{0, "received", false},
			{1, "actor.id", false},
			{1, "metadata.colour", true},
			{1, "changes.0.field", true},
			{1, "changes.0.new", true},
			{2, "changes.0.field", false},
			{2, "changes.0.old", false},
			{2, "changes.0.new", false},
			{2, "changes.1.field", false},
			{2, "changes.1.new", true},
		} {
			f, ok := records[tt.event].Open().Get(tt.field)
			if !ok || f.Private != tt.private {
				t.Errorf("event %d: %s is there: %v, private: %v, want %v", tt.event, tt.field, ok, f.Private, tt.private)
			}
		}
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestWhatTheLogAdds checks that each record says itself when it came and from
// where, whatever came before it: memory is used again.
func TestWhatTheLogAdds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		mirror := intake.Origin{Source: "mirror", Trust: event.Witnessed}
		imported := intake.Origin{Source: "mirror", Trust: event.Imported}
		want := []intake.Origin{from, from, mirror, imported, imported, from}
		var received []time.Time
		for i, origin := range want {
			time.Sleep(time.Second)
			received = append(received, time.Now())
			if _, err := b.Accept(t.Context(), origin, published(fmt.Sprint(i), "alice")); err != nil {
				t.Fatal(err)
			}
		}
		for i, r := range b.records(t) {
			f := r.Open()
			at, _ := f.Get("received")
			got := intake.Origin{Source: f.Text("source"), Trust: event.Trust(f.Text("trust"))}
			if got != want[i] || !at.Time().Equal(received[i]) || f.Text("outcome") != "success" {
				t.Errorf("event %d: from %v at %v, want %v at %v", i, got, at.Time(), want[i], received[i])
			}
		}
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestOnlyTheLogSpeaksForItself checks that nobody can put words about the log
// into its mouth.
func TestOnlyTheLogSpeaksForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		forged := strings.Replace(string(published("1", "mallory")), "project:release:add", "audit:key:rotate", 1)
		_, err := b.Accept(t.Context(), from, []byte(forged))
		if invalid, ok := errors.AsType[*event.InvalidError](err); !ok || invalid.Path != "tag" {
			t.Errorf("Accept = %v, want an InvalidError about the tag", err)
		}
		own := &event.Event{Tag: "audit:key:rotate", Actor: event.Party{Type: "system"}}
		if _, err := b.Record(t.Context(), intake.OwnSource, own); err != nil {
			t.Errorf("Record of the log's own: %v", err)
		}
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestAcceptAgainAfterFailure checks that an event that could not be recorded
// is not remembered as if it had been.
func TestAcceptAgainAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := b.Accept(context.Background(), from, published("1", "alice")); !errors.Is(err, journal.ErrStopped) {
				t.Errorf("Accept on a stopped journal = %v, want ErrStopped", err)
			}
		}
	})
}

// TestOpenRefusesChangedRecords checks that the start finds a record whose
// fields are not what its commitment says, though its checksum is right.
func TestOpenRefusesChangedRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		b := open(t, fs)
		if _, err := b.Accept(t.Context(), from, published("1", "alice")); err != nil {
			t.Fatal(err)
		}
		records, err := b.journal.Read(0, 1)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Replace(records[0].Body, []byte("alice"), []byte("mally"), 1)
		if _, err := b.journal.Append(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		files, err := journal.OpenFiles(fs)
		if err != nil {
			t.Fatal(err)
		}
		cat, err := catalogue.Load()
		if err != nil {
			t.Fatal(err)
		}
		_, err = intake.Open(t.Context(), intake.Config{Log: slog.New(slog.DiscardHandler), Journal: journal.New(files), Catalogue: cat}, nil)
		if !errors.Is(err, event.ErrCommitment) || !strings.Contains(err.Error(), "record 1 ") {
			t.Errorf("Open = %v, want an error about record 1", err)
		}
	})
}
