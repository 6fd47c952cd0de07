package journal_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// A tester is the part of testing.TB that rapid.T offers too.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// open opens the files in fs.
func open(t tester, fs disk.FS) *journal.Files {
	t.Helper()
	door, err := journal.OpenFiles(fs)
	if err != nil {
		t.Fatalf("OpenFiles: %v", err)
	}
	return door
}

// run runs a journal over door until stop is called, which closes door and
// returns how running ended.
func run(t tester, door journal.Door) (j *journal.Journal, stop func() error) {
	t.Helper()
	j = journal.New(door)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx) }()
	return j, func() error {
		cancel()
		err := <-done
		if cerr := door.Close(); err == nil {
			err = cerr
		}
		return err
	}
}

// A reader is a journal or a door.
type reader interface {
	Read(from journal.Seq, limit int) ([]journal.Record, error)
}

// readAll returns the bodies of all records from from on, and the error that
// ended reading, if any. It checks that positions have no gaps.
func readAll(t tester, r reader, from journal.Seq, limit int) ([]string, error) {
	t.Helper()
	var bodies []string
	for {
		records, err := r.Read(from, limit)
		if err != nil || len(records) == 0 {
			return bodies, err
		}
		for _, rec := range records {
			if rec.Seq != from {
				t.Fatalf("Read returned record %d where %d belongs", rec.Seq, from)
			}
			bodies = append(bodies, string(rec.Body))
			from++
		}
	}
}

func split(bodies []string) [][]byte {
	list := make([][]byte, 0, len(bodies))
	for b := range slices.Values(bodies) {
		list = append(list, []byte(b))
	}
	return list
}

// openShort opens the files in fs, which get no longer than fileBytes.
func openShort(t tester, fs disk.FS, fileBytes int64, options ...journal.Option) *journal.Files {
	t.Helper()
	door, err := journal.OpenFilesLimit(fs, fileBytes, options...)
	if err != nil {
		t.Fatalf("OpenFiles: %v", err)
	}
	return door
}

// numbered returns the bodies "record first" to "record next-1".
func numbered(first, next journal.Seq) []string {
	var bodies []string
	for n := first; n < next; n++ {
		bodies = append(bodies, fmt.Sprintf("record %04d", n))
	}
	return bodies
}

// shelf returns files that hold numbered records, three in each of four files
// that another one follows, and two in the last.
func shelf(t tester, fs disk.FS) *journal.Files {
	t.Helper()
	d := open(t, fs)
	for n := journal.Seq(0); n < 12; n += 3 {
		mustAppend(t, d, numbered(n, n+3)...)
		if err := d.Rotate(context.Background()); err != nil {
			t.Fatalf("Rotate at %d: %v", n+3, err)
		}
	}
	mustAppend(t, d, numbered(12, 14)...)
	return d
}

func mustAppend(t tester, d *journal.Files, bodies ...string) {
	t.Helper()
	if err := d.Append(context.Background(), d.Next(), split(bodies)); err != nil {
		t.Fatalf("Append at %d: %v", d.Next(), err)
	}
}

// wantRecords checks that d holds the numbered records from first to next, and
// says so.
func wantRecords(t tester, d *journal.Files, first, next journal.Seq) {
	t.Helper()
	if d.First() != first || d.Next() != next {
		t.Errorf("the files hold records %d to %d, want %d to %d", d.First(), d.Next(), first, next)
	}
	got, err := readAll(t, d, d.First(), 5)
	if err != nil || !slices.Equal(got, numbered(first, next)) {
		t.Errorf("the files hold %q, %v, want records %d to %d", got, err, first, next)
	}
}

// bases returns the first records of all files in fs.
func bases(t tester, fs disk.FS) []journal.Seq {
	t.Helper()
	names, err := fs.List()
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	var list []journal.Seq
	for _, name := range names {
		var base journal.Seq
		if _, err := fmt.Sscanf(name, "%020d.journal", &base); err != nil {
			t.Fatalf("file %s: %v", name, err)
		}
		list = append(list, base)
	}
	return list
}
