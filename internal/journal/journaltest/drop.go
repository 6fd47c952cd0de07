package journaltest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/custody-log/custody/internal/journal"
)

// A dropper is a door that can drop its oldest records, as [journal.Files] can.
type dropper interface {
	journal.Door
	Rotate(ctx context.Context) error
	Drop(ctx context.Context, before journal.Seq) (dropped int, err error)
}

// wantFirst checks where d says that its records begin.
func wantFirst(t *testing.T, d journal.Door, want journal.Seq) {
	t.Helper()
	if first := d.First(); first != want {
		t.Errorf("First = %d, want %d", first, want)
	}
}

// testFirst checks that a door from which nothing is dropped begins where it
// began.
func testFirst(t *testing.T, open func() journal.Door) {
	d := open()
	wantFirst(t, d, 0)
	mustAppend(t, d, "a", "b")
	mustAppend(t, d, "c")
	wantFirst(t, d, 0)
	if err := d.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	d = open()
	defer d.Close()
	wantFirst(t, d, 0)
	wantAll(t, d, "a", "b", "c")
}

// testDrop drops a part and then all. What a door drops with it, as it keeps
// records together, is its own business, but First must say so.
func testDrop(t *testing.T, open func() journal.Door) {
	door := open()
	defer door.Close()
	d, ok := door.(dropper)
	if !ok {
		return // testFirst is for doors that drop nothing
	}
	const n = 10
	for at := range n {
		mustAppend(t, d, fmt.Sprint(at))
		if at == n/2 {
			mustRotate(t, d)
		}
	}
	if dropped, err := d.Drop(t.Context(), 0); dropped != 0 || err != nil {
		t.Errorf("Drop of nothing = %d, %v", dropped, err)
	}
	wantFirst(t, d, 0)
	for _, before := range []journal.Seq{n / 2, n} {
		if before == n {
			mustRotate(t, d)
		}
		dropped, err := d.Drop(t.Context(), before)
		if err != nil {
			t.Fatalf("Drop of the records before %d: %v", before, err)
		}
		first := d.First()
		if first > before || (first > 0) != (dropped > 0) || (before == n && first != n) {
			t.Errorf("after Drop of the records before %d, which removed %d files, First = %d", before, dropped, first)
		}
		wantFrom(t, d, first, n)
	}
	mustAppend(t, d, "10")
	wantFirst(t, d, n)
	wantFrom(t, d, n, n+1)
}

func mustRotate(t *testing.T, d dropper) {
	t.Helper()
	if err := d.Rotate(t.Context()); err != nil {
		t.Fatalf("Rotate: %v", err)
	}
}

// wantFrom checks that d has the records from first to next, which hold their
// positions, and has dropped those before.
func wantFrom(t *testing.T, d journal.Door, first, next journal.Seq) {
	t.Helper()
	if got := d.Next(); got != next {
		t.Errorf("Next = %d, want %d", got, next)
	}
	for at := range next {
		records, err := d.Read(at, 1)
		switch {
		case at < first && errors.Is(err, journal.ErrDropped):
		case at >= first && err == nil && len(records) == 1 && string(records[0].Body) == fmt.Sprint(at):
		default:
			t.Errorf("Read(%d, 1) = %v, %v, where the first is %d", at, records, err, first)
		}
	}
	if _, err := d.Read(-1, 1); err == nil || errors.Is(err, journal.ErrDropped) {
		t.Errorf("Read(-1, 1) = %v, want an error that is not ErrDropped", err)
	}
}
