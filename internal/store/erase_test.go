package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// Before is called with all events of a segment told, and before any of them has
// lost a field: if it fails the segment is as it was. If this breaks, a crash can
// leave records without fields of which no ledger knows.
func TestBeforeComesBeforeTheChange(t *testing.T) {
	r := newRig(t, 2500, nil)
	r.feed(t)
	stop := errors.New("the ledger is full")
	told := 0
	e := store.Erasure{
		Query: new(query.Query),
		Fields: func(_ journal.Seq, record *event.Record) (fields []int) {
			for i := range record.Fields {
				if f := &record.Fields[i]; f.Private && !f.Erased {
					fields = append(fields, i)
				}
			}
			return fields
		},
		Touched: func(journal.Seq, *event.Record, []int) { told++ },
		Before:  func() error { return stop },
	}
	if _, err := r.Erase(context.Background(), e); !errors.Is(err, stop) {
		t.Fatalf("Erase = %v, want the error of Before", err)
	}
	erased := func() (n int) {
		for at := journal.Seq(0); at < r.Sealed(); {
			records, err := r.Read(at, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range records {
				record, err := event.DecodeRecord(rec.Body)
				if err != nil {
					t.Fatal(err)
				}
				if len(record.Open()) < len(record.Fields) {
					n++
				}
			}
			at += journal.Seq(len(records))
		}
		return n
	}
	if n := erased(); n != 0 || told == 0 {
		t.Errorf("%d records lost fields, and %d were told of; want none, and some", n, told)
	}
	told, e.Before = 0, nil
	sum, err := r.Erase(context.Background(), e)
	if n := erased(); err != nil || n != told || sum.Events != int64(n) || n == 0 {
		t.Errorf("%d records lost fields, %d were told of, %+v, %v", n, told, sum, err)
	}
}
