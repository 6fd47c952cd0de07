package intake_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
)

// counted is an event with the source's own count.
func counted(n int) []byte {
	data := strings.TrimSuffix(string(published(fmt.Sprint("c", n), "alice")), "}")
	return fmt.Appendf(nil, `%s,"source_seq":%d}`, data, n)
}

// life runs the desk on fs for as long as do takes, and returns the events the
// log recorded about its sources, in order, over all its lives.
func life(t *testing.T, fs *disk.Mem, do func(b *bench), sources ...intake.Source) (own []string) {
	t.Helper()
	b := open(t, fs, sources...)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	do(b)
	synctest.Wait()
	for _, r := range b.records(t) {
		f := r.Open()
		if f.Text("source") != intake.OwnSource {
			continue
		}
		var values []string
		for _, name := range []string{"expected_seq", "got_seq", "from_seq", "to_seq", "skew"} {
			if v, ok := f.Get("metadata." + name); ok {
				values = append(values, v.Text())
			}
		}
		own = append(own, strings.TrimSpace(f.Text("tag")+" "+strings.Join(values, " ")))
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	return own
}

// TestGapsBecomeEvents follows a source that loses events, sends some of them
// late, and lives through a restart of the log: each gap is recorded once.
func TestGapsBecomeEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		send := func(b *bench, numbers ...int) {
			for _, n := range numbers {
				if _, err := b.Accept(t.Context(), from, counted(n)); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := []string{"audit:source:gap 14 16"}
		got := life(t, fs, func(b *bench) {
			send(b, 10, 12, 11) // overtaking is no gap
			send(b, 13, 16)
			time.Sleep(time.Minute)
		})
		if !slices.Equal(got, want) {
			t.Errorf("after a gap: %q, want %q", got, want)
		}
		want = append(want, "audit:source:gap_close 15 15", "audit:source:gap 17 20")
		got = life(t, fs, func(b *bench) {
			time.Sleep(time.Minute)
			send(b, 15)
			time.Sleep(time.Minute)
			send(b, 20)
			time.Sleep(time.Minute)
		})
		if !slices.Equal(got, want) {
			t.Errorf("after a restart: %q, want %q", got, want)
		}
		got = life(t, fs, func(*bench) { time.Sleep(time.Minute) })
		if !slices.Equal(got, want) {
			t.Errorf("after another restart: %q, want %q: nothing is recorded twice", got, want)
		}
	})
}

// TestSilenceBecomesAnEvent checks that a source that should speak and does not
// is recorded, once, and so is its return; a heartbeat is enough.
func TestSilenceBecomesAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		sources := []intake.Source{{Name: "registry", SilentAfter: 10 * time.Minute}}
		got := life(t, fs, func(b *bench) {
			for range 3 {
				time.Sleep(8 * time.Minute)
				b.Heartbeat("registry")
			}
			time.Sleep(time.Hour)
		}, sources...)
		if want := []string{"audit:source:silent"}; !slices.Equal(got, want) {
			t.Errorf("after an hour without a word: %q, want %q", got, want)
		}
		got = life(t, fs, func(b *bench) {
			time.Sleep(time.Minute)
			if _, err := b.Accept(t.Context(), from, published("1", "alice")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}, sources...)
		if want := []string{"audit:source:silent", "audit:source:resume"}; !slices.Equal(got, want) {
			t.Errorf("after its return: %q, want %q", got, want)
		}
	})
}

// TestClockIsNotedNotCorrected checks that a wrong clock becomes an event, once
// an hour, while the time it stated stays as it was.
func TestClockIsNotedNotCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := strings.Replace(string(published("1", "alice")), time.Now().Format(time.RFC3339Nano), time.Now().Add(-time.Hour).Format(time.RFC3339Nano), 1)
		stated := time.Now().Add(-time.Hour)
		got := life(t, new(disk.Mem), func(b *bench) {
			if _, err := b.Accept(t.Context(), from, []byte(late)); err != nil {
				t.Fatal(err)
			}
			imported := intake.Origin{Source: "importer", Trust: event.Imported}
			if _, err := b.Accept(t.Context(), imported, []byte(late)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if at, _ := b.records(t)[0].Open().Get("time"); !at.Time().Equal(stated) {
				t.Errorf("time = %v, want %v", at.Time(), stated)
			}
		})
		if want := []string{"audit:source:clock_skew 3600000"}; !slices.Equal(got, want) {
			t.Errorf("after an hour's skew: %q, want %q", got, want)
		}
	})
}
