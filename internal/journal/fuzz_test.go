package journal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// FuzzOpen opens any bytes as the files of a journal. Whatever they are, it
// either says that they are damaged, or reads them to their end, and finds the
// same after another start. With fix, the checksums of headers are made right,
// to get at what is behind them.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{}, []byte{}, byte(0), false)
	for _, seed := range fuzzSeeds(f) {
		f.Add(seed.first, seed.second, seed.base, true)
		f.Add(seed.first, []byte{}, byte(0), false)
	}
	f.Fuzz(func(t *testing.T, first, second []byte, base byte, fix bool) {
		if fix {
			first, second = fixHeaders(first), fixHeaders(second)
		}
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

// fixHeaders returns b with the checksums of the file header and of all groups
// made right.
func fixHeaders(b []byte) []byte {
	const header, mark = 32, 20
	if len(b) < header {
		return b
	}
	b = bytes.Clone(b)
	fix := func(b []byte) {
		binary.LittleEndian.PutUint32(b[header-4:], crc32.Checksum(b[:header-4], crc32.MakeTable(crc32.Castagnoli)))
	}
	fix(b)
	for i := header; i+header <= len(b); i++ {
		if bytes.Equal(b[i:i+8], b[mark:mark+8]) {
			fix(b[i:])
		}
	}
	return b
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
