package journal_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// FuzzOpen opens any bytes as the files of a journal. Whatever they are, it
// either says that they are damaged, or reads them to their end, and finds the
// same after another start.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{}, []byte{}, byte(0))
	for _, seed := range fuzzSeeds(f) {
		f.Add(seed.first, seed.second, seed.base)
		f.Add(seed.first, []byte{}, byte(0))
	}
	f.Fuzz(func(t *testing.T, first, second []byte, base byte) {
		fs := new(disk.Mem)
		put(t, fs, 0, first)
		if base > 0 {
			put(t, fs, int(base), second)
		}
		var corrupt *journal.CorruptError
		d, err := journal.OpenFiles(fs)
		if err != nil {
			if !errors.As(err, &corrupt) {
				t.Fatalf("OpenFiles = %v, want a CorruptError", err)
			}
			return
		}
		before, err := readAll(t, d, 0, 100)
		if err != nil && !errors.As(err, &corrupt) {
			t.Fatalf("Read = %v, want a CorruptError", err)
		}
		if err == nil && len(before) != int(d.Next()) {
			t.Fatalf("%d records, Next = %d", len(before), d.Next())
		}
		if err := d.Append(t.Context(), d.Next(), [][]byte{[]byte("more")}); err != nil {
			t.Fatalf("Append: %v", err)
		}
		if err := d.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		d = open(t, fs)
		after, _ := readAll(t, d, 0, 100)
		if corrupt == nil {
			before = append(before, "more")
		}
		if !slices.Equal(before, after) {
			t.Fatalf("%d records, %d after another start", len(before), len(after))
		}
	})
}

func put(t testing.TB, fs disk.FS, base int, data []byte) {
	t.Helper()
	if err := disk.ReplaceFile(fs, fmt.Sprintf("%020d.journal", base), data); err != nil {
		t.Fatal(err)
	}
}

type fuzzSeed struct {
	first, second []byte
	base          byte
}

// fuzzSeeds returns journals of two files, closed and not.
func fuzzSeeds(f *testing.F) []fuzzSeed {
	var seeds []fuzzSeed
	for _, closed := range []bool{true, false} {
		fs := new(disk.Mem)
		d := openShort(f, fs, 200)
		for i := range 6 {
			if err := d.Append(f.Context(), d.Next(), split([]string{fmt.Sprint("record ", i)})); err != nil {
				f.Fatal(err)
			}
		}
		if closed {
			_ = d.Close()
		}
		names, err := fs.List()
		if err != nil || len(names) < 2 {
			f.Fatalf("files %q, %v", names, err)
		}
		var s fuzzSeed
		s.first, _ = disk.ReadFile(fs, names[0])
		s.second, _ = disk.ReadFile(fs, names[1])
		_, _ = fmt.Sscanf(names[1], "%d", &s.base)
		seeds = append(seeds, s)
	}
	return seeds
}
