// Command testreport reads what "go test -json" writes and prints what "go test"
// would have: a line per package, and the output of what failed. It keeps count.
//
//	go test -json ./... | testreport -count FILE
//
// It appends "PASSED FAILED SKIPPED" to FILE. Tests, subtests, examples and fuzz
// targets count one each; a package that fails without a failing test, because
// it does not build or ends early, counts as one failure.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// An event is a line of "go test -json", see "go doc test2json".
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
}

// A report is what is known so far.
type report struct {
	out     io.Writer
	kept    map[[2]string][]string // output of the tests that run, by package and test
	failed  map[string]int         // failed tests, by package
	skipped []string
	passes  int
	fails   int
}

func newReport(out io.Writer) *report {
	return &report{out: out, kept: make(map[[2]string][]string), failed: make(map[string]int)}
}

func main() {
	count := flag.String("count", "", "append the counts to this `file`")
	flag.Parse()
	r := newReport(os.Stdout)
	err := r.read(os.Stdin)
	if err == nil && *count != "" {
		err = appendTo(*count, fmt.Sprintln(r.passes, r.fails, len(r.skipped)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if r.fails > 0 {
		os.Exit(1)
	}
}

func appendTo(name, line string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(line); err != nil {
		return err
	}
	return f.Close()
}

// read takes in everything up to the end. A line that is no event is printed:
// the go command says some of what goes wrong in plain words.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) == nil && e.Action != "" {
				r.take(e)
			} else {
				fmt.Fprint(r.out, line)
			}
		}
		if err == io.EOF {
			r.end()
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(e event) {
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if e.Test != "" {
			r.kept[key] = append(r.kept[key], e.Output)
		} else if e.Output != "PASS\n" {
			fmt.Fprint(r.out, e.Output)
		}
	case "pass", "skip", "fail":
		if e.Test == "" {
			r.endPackage(e)
		} else {
			r.endTest(e, r.kept[key])
			delete(r.kept, key)
		}
	}
}

func (r *report) endTest(e event, output []string) {
	switch e.Action {
	case "pass":
		r.passes++
	case "skip":
		r.skipped = append(r.skipped, e.Package+" "+e.Test)
	case "fail":
		r.fails++
		r.failed[e.Package]++
		r.print(output)
		if !slices.ContainsFunc(output, isVerdict) {
			fmt.Fprintf(r.out, "--- FAIL: %s (did not end)\n", e.Test)
		}
	}
}

func isVerdict(line string) bool {
	return strings.HasPrefix(strings.TrimSpace(line), "--- FAIL: ")
}

// endPackage prints what the tests said that never came to an end: a panic or a
// timeout stops the whole package, and the reason stands there.
func (r *report) endPackage(e event) {
	if e.Action != "fail" {
		return
	}
	for key, output := range r.kept {
		if key[0] == e.Package {
			r.print(output)
			delete(r.kept, key)
		}
	}
	if r.failed[e.Package] == 0 {
		r.fails++
	}
}

func (r *report) print(output []string) {
	for _, line := range output {
		if !strings.HasPrefix(line, "=== ") {
			fmt.Fprint(r.out, line)
		}
	}
}

func (r *report) end() {
	slices.Sort(r.skipped)
	for _, name := range r.skipped {
		fmt.Fprintln(r.out, "skipped:", name)
	}
}
