package main

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
	"unicode/utf8"
)

// A table has a column for each peer.
type table struct {
	options *options
	load    string // average when the run began
	peers   []*kind
	results []*result
	failed  []bool
}

func newTable(o *options) *table { return &table{options: o, load: loadAverage()} }

func (t *table) add(c *column) {
	if !c.kind.server {
		c.result.ClientCPU = 0 // the peer and its client are one process
	}
	t.peers, t.results, t.failed = append(t.peers, c.kind), append(t.results, c.result), append(t.failed, c.err != nil)
}

const nothing = "–"

// print writes what was measured as Markdown.
func (t *table) print(w io.Writer, p *plan) {
	o := t.options
	fmt.Fprintf(w, "%s events over %s up to %s, seed %d, batches of %d, %d at once; commit %s; %d cores; load average %s before, %s after.\n\n",
		number(float64(o.Events)), o.Span, o.End.Format(time.RFC3339), o.Seed, batchEvents, o.Writers, commit(), cores(), t.load, loadAverage())
	grid := [][]string{{""}}
	for i, k := range t.peers {
		name := k.name
		if t.failed[i] {
			name += " (failed)"
		}
		grid[0] = append(grid[0], name)
	}
	row := func(title string, cell func(*result) string) {
		line := []string{title}
		for _, r := range t.results {
			line = append(line, cell(r))
		}
		grid = append(grid, line)
	}
	t.writing(row)
	for _, x := range topics {
		row(x.title+", p50 / p99", func(r *result) string { return r.unlessWrong(string(x.topic), r.Warm[x.topic].show()) })
		if o.Cold {
			row("… cold", func(r *result) string { return r.unlessWrong("cold "+string(x.topic), r.Cold[x.topic].show()) })
		}
	}
	perSecond := func(events int, what string) func(*result) string {
		return func(r *result) string {
			if r.Seconds[what] == 0 {
				return r.unlessWrong(what, nothing)
			}
			return number(float64(events) / r.Seconds[what])
		}
	}
	timed := func(what string) func(*result) string {
		return func(r *result) string { return r.unlessWrong(what, seconds(r.Seconds[what])) }
	}
	row("export of everything, events/s", perSecond(o.Events, secondsExport))
	row("export, bytes/event", func(r *result) string { return number(float64(r.ExportBytes) / float64(o.Events)) })
	row("restart, files not in memory, to the first answer", timed(secondsRestart))
	row(fmt.Sprintf("purge of class %s (%s events)", p.Purge.Name, number(float64(p.Purged))), timed(secondsPurge))
	row("… and until its room is free", timed(secondsReclaim))
	row(fmt.Sprintf("erasure of one user (%d events)", p.Erased), timed(secondsErase))
	writeGrid(w, grid)
}

// writing adds the rows about keeping events.
func (t *table) writing(row func(string, func(*result) string)) {
	events := float64(t.options.Events)
	row("answers come", func(r *result) string {
		for i := range t.results {
			if t.results[i] == r && t.peers[i].server {
				return "over a socket"
			}
		}
		return "in process"
	})
	row("kept durably, events/s", func(r *result) string {
		if r.Seconds[secondsWrite] == 0 {
			return nothing
		}
		return number(events / r.Seconds[secondsWrite])
	})
	row("… a batch, p50 / p99", func(r *result) string { return r.Batches.show() })
	row("… CPU µs/event", func(r *result) string { return short(r.CPU) })
	row("… of the client, CPU µs/event", func(r *result) string { return short(r.ClientCPU) })
	row("settling after that", func(r *result) string { return seconds(r.Seconds[secondsSettle]) })
	row("… CPU µs/event with that", func(r *result) string { return short(r.SettledCPU) })
	row("bytes/event on disk, settled", func(r *result) string { return number(float64(r.DiskBytes) / events) })
	row("memory while writing, peak MiB", func(r *result) string { return number(float64(r.PeakBytes) / (1 << 20)) })
	row("memory afterwards, MiB", func(r *result) string { return number(float64(r.RestBytes) / (1 << 20)) })
}

// unlessWrong returns a figure, or says that what was to be measured is wrong.
func (r *result) unlessWrong(what, figure string) string {
	if r.Wrong[what] != "" {
		return "wrong"
	}
	return figure
}

// show returns the times, and of how many questions if those are few.
func (s spread) show() string {
	if s.Calls == 0 {
		return nothing
	}
	text := duration(s.P50) + " / " + duration(s.P99)
	if s.Calls < fewCalls {
		text += fmt.Sprintf(" (n=%d)", s.Calls)
	}
	return text
}

// fewCalls is how few calls make a p99 no more than the longest.
const fewCalls = 100

// commit returns which commit this was built from.
func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	name := strings.TrimSpace(string(out))
	if changes, err := exec.Command("git", "status", "--porcelain").Output(); err == nil && len(changes) > 0 {
		name += " with changes"
	}
	return name
}

// number returns v without a fraction, its digits in groups of three.
func number(v float64) string {
	if v < .5 {
		return nothing
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func short(v float64) string {
	if v == 0 {
		return nothing
	}
	return fmt.Sprintf("%.1f", v)
}

func seconds(s float64) string {
	switch {
	case s == 0:
		return nothing
	case s < 10:
		return fmt.Sprintf("%.2f s", s)
	}
	return fmt.Sprintf("%.1f s", s)
}

func duration(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

// writeGrid writes a table whose first column is text and whose others are
// figures.
func writeGrid(w io.Writer, grid [][]string) {
	widths := make([]int, len(grid[0]))
	for _, line := range grid {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, line := range grid {
		for i, cell := range line {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				fmt.Fprintf(w, "| %s%s |", cell, padding)
			} else {
				fmt.Fprintf(w, " %s%s |", padding, cell)
			}
		}
		fmt.Fprintln(w)
		if n > 0 {
			continue
		}
		for i, width := range widths {
			if i == 0 {
				fmt.Fprintf(w, "|%s|", strings.Repeat("-", width+2))
			} else {
				fmt.Fprintf(w, "%s:|", strings.Repeat("-", width+1))
			}
		}
		fmt.Fprintln(w)
	}
}
