package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// trialLimit bounds one round of one row, preparation included.
const trialLimit = 5 * time.Minute

// runAll runs all rounds of the rows, in turns, and prints the table.
func runAll(ctx context.Context, o *options, chosen []row) error {
	remove, err := build(ctx, o, chosen)
	if err != nil {
		return err
	}
	defer remove()
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o700); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	before := loadAverage()
	t := table{rows: chosen, results: make([][]*result, len(chosen))}
	var failed []error
	for round := range o.rounds {
		for i, r := range chosen {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, o.rounds, r.name)
			one, err := spawn(ctx, o, r)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				failed = append(failed, err) // the other rows are worth having
				continue
			}
			t.results[i] = append(t.results[i], one)
		}
	}
	t.print(os.Stdout)
	fmt.Fprintf(os.Stdout, "\nMedians of %d rounds of %v. Load average before %s, after %s.\n", o.rounds, o.length, before, loadAverage())
	return errors.Join(failed...)
}

// build builds the program that the HTTP rows measure, and returns what removes
// it again.
func build(ctx context.Context, o *options, chosen []row) (remove func(), err error) {
	needed := false
	for _, r := range chosen {
		needed = needed || r.server
	}
	if !needed || o.custody != "" {
		return func() {}, nil
	}
	// Not in o.dir, which may be on a small or slow disk.
	o.custody = filepath.Join(os.TempDir(), fmt.Sprintf("custody-bench-%d", os.Getpid()))
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", o.custody, "github.com/custody-log/custody/cmd/custody")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("bench: build the program: %w", err)
	}
	return func() { _ = os.Remove(o.custody) }, nil // of the system's directory for temporary files
}

var unfitForNames = regexp.MustCompile(`[^a-z0-9]+`)

// spawn runs one round of a row in a process of its own.
func spawn(ctx context.Context, o *options, r row) (*result, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	dir, err := os.MkdirTemp(o.dir, "custody-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(dir)
	args := []string{
		"-trial", r.name, "-dir", dir, "-custody", o.custody,
		"-seconds", fmt.Sprint(o.length.Seconds()), fmt.Sprintf("-quick=%t", o.quick),
	}
	if o.profiles != "" && !r.server {
		args = append(args, "-cpuprofile", filepath.Join(o.profiles, unfitForNames.ReplaceAllString(r.name, "-")+".pprof"))
	}
	ctx, cancel := context.WithTimeout(ctx, trialLimit)
	defer cancel()
	var out bytes.Buffer
	trial := exec.CommandContext(ctx, self, args...)
	trial.Stdout, trial.Stderr = &out, os.Stderr
	// Interrupted rather than killed, it stops the server it started.
	trial.Cancel = func() error { return trial.Process.Signal(os.Interrupt) }
	trial.WaitDelay = 10 * time.Second
	if err := trial.Run(); err != nil {
		return nil, fmt.Errorf("bench: %s: %w", r.name, err)
	}
	one := new(result)
	if err := json.Unmarshal(out.Bytes(), one); err != nil {
		return nil, fmt.Errorf("bench: %s: result: %w", r.name, err)
	}
	return one, nil
}
