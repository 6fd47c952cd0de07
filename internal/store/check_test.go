package store_test

import (
	"context"
	"testing"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/store"
)

// Every record of a large segment is compared with the tree, once, whichever core
// does it: one that is passed over is one that somebody may have changed.
func TestCheckLooksAtEveryRecord(t *testing.T) {
	const n = 20_000
	r := newRig(t, n, func(c *store.Config) { c.SealRows = n })
	r.feed(t)
	if _, err := r.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	wrong := func(seq int64) bool { return seq%97 == 5 }
	c := store.Checking{Commitment: func() func(int64, *event.Commitment) (bool, error) {
		var list []event.Commitment
		return func(seq int64, c *event.Commitment) (bool, error) {
			var err error
			if list, err = r.journal.Commitments(journal.Seq(seq), 1, list[:0]); err != nil {
				return false, err
			}
			if *c = list[0]; wrong(seq) {
				c[0] ^= 1
			}
			return true, nil
		}
	}}
	sum, err := r.Check(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	largest, all := int64(0), int64(0)
	for _, rows := range sum.Records {
		largest, all = max(largest, rows), all+rows
	}
	if largest <= 1<<13 {
		t.Errorf("no class has more than %d records: nothing was split", largest)
	}
	if all+sum.Wrong != n || sum.Dropped != 0 {
		t.Errorf("%d records are right, %d wrong and %d dropped, want %d together", all, sum.Wrong, sum.Dropped, n)
	}
	found := make(map[int64]bool)
	for _, f := range sum.Findings {
		found[f.Seq] = true
		if f.Gives == nil {
			t.Errorf("record %d: %s", f.Seq, f.Reason)
		}
	}
	for seq := range int64(n) {
		if found[seq] != wrong(seq) {
			t.Errorf("record %d: found to be wrong is %t, want %t", seq, found[seq], wrong(seq))
		}
	}
}
