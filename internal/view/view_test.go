package view_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/view"
)

// A memo is a view that remembers records, and fails the first fails times.
type memo struct {
	seen  []string
	fails int
	err   error
	tries []time.Time
}

func (m *memo) Name() string        { return "memo" }
func (m *memo) Cursor() journal.Seq { return journal.Seq(len(m.seen)) }

func (m *memo) Apply(_ context.Context, records []journal.Record) error {
	m.tries = append(m.tries, time.Now())
	if len(m.tries) <= m.fails {
		return m.err
	}
	for _, r := range records {
		if int(r.Seq) != len(m.seen) {
			return fmt.Errorf("record %d came after %d others", r.Seq, len(m.seen))
		}
		m.seen = append(m.seen, string(r.Body))
	}
	return nil
}

// follow lets m follow a journal for a minute of fake time, while feed appends,
// and returns how following ended.
func follow(t *testing.T, m *memo, feed func(append func(body string))) error {
	t.Helper()
	files, err := journal.OpenFiles(new(disk.Mem))
	if err != nil {
		t.Fatal(err)
	}
	j := journal.New(files)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() { _ = j.Run(ctx) }() // how it ends is not what is tested
	ended := make(chan error, 1)
	go func() { ended <- view.Follow(ctx, slog.New(slog.DiscardHandler), j, m) }()
	feed(func(body string) {
		if _, err := j.Append(ctx, []byte(body)); err != nil {
			t.Errorf("Append: %v", err)
		}
	})
	return <-ended
}

// TestFollow checks that a view gets every record once, in order, within a
// second of its being durable, however they come.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(memo)
		var want []string
		err := follow(t, m, func(add func(string)) {
			for i := range 3000 {
				body := fmt.Sprint(i)
				add(body)
				want = append(want, body)
				if i%500 == 0 {
					time.Sleep(time.Second)
					synctest.Wait()
					if len(m.seen) != len(want) {
						t.Errorf("a second after record %d the view has %d records", i, len(m.seen))
					}
				}
			}
		})
		if err != nil {
			t.Fatalf("Follow: %v", err)
		}
		if !slices.Equal(m.seen, want) {
			t.Errorf("the view saw %d records, want %d in order", len(m.seen), len(want))
		}
	})
}

// TestFollowRetries checks that a view whose work fails gets the same records
// again, ever more slowly, and loses none.
func TestFollowRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memo{fails: 3, err: errors.New("sink is down")}
		if err := follow(t, m, func(add func(string)) { add("a") }); err != nil {
			t.Fatalf("Follow: %v", err)
		}
		if !slices.Equal(m.seen, []string{"a"}) {
			t.Errorf("after retries saw %q, want a once", m.seen)
		}
		var waits []time.Duration
		for i := 1; i < len(m.tries); i++ {
			waits = append(waits, m.tries[i].Sub(m.tries[i-1]))
		}
		if want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond}; !slices.Equal(waits, want) {
			t.Errorf("waits between tries = %v, want %v", waits, want)
		}
	})
}

// TestFollowStopsWhenCorrupt checks that what trying again cannot mend ends the
// view, so that somebody looks.
func TestFollowStopsWhenCorrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := follow(t, &memo{fails: 1, err: view.ErrCorrupt}, func(add func(string)) { add("a") })
		if !errors.Is(err, view.ErrCorrupt) {
			t.Errorf("Follow = %v, want ErrCorrupt", err)
		}
	})
}
