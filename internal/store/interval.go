package store

import (
	"math"
	"time"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
)

// An Interval is the length of buckets of time, all in UTC.
type Interval string

// The intervals.
const (
	None      Interval = ""
	Automatic Interval = "auto" // by the span of time, for 30 to 200 buckets
	Minute    Interval = "minute"
	Hour      Interval = "hour"
	Day       Interval = "day"
	Week      Interval = "week" // from Monday on
	Month     Interval = "month"
	Year      Interval = "year"
)

// ParseInterval reads the name of an interval.
func ParseInterval(s string) (Interval, bool) {
	switch i := Interval(s); i { //nolint:exhaustive // the others are alike
	case Automatic, Minute, Hour, Day, Week, Month, Year:
		return i, true
	}
	return None, false
}

// Begin returns when the bucket of a time begins, which must be in UTC.
func (i Interval) Begin(at time.Time) time.Time {
	year, month, day := at.Date()
	switch i { //nolint:exhaustive // the others are no lengths
	case Minute:
		return at.Truncate(time.Minute)
	case Hour:
		return at.Truncate(time.Hour)
	case Week:
		return time.Date(year, month, day-(int(at.Weekday())+6)%7, 0, 0, 0, 0, time.UTC)
	case Month:
		return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	case Year:
		return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	default:
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
}

// Next returns when the bucket after the one that begins at a time begins.
func (i Interval) Next(begin time.Time) time.Time {
	switch i { //nolint:exhaustive // the others are no lengths
	case Minute:
		return begin.Add(time.Minute)
	case Hour:
		return begin.Add(time.Hour)
	case Week:
		return begin.AddDate(0, 0, 7)
	case Month:
		return begin.AddDate(0, 1, 0)
	case Year:
		return begin.AddDate(1, 0, 0)
	default:
		return begin.AddDate(0, 0, 1)
	}
}

// span returns the bucket of a time: from its first microsecond to before end.
func (i Interval) span(micros int64) (first, end int64) {
	begin := i.Begin(time.UnixMicro(micros).UTC())
	return begin.UnixMicro(), i.Next(begin).UnixMicro()
}

// IntervalOf returns the interval for a span of time, for 30 to 200 buckets.
func IntervalOf(span time.Duration) Interval {
	const day = 24 * time.Hour
	switch {
	case span <= 3*time.Hour:
		return Minute
	case span <= 4*day:
		return Hour
	case span <= 200*day:
		return Day
	case span <= 3*365*day:
		return Week
	}
	return Month
}

// bucketed counts rows by time.
func (t *tally) bucketed(x *segment.Selection, rows []uint32) (map[int64]int64, error) {
	if t.request.Interval == None {
		return nil, nil
	}
	counts := make(map[int64]int64)
	first, end, n := int64(0), int64(0), int64(0)
	err := x.Times(rows, func(at int64) {
		if at < first || at >= end {
			if n > 0 {
				counts[first] += n
			}
			first, end = t.request.Interval.span(at)
			n = 0
		}
		n++
	})
	if n > 0 {
		counts[first] += n
	}
	return counts, err
}

// interval returns the interval for the span of a query.
func (s *Store) interval(q *query.Query) Interval {
	after, before := q.Span()
	oldest, newest := s.Times()
	after, before = max(after, oldest), min(before, newest)
	return IntervalOf(time.Duration(max(0, before-after)) * time.Microsecond)
}

// Times returns the times of the oldest and the newest event, in microseconds
// since 1970.
func (s *Store) Times() (oldest, newest int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	oldest, newest = math.MaxInt64, math.MinInt64
	for _, h := range s.segments {
		oldest, newest = min(oldest, h.FirstTime), max(newest, h.EndTime)
	}
	for _, t := range s.tables() {
		first, end := t.Span()
		oldest, newest = min(oldest, first), max(newest, end)
	}
	if oldest > newest {
		return 0, 0
	}
	return oldest, newest
}
