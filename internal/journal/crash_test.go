package journal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// A powerCut is a disk that loses power before its nth change.
type powerCut struct {
	*disk.Mem
	left  int
	after *disk.Mem // what is there after the cut, nil before
}

// cutAfter lets fs lose power after n changes. What unsynced changes survive
// is up to keep.
func cutAfter(fs *disk.Mem, n int, keep func(int) int) *powerCut {
	c := &powerCut{Mem: fs, left: n}
	fs.Fail = func(op, _ string) error {
		if op == "read" || op == "list" {
			return nil
		}
		if c.after != nil {
			return disk.ErrInjected
		}
		if c.left--; c.left < 0 {
			c.after = fs.Crash(keep)
			return disk.ErrInjected
		}
		return nil
	}
	return c
}

// now cuts the power if it is not cut yet and returns the disk after it.
func (c *powerCut) now(keep func(int) int) *disk.Mem {
	if c.after == nil {
		c.after = c.Crash(keep)
	}
	return c.after
}

// drawKeep draws what survives a power cut: nothing, everything, or any part.
func drawKeep(t *rapid.T) func(n int) int {
	switch rapid.IntRange(0, 4).Draw(t, "survives") {
	case 0:
		return func(int) int { return 0 }
	case 1:
		return func(n int) int { return n }
	default:
		return func(n int) int { return rapid.IntRange(0, n).Draw(t, "kept") }
	}
}

// TestCrash appends groups to short files, cuts the power at any step of
// opening, appending, rotating or closing, with any part of the unsynced
// bytes, sectors and names kept, and starts again, over and over. Whatever was
// acknowledged or seen by a reader must still be there; of what was not,
// whole appends or nothing.
func TestCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := new(disk.Mem)
		var promised []string
		fileBytes := rapid.Int64Range(100, 3000).Draw(t, "file bytes")
		for life := range rapid.IntRange(1, 5).Draw(t, "lives") {
			power := cutAfter(fs, rapid.IntRange(0, 30).Draw(t, "changes"), drawKeep(t))
			var coming []string
			promised, coming = liveOnce(t, power, fileBytes, life, promised)
			fs = power.now(drawKeep(t))

			got := reopen(t, fs, fileBytes)
			if with := append(slices.Clip(promised), coming...); slices.Equal(got, with) {
				promised = with
			}
			if !slices.Equal(got, promised) {
				t.Fatalf("after a crash %d records %q, promised %d %q, coming %q",
					len(got), got, len(promised), promised, coming)
			}
			if rapid.Bool().Draw(t, "cut again") {
				// What reopen saw it must have made durable.
				fs = fs.Crash(func(int) int { return 0 })
			}
		}
		if got := reopen(t, fs, fileBytes); !slices.Equal(got, promised) {
			t.Fatalf("at the end %q, promised %q", got, promised)
		}
	})
}

// liveOnce opens the journal and appends until the power goes, or it has had
// enough. It returns all that is promised by then, and the append under way.
func liveOnce(t *rapid.T, power *powerCut, fileBytes int64, life int, promised []string) (_, coming []string) {
	d, err := journal.OpenFilesLimit(power, fileBytes)
	if err != nil {
		if power.after == nil {
			t.Fatalf("OpenFiles: %v", err)
		}
		return promised, nil
	}
	for i := range rapid.IntRange(0, 8).Draw(t, "appends") {
		var batch []string
		for k := range rapid.IntRange(1, 12).Draw(t, "records") {
			pad := rapid.IntRange(0, 300).Draw(t, "pad")
			batch = append(batch, fmt.Sprintf("%d.%d.%d%s", life, i, k, strings.Repeat("-", pad)))
		}
		if err := d.Append(context.Background(), d.Next(), split(batch)); err != nil {
			if power.after == nil {
				t.Fatalf("Append: %v", err)
			}
			return promised, batch
		}
		promised = append(promised, batch...)
	}
	if rapid.Bool().Draw(t, "close") {
		_ = d.Close() // the power may go
	}
	return promised, nil
}

// reopen returns the records that a restart finds on fs.
func reopen(t tester, fs disk.FS, fileBytes int64) []string {
	t.Helper()
	d, err := journal.OpenFilesLimit(fs, fileBytes)
	if err != nil {
		t.Fatalf("OpenFiles after a crash: %v", err)
	}
	got, err := readAll(t, d, 0, 7)
	if err != nil {
		t.Fatalf("Read after a crash: %v", err)
	}
	if int(d.Next()) != len(got) {
		t.Fatalf("Next = %d of %d records", d.Next(), len(got))
	}
	return got
}

// TestCrashInLargeAppend tears an append of 10,000 records at every place a
// disk can: a batch that was refused or lost must not be there in part, or its
// source would not know what to send again.
func TestCrashInLargeAppend(t *testing.T) {
	batch := make([][]byte, journal.MaxAppendRecords)
	for i := range batch {
		batch[i] = fmt.Appendf(nil, "%060d", i)
	}
	rapid.Check(t, func(t *rapid.T) {
		fs := new(disk.Mem)
		d := open(t, fs)
		if err := d.Append(context.Background(), 0, [][]byte{[]byte("before")}); err != nil {
			t.Fatalf("Append: %v", err)
		}
		power := cutAfter(fs, 1, drawKeep(t)) // the write happens, the sync does not
		if err := d.Append(context.Background(), 1, batch); !errors.Is(err, journal.ErrStopped) {
			t.Fatalf("Append without power = %v, want ErrStopped", err)
		}
		got := reopen(t, power.after, 64<<20)
		if n := len(got); (n != 1 && n != 1+len(batch)) || got[0] != "before" {
			t.Fatalf("%d of %d records are there", n-1, len(batch))
		}
	})
}

// TestReadersSeeOnlyDurable looks at the journal while each sync is still
// running: a reader that acted on a record which a power cut takes back would
// have told a lie.
func TestReadersSeeOnlyDurable(t *testing.T) {
	fs := new(disk.Mem)
	d := openShort(t, fs, 300)
	j, stop := run(t, d)
	var promised []string
	looks := 0
	fs.Fail = func(op, _ string) error {
		if op != "sync" {
			return nil
		}
		looks++
		if got, err := readAll(t, j, 0, 100); err != nil || !slices.Equal(got, promised) {
			t.Errorf("during a sync a reader of the journal sees %q, %v, durable are %q", got, err, promised)
		}
		if got, err := readAll(t, d, 0, 100); err != nil || !slices.Equal(got, promised) {
			t.Errorf("during a sync a reader of the files sees %q, %v, durable are %q", got, err, promised)
		}
		return nil
	}
	for i := range 20 {
		body := fmt.Sprint("record ", i)
		if _, err := j.Append(t.Context(), []byte(body)); err != nil {
			t.Fatalf("Append: %v", err)
		}
		promised = append(promised, body)
	}
	if err := stop(); err != nil {
		t.Fatalf("Run: %v", err)
	}
	if looks <= 20 {
		t.Errorf("looked %d times in 20 appends and several rotations", looks)
	}
}
