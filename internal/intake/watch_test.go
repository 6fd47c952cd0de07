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
		want := []string{"audit:source:gap 1 10", "audit:source:gap 14 16"}
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

// TestCountAnew checks that a source that begins to count anew, and may have lost
// what came last, is noticed.
func TestCountAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := life(t, new(disk.Mem), func(b *bench) {
			for i, n := range []int{1, 2, 3, 1, 2} {
				data := strings.Replace(string(counted(n)), fmt.Sprintf(`"c%d"`, n), fmt.Sprintf(`"life %d"`, i), 1)
				if _, err := b.Accept(t.Context(), from, []byte(data)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Minute)
		})
		if want := []string{"audit:source:gap 4 1"}; !slices.Equal(got, want) {
			t.Errorf("recorded %q, want %q", got, want)
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

// TestNeverHeardIsNoReturn checks that a restart is not taken for the return of a
// source that never sent anything.
func TestNeverHeardIsNoReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		sources := []intake.Source{{Name: "registry", SilentAfter: 10 * time.Minute}}
		for range 2 {
			got := life(t, fs, func(*bench) { time.Sleep(time.Hour) }, sources...)
			if want := []string{"audit:source:silent"}; !slices.Equal(got, want) {
				t.Errorf("without a word: %q, want %q", got, want)
			}
		}
	})
}

// TestClockIsNotedNotCorrected checks that a clock that is ahead becomes an
// event, and so does an event that comes late, once an hour each, while the time
// they state stays as it was. History that is loaded later is no surprise.
func TestClockIsNotedNotCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		send := func(b *bench, from intake.Origin, id string, off time.Duration) time.Time {
			now := time.Now()
			data := strings.Replace(string(published(id, "alice")), now.Format(time.RFC3339Nano), now.Add(off).Format(time.RFC3339Nano), 1)
			if _, err := b.Accept(t.Context(), from, []byte(data)); err != nil {
				t.Fatal(err)
			}
			return now.Add(off)
		}
		got := life(t, new(disk.Mem), func(b *bench) {
			stated := send(b, from, "1", time.Hour)
			send(b, from, "2", 2*time.Hour)
			time.Sleep(time.Minute)
			send(b, from, "3", -3*time.Hour)
			send(b, intake.Origin{Source: "importer", Trust: event.Imported}, "4", -1000*time.Hour)
			time.Sleep(time.Minute)
			if at, _ := b.records(t)[0].Open().Get("time"); !at.Time().Equal(stated) {
				t.Errorf("time = %v, want %v", at.Time(), stated)
			}
		})
		if want := []string{"audit:source:clock_skew 7200000", "audit:ingest:late 10800000"}; !slices.Equal(got, want) {
			t.Errorf("recorded %q, want %q", got, want)
		}
	})
}

// TestLogAwayIsNotSilence checks that a source is not blamed for the time in
// which the log could not hear it.
func TestLogAwayIsNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		sources := []intake.Source{{Name: "registry", SilentAfter: 10 * time.Minute}}
		life(t, fs, func(b *bench) {
			if _, err := b.Accept(t.Context(), from, published("1", "alice")); err != nil {
				t.Fatal(err)
			}
		}, sources...)
		time.Sleep(24 * time.Hour)
		if got := life(t, fs, func(*bench) { time.Sleep(5 * time.Minute) }, sources...); len(got) > 0 {
			t.Errorf("after a day without the log: %q, want nothing", got)
		}
	})
}
