package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A result is what was measured of one peer. What was not is 0 or missing.
type result struct {
	CPU         float64 // microseconds an event, until the last was kept
	SettledCPU  float64 // the same, with what was left to do then
	ClientCPU   float64 // the same as CPU, of this process
	PeakBytes   int64   // of memory, while events were kept
	RestBytes   int64   // of memory, afterwards
	DiskBytes   int64
	ExportBytes int64
	Batches     spread
	Warm, Cold  map[topic]spread
	Seconds     map[string]float64 // that something took
	Wrong       map[string]string  // what was not as it should be, by topic or stage
}

// What is timed once.
const (
	secondsWrite   = "write"
	secondsSettle  = "settle"
	secondsExport  = "export"
	secondsRestart = "restart"
	secondsPurge   = "purge"
	secondsReclaim = "reclaim"
	secondsErase   = "erase"
)

func newResult() *result {
	return &result{Warm: make(map[topic]spread), Cold: make(map[topic]spread), Seconds: make(map[string]float64), Wrong: make(map[string]string)}
}

// merge takes over what a later stage measured.
func (r *result) merge(later *result) {
	if later.DiskBytes > 0 {
		r.CPU, r.SettledCPU, r.ClientCPU = later.CPU, later.SettledCPU, later.ClientCPU
		r.PeakBytes, r.RestBytes, r.DiskBytes = later.PeakBytes, later.RestBytes, later.DiskBytes
		r.Batches = later.Batches
	}
	r.ExportBytes = max(r.ExportBytes, later.ExportBytes)
	maps.Copy(r.Warm, later.Warm)
	maps.Copy(r.Cold, later.Cold)
	maps.Copy(r.Seconds, later.Seconds)
	maps.Copy(r.Wrong, later.Wrong)
}

// excuse takes in what went wrong with a topic or a stage, and reports whether
// what comes after it can be measured all the same.
func (r *result) excuse(what string, err error) bool {
	var wrong *wrongError
	switch {
	case errors.As(err, &wrong):
		r.Wrong[what] = wrong.what
	case errors.Is(err, errUnable):
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
	default:
		return false
	}
	return true
}

// err returns an error if anything was wrong.
func (r *result) err() error {
	var all []error
	for _, what := range slices.Sorted(maps.Keys(r.Wrong)) {
		all = append(all, fmt.Errorf("wrong: %s: %s", what, r.Wrong[what]))
	}
	return errors.Join(all...)
}

// A series is how long each of some calls took.
type series struct {
	mu    sync.Mutex
	times []time.Duration
}

func (s *series) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times = append(s.times, d)
}

// A spread is how long calls took.
type spread struct {
	Calls    int
	P50, P99 time.Duration
}

func (s *series) spread() spread {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.times) == 0 {
		return spread{}
	}
	sorted := slices.Clone(s.times)
	slices.Sort(sorted)
	at := func(share float64) time.Duration { return sorted[int(share*float64(len(sorted)-1)+.5)] }
	return spread{len(sorted), at(.50), at(.99)}
}

// micros returns microseconds an event.
func micros(d time.Duration, events int) float64 {
	return float64(d.Nanoseconds()) / 1e3 / float64(events)
}

// inParallel runs do n times at once.
func inParallel(ctx context.Context, n int, do func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for range n {
		g.Go(func() error { return do(ctx) })
	}
	return g.Wait()
}
