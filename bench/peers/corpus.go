package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A corpus is what questions are about of all events, in arrays. It answers by
// looking at every event, so there is little that it can get wrong.
type corpus struct {
	micros  []int64 // of each event
	columns [columns][]uint32
	names   []string // of the numbers in columns; the first is ""
	numbers map[string]uint32
	noUsers map[uint32]bool // IDs of users as which somebody else did something, such as an administrator
}

// The columns of a corpus.
const (
	inProject = iota
	inUser
	inOther
	inAddress
	inToken
	inTag
	inOutcome

	columns = iota
)

func newCorpus(events int) *corpus {
	c := &corpus{micros: make([]int64, 0, events), names: []string{""}, numbers: map[string]uint32{"": 0}, noUsers: make(map[uint32]bool)}
	for i := range c.columns {
		c.columns[i] = make([]uint32, 0, events)
	}
	return c
}

// add takes in the next event.
func (c *corpus) add(e *entry) error {
	if e.number != int64(len(c.micros)) {
		return fmt.Errorf("peers: event %d, want %d", e.number, len(c.micros))
	}
	if n := len(c.micros); n > 0 && c.micros[n-1] >= e.micros {
		return fmt.Errorf("peers: event %d is not later than the one before it", e.number)
	}
	c.micros = append(c.micros, e.micros)
	for i, value := range [columns]string{e.project, e.user, e.other, e.ip, e.token, e.tag, e.outcome} {
		c.columns[i] = append(c.columns[i], c.number(value))
	}
	if e.noUser != "" {
		c.noUsers[c.number(e.noUser)] = true
	}
	return nil
}

// number returns the number of a value.
func (c *corpus) number(value string) uint32 {
	n, ok := c.numbers[value]
	if !ok {
		value = strings.Clone(value)
		n = uint32(len(c.names))
		c.names = append(c.names, value)
		c.numbers[value] = n
	}
	return n
}

// value returns what an event has in a column.
func (c *corpus) value(column int, event int) string { return c.names[c.columns[column][event]] }

// newest returns the events from after on that have value in any of the given
// columns, newest first; all if limit is 0.
func (c *corpus) newest(value string, after int64, limit int, in ...int) []int64 {
	n, ok := c.numbers[value]
	if !ok {
		return nil
	}
	var found []int64
	for i := len(c.micros) - 1; i >= 0 && c.micros[i] >= after; i-- {
		for _, column := range in {
			if c.columns[column][i] == n {
				found = append(found, int64(i))
				break
			}
		}
		if limit > 0 && len(found) == limit {
			break
		}
	}
	return found
}

// count returns the answer to a question of topic tagCount.
func (c *corpus) count(q *question) want {
	w := want{Days: make(map[string]int64)}
	tag, outcome := c.numbers[q.Value], c.numbers[q.Outcome]
	projects := make(map[uint32]int64)
	for i := len(c.micros) - 1; i >= 0 && c.micros[i] >= q.After; i-- {
		if c.columns[inTag][i] != tag || c.columns[inOutcome][i] != outcome {
			continue
		}
		w.Count++
		w.Days[time.UnixMicro(c.micros[i]).UTC().Format(time.DateOnly)]++
		if project := c.columns[inProject][i]; project != 0 {
			projects[project]++
		}
	}
	for _, n := range projects {
		w.Top = append(w.Top, n)
	}
	slices.Sort(w.Top)
	slices.Reverse(w.Top)
	w.Top = w.Top[:min(len(w.Top), topProjects)]
	w.Named = make(map[string]int64)
	for project, n := range projects {
		if n >= w.Top[len(w.Top)-1] {
			w.Named[c.names[project]] = n
		}
	}
	return w
}

// answer returns the right answer to a question that is not about text.
func (c *corpus) answer(q *question) want {
	newest := func(in ...int) want { return wantNumbers(c.newest(q.Value, q.After, q.Topic.limit(), in...)) }
	switch q.Topic {
	case projectNewest:
		return newest(inProject)
	case userNewest:
		return newest(inUser, inOther)
	case ofAddress:
		return newest(inAddress)
	case ofToken:
		return newest(inToken)
	case tagCount:
		return c.count(q)
	case wordNewest, partNewest:
	}
	panic("peers: " + string(q.Topic) + " is for a finder")
}

// A finder finds the newest events with words and parts of words.
type finder struct {
	words map[string]*latest
	parts []*latest
	text  []byte
}

// A latest is the last events with a text.
type latest struct {
	text    []byte
	numbers []int64 // ascending
}

func (l *latest) add(number int64) {
	if n := len(l.numbers); n > 0 && l.numbers[n-1] == number {
		return
	}
	if len(l.numbers) == newestEvents {
		l.numbers = append(l.numbers[:0], l.numbers[1:]...)
	}
	l.numbers = append(l.numbers, number)
}

// newestFirst returns the events in the order of an answer.
func (l *latest) newestFirst() []int64 {
	list := slices.Clone(l.numbers)
	slices.Reverse(list)
	return list
}

// add takes in the next event.
func (f *finder) add(e *entry) {
	text := e.text()
	eachWord(text, func(word string) {
		if l := f.words[word]; l != nil {
			l.add(e.number)
		}
	})
	f.text = append(f.text[:0], strings.ToLower(text)...)
	for _, l := range f.parts {
		if bytes.Contains(f.text, l.text) {
			l.add(e.number)
		}
	}
}
