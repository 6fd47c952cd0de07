package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/internal/store"
)

func topCommand() *command {
	return &command{
		name:  "top",
		usage: "[flags] FIELD [QUERY ...]",
		short: "count events by a field",
		long: `Counts the events that match by the values of a field, and shows the most frequent.

  custody top tag                                   what happens most
  custody top actor tag:project:release:add         who publishes most
  custody top ip outcome:denied after:-7d           where the refused come from
  custody top -limit 100 project token:9f86d081     which projects a token touched

An event with two projects counts for both. FIELD is one of
` + wrapped(store.Fields(), 90) + `

A query that begins with -term needs -- before FIELD. The query language is in docs/query.md.`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			limit := flags.Int("limit", 10, "at most this many `values`")
			budget := budgetFlag(flags)
			asJSON := flags.Bool("json", false, "print the counts as the HTTP API gives them")
			rest, err := parse(flags, args, 1, -1)
			if err != nil {
				return err
			}
			c, err := client(env)
			if err != nil {
				return err
			}
			q := custody.Query{Text: strings.Join(quoteWords(rest[1:]), " "), Limit: *limit, Budget: *budget}
			f, err := c.Facets(ctx, q, rest[0])
			if err != nil {
				return err
			}
			if *asJSON {
				fmt.Fprintf(env.Stdout, "%s\n", strings.TrimSpace(string(f.Raw)))
			} else {
				printTop(env, f, rest[0], *limit)
			}
			return partial(&f.Count, *budget)
		},
	}
}

// wrapped returns words on indented lines of up to width bytes.
func wrapped(words []string, width int) string {
	var b strings.Builder
	line := " "
	for _, word := range words {
		if len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = " "
		}
		line += " " + word
	}
	return b.String() + line
}

// budgetFlag defines the flag -budget.
func budgetFlag(flags *flag.FlagSet) *time.Duration {
	return flags.Duration("budget", 0, "how `long` the log may take, up to 30s (default 5s)")
}

// printTop prints a line for each value, and says what a reader should know.
func printTop(env *Env, f *custody.Facets, field string, limit int) {
	values := f.Values[field]
	var most int64
	for _, v := range values {
		most = max(most, v.Count)
	}
	for _, v := range values {
		fmt.Fprintf(env.Stdout, "%8d  %-*s  %s\n", v.Count, countBarWidth, countBar(v.Count, most), printable(v.Value))
	}
	switch {
	case f.Events > 0 && len(values) == 0:
		fmt.Fprintf(env.Stderr, "%s, none of them with a value of %s\n", matching(f.Events), printable(field))
	case len(values) >= limit:
		fmt.Fprintf(env.Stderr, "%s; there may be more values: -limit %d shows them\n", matching(f.Events), 10*limit)
	default:
		sayCounted(env.Stderr, &f.Count)
	}
}

// sayCounted says how many events were counted.
func sayCounted(w io.Writer, n *custody.Count) {
	if n.Behind > 0 {
		fmt.Fprintf(w, "%s; the count is %d events behind the log\n", matching(n.Events), n.Behind)
		return
	}
	fmt.Fprintln(w, matching(n.Events))
}

// matching says how many events match.
func matching(n int64) string {
	switch n {
	case 0:
		return "no events match"
	case 1:
		return "1 event matches"
	}
	return fmt.Sprintf("%d events match", n)
}

// partial returns an error if what was counted is of a part of the events: a
// number that is too small must not look like an answer.
func partial(n *custody.Count, budget time.Duration) error {
	if n.Complete {
		return nil
	}
	if budget == 0 {
		budget = store.DefaultBudget
	}
	return withHint(fmt.Errorf("only a part of the events was counted: the time of %v was up", budget),
		"-budget 30s gives it more; a shorter span of time (after:-7d) or fewer *parts* make it faster")
}

// countBarWidth is how many characters the longest bar has.
const countBarWidth = 24

// countBar returns a bar for n, where most has the longest. What is more than
// nothing has one.
func countBar(n, most int64) string {
	if n <= 0 || most <= 0 {
		return ""
	}
	return strings.Repeat("#", max(1, int(float64(countBarWidth)*float64(min(n, most))/float64(most))))
}
