package main

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"
)

// A topic is a kind of question.
type topic string

// The topics, in the order of the table.
const (
	projectNewest topic = "project"   // the newest events of a project
	userNewest    topic = "user"      // the newest events of a user, of 90 days
	ofAddress     topic = "address"   // all events from an address, of 30 days
	ofToken       topic = "token"     // all events with a token, of 30 days
	tagCount      topic = "histogram" // events of a tag with an outcome, of 30 days: by day, and the projects with most
	wordNewest    topic = "word"      // the newest events with a word
	partNewest    topic = "part"      // the newest events with a part of a word
)

// topics are all topics and how the table calls them.
var topics = []struct {
	topic topic
	title string
}{
	{projectNewest, "newest 50 of a project"},
	{userNewest, "newest 50 of a user, of 90 days"},
	{ofAddress, "all of an address, of 30 days"},
	{ofToken, "all of a token, of 30 days"},
	{tagCount, "a tag and outcome, of 30 days: events by day and the 10 projects with most"},
	{wordNewest, "newest 50 with a word"},
	{partNewest, "newest 50 with a part of a word"},
}

const (
	newestEvents = 50
	topProjects  = 10

	oneDay     = 24 * time.Hour
	ninetyDays = 90 * oneDay
	thirtyDays = 30 * oneDay
)

// limit returns how many events answer at most; 0 means all.
func (t topic) limit() int {
	switch t {
	case projectNewest, userNewest, wordNewest, partNewest:
		return newestEvents
	case ofAddress, ofToken, tagCount:
	}
	return 0
}

// window returns how long before the end events are asked for; 0 means for ever.
func (t topic) window() time.Duration {
	switch t {
	case userNewest:
		return ninetyDays
	case ofAddress, ofToken, tagCount:
		return thirtyDays
	case projectNewest, wordNewest, partNewest:
	}
	return 0
}

// A question is one to ask every peer, and what is right to answer. Events are
// to come newest first.
type question struct {
	Topic   topic
	Value   string // a name, an ID, an address, a tag, a word
	Outcome string // of tagCount only
	After   int64  // microseconds since 1970: events from then on; 0 for all
	Want    want
}

// after returns the time from which on events are asked for.
func (q *question) after() time.Time { return time.UnixMicro(q.After).UTC() }

// A want is the right answer, as short as can be.
type want struct {
	Count int64            // of events
	Hash  uint64           // of their numbers, in order
	First []int64          // the first numbers
	Days  map[string]int64 // of tagCount: events by date
	Top   []int64          // of tagCount: in how many events the projects with most are, most first
	Named map[string]int64 // of tagCount: the projects that may be among them
}

const shownNumbers = 5 // in an error

// wantNumbers returns a want of these events.
func wantNumbers(numbers []int64) want {
	return want{Count: int64(len(numbers)), Hash: hashOf(numbers), First: slices.Clone(numbers[:min(len(numbers), newestEvents)])}
}

// show returns the beginning of the events.
func (w *want) show() string {
	return fmt.Sprintf("%d: %d …", w.Count, w.First[:min(len(w.First), shownNumbers)])
}

func hashOf(numbers []int64) uint64 {
	h := fnv.New64a()
	for _, n := range numbers {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) // a hash takes everything
	}
	return h.Sum64()
}

// A wrongError says that a peer gave a wrong answer.
type wrongError struct{ what string }

// Error implements error.
func (e *wrongError) Error() string { return "wrong: " + e.what }

// check returns a [*wrongError] if an answer to q is wrong.
func (q *question) check(a *answer) error {
	wrong := func(what string, got, right any) error {
		return &wrongError{fmt.Sprintf("%s %s %s after %d: %s %v, want %v", q.Topic, q.Value, q.Outcome, q.After, what, got, right)}
	}
	w := &q.Want
	if q.Topic != tagCount {
		got := wantNumbers(a.numbers)
		if a.own > 0 && w.Count == int64(q.Topic.limit()) { // they took the place of the last ones
			right := wantNumbers(w.First[:max(0, len(w.First)-a.own)])
			w = &right
		}
		if got.Count != w.Count || got.Hash != w.Hash {
			return wrong("events", got.show(), w.show())
		}
		return nil
	}
	switch {
	case a.count != w.Count:
		return wrong("events", a.count, w.Count)
	case !maps.Equal(a.days, w.Days):
		return wrong("by day", a.days, w.Days)
	case len(a.top) != len(w.Top):
		return wrong("projects", a.top, w.Top)
	}
	for i, f := range a.top {
		if f.Count != w.Top[i] || w.Named[f.Value] != f.Count {
			return wrong("projects with most", a.top, w.Top)
		}
	}
	return nil
}
