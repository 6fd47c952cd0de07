package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

const (
	maxParts     = 40 // questions: each is looked for in every event
	shortestPart = 4  // letters
	longestPart  = 8

	eventsOfTag = 20 // that are looked at for what is beside the text
)

// A draw draws keys as often as they are in events: it looks at random events
// and takes what they have.
type draw struct {
	options *options
	random  *rand.Rand
	texts   map[int64]bool  // events to take words from
	words   []string        // taken, in random order once all events were looked at
	tags    map[string]int  // how often they were seen
	others  map[string]bool // words beside the text: the names of fields, and the values that are not searched
}

func newDraw(o *options) *draw {
	d := &draw{options: o, random: rand.New(rand.NewPCG(o.Seed, 0x7065657273)), texts: make(map[int64]bool), tags: make(map[string]int), others: make(map[string]bool)}
	for range 20 * o.Keys {
		d.texts[d.random.Int64N(int64(o.Events))] = true
	}
	return d
}

// look takes the words of an event that was drawn.
func (d *draw) look(e *entry) {
	// What is beside the text depends on the tag, and little else.
	if d.tags[e.tag]++; d.tags[e.tag] <= eventsOfTag {
		d.lookBeside(e)
	}
	if !d.texts[e.number] {
		return
	}
	var some []string
	eachWord(e.text(), func(word string) {
		if isPlain(word) && !slices.Contains(some, word) {
			some = append(some, word)
		}
	})
	if len(some) > 0 {
		d.words = append(d.words, strings.Clone(some[d.random.IntN(len(some))]))
	}
}

// lookBeside takes the words that are not in the text of an event. Some peers
// have them in the same place, and Custody looks for text in tags too.
func (d *draw) lookBeside(e *entry) {
	for _, value := range []string{e.tag, e.outcome, sourceName} {
		eachWord(value, func(word string) { d.others[word] = true })
	}
	for name, value := range fieldsOf(e.rest) {
		other := name
		if !query.IsText(&event.Field{Name: name, Type: event.String}) {
			other += " " + string(value)
		}
		eachWord(other, func(word string) { d.others[word] = true })
	}
}

// isPlain reports whether all peers take a word for one: it is not short, and
// can be no part of an ID, a time or an address, which not all of them search.
func isPlain(word string) bool {
	return utf8.RuneCountInString(word) >= 3 && strings.ContainsAny(word, "ghijklmnopqrsuvwxy")
}

// questions returns the questions of a topic, with different keys.
func (d *draw) questions(t topic, c *corpus) []*question {
	after := int64(0)
	if t.window() > 0 {
		after = d.options.End.Add(-t.window()).UnixMicro()
	}
	first, _ := slices.BinarySearch(c.micros, after) // events before it cannot answer
	drawn := make(map[string]bool, d.options.Keys)
	var list []*question
	for range 50 * d.options.Keys {
		if len(list) == d.options.Keys || t == partNewest && len(list) == maxParts || first == len(c.micros) {
			break
		}
		q := &question{Topic: t, After: after}
		q.Value, q.Outcome = d.key(t, c, first+d.random.IntN(len(c.micros)-first))
		if key := q.Value + " " + q.Outcome; q.Value != "" && !drawn[key] {
			drawn[key] = true
			list = append(list, q)
		}
	}
	return list
}

// key returns what a question of topic t can be about, of one event; "" if there
// is nothing.
func (d *draw) key(t topic, c *corpus, event int) (value, outcome string) {
	switch t {
	case projectNewest:
		return c.value(inProject, event), ""
	case userNewest:
		return c.value(inUser, event), ""
	case ofAddress:
		return c.value(inAddress, event), ""
	case ofToken:
		return c.value(inToken, event), ""
	case tagCount:
		return c.value(inTag, event), c.value(inOutcome, event)
	case wordNewest, partNewest:
	}
	if len(d.words) == 0 {
		return "", ""
	}
	word := d.words[d.random.IntN(len(d.words))]
	switch {
	case d.others[word]:
		return "", ""
	case t == wordNewest:
		return word, ""
	}
	part := partOf(word)
	for other := range d.others {
		if strings.Contains(other, part) {
			return "", ""
		}
	}
	return part, ""
}

// partOf returns a part of a word, without its first and last letter, or "" if
// it is too short to have one.
func partOf(word string) string {
	letters := []rune(word)
	if len(letters) < shortestPart+2 {
		return ""
	}
	part := string(letters[1:min(len(letters)-1, 1+longestPart)])
	if !isPlain(part) {
		return ""
	}
	return part
}
