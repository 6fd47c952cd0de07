package query

import (
	"bytes"
	"encoding/json"
	"sync"

	"github.com/custody-log/custody/event"
)

// Derive says what is derived from an event and not in it. A nil function, or a
// nil Derive, derives nothing; so does an answer of "".
type Derive struct {
	Severity func(tag string) string
	Country  func(address [16]byte) string // two capital letters (ISO 3166-1); IPv4 comes mapped to IPv6
}

// A matched is an event that is being matched.
type matched struct {
	fields event.Fields
	derive *Derive
	keys   Keys
	keyed  bool   // keys are those of fields
	lower  []byte // memory
}

var events = sync.Pool{New: func() any { return new(matched) }}

// Match reports whether an event with the given fields matches q. A term about
// what the event does not have does not hold, and so its Not does.
func (q *Query) Match(fields event.Fields, d *Derive) bool {
	if q.Root == nil {
		return true
	}
	e := events.Get().(*matched)
	e.fields, e.derive, e.keyed = fields, d, false
	ok := q.Root.holds(e)
	e.keys.Reset()
	clear(e.keys.List[:cap(e.keys.List)])
	e.fields, e.derive = nil, nil
	events.Put(e)
	return ok
}

// list returns the keys of the event.
func (e *matched) list() []Key {
	if !e.keyed {
		e.keyed = true
		for i := range e.fields {
			e.keys.Add(&e.fields[i])
		}
		e.keys.End()
	}
	return e.keys.List
}

// get returns the field called name, or nil.
func (e *matched) get(name string) *event.Field {
	for i := range e.fields {
		if e.fields[i].Name == name {
			return &e.fields[i]
		}
	}
	return nil
}

func (a And) holds(e *matched) bool {
	for _, n := range a {
		if !n.holds(e) {
			return false
		}
	}
	return true
}

func (o Or) holds(e *matched) bool {
	for _, n := range o {
		if n.holds(e) {
			return true
		}
	}
	return false
}

func (n *Not) holds(e *matched) bool { return !n.Node.holds(e) }

func (t *Term) holds(e *matched) bool {
	switch t.Kind {
	case After, Before:
		at := e.get("time")
		return at != nil && t.Holds(at.Time().UnixMicro())
	case Class, Severity, Country:
		return e.derived(t.Kind) == string(t.Key)
	case Metadata:
		f := e.get(t.member)
		return f != nil && t.holdsFor(f)
	case Text:
		return t.inText(e) || t.inKeys(e)
	case Tag, Outcome, Actor, OnBehalfOf, User, Project, Org, IP, Token, Client, Version, Request, Source, Trust:
	}
	for _, k := range e.list() {
		if k.Kind == t.Kind && t.Matches(k.Value) {
			return true
		}
	}
	return false
}

// derived returns the value of a kind that is derived, or "".
func (e *matched) derived(kind Kind) string {
	if kind == Country {
		f := e.get("context.ip")
		if f == nil || len(f.Value) != 16 || e.derive == nil || e.derive.Country == nil {
			return ""
		}
		return e.derive.Country([16]byte(f.Value))
	}
	f := e.get("tag")
	switch {
	case f == nil:
		return ""
	case kind == Class:
		class, _, _ := bytes.Cut(f.Value, []byte(":"))
		return string(class)
	case e.derive == nil || e.derive.Severity == nil:
		return ""
	}
	return e.derive.Severity(string(f.Value))
}

// Matches reports whether t holds for an event that has the given key of t's
// kind. What is empty is no key, but may be a value of metadata.
func (t *Term) Matches(key []byte) bool {
	switch {
	case t.Last != nil:
		return bytes.Compare(key, t.Key) >= 0 && bytes.Compare(key, t.Last) <= 0
	case t.Prefix:
		return bytes.HasPrefix(key, t.Key) && (len(key) > 0 || t.Kind == Metadata)
	}
	return bytes.Equal(key, t.Key)
}

// Holds reports whether t, of kind After or Before, holds for an event of that
// time, in microseconds since 1970.
func (t *Term) Holds(micros int64) bool {
	if t.Kind == After {
		return micros >= t.Micros
	}
	return micros < t.Micros
}

// KeyOf returns the key of the given kind that is enough for t, of kind Text,
// to hold, or nil if there is none: t's text is also that of a project, an
// address or any other key.
func (t *Term) KeyOf(kind Kind) []byte {
	switch kind {
	case IP:
		return t.address
	case Project:
		return t.project
	case Tag, Outcome, Actor, OnBehalfOf, User, Org, Token, Client, Version, Request, Source, Trust:
		return t.Key
	case Class, Severity, Country, Metadata, After, Before, Text:
	}
	return nil
}

// holdsFor reports whether t, of kind Metadata, holds for the value of f. A
// list holds what one of its elements is.
func (t *Term) holdsFor(f *event.Field) bool {
	if f.Type == event.String {
		return t.Matches(f.Value)
	}
	if t.Matches([]byte(f.Text())) {
		return true
	}
	var list []json.RawMessage
	if f.Type != event.JSON || json.Unmarshal(f.Value, &list) != nil {
		return false
	}
	for _, element := range list {
		var text string
		if json.Unmarshal(element, &text) != nil {
			text = string(element)
		}
		if t.Matches([]byte(text)) {
			return true
		}
	}
	return false
}

// inText reports whether t holds for one of the event's values of text.
func (t *Term) inText(e *matched) bool {
	for i := range e.fields {
		f := &e.fields[i]
		if !IsText(f) {
			continue
		}
		if t.Substring != nil && e.contains(f.Value, t.Substring) || t.Substring == nil && t.hasWords(f.Value) {
			return true
		}
	}
	return false
}

// inKeys reports whether t's text is one of the event's keys, or a part of one.
func (t *Term) inKeys(e *matched) bool {
	if t.Substring == nil && t.Key == nil {
		return false
	}
	for _, k := range e.list() {
		if t.Substring == nil {
			if key := t.KeyOf(k.Kind); key != nil && bytes.Equal(key, k.Value) {
				return true
			}
			continue
		}
		value := k.Value
		if k.Kind == IP {
			f := event.Field{Type: event.IP, Value: value}
			value = []byte(f.Text())
		}
		if e.contains(value, t.Substring) {
			return true
		}
	}
	return false
}

// contains reports whether text in lower case contains part.
func (e *matched) contains(text, part []byte) bool {
	e.lower = AppendLower(e.lower[:0], text)
	return bytes.Contains(e.lower, part)
}
