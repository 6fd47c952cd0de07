package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram counts durations in buckets that are at most 1.6 % wide. Its
// methods may be called concurrently.
type histogram struct {
	buckets [(64 - stepBits) * steps]atomic.Int64
	longest atomic.Int64
}

const (
	stepBits = 6
	steps    = 1 << stepBits // buckets of one power of two
)

// bucketOf returns the bucket of n nanoseconds.
func bucketOf(n uint64) int {
	shift := max(0, bits.Len64(n)-stepBits-1)
	return shift*steps + int(n>>shift)
}

// highest returns the longest duration in a bucket.
func highest(bucket int) time.Duration {
	shift := max(0, bucket/steps-1)
	return time.Duration((uint64(bucket-shift*steps)+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	n := max(0, int64(d))
	h.buckets[bucketOf(uint64(n))].Add(1)
	for {
		longest := h.longest.Load()
		if n <= longest || h.longest.CompareAndSwap(longest, n) {
			return
		}
	}
}

// quantile returns a duration that the share q of all do not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	total := int64(0)
	for i := range h.buckets {
		total += h.buckets[i].Load()
	}
	rank := int64(q * float64(total))
	for i := range h.buckets {
		if rank -= h.buckets[i].Load(); rank < 0 {
			return min(highest(i), h.max())
		}
	}
	return h.max()
}

func (h *histogram) max() time.Duration { return time.Duration(h.longest.Load()) }
