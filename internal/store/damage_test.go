package store_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
	"github.com/custody-log/custody/internal/store"
)

// One file that went bad must not keep a registry from its log, and must not
// make an answer that lacks events look like one that has all.
func TestDamagedSegment(t *testing.T) {
	for _, c := range []struct {
		name string
		hurt func(dir *disk.Mem, file string)
	}{
		{"its end is damaged", func(dir *disk.Mem, file string) { dir.Flip(file, int64(bytesOf(t, dir, file)-5), 1) }},
		{"it is missing", func(dir *disk.Mem, file string) {
			if err := dir.Remove(file); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := new(disk.Mem)
			_, family := families(t)
			r := newRig(t, 1200, func(c *store.Config) { c.Dir, c.SealRows = dir, 100 })
			r.feed(t)
			if _, err := r.Seal(context.Background()); err != nil {
				t.Fatal(err)
			}
			r.stop = sync.OnceFunc(r.stop)
			r.stop()
			file := largest(t, dir)
			c.hurt(dir, file)

			s, err := store.Open(store.Config{Dir: dir, Log: slog.New(slog.DiscardHandler), Family: family, Derive: r.derive, SealRows: 100})
			if err != nil {
				t.Fatalf("Open with a damaged file = %v", err)
			}
			defer s.Close()
			s.Connect(store.Parts{Journal: r.journal, Tree: r.journal})
			if trouble := s.Trouble(); len(trouble) != 1 || !strings.Contains(trouble[0], file) {
				t.Errorf("trouble is %q, want one sentence about %s", trouble, file)
			}
			all := new(query.Query)
			_, err = s.Search(context.Background(), store.Request{Query: all, Limit: store.MaxFound, Oldest: true, Budget: time.Minute})
			wantDamage(t, "Search", err, file)
			_, err = s.Count(context.Background(), store.CountRequest{Query: all})
			wantDamage(t, "Count", err, file)
			_, err = s.Values(context.Background(), "actor", "", 10)
			wantDamage(t, "Values", err, file)
			failed := 0
			for seq := range journal.Seq(1200) {
				if _, _, err := s.Record(seq); err != nil {
					failed++
					wantDamage(t, "Record", err, file)
				}
			}
			if failed == 0 {
				t.Error("every record can be read")
			}
			if err := s.Known(context.Background(), func(string, []byte, journal.Seq) {}); err != nil {
				t.Errorf("Known = %v: the log does not start", err)
			}
			// What the answer does not touch, it may do without.
			nothing, err := query.Parse("after:2031-01-01", start)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Count(context.Background(), store.CountRequest{Query: nothing}); err != nil {
				t.Errorf("Count of another time = %v", err)
			}
			if err := s.Tidy(context.Background()); err != nil {
				t.Errorf("Tidy = %v", err)
			}
			names, _, err := store.FileNames(dir)
			if err != nil || !names[file] {
				t.Errorf("the manifest has forgotten the damaged file: %v, %v", names, err)
			}
		})
	}
}

// A page that goes bad while the log runs must not stop the merging of others, nor
// be merged away.
func TestDamagedPage(t *testing.T) {
	dir := new(disk.Mem)
	_, family := families(t)
	r := newRig(t, 1500, func(c *store.Config) { c.Dir, c.SealRows = dir, 60 })
	r.feed(t)
	if _, err := r.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.stop = sync.OnceFunc(r.stop)
	r.stop()
	names, _, err := store.FileNames(dir)
	if err != nil {
		t.Fatal(err)
	}
	for file := range names {
		if strings.HasSuffix(file, ".main") {
			dir.Flip(file, 3, 1)
		}
	}
	s, err := store.Open(store.Config{Dir: dir, Log: slog.New(slog.DiscardHandler), Family: family, Derive: r.derive, SealRows: 5000})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Connect(store.Parts{Journal: r.journal, Tree: r.journal})
	if err := s.Tidy(context.Background()); err != nil {
		t.Errorf("Tidy = %v", err)
	}
	after, _, err := store.FileNames(dir)
	if err != nil {
		t.Fatal(err)
	}
	for file := range names {
		if !after[file] {
			t.Errorf("%s is damaged, and was merged away", file)
		}
	}
	_, err = s.Search(context.Background(), store.Request{Query: new(query.Query), Limit: store.MaxFound})
	if damage := (*segment.DamageError)(nil); !errors.As(err, &damage) {
		t.Errorf("Search = %v", err)
	}
	if len(s.Trouble()) == 0 {
		t.Error("there is no trouble")
	}
}

func wantDamage(t *testing.T, what string, err error, file string) {
	t.Helper()
	if damage := (*segment.DamageError)(nil); !errors.As(err, &damage) || damage.File != file {
		t.Errorf("%s = %v, want that %s is damaged", what, err, file)
	}
}

func bytesOf(t *testing.T, dir *disk.Mem, file string) int {
	t.Helper()
	data, err := disk.ReadFile(dir, file)
	if err != nil {
		t.Fatal(err)
	}
	return len(data)
}

// largest returns the largest main file.
func largest(t *testing.T, dir *disk.Mem) (file string) {
	t.Helper()
	names, _, err := store.FileNames(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name := range names {
		if strings.HasSuffix(name, ".main") && (file == "" || bytesOf(t, dir, name) > bytesOf(t, dir, file)) {
			file = name
		}
	}
	return file
}
