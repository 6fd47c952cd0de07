package journal_test

import (
	"context"
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
func openShort(t tester, fs disk.FS, fileBytes int64) *journal.Files {
	t.Helper()
	door, err := journal.OpenFilesLimit(fs, fileBytes)
	if err != nil {
		t.Fatalf("OpenFiles: %v", err)
	}
	return door
}
