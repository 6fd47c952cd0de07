package store_test

import (
	"testing"
	"time"

	"github.com/custody-log/custody/internal/store"
)

// TestIntervals checks where buckets begin, by the calendar, and that each begins
// where the one before it ends.
func TestIntervals(t *testing.T) {
	at := time.Date(2028, 2, 29, 13, 37, 42, 123_000, time.UTC) // a Tuesday
	for interval, want := range map[store.Interval][2]string{
		store.Minute: {"2028-02-29 13:37", "2028-02-29 13:38"},
		store.Hour:   {"2028-02-29 13:00", "2028-02-29 14:00"},
		store.Day:    {"2028-02-29 00:00", "2028-03-01 00:00"},
		store.Week:   {"2028-02-28 00:00", "2028-03-06 00:00"},
		store.Month:  {"2028-02-01 00:00", "2028-03-01 00:00"},
		store.Year:   {"2028-01-01 00:00", "2029-01-01 00:00"},
	} {
		begin := interval.Begin(at)
		next := interval.Next(begin)
		const layout = "2006-01-02 15:04"
		if got := [2]string{begin.Format(layout), next.Format(layout)}; got != want {
			t.Errorf("the %s of %v is %v, want %v", interval, at, got, want)
		}
		for range 60 {
			if last := next.Add(-time.Microsecond); !interval.Begin(last).Equal(begin) || !interval.Begin(next).Equal(next) {
				t.Errorf("the %s that ends at %v begins at %v, want %v; the next at %v", interval, next, interval.Begin(last), begin, interval.Begin(next))
			}
			begin, next = next, interval.Next(next)
		}
	}
}
