package journal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// TestDrop drops what lies before each position: a file goes once all its
// records may, the last never. A record too many would be lost, and one too few
// that should be erased would stay.
func TestDrop(t *testing.T) {
	for before := journal.Seq(-1); before < 20; before++ {
		disks := map[string]disk.FS{"memory": new(disk.Mem)}
		real, err := disk.Dir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		disks["real"] = real
		for name, fs := range disks {
			d := shelf(t, fs)
			files := min(max(0, int(before)/3), 4)
			first := journal.Seq(3 * files)
			dropped, err := d.Drop(t.Context(), before)
			if dropped != files || err != nil {
				t.Errorf("%s disk: Drop(%d) = %d, %v, want %d files", name, before, dropped, err, files)
			}
			if got := bases(t, fs); got[0] != first || len(got) != 5-files {
				t.Errorf("%s disk: after Drop(%d) files begin at %v, want %d of them, the first at %d", name, before, got, 5-files, first)
			}
			wantRecords(t, d, first, 14)
			mustAppend(t, d, numbered(14, 15)...)
			if err := d.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			d = openShort(t, fs, 1<<20, journal.From(first))
			wantRecords(t, d, first, 15)
			if err := d.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if n, err := journal.Check(t.Context(), fs, journal.From(first)); n != 15-first || err != nil {
				t.Errorf("Check = %d, %v, want %d records", n, err, 15-first)
			}
		}
	}
}

// TestRotate begins files by hand: one that holds nothing is not followed by
// another, or each call would leave a file; and positions go on.
func TestRotate(t *testing.T) {
	fs := new(disk.Mem)
	d := open(t, fs)
	for _, want := range [][]journal.Seq{{0}, {0, 2}, {0, 2, 4}} {
		for range 2 {
			if err := d.Rotate(t.Context()); err != nil {
				t.Fatalf("Rotate: %v", err)
			}
		}
		if got := bases(t, fs); !slices.Equal(got, want) {
			t.Errorf("files begin at %v, want %v", got, want)
		}
		mustAppend(t, d, numbered(d.Next(), d.Next()+2)...)
	}
	wantRecords(t, d, 0, 6)
}

// TestRotateAndDropWhenOver checks that both obey their context, and that
// files that are closed, failed or open for reading stay as they are.
func TestRotateAndDropWhenOver(t *testing.T) {
	fs := new(disk.Mem)
	d := shelf(t, fs)
	before := bases(t, fs)
	check := func(name string, d *journal.Files, ctx context.Context, want error) {
		t.Helper()
		if err := d.Rotate(ctx); !errors.Is(err, want) {
			t.Errorf("%s: Rotate = %v, want %v", name, err, want)
		}
		if n, err := d.Drop(ctx, 12); n != 0 || !errors.Is(err, want) {
			t.Errorf("%s: Drop = %d, %v, want %v", name, n, err, want)
		}
		if got := bases(t, fs); !slices.Equal(got, before) {
			t.Errorf("%s: files begin at %v, before at %v", name, got, before)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	check("a context that has ended", d, over, context.Canceled)
	r, err := journal.ReadFiles(fs)
	if err != nil {
		t.Fatal(err)
	}
	check("open for reading", r, t.Context(), journal.ErrStopped)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	check("closed", d, t.Context(), journal.ErrStopped)

	d = open(t, fs)
	fs.Limit(fs.Used() + 1)
	if err := d.Append(t.Context(), d.Next(), split([]string{"x"})); !disk.IsFull(err) {
		t.Errorf("Append to a full disk = %v, want that said", err)
	}
	check("failed", d, t.Context(), journal.ErrStopped)
}

// TestFailedRotateStops lets each change of a rotation by hand fail: what the
// files then say of each other is unknown, so that nothing may be appended.
func TestFailedRotateStops(t *testing.T) {
	for step := range 20 {
		mem := new(disk.Mem)
		d := shelf(t, mem)
		power := cutAfter(mem, step, best)
		if err := d.Rotate(t.Context()); power.after == nil {
			if err != nil || step != 7 {
				t.Errorf("Rotate = %v after %d changes, want 7 changes", err, step)
			}
			return
		} else if !errors.Is(err, journal.ErrStopped) || !errors.Is(err, disk.ErrInjected) {
			t.Errorf("Rotate without power after %d changes = %v, want ErrStopped and the cause", step, err)
		}
		if err := d.Append(t.Context(), 14, split([]string{"x"})); !errors.Is(err, journal.ErrStopped) {
			t.Errorf("Append after that = %v, want ErrStopped", err)
		}
		mem.Fail = nil
		wantRecords(t, d, 0, 14)
	}
}

// TestFullDiskAtRotate fills the disk during a rotation by hand: the operator
// is told, and a start with room again has everything.
func TestFullDiskAtRotate(t *testing.T) {
	for room := range int64(64) {
		mem := new(disk.Mem)
		d := shelf(t, mem)
		mem.Limit(mem.Used() + room)
		if err := d.Rotate(t.Context()); !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, journal.ErrStopped) {
			t.Fatalf("Rotate with room for %d bytes = %v, want ENOSPC", room, err)
		}
		after := mem.Crash(everything)
		after.Limit(0)
		wantRecords(t, open(t, after), 0, 14)
	}
}

// TestFailedDrop lets each removal, and each sync after one, fail: nothing else
// does, what is in memory is what is on disk, and a later Drop finishes.
func TestFailedDrop(t *testing.T) {
	for _, failing := range []string{"remove", "syncdir"} {
		for nth := range 3 {
			mem := new(disk.Mem)
			d := shelf(t, mem)
			seen := 0
			mem.Fail = func(op, _ string) error {
				if op == failing {
					if seen++; seen == nth+1 {
						return disk.ErrInjected
					}
				}
				return nil
			}
			name := fmt.Sprintf("%s %d fails", failing, nth)
			n, err := d.Drop(t.Context(), 9)
			if n != nth || !errors.Is(err, disk.ErrInjected) || errors.Is(err, journal.ErrStopped) {
				t.Errorf("%s: Drop = %d, %v, want %d files and the cause", name, n, err, nth)
			}
			wantRecords(t, d, bases(t, mem)[0], 14)
			mustAppend(t, d, numbered(14, 15)...)

			n, err = d.Drop(t.Context(), 9)
			if n != 3-nth || err != nil {
				t.Errorf("%s: the next Drop = %d, %v, want the other %d files", name, n, err, 3-nth)
			}
			wantRecords(t, d, 9, 15)
			after := worst(mem)
			if got := bases(t, after); got[0] != 9 {
				t.Errorf("%s: after a power cut the files begin at %v", name, got)
			}
			wantRecords(t, openShort(t, after, 1<<20, journal.From(9)), 9, 15)
		}
	}
}

// TestFrom opens a journal of records 3 to 14, in files of three, from each
// position: whatever is wanted and not there is said to be missing, and by
// what is not wanted nobody is bothered.
func TestFrom(t *testing.T) {
	for wanted := journal.Seq(-1); wanted < 20; wanted++ {
		mem := new(disk.Mem)
		d := shelf(t, mem)
		if n, err := d.Drop(t.Context(), 3); n != 1 || err != nil {
			t.Fatalf("Drop = %d, %v", n, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d, err := journal.OpenFiles(mem, journal.From(wanted))
		var corrupt *journal.CorruptError
		switch {
		case wanted < 0:
			if err == nil || errors.As(err, &corrupt) {
				t.Errorf("OpenFiles from %d = %v, want a refusal", wanted, err)
			}
		case wanted < 3:
			if !errors.As(err, &corrupt) || corrupt.Seq != wanted {
				t.Errorf("OpenFiles from %d = %v, want that missing", wanted, err)
			}
		case wanted > 14:
			if !errors.As(err, &corrupt) || corrupt.Seq != 14 {
				t.Errorf("OpenFiles from %d = %v, want that the end is missing", wanted, err)
			}
		case err != nil:
			t.Errorf("OpenFiles from %d: %v", wanted, err)
		default:
			wantRecords(t, d, 3, 14)
		}
	}
}

// TestMissingJournal opens directories from which the last file has gone. A
// new journal there would give positions away a second time.
func TestMissingJournal(t *testing.T) {
	for _, left := range []string{"", "custjrnl, and then the power went"} {
		mem := new(disk.Mem)
		if left != "" {
			file, err := mem.Open(fmt.Sprintf("%020d.journal", 14))
			if err == nil {
				_, err = file.Write([]byte(left)[:20])
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var corrupt *journal.CorruptError
		if _, err := journal.OpenFiles(mem, journal.From(14)); !errors.As(err, &corrupt) || corrupt.Seq != 14 {
			t.Errorf("OpenFiles of %q = %v, want a CorruptError about record 14", left, err)
		}
		if _, err := journal.ReadFiles(mem, journal.From(14)); !errors.As(err, &corrupt) || corrupt.Seq != 14 {
			t.Errorf("ReadFiles of %q = %v, want a CorruptError about record 14", left, err)
		}
	}
}

// TestDamageBelowWanted takes away and cuts files, all of whose records were
// taken over: the start goes well with those that are whole, and Drop removes
// the rest.
func TestDamageBelowWanted(t *testing.T) {
	for base := journal.Seq(0); base < 12; base += 3 {
		for _, remove := range []bool{true, false} {
			mem := new(disk.Mem)
			if err := shelf(t, mem).Close(); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%020d.journal", base)
			if remove {
				if err := mem.Remove(name); err != nil {
					t.Fatal(err)
				}
			} else {
				mem.Flip(name, 20, 0)
			}
			var corrupt *journal.CorruptError
			if _, err := journal.OpenFiles(mem, journal.From(base)); !errors.As(err, &corrupt) || corrupt.Seq != base {
				t.Errorf("without file %d OpenFiles from there = %v, want a CorruptError", base, err)
			}
			d := openShort(t, mem, 1<<20, journal.From(base+3))
			wantRecords(t, d, base+3, 14)
			if _, err := d.Drop(t.Context(), base); err != nil {
				t.Errorf("Drop(%d): %v", base, err)
			}
			if _, err := d.Drop(t.Context(), base+3); err != nil {
				t.Errorf("Drop(%d): %v", base+3, err)
			}
			if got := bases(t, mem); got[0] != base+3 {
				t.Errorf("after Drop(%d) files begin at %v", base+3, got)
			}
			wantRecords(t, d, base+3, 14)
		}
	}
}

// TestDropUnderReader drops a file in the middle of reading it, before and
// after the reader has opened it: it gets the records or hears that they were
// dropped, also if it is another process, and never that they are damaged.
func TestDropUnderReader(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		for step := 0; ; step++ {
			mem := new(disk.Mem)
			d := shelf(t, mem)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			d = openShort(t, mem, 1<<20) // which has read none of the older files yet
			r := d
			if elsewhere {
				var err error
				if r, err = journal.ReadFiles(mem); err != nil {
					t.Fatal(err)
				}
			}
			seen := 0
			mem.Fail = func(op, _ string) error {
				if op != "open" && op != "read" {
					return nil
				}
				if seen++; seen != step+1 {
					return nil
				}
				if n, err := d.Drop(context.Background(), 12); n != 4 || err != nil {
					t.Errorf("Drop = %d, %v", n, err)
				}
				return nil
			}
			records, err := r.Read(1, 20)
			if seen <= step {
				if step < 3 {
					t.Errorf("reading took %d steps, want several", step)
				}
				break
			}
			for i, rec := range records {
				if string(rec.Body) != fmt.Sprintf("record %04d", i+1) {
					t.Errorf("dropped at step %d: record %d is %q", step, rec.Seq, rec.Body)
				}
			}
			if (err == nil) != (len(records) > 0) || (err != nil && !errors.Is(err, journal.ErrDropped)) {
				t.Errorf("dropped at step %d: Read = %d records, %v, want records or ErrDropped", step, len(records), err)
			}
		}
	}
}

// TestDropHidesBeforeItRemoves reads at the moment at which a file is about to
// go: who is told by then that its records are there would not find them.
func TestDropHidesBeforeItRemoves(t *testing.T) {
	mem := new(disk.Mem)
	d := shelf(t, mem)
	var seen []journal.Seq
	mem.Fail = func(op, _ string) error {
		if op != "remove" {
			return nil
		}
		seen = append(seen, d.First())
		if records, err := d.Read(d.First()-1, 1); !errors.Is(err, journal.ErrDropped) {
			t.Errorf("Read(%d) = %v, %v, want ErrDropped", d.First()-1, records, err)
		}
		return nil
	}
	if _, err := d.Drop(t.Context(), 12); err != nil {
		t.Errorf("Drop: %v", err)
	}
	if want := []journal.Seq{3, 6, 9, 12}; !slices.Equal(seen, want) {
		t.Errorf("when files go the first record is %v, want %v", seen, want)
	}
}
