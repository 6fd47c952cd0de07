package journal_test

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// A keeper is the part of a store that the journal knows of: it has the records
// before taken durably, and only then has the journal drop them.
type keeper struct {
	next  journal.Seq // all that was acknowledged
	more  journal.Seq // records of the append under way
	taken journal.Seq // what From is told at the next start
}

// append appends n numbered records.
func (k *keeper) append(d *journal.Files, n journal.Seq) bool {
	k.more = n
	if err := d.Append(context.Background(), d.Next(), split(numbered(k.next, k.next+n))); err != nil {
		return false
	}
	k.next, k.more = k.next+n, 0
	return true
}

func (k *keeper) drop(d *journal.Files, before journal.Seq) bool {
	k.taken = max(k.taken, before)
	_, err := d.Drop(context.Background(), before)
	return err == nil
}

// check opens what a crash left from wanted on: all that was acknowledged must
// be there from some position on that is not later.
func (k *keeper) check(t tester, fs disk.FS, fileBytes int64, wanted journal.Seq) *journal.Files {
	t.Helper()
	d, err := journal.OpenFilesLimit(fs, fileBytes, journal.From(wanted))
	if err != nil {
		t.Fatalf("OpenFiles from %d after a crash, %d records dropped: %v", wanted, k.taken, err)
	}
	if d.First() > wanted {
		t.Fatalf("after a crash the first record is %d, wanted are those from %d on", d.First(), wanted)
	}
	if d.Next() == k.next+k.more {
		k.next, k.more = d.Next(), 0
	}
	wantRecords(t, d, d.First(), k.next)
	return d
}

// TestCrashInRotateAndDrop kills the process or cuts the power at each step of
// rotating and dropping, among appends. From the position that was told on
// nothing may be missing. Nor may there be a gap before: whatever is the oldest
// record that is left, a start that wants it finds all from it on.
func TestCrashInRotateAndDrop(t *testing.T) {
	most := 0
	for _, die := range []func(*disk.Mem) *disk.Mem{killed, worst, best, short, every(2), every(3)} {
		for step, died := 0, true; died; step++ {
			mem := new(disk.Mem)
			d := shelf(t, mem)
			k := &keeper{next: 14}
			power := cutAfter(mem, step, die)
			_ = d.Rotate(t.Context()) == nil && k.append(d, 2) && k.drop(d, 9) && k.append(d, 1) &&
				d.Rotate(t.Context()) == nil && k.drop(d, 17) && k.append(d, 2) // stops when the power does
			died = power.after != nil
			most = max(most, step)

			after := power.now()
			oldest := bases(t, after)[0]
			for wanted := min(oldest, k.taken); wanted <= k.taken; wanted++ {
				again := *k
				d := again.check(t, after.Crash(everything), 1<<20, wanted)
				if !again.append(d, 1) || d.Rotate(t.Context()) != nil || !again.drop(d, again.next) {
					t.Errorf("step %d: what a crash left does not go on", step)
				}
				wantRecords(t, d, again.next, again.next)
			}
			if k.taken < 9 && oldest > 0 || oldest > k.taken {
				t.Errorf("step %d: the oldest file is %d, dropped were the records before %d", step, oldest, k.taken)
			}
		}
	}
	if most < 30 {
		t.Errorf("there were %d steps, want more than 30", most)
	}
}

// every returns a way to die that loses one in n of all things that may be
// lost, and so of several removals some.
func every(n int) func(*disk.Mem) *disk.Mem {
	return func(fs *disk.Mem) *disk.Mem {
		asked := 0
		return fs.Crash(func(most int) int {
			if asked++; asked%n == 0 {
				return 0
			}
			return most
		})
	}
}

// TestLivesWithDrops appends, rotates and drops in any order, and dies in any
// way at any step, over and over.
func TestLivesWithDrops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := new(disk.Mem)
		k := new(keeper)
		fileBytes := rapid.Int64Range(100, 600).Draw(t, "file bytes")
		for range rapid.IntRange(1, 5).Draw(t, "lives") {
			power := cutAfter(fs, rapid.IntRange(0, 40).Draw(t, "changes"), drawDeath(t))
			if d, err := journal.OpenFilesLimit(power, fileBytes, journal.From(k.taken)); err == nil {
				k.live(t, d)
			} else if power.after == nil {
				t.Fatalf("OpenFiles: %v", err)
			}
			fs = power.now()
			k.check(t, fs, fileBytes, k.taken)
			if rapid.Bool().Draw(t, "cut again") {
				fs = worst(fs) // what was seen must have been made durable
			}
		}
		k.check(t, fs, fileBytes, k.taken)
	})
}

// live does what it likes until the power goes or it has had enough.
func (k *keeper) live(t *rapid.T, d *journal.Files) {
	alive := true
	for range rapid.IntRange(0, 10).Draw(t, "things to do") {
		if !alive {
			return
		}
		switch rapid.SampledFrom([]string{"append", "append", "rotate", "drop"}).Draw(t, "what") {
		case "append":
			alive = k.append(d, journal.Seq(rapid.IntRange(1, 6).Draw(t, "records")))
		case "rotate":
			alive = d.Rotate(context.Background()) == nil
		case "drop":
			alive = k.drop(d, journal.Seq(rapid.Int64Range(0, int64(k.next)).Draw(t, "before")))
		}
	}
	if alive && rapid.Bool().Draw(t, "close") {
		_ = d.Close() // the power may go
	}
}

// TestDroppedBytesAreGone looks for the bodies of dropped records in every
// file: what was to be erased must not stay in one of them.
func TestDroppedBytesAreGone(t *testing.T) {
	mem := new(disk.Mem)
	d := shelf(t, mem)
	if err := d.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Drop(t.Context(), d.Next()); err != nil {
		t.Fatal(err)
	}
	if got := bases(t, worst(mem)); !slices.Equal(got, []journal.Seq{14}) || mem.Used() != 32 {
		t.Errorf("after all was dropped there are files %v of %d bytes, want one header", got, mem.Used())
	}
}
