package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/custody-log/custody/catalogue"
)

const planFile = "plan.json"

// A plan is what every peer is asked and told to do.
type plan struct {
	Questions map[topic][]*question
	IDs       idSum // of all events

	Purge  class
	Cut    time.Time
	Purged int // how many events that removes

	Erase  string // a user
	Erased int    // in how many events it is, once purged
}

// An idSum says which events there are, in no order.
type idSum struct {
	Count int64
	Sum   int64 // of their numbers
}

func (s *idSum) add(number int64) {
	s.Count++
	s.Sum += number
}

const (
	purgedClass = "user-auth"
	purgedAfter = ninetyDays

	erasedEvents = 200 // about how many events the erased user is in
)

// newPlan reads all events, draws questions from them, and finds the answers.
func newPlan(o *options, file string) (*plan, error) {
	c := newCorpus(o.Events)
	d := newDraw(o)
	r := new(reader)
	p := &plan{Questions: make(map[topic][]*question), Cut: o.End.Add(-purgedAfter)}
	err := eachEvent(file, func(number int64, data []byte) error {
		e, err := r.read(number, data)
		if err != nil {
			return err
		}
		p.IDs.add(number)
		d.look(e)
		return c.add(e)
	})
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		for _, q := range d.questions(t.topic, c) {
			if t.topic != wordNewest && t.topic != partNewest {
				q.Want = c.answer(q)
			}
			p.Questions[t.topic] = append(p.Questions[t.topic], q)
		}
	}
	if err := p.findText(file); err != nil {
		return nil, err
	}
	if err := p.choosePurge(c); err != nil {
		return nil, err
	}
	return p, p.chooseUser(c)
}

// findText finds the answers to the questions about text, reading all events
// once more.
func (p *plan) findText(file string) error {
	f := &finder{words: make(map[string]*latest)}
	for _, q := range p.Questions[wordNewest] {
		f.words[q.Value] = new(latest)
	}
	for _, q := range p.Questions[partNewest] {
		f.parts = append(f.parts, &latest{text: []byte(q.Value)})
	}
	r := new(reader)
	err := eachEvent(file, func(number int64, data []byte) error {
		e, err := r.read(number, data)
		if err == nil {
			f.add(e)
		}
		return err
	})
	for _, q := range p.Questions[wordNewest] {
		q.Want = wantNumbers(f.words[q.Value].newestFirst())
	}
	for i, q := range p.Questions[partNewest] {
		q.Want = wantNumbers(f.parts[i].newestFirst())
	}
	return err
}

// choosePurge sets what a purge is to remove.
func (p *plan) choosePurge(c *corpus) error {
	known, err := catalogue.Load()
	if err != nil {
		return err
	}
	p.Purge.Name = purgedClass
	in := make(map[string]bool)
	for _, t := range known.Types() {
		if t.Retention == purgedClass {
			p.Purge.Tags = append(p.Purge.Tags, t.Tag)
			in[t.Tag] = true
		}
	}
	if len(in) == 0 {
		return errors.New("peers: the catalogue has no types of retention class " + purgedClass)
	}
	for i, micros := range c.micros {
		if p.gone(c, i, micros) {
			p.Purged++
		}
	}
	return nil
}

// gone reports whether the purge removes an event.
func (p *plan) gone(c *corpus, event int, micros int64) bool {
	return micros < p.Cut.UnixMicro() && slices.Contains(p.Purge.Tags, c.value(inTag, event))
}

// chooseUser sets whom an erasure is about: one who is in about erasedEvents
// events that the purge leaves, and in all of them as a user. Custody erases a
// person of one type.
func (p *plan) chooseUser(c *corpus) error {
	events := make(map[uint32]int)
	for i, micros := range c.micros {
		if p.gone(c, i, micros) {
			continue
		}
		user, other := c.columns[inUser][i], c.columns[inOther][i]
		events[user]++
		if other != 0 {
			events[other]++
		}
	}
	delete(events, 0)
	maps.DeleteFunc(events, func(user uint32, _ int) bool { return c.noUsers[user] })
	if len(events) == 0 {
		return errors.New("peers: there are no users")
	}
	off := func(user uint32) int { return max(events[user]-erasedEvents, erasedEvents-events[user]) }
	best := uint32(0)
	for user := range events {
		if best == 0 || cmp.Or(cmp.Compare(off(user), off(best)), cmp.Compare(user, best)) < 0 {
			best = user
		}
	}
	p.Erase, p.Erased = c.names[best], events[best]
	return nil
}

func (p *plan) save(file string) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

func loadPlan(file string) (*plan, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := new(plan)
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("peers: %s: %w", file, err)
	}
	return p, nil
}
