package segment_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/segment"
)

// onDisk writes a segment of records into a directory and opens it.
func onDisk(t *testing.T, list []*event.Record, cache *segment.Cache) (path string, s *segment.Segment) {
	t.Helper()
	path = t.TempDir()
	fs, err := disk.Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	main, side, _ := table(t, list).Seal()
	for name, data := range map[string][]byte{"main": main, "side": side} {
		if err := disk.ReplaceFile(fs, name, data); err != nil {
			t.Fatal(err)
		}
	}
	if s, err = segment.Open(fs, "main", "side", openKey, cache); err != nil {
		t.Fatal(err)
	}
	return path, s
}

// checkRows compares all rows with the records they were made of.
func checkAll(t *testing.T, s *segment.Segment, list []*event.Record) {
	t.Helper()
	r := s.Reader()
	defer r.Release()
	var got event.Record
	for row := range list {
		seq, err := r.Record(row, &got)
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(&got, list[seq]); d != "" {
			t.Fatalf("row %d: %s", row, d)
		}
	}
}

// TestMapped reads files that are mapped, over several rounds, from several
// goroutines, with a limit so small that rounds end while rows are read.
func TestMapped(t *testing.T) {
	list := records(t, 2000)
	cache := segment.NewCache(1) // the least there is
	_, s := onDisk(t, list, cache)
	if n := cache.Mapped(); n != 2 {
		t.Fatalf("%d files are mapped, want both", n)
	}
	before := cache.Round()
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() { checkAll(t, s, list) })
	}
	for range 20 {
		cache.EndRound()
		checkAll(t, s, list)
	}
	readers.Wait()
	if cache.Round() < before+20 {
		t.Errorf("%d rounds have ended, want 20", cache.Round()-before)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := cache.Mapped(); n != 0 {
		t.Errorf("%d files are mapped after Close", n)
	}
}

// TestMappedDamage changes a byte of a mapped file. The first who reads the page
// in a round is told; who has it already need not be, until the next round.
func TestMappedDamage(t *testing.T) {
	list := records(t, 300)
	cache := segment.NewCache(64 << 20)
	path, s := onDisk(t, list, cache)
	defer func() { _ = s.Close() }()
	checkAll(t, s, list)
	for _, name := range []string{"main", "side"} {
		flip := func() {
			f, err := os.OpenFile(filepath.Join(path, name), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			var b [1]byte
			if _, err := f.ReadAt(b[:], 5); err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte{b[0] ^ 1}, 5); err != nil {
				t.Fatal(err)
			}
		}
		flip()
		cache.EndRound()
		var got event.Record
		_, err := s.Reader().Record(7, &got)
		if damage, ok := errors.AsType[*segment.DamageError](err); !ok || damage.File != name {
			t.Errorf("a changed byte of %s: Record = %v, want damage to it", name, err)
		}
		flip()
		if _, err := s.Reader().Record(7, &got); err != nil {
			t.Errorf("%s is whole again, and Record = %v", name, err)
		}
	}
}

// TestMappedCut cuts a file that is mapped: what is not there any more is damage,
// not the end of the program.
func TestMappedCut(t *testing.T) {
	list := records(t, 3000)
	cache := segment.NewCache(64 << 20)
	path, s := onDisk(t, list, cache)
	defer func() { _ = s.Close() }()
	checkAll(t, s, list) // every page is checked, and trusted for a while
	if err := os.Truncate(filepath.Join(path, "main"), 100); err != nil {
		t.Fatal(err)
	}
	r := s.Reader()
	var got event.Record
	failed := 0
	for row := range list {
		if _, err := r.Record(row, &got); err != nil {
			if damage, ok := errors.AsType[*segment.DamageError](err); !ok || damage.File == "" {
				t.Fatalf("Record of a file that was cut = %v, want damage", err)
			}
			failed++
		}
	}
	if failed == 0 {
		t.Error("the cut was not noticed")
	}
}
