// Command bench measures the log: how many events a second it takes, what each
// costs in CPU time and bytes, and how long a submitter waits.
//
//	go run ./bench                   every row, medians of five rounds
//	go run ./bench -quick            one short round
//	go run ./bench -only 'http|tree' the rows whose names match
//
// Every round of every row runs in a process of its own, on an empty directory,
// so that its CPU time and memory are its own. The rounds of all rows take
// turns, so that what else the machine does meets all alike. What it did is in
// the last column: a figure is worth something when that is near zero.
//
// The table goes to standard output, all else to standard error.
// docs/performance.md says what the rows mean and what bounds them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	quick    bool
	length   time.Duration
	rounds   int
	only     string
	list     bool
	dir      string
	profiles string
	custody  string
	trial    string
}

func parseFlags(args []string) (*options, error) {
	o := new(options)
	var seconds float64
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.quick, "quick", false, "one short round")
	flags.Float64Var(&seconds, "seconds", 0, "`seconds` that a round is measured for (3; with -quick 1)")
	flags.IntVar(&o.rounds, "rounds", 0, "`number` of rounds, of which the median counts (5; with -quick 1)")
	flags.StringVar(&o.only, "only", "", "`pattern` that the names of rows must match")
	flags.BoolVar(&o.list, "list", false, "name the rows and end")
	flags.StringVar(&o.dir, "dir", os.TempDir(), "`directory` on the disk to measure; what is made in it is removed")
	flags.StringVar(&o.profiles, "cpuprofile", "", "`directory` for a CPU profile of each row that has no server")
	flags.StringVar(&o.custody, "custody", "", "`program` to serve with (built from this module)")
	flags.StringVar(&o.trial, "trial", "", "used by bench itself: run one round of the `row` and print its result")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("bench: there is an argument %q, want flags only", flags.Arg(0))
	}
	o.length = time.Duration(seconds * float64(time.Second))
	if o.length <= 0 {
		o.length = 3 * time.Second
		if o.quick {
			o.length = time.Second
		}
	}
	if o.rounds <= 0 {
		o.rounds = 5
		if o.quick {
			o.rounds = 1
		}
	}
	return o, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // main may
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parseFlags(args)
	if err != nil {
		return err
	}
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("bench: -only: %w", err)
	}
	var chosen []row
	for _, r := range rows() {
		if o.trial == r.name {
			return runTrial(ctx, o, r)
		}
		if only.MatchString(r.name) {
			chosen = append(chosen, r)
		}
	}
	switch {
	case len(chosen) == 0 || o.trial != "":
		return errors.New("bench: no such row; hint: -list")
	case o.list:
		for _, r := range chosen {
			fmt.Fprintln(os.Stdout, r.name)
		}
		return nil
	}
	return runAll(ctx, o, chosen)
}
