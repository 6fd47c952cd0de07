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

// A powerCut is a disk whose process dies before its nth change.
type powerCut struct {
	*disk.Mem
	left  int
	die   func(*disk.Mem) *disk.Mem
	after *disk.Mem // what is there afterwards, nil before
}

// cutAfter lets the process on fs die after n changes, in the way of die.
func cutAfter(fs *disk.Mem, n int, die func(*disk.Mem) *disk.Mem) *powerCut {
	c := &powerCut{Mem: fs, left: n, die: die}
	fs.Fail = func(op, _ string) error {
		if op == "read" || op == "list" {
			return nil
		}
		if c.after != nil {
			return disk.ErrInjected
		}
		if c.left--; c.left < 0 {
			c.after = die(fs)
			return disk.ErrInjected
		}
		return nil
	}
	return c
}

// now lets the process die if it is still alive, and returns the disk that the
// next one finds.
func (c *powerCut) now() *disk.Mem {
	if c.after == nil {
		c.after = c.die(c.Mem)
	}
	c.after.Fail = nil
	return c.after
}

// Ways to die.
var (
	// killed leaves all that was written, and all that was not synced unsynced.
	killed = func(fs *disk.Mem) *disk.Mem { return fs }
	// worst loses all that a power cut may lose.
	worst = func(fs *disk.Mem) *disk.Mem { return fs.Crash(func(int) int { return 0 }) }
	// best loses nothing.
	best = func(fs *disk.Mem) *disk.Mem { return fs.Crash(func(n int) int { return n }) }
	// short loses the last byte of each file.
	short = func(fs *disk.Mem) *disk.Mem {
		return fs.Crash(func(n int) int {
			if n > 1 {
				return n - 1
			}
			return n
		})
	}
)

// drawDeath draws a way to die.
func drawDeath(t *rapid.T) func(*disk.Mem) *disk.Mem {
	keep := func(n int) int { return rapid.IntRange(0, n).Draw(t, "kept") }
	torn := func(fs *disk.Mem) *disk.Mem {
		return fs.Crash(func(n int) int {
			if n > 1 {
				return n // all bytes, but any sector may be zeros
			}
			return keep(n)
		})
	}
	any := func(fs *disk.Mem) *disk.Mem { return fs.Crash(keep) }
	ways := []func(*disk.Mem) *disk.Mem{any, torn, worst, best, short, killed}
	return ways[rapid.IntRange(0, len(ways)-1).Draw(t, "way to die")]
}

// TestCrash appends groups to short files, kills the process or cuts the power
// at any step of opening, appending, rotating or closing, with any part of the
// unsynced bytes, sectors and names kept, and starts again, over and over.
// Whatever was acknowledged or seen by a reader must still be there; of what
// was not, whole appends or nothing.
func TestCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := new(disk.Mem)
		var promised []string
		fileBytes := rapid.Int64Range(100, 3000).Draw(t, "file bytes")
		for life := range rapid.IntRange(1, 5).Draw(t, "lives") {
			power := cutAfter(fs, rapid.IntRange(0, 30).Draw(t, "changes"), drawDeath(t))
			var coming []string
			promised, coming = liveOnce(t, power, fileBytes, life, promised)
			fs = power.now()

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
				fs = worst(fs)
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

// TestCrashTwice lets a process die at each step, and the next one at each
// step of what it does then: what recovery does must itself survive.
func TestCrashTwice(t *testing.T) {
	for _, first := range []func(*disk.Mem) *disk.Mem{killed, worst, best, short} {
		for step, died := 0, true; died; step++ {
			for again, diedAgain := 0, true; diedAgain; again++ {
				died, diedAgain = dieTwice(t, step, again, first)
				if again > 100 || step > 100 {
					t.Fatal("100 changes were not enough")
				}
			}
		}
	}
}

// dieTwice lets a process die after step changes, in the way of first, and the
// next one lose power after again changes. It reports which of them did.
func dieTwice(t *testing.T, step, again int, first func(*disk.Mem) *disk.Mem) (died, diedAgain bool) {
	power := cutAfter(new(disk.Mem), step, first)
	promised, coming := appendSome(power)
	died = power.after != nil
	with := append(slices.Clip(promised), coming...)

	power = cutAfter(power.now(), again, worst)
	if more, moreComing := appendSome(power); len(more) > 0 {
		if len(more) < len(promised) {
			t.Fatalf("after %d changes %q were promised, then %q", step, promised, more)
		}
		promised, with = more, append(slices.Clip(more), moreComing...)
	}
	diedAgain = power.after != nil

	got := reopen(t, power.now(), 200)
	if !slices.Equal(got, promised) && !slices.Equal(got, with) {
		t.Fatalf("after %d, then %d changes %q are there, promised were %q, coming %q",
			step, again, got, promised, with[len(promised):])
	}
	return died, diedAgain
}

// appendSome opens the journal and appends until the process dies or has
// appended enough for two files. It returns all that is promised by then, and
// the append under way.
func appendSome(power *powerCut) (promised, coming []string) {
	d, err := journal.OpenFilesLimit(power, 200)
	if err != nil {
		return nil, nil
	}
	for n := range d.Next() { // what is seen is promised
		promised = append(promised, fmt.Sprintf("record %04d", n))
	}
	for range 3 {
		n := len(promised)
		batch := []string{fmt.Sprintf("record %04d", n), fmt.Sprintf("record %04d", n+1)}
		if err := d.Append(context.Background(), d.Next(), split(batch)); err != nil {
			return promised, batch
		}
		promised = append(promised, batch...)
	}
	_ = d.Close() // the power may go
	return promised, nil
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
		power := cutAfter(fs, 1, drawDeath(t)) // the write happens, the sync does not
		if err := d.Append(context.Background(), 1, batch); !errors.Is(err, journal.ErrStopped) {
			t.Fatalf("Append without power = %v, want ErrStopped", err)
		}
		got := reopen(t, power.now(), 64<<20)
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
