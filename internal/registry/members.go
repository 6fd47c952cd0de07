package registry

import (
	"strconv"
	"strings"
)

// Limits of [Members].
const (
	MaxMembers     = 64       // values kept of one document
	MaxMembersText = 64 << 10 // 64 KiB, bytes of text kept of one document
)

// Members is a visitor that keeps the members of a small document that it was
// asked for, and nothing else.
type Members struct {
	wanted [][]string
	found  []member
	size   int // bytes of text in found
	full   bool
}

// A member is a value that was found.
type member struct {
	path []string
	kind Kind
	text string
}

// Collect returns Members that keep what is at the given places: names with
// dots between, where "*" stands for any name and for every place in an array.
// Of an object or array only its presence is kept, unless a longer place asks
// for what is in it.
func Collect(places ...string) *Members {
	m := &Members{wanted: make([][]string, len(places))}
	for i, place := range places {
		if place != "" { // the document itself
			m.wanted[i] = strings.Split(place, ".")
		}
	}
	return m
}

// Open keeps that there is an object or array.
func (m *Members) Open(path *Path, kind Kind) bool {
	at, inside := m.wants(path)
	if at || inside {
		m.forget(path)
	}
	if at {
		m.keep(path, kind, "")
	}
	return inside
}

// Value keeps a value.
func (m *Members) Value(path *Path, v Value) {
	at, inside := m.wants(path)
	if at || inside {
		m.forget(path)
	}
	if at {
		m.keep(path, v.Kind, string(v.Text))
	}
}

// wants reports whether the value at path is asked for, and whether something
// in it could be.
func (m *Members) wants(path *Path) (at, inside bool) {
	for _, words := range m.wanted {
		if len(words) < path.Len() || !path.under(words) {
			continue
		}
		if len(words) == path.Len() {
			at = true
		} else {
			inside = true
		}
	}
	return at, inside
}

// forget drops what was found at path before: a name that occurs again
// replaces what it stood for.
func (m *Members) forget(path *Path) {
	kept := m.found[:0]
	for _, f := range m.found {
		if path.leadsTo(f.path) {
			m.size -= len(f.text)
			continue
		}
		kept = append(kept, f)
	}
	clear(m.found[len(kept):])
	m.found = kept
}

func (m *Members) keep(path *Path, kind Kind, text string) {
	if len(m.found) == MaxMembers || m.size+len(text) > MaxMembersText {
		m.full = true
		return
	}
	words := make([]string, path.Len())
	for i := range words {
		words[i] = path.Word(i)
	}
	m.found = append(m.found, member{words, kind, text})
	m.size += len(text)
}

// find returns what is at a place without "*".
func (m *Members) find(place string) member {
	var words []string
	if place != "" {
		words = strings.Split(place, ".")
	}
	for _, f := range m.found {
		if matches(words, f.path) {
			return f
		}
	}
	return member{}
}

func matches(words, path []string) bool {
	if len(words) != len(path) {
		return false
	}
	for i, w := range words {
		if w != "*" && w != path[i] {
			return false
		}
	}
	return true
}

// Kind returns the kind of the value at a place, 0 if there is none.
func (m *Members) Kind(place string) Kind { return m.find(place).kind }

// Text returns the string at a place, "" if there is none.
func (m *Members) Text(place string) string {
	if f := m.find(place); f.kind == String {
		return f.text
	}
	return ""
}

// Int returns the whole number at a place.
func (m *Members) Int(place string) (int64, bool) {
	f := m.find(place)
	if f.kind != Number {
		return 0, false
	}
	n, err := strconv.ParseInt(f.text, 10, 64)
	return n, err == nil
}

// Texts returns the strings at a place with "*", in the order of the document.
func (m *Members) Texts(place string) []string {
	var texts []string
	for _, f := range m.found {
		if f.kind == String && matches(strings.Split(place, "."), f.path) {
			texts = append(texts, f.text)
		}
	}
	return texts
}

// Count returns how many values there are at a place with "*".
func (m *Members) Count(place string) int {
	n := 0
	for _, f := range m.found {
		if matches(strings.Split(place, "."), f.path) {
			n++
		}
	}
	return n
}

// Full reports whether there was more than is kept.
func (m *Members) Full() bool { return m.full }
