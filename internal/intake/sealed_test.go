package intake_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
)

// A door that has dropped the records before first, which somebody else may
// have.
type door struct {
	journal.Door
	first journal.Seq
}

func (d door) First() journal.Seq { return d.first }

func (d door) Read(from journal.Seq, limit int) ([]journal.Record, error) {
	if from < d.first {
		return nil, journal.ErrDropped
	}
	return d.Door.Read(from, limit)
}

// An archive has sealed records. It stands for the store.
type archive struct {
	records []journal.Record
	history *intake.History
	read    atomic.Int64 // how often it was asked for records
}

// seal returns an archive of the first n records of b.
func seal(t *testing.T, b *bench, n int) *archive {
	t.Helper()
	a := &archive{history: openHistory(t, nil)}
	for len(a.records) < n {
		records, err := b.journal.Read(journal.Seq(len(a.records)), n-len(a.records))
		if err != nil {
			t.Fatal(err)
		}
		a.records = append(a.records, records...)
	}
	if err := take(a.history, a.records...); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *archive) Read(from journal.Seq, limit int) ([]journal.Record, error) {
	a.read.Add(1)
	end := min(len(a.records), int(from)+limit)
	return a.records[from:end], nil
}

// known is what [intake.Config.Known] must be.
func (a *archive) known(_ context.Context, yield func(source string, id []byte, seq journal.Seq)) error {
	var all sync.WaitGroup
	for part := range slices.Chunk(a.records, 1+len(a.records)/2) {
		all.Go(func() {
			for _, rec := range part {
				if rec.Body == nil {
					continue
				}
				r, err := event.DecodeRecord(rec.Body)
				if err != nil {
					panic(err)
				}
				id := []byte(r.Open().Text("id"))
				yield(r.Open().Text("source"), id, rec.Seq)
				clear(id) // the desk may not keep it
			}
		})
	}
	all.Wait()
	return nil
}

// openWith opens a desk as set says over the journal on fs, of which a has the
// beginning. A nil a has nothing.
func openWith(t *testing.T, fs disk.FS, a *archive, set func(*intake.Config)) (*bench, error) {
	t.Helper()
	files, err := journal.OpenFiles(fs)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	c := intake.Config{Log: slog.New(slog.DiscardHandler), Catalogue: cat}
	if a == nil {
		c.Journal = journal.New(files)
	} else {
		c.Journal = journal.New(door{files, journal.Seq(len(a.records))})
		c.Journal.SetPast(a)
		c.Sealed, c.Known, c.Snapshot = journal.Seq(len(a.records)), a.known, a.history.Snapshot()
	}
	if set != nil {
		set(&c)
	}
	b := &bench{journal: c.Journal}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.journal.Run(ctx) }()
	b.stop = func() error {
		cancel()
		return errors.Join(<-ended, files.Close())
	}
	if b.Desk, err = intake.Open(ctx, c, nil); err != nil {
		_ = b.stop() // what Open says matters
		return nil, err
	}
	return b, nil
}

func mustOpen(t *testing.T, fs disk.FS, a *archive, set func(*intake.Config)) *bench {
	t.Helper()
	b, err := openWith(t, fs, a, set)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// accept submits one event and fails unless it is at seq, recorded before or not.
func (b *bench) accept(t *testing.T, data []byte, seq journal.Seq, duplicate bool) {
	t.Helper()
	got, err := b.Accept(t.Context(), from, data)
	if err != nil || got.Seq != seq || got.Duplicate != duplicate {
		t.Errorf("Accept = %+v, %v, want position %d, duplicate %v", got, err, seq, duplicate)
	}
}

func (b *bench) end(t *testing.T) {
	t.Helper()
	if err := b.stop(); err != nil {
		t.Error(err)
	}
}

// TestSealedIsKnownUnread checks that a desk which was told of the sealed records
// recognises their events, sealed or not, without having read them at start. If
// it did not know one, that would be recorded twice; if it read them all, a start
// would take the longer the older the log.
func TestSealedIsKnownUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		b := open(t, fs)
		var events [][]byte
		for _, id := range []string{"0", "1", "2", "3"} {
			events = append(events, published(id, "alice"))
		}
		for i, data := range events {
			b.accept(t, data, journal.Seq(i), false)
		}
		for sealed := range len(events) + 1 {
			a := seal(t, b, sealed)
			b.end(t)
			b = mustOpen(t, fs, a, nil)
			if n := a.read.Load(); n > 0 {
				t.Errorf("%d sealed: the start asked for them %d times", sealed, n)
			}
			for i, data := range events {
				b.accept(t, data, journal.Seq(i), true)
			}
			_, err := b.Accept(t.Context(), from, published("0", "mallory"))
			if conflict, ok := errors.AsType[*intake.ConflictError](err); !ok || conflict.Seq != 0 {
				t.Errorf("%d sealed: Accept of another event = %v, want a conflict with position 0", sealed, err)
			}
			b.end(t)
			b = mustOpen(t, fs, nil, nil)
		}
		b.end(t)
	})
}

// TestDroppedIsNotKnown checks that an event whose record retention dropped is
// recorded anew, before and after a restart, and never answered with a position
// where nothing is.
func TestDroppedIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		b := open(t, fs)
		dropped, kept := published("dropped", "alice"), published("kept", "alice")
		b.accept(t, dropped, 0, false)
		b.accept(t, kept, 1, false)
		a := seal(t, b, 2)
		b.end(t)
		b = mustOpen(t, fs, a, nil)
		a.records[0].Body = nil // while the desk knows it
		b.accept(t, dropped, 2, false)
		b.accept(t, dropped, 2, true)
		b.accept(t, kept, 1, true)
		b.end(t)
		b = mustOpen(t, fs, a, nil)
		b.accept(t, dropped, 2, true)
		b.accept(t, kept, 1, true)
		b.end(t)
	})
}

// TestGoneRecordsAreSkipped checks that records which are gone, though nobody
// said that they are sealed, stop neither the start nor the count behind them.
func TestGoneRecordsAreSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		b := open(t, fs)
		b.accept(t, published("0", "alice"), 0, false)
		b.accept(t, published("1", "alice"), 1, false)
		a := seal(t, b, 2)
		b.end(t)
		a.records[0].Body = nil
		b = mustOpen(t, fs, a, func(c *intake.Config) { c.Sealed, c.Known, c.Snapshot = 0, nil, nil })
		b.accept(t, published("1", "alice"), 1, true)
		b.end(t)
	})
}

// TestGapsOverSealing follows a source whose gap lies before what is sealed: it
// is recorded once, and what fills it is recognised.
func TestGapsOverSealing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		b := open(t, fs)
		b.accept(t, counted(1), 0, false)
		b.accept(t, counted(5), 1, false)
		own := func(records int) (tags []string) {
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- b.Run(ctx) }()
			time.Sleep(time.Minute)
			synctest.Wait()
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if n := b.journal.Size(); n != journal.Seq(records) {
				t.Fatalf("the journal holds %d records, want %d", n, records)
			}
			for _, r := range b.records(t) {
				if f := r.Open(); f.Text("source") == intake.OwnSource {
					tags = append(tags, f.Text("tag"))
				}
			}
			return tags
		}
		for sealed := range 3 {
			a := seal(t, b, sealed)
			b.end(t)
			b = mustOpen(t, fs, a, nil)
		}
		own(3)
		a := seal(t, b, 3)
		b.end(t)
		b = mustOpen(t, fs, a, nil)
		own(3)
		b.accept(t, counted(3), 3, false)
		want := []string{"audit:source:gap", "audit:source:gap_close"}
		if got := own(5); !slices.Equal(got, want) {
			t.Errorf("recorded %q, want %q", got, want)
		}
		b.end(t)
	})
}

// TestOpenRefusesWhatDoesNotFit checks that parts of different logs, or of
// different days of one, are not taken for one.
func TestOpenRefusesWhatDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		b := open(t, fs)
		for i, id := range []string{"0", "1", "2"} {
			b.accept(t, published(id, "alice"), journal.Seq(i), false)
		}
		older, a := seal(t, b, 1), seal(t, b, 2)
		b.end(t)
		lost := errors.New("lost")
		for _, tt := range []struct {
			name string
			set  func(*intake.Config)
			want string
		}{
			{"more is sealed than there is", func(c *intake.Config) { c.Sealed = 4 }, "4 records are sealed, and there are 3"},
			{"state of another day", func(c *intake.Config) { c.Snapshot = older.history.Snapshot() }, "is that of 1 records, and 2 are sealed"},
			{"no state", func(c *intake.Config) { c.Snapshot = nil }, "is that of 0 records, and 2 are sealed"},
			{"damaged state", func(c *intake.Config) { c.Snapshot = []byte("{") }, "state of the sources: unexpected EOF"},
			{"no answer", func(c *intake.Config) {
				c.Known = func(context.Context, func(string, []byte, journal.Seq)) error { return lost }
			}, "what is sealed: lost"},
			{"an event that is not sealed", func(c *intake.Config) {
				c.Known = func(_ context.Context, yield func(string, []byte, journal.Seq)) error {
					yield("registry", []byte("2"), 2)
					return nil
				}
			}, "record 2 is named as one of the 2 that are sealed"},
			{"an event before the first", func(c *intake.Config) {
				c.Known = func(_ context.Context, yield func(string, []byte, journal.Seq)) error {
					yield("registry", []byte("2"), -1)
					return nil
				}
			}, "record -1 is named"},
			{"addresses of 33 bits", func(c *intake.Config) { c.Anonymise.V4 = 33 }, "addresses cut to 33 and 0 bits"},
		} {
			if _, err := openWith(t, fs, a, tt.set); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: Open = %v, want %q", tt.name, err, tt.want)
			}
		}
	})
}

// TestErasedEventIsTheSame checks that an event of which personal fields were
// erased is still recognised when its source sends it again, and that another
// event under its ID is still refused.
func TestErasedEventIsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		b := open(t, fs)
		data := published("1", "alice")
		b.accept(t, data, 0, false)
		a := seal(t, b, 1)
		b.end(t)
		erased, err := event.Erase(a.records[0].Body, func(_ int, f *event.StoredField) bool { return f.Private })
		if err != nil {
			t.Fatal(err)
		}
		a.records[0].Body = erased
		b = mustOpen(t, fs, a, nil)
		b.accept(t, data, 0, true)
		for _, tt := range []struct{ name, old, new string }{
			{"another value of what lasts", "demo-pkg", "other-pkg"},
			{"a field less", `,"context":{"ip":"203.0.113.9"}`, ``},
			{"a field more", `{"ip":`, `{"request_id":"r","ip":`},
			{"another type of what was there", `"1.0.0"`, `"1.0.1"`},
		} {
			other := strings.Replace(string(data), tt.old, tt.new, 1)
			_, err := b.Accept(t.Context(), from, []byte(other))
			if _, ok := errors.AsType[*intake.ConflictError](err); !ok {
				t.Errorf("%s: Accept = %v, want a conflict", tt.name, err)
			}
		}
		b.end(t)
	})
}

// TestOpenSecretsComeFromTheKey checks that the open secret of a record can be
// made again from the log's key, and that the private one cannot: from it an
// address could be found after it was erased.
func TestOpenSecretsComeFromTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := [event.SecretBytes]byte{1, 2, 3}
		var private []event.Secrets
		for range 2 {
			b := mustOpen(t, new(disk.Mem), nil, func(c *intake.Config) { c.OpenKey = key })
			data := string(published("1", "alice")) + "\n" + string(published("2", "alice"))
			if _, err := b.AcceptBatch(t.Context(), from, []byte(data), event.NDJSON); err != nil {
				t.Fatal(err)
			}
			for _, r := range b.records(t) {
				if want := event.OpenSecret(&key, from.Source, r.Open().Text("id")); r.Secrets.Open != want {
					t.Errorf("open secret %x, want %x", r.Secrets.Open, want)
				}
				if err := r.Verify(); err != nil {
					t.Error(err)
				}
				private = append(private, event.Secrets{Private: r.Secrets.Private})
			}
			b.end(t)
		}
		for i, s := range private {
			if slices.Contains(private[:i], s) || s == (event.Secrets{}) {
				t.Errorf("private secret %x is there twice, or nothing", s.Private)
			}
		}
	})
}
