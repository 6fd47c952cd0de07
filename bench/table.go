package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A table shows the medians of all rounds.
type table struct {
	rows    []row
	results [][]*result // of each row, in rounds
}

// columns are the heads of the table and what stands below them.
var columns = []struct {
	head string
	cell func(all []*result) string
}{
	{"events/s", func(all []*result) string { return number(median(all, rate)) }},
	{"low–high", func(all []*result) string { return number(least(all)) + "–" + number(most(all)) }},
	{"CPU µs/event", func(all []*result) string { return short(median(all, func(r *result) float64 { return r.CPU })) }},
	{"client µs/event", func(all []*result) string { return short(median(all, func(r *result) float64 { return r.Client })) }},
	{"p50", func(all []*result) string {
		return millis(median(all, func(r *result) float64 { return float64(r.P50) }))
	}},
	{"p99", func(all []*result) string {
		return millis(median(all, func(r *result) float64 { return float64(r.P99) }))
	}},
	{"max", func(all []*result) string {
		return millis(median(all, func(r *result) float64 { return float64(r.Max) }))
	}},
	{"journal B/event", func(all []*result) string { return number(median(all, func(r *result) float64 { return r.Journal })) }},
	{"tree B/event", func(all []*result) string { return number(median(all, func(r *result) float64 { return r.Tree })) }},
	{"peak MiB", func(all []*result) string {
		return number(median(all, func(r *result) float64 { return r.Memory / (1 << 20) }))
	}},
	{"others", func(all []*result) string {
		return fmt.Sprintf("%.0f %%", 100*median(all, func(r *result) float64 { return r.Others }))
	}},
}

func rate(r *result) float64 { return r.Rate }

// median returns the middle of what of returns; of an even number, the lower.
func median(all []*result, of func(*result) float64) float64 {
	values := valuesOf(all, of)
	return values[(len(values)-1)/2]
}

func least(all []*result) float64 { return valuesOf(all, rate)[0] }

func most(all []*result) float64 { return valuesOf(all, rate)[len(all)-1] }

// valuesOf returns what of returns, in order of size.
func valuesOf(all []*result, of func(*result) float64) []float64 {
	values := make([]float64, len(all))
	for i, r := range all {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values
}

const nothing = "–"

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
	switch {
	case v == 0:
		return nothing
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

func millis(ns float64) string {
	ms := ns / float64(time.Millisecond)
	switch {
	case ns == 0:
		return nothing
	case ms < 1:
		return fmt.Sprintf("%.3f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// print writes the table as Markdown.
func (t *table) print(w io.Writer) {
	grid := [][]string{{"row"}}
	for _, c := range columns {
		grid[0] = append(grid[0], c.head)
	}
	for i, r := range t.rows {
		line := []string{r.name}
		if len(t.results[i]) == 0 {
			continue // it failed
		}
		for _, c := range columns {
			line = append(line, c.cell(t.results[i]))
		}
		grid = append(grid, line)
	}
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
		if n == 0 {
			rule(w, widths)
		}
	}
}

// rule writes the line below the heads.
func rule(w io.Writer, widths []int) {
	for i, width := range widths {
		dashes := strings.Repeat("-", width)
		if i == 0 {
			fmt.Fprintf(w, "| %s |", dashes)
		} else {
			fmt.Fprintf(w, " %s: |", dashes[1:])
		}
	}
	fmt.Fprintln(w)
}
