package reading

import (
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/store"
)

// bucketed returns how many of some times, in microseconds since 1970, are in each
// interval, as the store does; an automatic interval goes by the span of the times
// themselves, as that of all events is not for everybody. It sorts times.
func bucketed(times []int64, interval store.Interval) (store.Interval, []store.Bucket) {
	if interval == store.None {
		return interval, nil
	}
	slices.Sort(times)
	if interval == store.Automatic {
		interval = store.Minute
		if n := len(times); n > 0 {
			interval = automatic(time.Duration(times[n-1]-times[0]) * time.Microsecond)
		}
	}
	var buckets []store.Bucket
	for _, micros := range times {
		at := begin(interval, time.UnixMicro(micros).UTC())
		if n := len(buckets); n == 0 || !buckets[n-1].Time.Equal(at) {
			buckets = append(buckets, store.Bucket{Time: at})
		}
		buckets[len(buckets)-1].Count++
	}
	return interval, buckets
}

// automatic returns the interval for a span of time, for 30 to 200 buckets.
func automatic(span time.Duration) store.Interval {
	const day = 24 * time.Hour
	switch {
	case span <= 3*time.Hour:
		return store.Minute
	case span <= 4*day:
		return store.Hour
	case span <= 200*day:
		return store.Day
	case span <= 3*365*day:
		return store.Week
	}
	return store.Month
}

// begin returns when the bucket of a time begins.
func begin(interval store.Interval, at time.Time) time.Time {
	year, month, day := at.Date()
	switch interval { //nolint:exhaustive // the others are no lengths
	case store.Minute:
		return at.Truncate(time.Minute)
	case store.Hour:
		return at.Truncate(time.Hour)
	case store.Week:
		return time.Date(year, month, day-(int(at.Weekday())+6)%7, 0, 0, 0, 0, time.UTC)
	case store.Month:
		return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	case store.Year:
		return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	default:
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
}

// cutSubject returns the place of a subject whose member a field is.
func cutSubject(name, member string) (place string, ok bool) {
	if !strings.HasPrefix(name, "subjects.") {
		return "", false
	}
	return strings.CutSuffix(name, member)
}
