package journal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// eachDoor runs a test over local files, which take frames, and over a door
// that knows nothing of them.
func eachDoor(t *testing.T, test func(*testing.T, journal.Door)) {
	t.Run("files", func(t *testing.T) { test(t, open(t, new(disk.Mem))) })
	t.Run("memory", func(t *testing.T) { test(t, &memoryDoor{memory: new(memory)}) })
}

// TestAppend has many append at once, one record and several at a time: each
// learns where its own are, side by side, and nobody else's are between.
func TestAppend(t *testing.T) {
	eachDoor(t, func(t *testing.T, d journal.Door) {
		j, stop := run(t, d)
		const appenders, rounds = 20, 30
		var all sync.WaitGroup
		for who := range appenders {
			all.Go(func() {
				for i := range rounds {
					var batch [][]byte
					for k := range 1 + (who+i)%4 {
						batch = append(batch, fmt.Appendf(nil, "%d.%d.%d", who, i, k))
					}
					first, err := j.Append(t.Context(), batch...)
					if err != nil {
						t.Errorf("Append: %v", err)
						return
					}
					if size := j.Size(); size < first+journal.Seq(len(batch)) {
						t.Errorf("Size = %d after an append of %d at %d", size, len(batch), first)
					}
					records, err := j.Read(first, len(batch))
					if err != nil || len(records) != len(batch) {
						t.Errorf("Read(%d, %d) = %v, %v", first, len(batch), records, err)
						return
					}
					for k, r := range records {
						if string(r.Body) != string(batch[k]) {
							t.Errorf("record %d is %q, was appended as %q", r.Seq, r.Body, batch[k])
						}
					}
				}
			})
		}
		all.Wait()
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		got, err := readAll(t, d, 0, 1000)
		if err != nil || len(got) != int(j.Size()) {
			t.Errorf("%d records are there, %v, want %d", len(got), err, j.Size())
		}
	})
}

// TestGroup appends while a sync runs: all of it must be the next group, with
// one sync, or many small appends would be as slow as the disk.
func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type call struct {
			at journal.Seq
			n  int
		}
		var calls []call
		gate := make(chan struct{})
		j, stop := run(t, &memoryDoor{memory: new(memory), before: func(at journal.Seq, n int) error {
			calls = append(calls, call{at, n})
			<-gate
			return nil
		}})
		var all sync.WaitGroup
		appendOne := func() {
			if _, err := j.Append(t.Context(), []byte("x")); err != nil {
				t.Errorf("Append: %v", err)
			}
		}
		all.Go(appendOne)
		synctest.Wait() // until the first is being stored
		for range 100 {
			all.Go(appendOne)
		}
		synctest.Wait()
		close(gate)
		all.Wait()
		if want := []call{{0, 1}, {1, 100}}; !slices.Equal(calls, want) {
			t.Errorf("groups (position, records) are %v, want %v", calls, want)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestQueueIsBounded appends more than a group may gather while the door
// hangs: the rest must wait outside, or memory would grow without end.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		largest := 0
		j, stop := run(t, &memoryDoor{memory: new(memory), before: func(_ journal.Seq, n int) error {
			largest = max(largest, n)
			<-gate
			return nil
		}})
		body := make([]byte, journal.MaxRecordBytes)
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				if _, err := j.Append(t.Context(), body); err != nil {
					t.Errorf("Append: %v", err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := j.Append(ctx, body)
			gone <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("Append whose context ended = %v", err)
		}
		close(gate)
		all.Wait()
		if limit := journal.MaxGatherBytes / journal.MaxRecordBytes; largest > limit || j.Size() != 40 {
			t.Errorf("a group had %d MiB, want at most %d; %d of 40 records are there", largest, limit, j.Size())
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestRefused checks that Append refuses what no door takes, and goes on.
func TestRefused(t *testing.T) {
	j, stop := run(t, open(t, new(disk.Mem)))
	for _, bodies := range [][][]byte{
		nil, {{}}, {make([]byte, journal.MaxRecordBytes+1)}, make([][]byte, journal.MaxAppendRecords+1),
	} {
		if _, err := j.Append(t.Context(), bodies...); err == nil || errors.Is(err, journal.ErrStopped) {
			t.Errorf("Append of %d bodies = %v, want a refusal", len(bodies), err)
		}
	}
	if seq, err := j.Append(t.Context(), []byte("x")); err != nil || seq != 0 {
		t.Errorf("Append = %d, %v, want 0", seq, err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestWait checks that who waits for a record hears of it, or of the end of
// the context.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, stop := run(t, open(t, new(disk.Mem)))
		var heard []journal.Seq
		go func() {
			for n := range journal.Seq(3) {
				if err := j.Wait(context.Background(), n); err != nil {
					t.Errorf("Wait(%d): %v", n, err)
				}
				heard = append(heard, n)
			}
		}()
		for n := range 3 {
			synctest.Wait()
			if len(heard) != n {
				t.Errorf("heard of %v when there were %d records", heard, n)
			}
			if _, err := j.Append(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(heard) != 3 {
			t.Errorf("heard of %v, want 3 records", heard)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := j.Wait(ctx, 3); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait without hope = %v", err)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestStop ends the context of Run while the door is busy: what is queued is
// still stored, what comes later refused.
func TestStop(t *testing.T) {
	for range 20 { // Run may notice the end first or the queue
		synctest.Test(t, testStop)
	}
}

func testStop(t *testing.T) {
	gate := make(chan struct{})
	d := &memoryDoor{memory: new(memory), before: func(journal.Seq, int) error { <-gate; return nil }}
	j := journal.New(d)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- j.Run(ctx) }()
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := j.Append(t.Context(), []byte("x")); err != nil {
				t.Errorf("Append before the end: %v", err)
			}
		})
		synctest.Wait()
	}
	cancel()
	close(gate)
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	all.Wait()
	if _, err := j.Append(t.Context(), []byte("x")); !errors.Is(err, journal.ErrStopped) {
		t.Errorf("Append after the end = %v, want ErrStopped", err)
	}
	if j.Size() != 10 {
		t.Errorf("%d of 10 records are there", j.Size())
	}
}

// TestConflictStops has somebody else append behind the journal's back: it
// must stop, as it no longer knows what is there.
func TestConflictStops(t *testing.T) {
	eachDoor(t, func(t *testing.T, d journal.Door) {
		j, stop := run(t, d)
		if err := d.Append(t.Context(), 0, [][]byte{[]byte("other")}); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(t.Context(), []byte("x")); !errors.Is(err, journal.ErrStopped) {
			t.Errorf("Append = %v, want ErrStopped", err)
		}
		if err := stop(); !errors.Is(err, journal.ErrConflict) {
			t.Errorf("Run = %v, want ErrConflict", err)
		}
	})
}
