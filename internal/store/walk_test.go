package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// walked returns what a walk gives, and checks each answer of it.
func (r *rig) walked(t *testing.T, req store.Request) (seqs []journal.Seq, next []*store.Cursor) {
	t.Helper()
	ended := false
	err := r.Walk(t.Context(), req, func(a *store.Answer) error {
		if len(a.Found) > req.Limit || ended || !a.Complete {
			t.Fatalf("an answer of %d events, complete %t, after the last one %t", len(a.Found), a.Complete, ended)
		}
		for _, f := range a.Found {
			seqs = append(seqs, f.Seq)
			want, err := event.StoredCommitment(r.journal.records[f.Seq].Body)
			if err != nil || f.Record.Commitment != want {
				t.Fatalf("event %d has the commitment %x, want %x, %v", f.Seq, f.Record.Commitment, want, err)
			}
		}
		next = append(next, a.Next)
		ended = a.Next == nil
		return nil
	})
	if err != nil || !ended {
		t.Fatalf("Walk = %v, ended %t", err, ended)
	}
	return seqs, next
}

// An export that leaves out an event, or has one twice, is not one: a walk must
// give what searches give page by page, also over the places where it looks
// anew at which segments there are.
func TestWalkIsAllPages(t *testing.T) {
	n := 40_000 // more than one look
	if testing.Short() {
		n = 3000
	}
	r := newRig(t, n, func(c *store.Config) { c.SealRows = n / 5 })
	r.feed(t)
	for _, text := range []string{"", "outcome:denied", "tag:project:*", "*ev* -outcome:success", "actor:nobody-at-all"} {
		q, err := query.Parse(text, start)
		if err != nil {
			t.Fatal(err)
		}
		for _, oldest := range []bool{true, false} {
			req := store.Request{Query: q, Oldest: oldest, Limit: store.MaxFound}
			got, next := r.walked(t, req)
			var want []journal.Seq
			for {
				a, err := r.Search(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range a.Found {
					want = append(want, f.Seq)
				}
				if req.After = a.Next; a.Next == nil {
					break
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%q, oldest first %t: %d events, want %d", text, oldest, len(got), len(want))
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("%q, oldest first %t: event %d at %d, want %d", text, oldest, got[i], i, want[i])
				}
			}
			if len(next) > 2 {
				req.After = next[1]
				if rest, _ := r.walked(t, req); len(rest) != len(want)-2*store.MaxFound || rest[0] != want[2*store.MaxFound] {
					t.Errorf("%q, oldest first %t: from the third page on %d events, want %d", text, oldest, len(rest), len(want)-2*store.MaxFound)
				}
			}
		}
	}
}

// Whoever lost a connection knows the last event it brought, and its time.
func TestCursorAfter(t *testing.T) {
	r := newRig(t, 500, nil)
	r.feed(t)
	for _, oldest := range []bool{true, false} {
		req := store.Request{Query: new(query.Query), Oldest: oldest, Limit: 10}
		all, _ := r.walked(t, req)
		record, err := event.DecodeRecord(r.journal.records[all[123]].Body)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := record.Open().Get("time")
		req.After = store.CursorAfter(at.Time(), all[123], oldest)
		if rest, _ := r.walked(t, req); len(rest) != len(all)-124 || rest[0] != all[124] {
			t.Errorf("oldest first %t: %d events after the 124th of %d", oldest, len(rest), len(all))
		}
		req.Oldest = !oldest
		if err := r.Walk(t.Context(), req, func(*store.Answer) error { return nil }); !errors.Is(err, store.ErrCursor) {
			t.Errorf("Walk in the other order = %v, want ErrCursor", err)
		}
	}
}

// A reader who went away must not be walked for; and what they held must not keep
// files of replaced segments, or stop records from being taken in.
func TestWalkStops(t *testing.T) {
	r := newRig(t, 3000, nil)
	r.feed(t)
	gone := errors.New("gone")
	answers := 0
	req := store.Request{Query: new(query.Query), Limit: 100}
	err := r.Walk(t.Context(), req, func(*store.Answer) error {
		if answers++; answers == 3 {
			return gone
		}
		// Merging replaces segments under the walk, which takes the lock for writing.
		return r.Tidy(t.Context())
	})
	if !errors.Is(err, gone) || answers != 3 {
		t.Errorf("Walk = %v after %d answers, want the error of the third", err, answers)
	}
	if _, err := r.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkWalk goes through a store of many sealed events.
func BenchmarkWalk(b *testing.B) {
	const n = 200_000
	r := newRig(b, n, func(c *store.Config) { c.SealRows = 0 })
	for r.Cursor() < r.journal.Size() {
		records, _ := r.journal.Read(r.Cursor(), 1000)
		if err := r.Apply(b.Context(), records); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := r.Seal(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, oldest := range []bool{true, false} {
		name := map[bool]string{true: "oldest", false: "newest"}[oldest]
		b.Run(name, func(b *testing.B) {
			events := 0
			began := time.Now()
			for b.Loop() {
				err := r.Walk(b.Context(), store.Request{Query: new(query.Query), Oldest: oldest, Limit: store.MaxFound}, func(a *store.Answer) error {
					events += len(a.Found)
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(events)/time.Since(began).Seconds(), "events/s")
		})
	}
}
