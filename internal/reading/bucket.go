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
			interval = store.IntervalOf(time.Duration(times[n-1]-times[0]) * time.Microsecond)
		}
	}
	var buckets []store.Bucket
	for _, micros := range times {
		at := interval.Begin(time.UnixMicro(micros).UTC())
		if n := len(buckets); n == 0 || !buckets[n-1].Time.Equal(at) {
			buckets = append(buckets, store.Bucket{Time: at})
		}
		buckets[len(buckets)-1].Count++
	}
	return interval, buckets
}

// cutSubject returns the place of a subject whose member a field is.
func cutSubject(name, member string) (place string, ok bool) {
	if !strings.HasPrefix(name, "subjects.") {
		return "", false
	}
	return strings.CutSuffix(name, member)
}
