// Package cli is the command line. Answers go to standard output, everything
// said to a person goes to standard error, and the exit status is the verdict:
//
//	0  yes
//	1  it could not be done
//	2  it was asked wrongly
//	3  it was checked, and it is false
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/custody-log/custody"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitFalse  = 3
)

// An Env is the world a command sees.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Version        string
}

// A command is one verb.
type command struct {
	name  string
	usage string // what follows the name
	short string // one line, no full stop
	long  string // what a newcomer wants to know, with examples
	run   func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error
}

// commands returns all commands in the order of help.
func commands() []*command {
	return []*command{
		demoCommand(), serveCommand(), proxyCommand(),
		submitCommand(), searchCommand(), topCommand(), histogramCommand(), showCommand(), tailCommand(),
		exportCommand(), receiptCommand(), verifyCommand(), backupCommand(), restoreCommand(), fsckCommand(),
		retentionCommand(), holdCommand(), eraseCommand(), accessCommand(),
		keysCommand(), signinLinkCommand(), configCommand(), doctorCommand(), versionCommand(),
	}
}

// errUsage means that the command line makes no sense; the flag package or the
// command has said why.
var errUsage = errors.New("usage")

// A falseError means that evidence was checked and does not hold.
type falseError struct{ err error }

func (e *falseError) Error() string { return e.err.Error() }
func (e *falseError) Unwrap() error { return e.err }

// A wrongError means that a value on the command line makes no sense.
type wrongError struct{ err error }

func (e *wrongError) Error() string { return e.err.Error() }
func (e *wrongError) Unwrap() error { return e.err }

// A hintError carries a command or an act that may help.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// withHint adds a hint to err.
func withHint(err error, hint string) error { return &hintError{err, hint} }

// Run runs one command line, without the program's name, and returns the exit
// status.
func Run(ctx context.Context, env *Env, args []string) int {
	if len(args) == 0 {
		help(env.Stderr)
		return exitUsage
	}
	name := args[0]
	if name == "help" || name == "-h" || name == "-help" || name == "--help" {
		if len(args) == 1 {
			help(env.Stdout)
			return exitOK
		}
		name, args = args[1], []string{args[1], "-help"}
	}
	all := commands()
	i := slices.IndexFunc(all, func(c *command) bool { return c.name == name })
	if i < 0 {
		fmt.Fprintf(env.Stderr, "custody: there is no command %q\nhint: custody help\n", name)
		return exitUsage
	}
	return all[i].exec(ctx, env, args[1:])
}

func (c *command) exec(ctx context.Context, env *Env, args []string) int {
	flags := flag.NewFlagSet("custody "+c.name, flag.ContinueOnError)
	flags.SetOutput(env.Stderr)
	flags.Usage = func() { c.describe(flags) }
	err := c.run(ctx, env, flags, args)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		return exitUsage
	}
	fmt.Fprintf(env.Stderr, "custody: %s: %s\n", c.name, sayError(err))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(env.Stderr, "hint: %s\n", printable(hint))
	}
	return statusOf(err)
}

// statusOf returns the exit status for err.
func statusOf(err error) int {
	if _, ok := errors.AsType[*falseError](err); ok {
		return exitFalse
	}
	if _, ok := errors.AsType[*wrongError](err); ok {
		return exitUsage
	}
	if e, ok := errors.AsType[*custody.Error](err); ok && (e.Type == "/problems/bad-request" || e.Type == "/problems/bad-query") {
		return exitUsage
	}
	return exitFailed
}

// sayError returns what err says, on lines that a terminal can be given: parts
// of it may come from a log or a file that strangers wrote.
func sayError(err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	text := strings.Join(lines, "\n")
	// The SDK says what it was asked, too.
	if rest, ok := strings.CutPrefix(text, "custody: "); ok {
		if verb, rest, ok := strings.Cut(rest, ": "); ok && !strings.Contains(verb, " ") {
			return rest
		}
	}
	return text
}

// hintOf returns what may help against err.
func hintOf(err error) string {
	if h, ok := errors.AsType[*hintError](err); ok {
		return h.hint
	}
	if e, ok := errors.AsType[*custody.Error](err); ok {
		switch {
		case e.Hint != "":
			return e.Hint
		case e.Status == 401:
			return "set CUSTODY_KEY to an API key; custody keys create makes one"
		}
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "custody serve starts a log; CUSTODY_URL says where it is"
	}
	return ""
}

// describe prints the help of a command.
func (c *command) describe(flags *flag.FlagSet) {
	w := flags.Output()
	fmt.Fprintf(w, "usage: custody %s %s\n\n%s\n", c.name, c.usage, c.long)
	any := false
	flags.VisitAll(func(*flag.Flag) { any = true })
	if any {
		fmt.Fprint(w, "\nFlags:\n")
		flags.PrintDefaults()
	}
}

// parse parses flags, which may stand before and behind the arguments, and
// checks that between least and most arguments are left; most < 0 is any
// number.
func parse(flags *flag.FlagSet, args []string, least, most int) ([]string, error) {
	var rest []string
	for {
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, errUsage
		}
		if flags.NArg() == 0 {
			break
		}
		// After "--" all is argument.
		if used := len(args) - flags.NArg(); used > 0 && args[used-1] == "--" {
			rest = append(rest, flags.Args()...)
			break
		}
		rest = append(rest, flags.Arg(0))
		args = flags.Args()[1:]
	}
	if len(rest) < least || most >= 0 && len(rest) > most {
		flags.Usage()
		return nil, errUsage
	}
	return rest, nil
}

func help(w io.Writer) {
	fmt.Fprint(w, `custody is the audit log for package registries: who did what to which
package, from where, with which credential. It proves to anyone, offline,
that nothing was changed or removed.

`)
	for _, c := range commands() {
		fmt.Fprintf(w, "  custody %-11s %s\n", c.name, c.short)
	}
	fmt.Fprint(w, `
For one command: custody help COMMAND. New here? Run: custody demo

Environment:
  CUSTODY_URL      address of the log (default `+defaultURL+`)
  CUSTODY_KEY      API key; or CUSTODY_KEY_FILE, a file that holds it
  CUSTODY_LOG_KEY  the log's public key, or a file that holds it or a C2SP policy

Exit status: 0 yes, 1 could not, 2 asked wrongly, 3 checked and false.
`)
}

// isTerminal reports whether w is a terminal, for which answers may be made
// prettier than lines.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// printable returns s without the characters that could move a terminal's
// cursor or change its colours: events hold what strangers wrote.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\ufffd'
		}
		return r
	}, s)
}
