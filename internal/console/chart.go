package console

import (
	"time"

	"github.com/custody-log/custody/internal/store"
)

// The size of a chart, in its own units.
const (
	chartWidth  = 1000
	chartHeight = 100
	maxBars     = 400 // more bars than this cannot be told apart
)

// A chart is a histogram of events by time.
type chart struct {
	Interval string // "day"
	First    time.Time
	Last     time.Time // the end of the last bar
	Most     int64     // events in the highest bar
	Bars     []bar     // without empty ones
	Begin    int64     // First and Last in milliseconds since 1970, for scripts
	End      int64
}

// A bar is one interval of time.
type bar struct {
	From    time.Time
	Count   int64
	Address string // of the view narrowed to the interval; "" if it cannot be
	X, W    float64
	Y, H    float64
}

// newChart draws buckets. Address returns the address of what a chart shows
// between two times. It returns nil if there is nothing to draw, or no way.
func newChart(buckets []store.Bucket, interval store.Interval, address func(after, before string) string) *chart {
	if len(buckets) == 0 || len(buckets) > maxBars || interval == store.None {
		return nil
	}
	first, last := buckets[0].Time, interval.Next(buckets[len(buckets)-1].Time)
	span := last.Sub(first).Seconds()
	if span <= 0 {
		return nil
	}
	ch := &chart{Interval: string(interval), First: first, Last: last, Begin: first.UnixMilli(), End: last.UnixMilli()}
	for _, b := range buckets {
		ch.Most = max(ch.Most, b.Count)
	}
	for _, b := range buckets {
		end := interval.Next(b.Time)
		x := b.Time.Sub(first).Seconds() / span * chartWidth
		w := end.Sub(b.Time).Seconds() / span * chartWidth
		h := max(3, float64(b.Count)/float64(ch.Most)*(chartHeight-4)) // one event among thousands is seen, too
		ch.Bars = append(ch.Bars, bar{
			From: b.Time, Count: b.Count, X: x, W: w, Y: chartHeight - h, H: h,
			Address: address(b.Time.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339)),
		})
	}
	return ch
}

// Inner returns the width of the part of the bar that is painted: a gap stays
// between bars that are wide enough.
func (b bar) Inner() float64 {
	if b.W > 4 {
		return b.W - min(b.W*0.15, 4)
	}
	return b.W
}
