package journal_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// A past answers what a function answers.
type past func(from journal.Seq, limit int) ([]journal.Record, error)

func (p past) Read(from journal.Seq, limit int) ([]journal.Record, error) { return p(from, limit) }

// stored is a past that has the numbered records before n, of which retention
// dropped every third.
func stored(n journal.Seq) past {
	return func(from journal.Seq, limit int) (records []journal.Record, _ error) {
		for seq := from; seq < n && len(records) < limit; seq++ {
			r := journal.Record{Seq: seq, Body: []byte(numbered(seq, seq+1)[0])}
			if seq%3 == 2 {
				r.Body = nil
			}
			records = append(records, r)
		}
		return records, nil
	}
}

// TestPast reads from each position a journal of which a part was dropped: no
// position may be missing or come twice, whoever has it, and what retention
// dropped has no body.
func TestPast(t *testing.T) {
	d := shelf(t, new(disk.Mem))
	if _, err := d.Drop(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	j := journal.New(d)
	for seq := range journal.Seq(14) {
		if _, err := j.Read(seq, 1); (seq < 6) != errors.Is(err, journal.ErrDropped) {
			t.Errorf("without a past Read of record %d = %v, want ErrDropped below 6", seq, err)
		}
	}
	for _, has := range []journal.Seq{6, 9, 14, 20} {
		j.SetPast(stored(has))
		for from := range journal.Seq(16) {
			for _, limit := range []int{0, 1, 4, 100} {
				records, err := j.Read(from, limit)
				if err != nil || (len(records) == 0) != (limit == 0 || from >= 14) || len(records) > limit {
					t.Fatalf("Read(%d, %d) = %v, %v", from, limit, records, err)
				}
				for i, r := range records {
					gone := from < 6 && r.Seq%3 == 2
					if r.Seq != from+journal.Seq(i) || r.Seq >= 14 || (r.Body == nil) != gone {
						t.Errorf("Read(%d, %d)[%d] = %d %q", from, limit, i, r.Seq, r.Body)
					}
				}
			}
		}
	}
	for _, from := range []journal.Seq{-1, -100} {
		if records, err := j.Read(from, 1); err == nil {
			t.Errorf("Read(%d, 1) = %v, want an error", from, records)
		}
	}
}

// TestPastThatIsWrong checks that a past which does not have what it should is
// found out: a view that took in other records than were asked for would be
// wrong for ever.
func TestPastThatIsWrong(t *testing.T) {
	d := shelf(t, new(disk.Mem))
	if _, err := d.Drop(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	j := journal.New(d)
	cause := errors.New("no such segment")
	for _, test := range []struct {
		name string
		past past
		want string
	}{
		{"nothing", func(journal.Seq, int) ([]journal.Record, error) { return nil, nil }, "got 0 records"},
		{"too much", func(from journal.Seq, limit int) ([]journal.Record, error) { return stored(6)(from, limit+1) }, "got 3 records"},
		{"others", func(from journal.Seq, limit int) ([]journal.Record, error) { return stored(6)(from+1, limit) }, "got record 2"},
		{"a gap", func(journal.Seq, int) ([]journal.Record, error) { return []journal.Record{{Seq: 1}, {Seq: 3}}, nil }, "got record 3"},
		{"an error", func(journal.Seq, int) ([]journal.Record, error) { return nil, cause }, "record 1, which was dropped here: no such"},
	} {
		j.SetPast(test.past)
		records, err := j.Read(1, 2)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("a past that gives %s: Read = %v, %v, want an error with %q", test.name, records, err, test.want)
		}
	}
}

// TestDropUnderJournal drops files at each step of a read: who reads through
// the journal gets the records all the same.
func TestDropUnderJournal(t *testing.T) {
	for step := 0; ; step++ {
		mem := new(disk.Mem)
		if err := shelf(t, mem).Close(); err != nil {
			t.Fatal(err)
		}
		d := openShort(t, mem, 1<<20) // which has read none of the older files yet
		j := journal.New(d)
		j.SetPast(stored(12))
		seen := 0
		mem.Fail = func(op, _ string) error {
			if op != "open" && op != "read" {
				return nil
			}
			if seen++; seen == step+1 {
				if _, err := d.Drop(context.Background(), 12); err != nil {
					t.Errorf("Drop: %v", err)
				}
			}
			return nil
		}
		records, err := j.Read(1, 20)
		if err != nil || len(records) == 0 || records[0].Seq != 1 || string(records[0].Body) != "record 0001" {
			t.Errorf("dropped at step %d: Read = %v, %v", step, records, err)
		}
		if seen <= step {
			if step < 3 {
				t.Errorf("reading took %d steps, want several", step)
			}
			return
		}
	}
}

// TestReadersWhileDropping reads everywhere while records are appended, taken
// over and dropped: each read must give the record that is there.
func TestReadersWhileDropping(t *testing.T) {
	d := openShort(t, new(disk.Mem), 300)
	j, stop := run(t, d)
	j.SetPast(past(func(from journal.Seq, limit int) (records []journal.Record, _ error) {
		for i, body := range numbered(from, from+journal.Seq(min(limit, 10))) {
			records = append(records, journal.Record{Seq: from + journal.Seq(i), Body: []byte(body)})
		}
		return records, nil
	}))
	const n = 600
	var over atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for !over.Load() && !t.Failed() {
				checkAnywhere(t, j, d)
			}
		})
	}
	for seq := journal.Seq(0); seq < n; seq += 3 {
		if at, err := j.Append(t.Context(), split(numbered(seq, seq+3))...); err != nil || at != seq {
			t.Fatalf("Append = %d, %v, want %d", at, err, seq)
		}
		if seq%30 == 0 {
			if err := d.Rotate(t.Context()); err != nil {
				t.Fatalf("Rotate: %v", err)
			}
		}
		if _, err := d.Drop(t.Context(), seq-20); err != nil {
			t.Fatalf("Drop: %v", err)
		}
	}
	over.Store(true)
	readers.Wait()
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if d.First() < n-50 {
		t.Errorf("of %d records those from %d on are left", n, d.First())
	}
}

// checkAnywhere reads from some position of the journal, and of its files.
func checkAnywhere(t *testing.T, j *journal.Journal, d *journal.Files) {
	t.Helper()
	from := journal.Seq(rand.Int64N(int64(j.Size()) + 1))
	if rand.IntN(2) == 0 {
		from = min(d.First(), from) // where it is hot
	}
	fromJournal, err := j.Read(from, 20)
	if err != nil {
		t.Errorf("Read(%d) of the journal: %v", from, err)
	}
	fromFiles, err := d.Read(from, 20)
	if err != nil && !errors.Is(err, journal.ErrDropped) {
		t.Errorf("Read(%d) of the files = %v, want ErrDropped or none", from, err)
	}
	for _, records := range [][]journal.Record{fromJournal, fromFiles} {
		for i, r := range records {
			if seq := from + journal.Seq(i); r.Seq != seq || string(r.Body) != fmt.Sprintf("record %04d", seq) {
				t.Errorf("record %d is %d %q", seq, r.Seq, r.Body)
			}
		}
	}
}
