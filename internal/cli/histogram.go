package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/custody-log/custody"
)

func histogramCommand() *command {
	return &command{
		name:  "histogram",
		usage: "[flags] [QUERY ...]",
		short: "count events by time",
		long: `Counts the events that match by time, and shows a bar for each interval. Times are UTC.

  custody histogram                                     the whole log
  custody histogram -interval day project:demo-pkg      the days of a package
  custody histogram -interval hour outcome:denied after:-2d

Without -interval it is chosen by the span of time. A query that begins with -term needs -- before
it. The query language is in docs/query.md.`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			interval := flags.String("interval", "auto", "`length` of one bar: auto, minute, hour, day, week, month or year")
			budget := budgetFlag(flags)
			asJSON := flags.Bool("json", false, "print the counts as the HTTP API gives them")
			rest, err := parse(flags, args, 0, -1)
			if err != nil {
				return err
			}
			c, err := client(env)
			if err != nil {
				return err
			}
			q := custody.Query{Text: strings.Join(quoteWords(rest), " "), Budget: *budget}
			h, err := c.Histogram(ctx, q, custody.Interval(*interval))
			if err != nil {
				return err
			}
			if *asJSON {
				fmt.Fprintf(env.Stdout, "%s\n", strings.TrimSpace(string(h.Raw)))
			} else {
				if err := printHistogram(env.Stdout, h); err != nil {
					return err
				}
				sayCounted(env.Stderr, &h.Count)
			}
			return partial(&h.Count, *budget)
		},
	}
}

// maxGap is how many empty intervals in a row are shown one by one.
const maxGap = 10

// printHistogram prints a line for each interval, the empty ones included; many
// of those in a row become one line.
func printHistogram(w io.Writer, h *custody.Histogram) error {
	layout, ok := layouts[h.Interval]
	if !ok {
		return errNoInterval
	}
	var most int64
	for _, b := range h.Buckets {
		most = max(most, b.Count)
	}
	for i, b := range h.Buckets {
		if i > 0 {
			printGap(w, h.Interval, h.Buckets[i-1].Time, b.Time)
		}
		fmt.Fprintf(w, "%-*s  %8d  %s\n", len(layout), b.Time.UTC().Format(layout), b.Count, countBar(b.Count, most))
	}
	return nil
}

// errNoInterval means that a log is of another time than this program.
var errNoInterval = errors.New("the log answered with an interval that is not known here; -json prints it")

// layouts say how the beginning of an interval is written.
var layouts = map[custody.Interval]string{
	custody.Minute: "2006-01-02T15:04Z",
	custody.Hour:   "2006-01-02T15:04Z",
	custody.Day:    "2006-01-02",
	custody.Week:   "2006-01-02",
	custody.Month:  "2006-01",
	custody.Year:   "2006",
}

// printGap prints the intervals after the one at from and before the one at to.
func printGap(w io.Writer, interval custody.Interval, from, to time.Time) {
	layout := layouts[interval]
	var empty []time.Time
	for at := following(interval, from); at.Before(to); at = following(interval, at) {
		if empty = append(empty, at); len(empty) > maxGap {
			fmt.Fprintf(w, "%-*s  %8d\n", len(layout), "...", 0)
			return
		}
	}
	for _, at := range empty {
		fmt.Fprintf(w, "%-*s  %8d\n", len(layout), at.UTC().Format(layout), 0)
	}
}

// following returns the beginning of the next interval.
func following(interval custody.Interval, at time.Time) time.Time {
	switch interval {
	case custody.Minute:
		return at.Add(time.Minute)
	case custody.Hour:
		return at.Add(time.Hour)
	case custody.Week:
		return at.AddDate(0, 0, 7)
	case custody.Month:
		return at.AddDate(0, 1, 0)
	case custody.Year:
		return at.AddDate(1, 0, 0)
	case custody.Day, custody.Auto:
	}
	return at.AddDate(0, 0, 1)
}
