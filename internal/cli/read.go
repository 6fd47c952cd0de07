package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/custody-log/custody"
)

func searchCommand() *command {
	return &command{
		name:  "search",
		usage: "[flags] QUERY ...",
		short: "find events, newest first",
		long: `Finds events, newest first, one a line. All terms of the query must hold:

  custody search project:demo-pkg              history of a package
  custody search actor:alice outcome:denied    what alice was refused
  custody search token:9f86d081                all that was done with a token
  custody search ip:203.0.113.0/24 after:-7d   who came from a network this week
  custody search 'tag:user:token:*' "deploy"   tags by beginning, and a word anywhere
  custody search -oldest -limit 1 user:bob     when bob was first seen
  custody search -json -limit 0 org:demo       all of an organisation, as JSON Lines

Also: user: org: country: client: version: request: source: severity: class: metadata.KEY:
after: before: (a date, a time, or -7d -12h -30m); OR, NOT and parentheses. A query that begins with
-term needs -- before it. All of it is in docs/query.md. To count instead: custody top, custody histogram.`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			limit := flags.Int("limit", 50, "at most this many `events`; 0 is all")
			oldest := flags.Bool("oldest", false, "oldest first")
			budget := budgetFlag(flags)
			asJSON := flags.Bool("json", false, "print each event as a line of JSON")
			rest, err := parse(flags, args, 0, -1)
			if err != nil {
				return err
			}
			if *limit < 0 {
				return &wrongError{fmt.Errorf("-limit is %d, want 0 or more", *limit)}
			}
			c, err := client(env)
			if err != nil {
				return err
			}
			q := custody.Query{Text: strings.Join(quoteWords(rest), " "), Budget: *budget}
			if *oldest {
				q.Order = custody.Oldest
			}
			return search(ctx, env, c, q, *limit, *asJSON)
		},
	}
}

// quoteWords quotes arguments that hold spaces: the shell took the quotes off.
// One argument alone is a whole query.
func quoteWords(args []string) []string {
	if len(args) == 1 {
		return args
	}
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = a
		if !strings.ContainsAny(a, " \t") || strings.Contains(a, `"`) || strings.HasPrefix(strings.TrimPrefix(a, "-"), "(") {
			continue
		}
		key, value, found := strings.Cut(a, ":")
		if !found || strings.ContainsAny(key, " \t") {
			key, value = "", a
		} else {
			key += ":"
		}
		out[i] = key + `"` + strings.ReplaceAll(strings.ReplaceAll(value, `\`, `\\`), "\t", " ") + `"`
	}
	return out
}

// maxPage is how many events a page of a search may have.
const maxPage = 1000

func search(ctx context.Context, env *Env, c *custody.Client, q custody.Query, limit int, asJSON bool) error {
	left := limit
	if limit == 0 {
		left = math.MaxInt
	}
	for {
		q.Limit = min(maxPage, left)
		page, err := c.SearchPage(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			if err := printEvent(env.Stdout, e, asJSON); err != nil {
				return err
			}
		}
		left -= len(page.Events)
		q.Cursor = page.Next
		if page.Next == "" || left <= 0 {
			sayEnd(env.Stderr, page, limit, left)
			return nil
		}
	}
}

// sayEnd says what a reader of the answer should know: limit events were asked
// for, left of them did not come, and page was the last.
func sayEnd(w io.Writer, page *custody.Page, limit, left int) {
	switch {
	case page.Next != "":
		fmt.Fprintf(w, "there may be more; -limit %d shows them\n", 10*limit)
	case page.Behind > 0:
		fmt.Fprintf(w, "the search is %d events behind the log\n", page.Behind)
	case left == limit || left == math.MaxInt:
		fmt.Fprintln(w, "no events match")
	}
}

// printEvent prints e on one line.
func printEvent(w io.Writer, e *custody.Found, asJSON bool) error {
	if asJSON {
		_, err := fmt.Fprintf(w, "%s\n", e.Raw)
		return err
	}
	from := ""
	if e.Context.IP != "" {
		from = "  from " + e.Context.IP
	}
	outcome := ""
	if e.Outcome != custody.Success {
		outcome = fmt.Sprintf("  [%s]", printable(string(e.Outcome)))
	}
	_, err := fmt.Fprintf(w, "%8d  %s  %-28s  %s%s%s\n", e.Seq, e.Time.UTC().Format("2006-01-02T15:04:05Z"), printable(e.Tag),
		printable(e.Text), printable(from), outcome)
	return err
}

func showCommand() *command {
	return &command{
		name:  "show",
		usage: "[-json] SEQ",
		short: "show one event in full",
		long: `Shows every field of the event at position SEQ.

  custody show 42`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			asJSON := flags.Bool("json", false, "print it as the HTTP API gives it")
			rest, err := parse(flags, args, 1, 1)
			if err != nil {
				return err
			}
			seq, err := position(rest[0])
			if err != nil {
				return err
			}
			c, err := client(env)
			if err != nil {
				return err
			}
			e, err := c.Event(ctx, seq)
			if err != nil {
				return err
			}
			if *asJSON {
				fmt.Fprintf(env.Stdout, "%s\n", e.Raw)
				return nil
			}
			return showEvent(env.Stdout, e)
		},
	}
}

// position reads the position of an event.
func position(s string) (int64, error) {
	seq, err := strconv.ParseInt(s, 10, 64)
	if err != nil || seq < 0 {
		return 0, &wrongError{fmt.Errorf("position %q is not a whole number from 0", s)}
	}
	return seq, nil
}

// showEvent prints all of e, a value a line.
func showEvent(w io.Writer, e *custody.Found) error {
	fmt.Fprintf(w, "%s\n\n", printable(e.Text))
	dec := json.NewDecoder(strings.NewReader(string(e.Raw)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return err
	}
	printTree(w, "", v)
	return nil
}

// tailCommand follows the log.
func tailCommand() *command {
	return &command{
		name:  "tail",
		usage: "[flags] [QUERY ...]",
		short: "show events as they are recorded",
		long: `Shows matching events as they are recorded, until interrupted. A lost connection is
made again, and nothing is left out.

  custody tail                                everything from now on
  custody tail -from 0 'tag:project:release:*'   all releases since the beginning, and on`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			from := flags.Int64("from", custody.Now, "start at this `position`; -1 is now")
			count := flags.Int("n", 0, "stop after this many `events`; 0 is never")
			asJSON := flags.Bool("json", false, "print each event as a line of JSON")
			rest, err := parse(flags, args, 0, -1)
			if err != nil {
				return err
			}
			c, err := client(env)
			if err != nil {
				return err
			}
			n := 0
			for e, err := range c.Tail(ctx, strings.Join(quoteWords(rest), " "), *from) {
				if err != nil {
					return err
				}
				if err := printEvent(env.Stdout, e, *asJSON); err != nil {
					return err
				}
				if n++; n == *count {
					break
				}
			}
			return nil
		},
	}
}
