package journal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// TestFailureStops lets each kind of change fail once, at the first append
// after it or in a rotation. From then on nothing may be accepted: a sync that
// is tried again reports as durable what the kernel has thrown away.
func TestFailureStops(t *testing.T) {
	for _, op := range []string{"write", "sync", "open", "truncate", "syncdir"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testFailureStops(t, op) })
		})
	}
}

func testFailureStops(t *testing.T, failing string) {
	fs := new(disk.Mem)
	d := openShort(t, fs, 300)
	j, stop := run(t, d)
	var changes []string // since the failure
	failed := false
	fs.Fail = func(op, _ string) error {
		switch {
		case op == "read" || op == "list":
			return nil
		case failed && op == "open": // readers open files
		case failed:
			changes = append(changes, op)
		case op == failing:
			failed = true
			return disk.ErrInjected
		}
		return nil
	}
	var promised []string
	for i := 0; !failed; i++ {
		body := fmt.Sprint("record ", i)
		_, err := j.Append(t.Context(), []byte(body))
		if err == nil {
			promised = append(promised, body)
		} else if !failed || !errors.Is(err, journal.ErrStopped) {
			t.Fatalf("Append = %v, want ErrStopped after the failure", err)
		}
		if i > 100 {
			t.Fatalf("100 appends, and no %s", failing)
		}
	}
	if _, err := j.Append(t.Context(), []byte("x")); !errors.Is(err, journal.ErrStopped) {
		t.Errorf("Append after the failure = %v, want ErrStopped", err)
	}
	if err := d.Append(t.Context(), d.Next(), [][]byte{[]byte("x")}); !errors.Is(err, journal.ErrStopped) {
		t.Errorf("Append to the door after the failure = %v, want ErrStopped", err)
	}
	if got, err := readAll(t, j, 0, 100); err != nil || !slices.Equal(got, promised) {
		t.Errorf("after the failure a reader sees %q, %v, promised are %q", got, err, promised)
	}
	if err := stop(); !errors.Is(err, disk.ErrInjected) {
		t.Errorf("Run = %v, want the cause", err)
	}
	if len(changes) > 0 {
		t.Errorf("the disk was changed after the failure: %q", changes)
	}
	got := reopen(t, fs.Crash(func(n int) int { return n }), 300)
	if len(got) < len(promised) || !slices.Equal(got[:len(promised)], promised) {
		t.Errorf("after a restart %q, promised %q", got, promised)
	}
}

// TestFailureReachesAll lets a group fail while others queue behind it: all of
// them must hear of it, or their clients would wait for ever.
func TestFailureReachesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		j, stop := run(t, &memoryDoor{memory: new(memory), before: func(journal.Seq, int) error {
			<-gate
			return disk.ErrInjected
		}})
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if _, err := j.Append(t.Context(), make([]byte, journal.MaxRecordBytes)); !errors.Is(err, journal.ErrStopped) {
					t.Errorf("Append = %v, want ErrStopped", err)
				}
			})
			synctest.Wait() // one is being stored, seven are queued, two have no room
		}
		close(gate)
		all.Wait()
		if err := stop(); !errors.Is(err, disk.ErrInjected) {
			t.Errorf("Run = %v, want the cause", err)
		}
	})
}

// TestFullDisk fills the disk at every byte of some appends: what was
// acknowledged stays, the rest of a group is cut off at the next start, and
// the operator is told what to do.
func TestFullDisk(t *testing.T) {
	sized := new(disk.Mem)
	fillDisk(t, sized)
	for room := sized.Used() - 400; room < sized.Used(); room++ {
		fs := new(disk.Mem)
		fs.Limit(room)
		promised, err := fillDisk(t, fs)
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room and start again") {
			t.Fatalf("with room for %d bytes Run = %v, want ENOSPC and a hint", room, err)
		}
		after := fs.Crash(func(n int) int { return n })
		after.Limit(0)
		if got := reopen(t, after, 1000); !slices.Equal(got, promised) {
			t.Fatalf("with room for %d bytes %q are left, promised %q", room, got, promised)
		}
	}
}

// fillDisk appends 40 records two at a time to files of 1000 bytes. It returns
// those that were acknowledged and how the journal ended.
func fillDisk(t *testing.T, fs *disk.Mem) (promised []string, err error) {
	t.Helper()
	j, stop := run(t, openShort(t, fs, 1000))
	for i := range 20 {
		pair := []string{fmt.Sprintf("%050d", i), fmt.Sprint(i)}
		if _, err := j.Append(t.Context(), split(pair)...); err != nil {
			break
		}
		promised = append(promised, pair...)
	}
	return promised, stop()
}

// TestFullDiskAtOpen checks that a start on a full disk says so.
func TestFullDiskAtOpen(t *testing.T) {
	fs := new(disk.Mem)
	if err := open(t, fs).Close(); err != nil {
		t.Fatal(err)
	}
	fs.Limit(fs.Used() + 1)
	if _, err := journal.OpenFiles(fs); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("OpenFiles on a full disk = %v, want ENOSPC", err)
	}
	fs.Limit(0)
	if err := open(t, fs).Close(); err != nil {
		t.Errorf("Close with room again: %v", err)
	}
}

// TestReadFailure checks that a disk that cannot be read is not mistaken for
// one that holds nothing more: that would cut off what is there.
func TestReadFailure(t *testing.T) {
	fs := new(disk.Mem)
	fillDisk(t, fs)
	for n := range 40 {
		reads := 0
		failing := fs.Crash(func(n int) int { return n })
		failing.Fail = func(op, _ string) error {
			if op == "read" {
				if reads++; reads == n+1 {
					return disk.ErrInjected
				}
			}
			return nil
		}
		_, err := journal.OpenFilesLimit(failing, 1000)
		if reads <= n {
			return // all reads of an Open have failed once
		}
		if !errors.Is(err, disk.ErrInjected) {
			t.Errorf("OpenFiles with read %d failing = %v, want that error", n, err)
		}
		failing.Fail = nil
		if got := reopen(t, failing, 1000); len(got) != 40 {
			t.Errorf("after read %d failed %d of 40 records are there", n, len(got))
		}
	}
	t.Error("OpenFiles read more than 40 times")
}

// TestReadOnly looks at the files of a journal that is open: it shows what is
// there, and changes nothing.
func TestReadOnly(t *testing.T) {
	fs := new(disk.Mem)
	if _, err := journal.ReadFiles(fs); err == nil {
		t.Error("ReadFiles of an empty directory succeeded")
	}
	d := openShort(t, fs, 150)
	for i := range 5 {
		if err := d.Append(t.Context(), d.Next(), split([]string{fmt.Sprint(i), "x"})); err != nil {
			t.Fatal(err)
		}
	}
	power := cutAfter(fs, 1, short) // tears the next group
	_ = d.Append(context.Background(), d.Next(), split([]string{"torn"}))
	fs = power.now()
	fs.Fail = func(op, path string) error {
		if op != "open" && op != "read" && op != "list" {
			t.Errorf("ReadFiles: %s %s", op, path)
		}
		return nil
	}
	r, err := journal.ReadFiles(fs)
	if err != nil {
		t.Fatalf("ReadFiles: %v", err)
	}
	if got, err := readAll(t, r, 0, 100); err != nil || len(got) != 10 {
		t.Errorf("ReadFiles shows %q, %v, want 10 records", got, err)
	}
	if err := r.Append(t.Context(), r.Next(), split([]string{"x"})); !errors.Is(err, journal.ErrStopped) {
		t.Errorf("Append to files opened for reading = %v, want ErrStopped", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
