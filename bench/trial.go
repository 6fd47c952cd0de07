package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// A result is what one round of one row measured. What does not apply is 0.
type result struct {
	Rate    float64       // events a second
	CPU     float64       // microseconds an event, of the process that holds the log
	Client  float64       // the same of the process that submits, when that is another
	P50     time.Duration // of one call: an event, or a batch
	P99     time.Duration
	Max     time.Duration
	Journal float64 // bytes an event on disk
	Tree    float64 // bytes an event on disk
	Memory  float64 // bytes, the most that the process which holds the log had resident
	Others  float64 // share of the machine that other processes used, 0 to 1
}

// A trial is one round of one row, in this process.
type trial struct {
	dir     string        // empty, on the disk to be measured
	length  time.Duration // to measure for
	quick   bool
	custody string // the program
	profile string // file for a CPU profile, or ""
	server  int    // process that holds the log, 0 for this one
	result  result
}

// What custody serve sets.
const (
	gcPercent   = 60
	memoryLimit = 900 << 20
	spareProcs  = 2
)

// runTrial runs one round of r and prints the result for the process that
// started this one.
func runTrial(ctx context.Context, o *options, r row) error {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spareProcs)
	}
	t := &trial{dir: o.dir, length: o.length, quick: o.quick, custody: o.custody, profile: o.profiles}
	if err := r.run(ctx, t); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	return json.NewEncoder(os.Stdout).Encode(t.result)
}

// A load is workers that each call something again and again.
type load struct {
	workers int
	events  int // of one call
	call    func(worker int) error

	// settle, if not nil, returns once all that was called for has had its full
	// effect. The time that takes counts.
	settle func() error

	untimed bool // calls are too short to time each
}

// measure puts the load on, waits until it runs evenly, and measures.
func (t *trial) measure(ctx context.Context, l load) error {
	var (
		stop, counting atomic.Bool
		events         atomic.Int64
		latency        histogram
	)
	g, ctx := errgroup.WithContext(ctx)
	for worker := range l.workers {
		g.Go(func() error {
			for !stop.Load() {
				began := time.Now()
				if err := l.call(worker); err != nil {
					return err
				}
				if counting.Load() {
					latency.add(time.Since(began))
					events.Add(int64(l.events))
				}
			}
			return nil
		})
	}
	pause(ctx, max(t.length/5, 200*time.Millisecond))
	stopProfile, err := t.startProfile()
	if err != nil {
		return err
	}
	counting.Store(true)
	before := t.look()
	pause(ctx, t.length)
	stop.Store(true)
	err = g.Wait()
	if err == nil && l.settle != nil {
		err = l.settle()
	}
	after := t.look()
	stopProfile()
	if err != nil {
		return err
	}
	t.conclude(before, after, float64(events.Load()))
	if !l.untimed {
		t.result.P50, t.result.P99, t.result.Max = latency.quantile(.50), latency.quantile(.99), latency.max()
	}
	return nil
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (t *trial) startProfile() (stop func(), err error) {
	if t.profile == "" {
		return func() {}, nil
	}
	f, err := os.Create(t.profile)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // a profile cut short shows when it is read
	}, nil
}

// A look is how things stand at one moment.
type look struct {
	at      time.Time
	own     time.Duration // CPU time of this process
	server  time.Duration // of the server, if there is one
	machine time.Duration // of all processes
}

func (t *trial) look() look {
	l := look{at: time.Now(), own: ownCPU(), machine: machineCPU()}
	if t.server != 0 {
		l.server = processCPU(t.server)
	}
	return l
}

// conclude computes what the time between two looks says.
func (t *trial) conclude(before, after look, events float64) {
	wall := after.at.Sub(before.at)
	own, server := after.own-before.own, after.server-before.server
	r := &t.result
	r.Rate = events / wall.Seconds()
	r.CPU = float64(own.Nanoseconds()) / 1e3 / events
	holder := os.Getpid()
	if t.server != 0 {
		r.CPU, r.Client = float64(server.Nanoseconds())/1e3/events, r.CPU
		holder = t.server
	}
	r.Memory = peakMemory(holder)
	if machine := after.machine - before.machine; machine > 0 {
		r.Others = max(0, (machine-own-server).Seconds()/(wall.Seconds()*cores))
	}
}
