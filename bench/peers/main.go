// Command peers puts the same events into Custody and into what somebody could
// have used instead, asks all of them the same questions, and prints what each
// took: events a second, CPU time, bytes, memory and waiting.
//
//	go run .                            2 million events, all peers
//	go run . -events 10000000           10 million
//	go run . -only 'sqlite|pebble'      those peers
//	go run . -questions 'project|word'  those questions
//	go run . -cold                      the questions once more, nothing in memory
//	go run . -list                      names all peers
//
// Every answer is compared with that of a program that reads all events one
// after the other. A wrong one fails the run.
//
// Each stage of each peer runs in a process of its own, one after the other, on
// files that are removed afterwards. The table goes to standard output, all
// else to standard error. README.md says how each peer is set and what is fair
// about it. It runs on Linux only: what a process used is read from /proc.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"
)

// options are the flags. The processes of the stages are given them as JSON.
type options struct {
	Events    int
	Seed      uint64
	End       time.Time     // when the last event happens
	Span      time.Duration // that the events fill
	Keys      int           // asked for, of each kind of question
	Budget    time.Duration // for one kind of question
	Writers   int           // at once
	Only      string
	Questions string
	Cold      bool
	Dir       string // on the disk to measure
	Memory    int    // MiB that each peer may use as a cache
	Custody   string // the program; "" to build it

	list bool
}

func parseFlags(args []string) (*options, error) {
	o := new(options)
	var end string
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.IntVar(&o.Events, "events", 2_000_000, "`number` of events")
	flags.Uint64Var(&o.Seed, "seed", 1, "`number` that decides what the events are")
	flags.StringVar(&end, "end", "2026-11-01T00:00:00Z", "`time` at which the events end: now, for the questions")
	flags.DurationVar(&o.Span, "span", 365*24*time.Hour, "`time` that the events fill")
	flags.IntVar(&o.Keys, "keys", 200, "`number` of different keys that each kind of question is asked with")
	flags.DurationVar(&o.Budget, "budget", 30*time.Second, "`time` for one kind of question; slow ones are asked with fewer keys")
	flags.IntVar(&o.Writers, "writers", 2, "`number` of batches that are written at once")
	flags.StringVar(&o.Only, "only", "^(custody|postgres|sqlite|pebble)$", "`pattern` that the names of peers must match")
	flags.StringVar(&o.Questions, "questions", "", "`pattern` that the names of questions must match")
	flags.BoolVar(&o.Cold, "cold", false, "ask once more after a restart, with nothing of the files in memory")
	flags.StringVar(&o.Dir, "dir", os.TempDir(), "`directory` on the disk to measure; what is made in it is removed")
	flags.IntVar(&o.Memory, "cache", 1024, "`MiB` that PostgreSQL, SQLite and Pebble may each use as a cache")
	flags.StringVar(&o.Custody, "custody", "", "`program` to serve with (built from the module around this one)")
	flags.BoolVar(&o.list, "list", false, "name the peers and end")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	var err error
	switch o.End, err = time.Parse(time.RFC3339, end); {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("peers: there is an argument %q, want flags only", flags.Arg(0))
	case err != nil:
		return nil, fmt.Errorf("peers: -end: %w", err)
	}
	return o, o.check()
}

func (o *options) check() error {
	switch {
	case o.Events < 100:
		return errors.New("peers: -events: want at least 100")
	case o.Span/time.Duration(o.Events) < time.Millisecond:
		return errors.New("peers: -span: want at least a millisecond for each event")
	case o.Keys < 1 || o.Writers < 1 || o.Memory < 1:
		return errors.New("peers: -keys, -writers and -cache: want at least 1")
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if len(os.Args) == 3 && os.Args[1] == stageArgument {
		err = runStageProcess(ctx, os.Args[2])
	} else {
		err = run(ctx, os.Args[1:])
	}
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
	if o.list {
		for _, k := range kinds {
			fmt.Fprintf(os.Stdout, "%-20s %s\n", k.name, k.about)
		}
		return nil
	}
	chosen, err := choose(o.Only)
	if err != nil {
		return err
	}
	// The postgres user must reach what is in it.
	dir, err := os.MkdirTemp(o.Dir, "custody-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	return runAll(ctx, o, dir, chosen, spawn)
}

// choose returns the kinds of peers whose names match. Peers that read the files
// of another come with it, and it with them.
func choose(only string) ([]*kind, error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("peers: -only: %w", err)
	}
	var chosen []*kind
	for _, k := range kinds {
		if slices.ContainsFunc(kinds, func(one *kind) bool { return k.shares(one) && pattern.MatchString(one.name) }) {
			chosen = append(chosen, k)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("peers: no such peer; hint: -list")
	}
	return chosen, nil
}

// runAll makes events and questions, takes each kind of peer through all
// stages, and prints the table. What one peer failed at does not keep the
// others from being measured.
func runAll(ctx context.Context, o *options, dir string, chosen []*kind, runStage func(context.Context, *stage) (*result, error)) error {
	began := time.Now()
	t := newTable(o)
	if err := makeEvents(o, filepath.Join(dir, eventsFile)); err != nil {
		return err
	}
	p, err := newPlan(o, filepath.Join(dir, eventsFile))
	if err != nil {
		return err
	}
	if err := p.save(filepath.Join(dir, planFile)); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d events and what to ask of them: %.1f s\n", o.Events, time.Since(began).Seconds())
	var failures []error
	for _, k := range chosen {
		if k.reads != "" {
			continue // it comes with the peer whose files it reads
		}
		columns := []*column{newColumn(k)}
		for _, other := range chosen {
			if other.reads == k.name {
				columns = append(columns, newColumn(other))
			}
		}
		if err := runPeer(ctx, o, dir, columns, runStage); err != nil {
			return err
		}
		for _, c := range columns {
			if c.err != nil {
				failures = append(failures, fmt.Errorf("peers: %s: %w", c.kind.name, c.err))
				fmt.Fprintln(os.Stderr, failures[len(failures)-1])
			}
			t.add(c)
		}
	}
	t.print(os.Stdout, p)
	return errors.Join(failures...)
}

// A column is a kind of peer and what was measured of it.
type column struct {
	kind   *kind
	result *result
	err    error // why there is no more, or what was wrong
}

func newColumn(k *kind) *column { return &column{kind: k, result: newResult()} }

// runPeer takes a peer, the first of columns, through all stages, and those that
// read its files through those that only ask, each after the peer itself. Then it
// removes the files. What went wrong is in the columns.
func runPeer(ctx context.Context, o *options, dir string, columns []*column, runStage func(context.Context, *stage) (*result, error)) error {
	home := filepath.Join(dir, columns[0].kind.name)
	if err := os.Mkdir(home, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(home)
	first, others := columns[0], columns[1:]
	for _, name := range stageNames(o) {
		first.run(ctx, &stage{Name: name, Peer: first.kind.name, Dir: dir, Home: home, Options: o}, runStage)
		for _, c := range others {
			switch {
			case c.err != nil || !isQuestions(name) && name != stageWrite:
			case first.err != nil:
				c.err = fmt.Errorf("%s: %s failed, whose files it reads", name, first.kind.name)
			case isQuestions(name):
				c.run(ctx, &stage{Name: name, Peer: c.kind.name, Dir: dir, Home: home, Options: o}, runStage)
			}
		}
		if first.err != nil {
			break
		}
	}
	for _, c := range columns {
		c.err = cmp.Or(c.err, c.result.err())
	}
	return nil
}

// run runs a stage.
func (c *column) run(ctx context.Context, s *stage, runStage func(context.Context, *stage) (*result, error)) {
	began := time.Now()
	r, err := runStage(ctx, s)
	if err != nil {
		c.err = fmt.Errorf("%s: %w", s.Name, err)
		return
	}
	c.result.merge(r)
	fmt.Fprintf(os.Stderr, "%s: %s: %.1f s\n", c.kind.name, s.Name, time.Since(began).Seconds())
}
