package catalogue

import "strings"

// A Get returns the value, as people write it, of the field of an event called
// name, for example "actor.name", "subjects.0.type" or "metadata.role"; and
// whether the reader may see it. Lists are in JSON.
type Get func(name string) (value string, ok bool)

// Disclosed is what a reader may see of an event.
type Disclosed interface {
	// Value is a [Get].
	Value(name string) (value string, ok bool)

	// Listed returns how many subjects and changes are to be looked at: no value of
	// one with that number, or a higher one, is disclosed.
	Listed() (subjects, changes int)
}

// Value implements [Disclosed].
func (g Get) Value(name string) (value string, ok bool) { return g(name) }

// Listed implements [Disclosed]: there may be something of any.
func (g Get) Listed() (subjects, changes int) { return maxLooked, maxLooked }

// maxLooked bounds how many subjects or changes are looked at and how many
// items of a list are named.
const (
	maxLooked = 32
	maxListed = 10
)

// Render returns an event of type t as one sentence made of what get discloses.
// It is never blank, never has a hole where a value is not disclosed, and begins
// with "Failed", "Denied" or "Outcome unknown" where the event says so and the
// description does not.
//
// A placeholder stands for the first of these that is disclosed: the field of
// the metadata of that name; a subject of that type, by name, else by ID; the
// old or new value of a change; for "actor", who acted; for "fields", the names
// of what changed; for "reason", the reason of the event.
func (t *Type) Render(get Get) string { return t.render(get) }

func (t *Type) render(d Disclosed) string {
	s := newScene(t, d)
	var memory [sentenceBytes]byte
	b := memory[:0]
	if !t.Negative {
		b = append(b, s.outcome()...)
	}
	for i := range t.sentence {
		b = s.clause(b, &t.sentence[i])
	}
	return string(b)
}

// sentenceBytes is how long most sentences are at most.
const sentenceBytes = 256

// Render returns the event with the given tag as one sentence, as
// [Type.Render] and [Generic] do.
func (c *Catalogue) Render(tag string, get Get) string { return c.RenderDisclosed(tag, get) }

// RenderDisclosed is [Catalogue.Render] for who knows how much there is to look at.
func (c *Catalogue) RenderDisclosed(tag string, d Disclosed) string {
	if t, ok := c.types[tag]; ok {
		return t.render(d)
	}
	return generic(tag, d)
}

// Generic returns an event of an unknown type as one sentence made of what get
// discloses. It is never blank.
func Generic(tag string, get Get) string { return generic(tag, get) }

func generic(tag string, d Disclosed) string {
	s := newScene(&Type{Tag: tag}, d)
	var b strings.Builder
	b.WriteString(s.outcome())
	actor, ok := s.actor()
	if !ok && b.Len() == 0 {
		actor = capital(actor)
	}
	b.WriteString(actor)
	if tag, ok := clean(tag); ok {
		b.WriteString(` did "` + tag + `", a kind of event that is not in the catalogue`)
	} else {
		b.WriteString(" did something that has no tag")
	}
	var about []string
	for i := range s.subjects {
		typ, ok := s.value(subjectNames[i].typ)
		if !ok {
			continue
		}
		words := strings.ReplaceAll(typ, "_", " ")
		if name, ok := s.subjectAt(i); ok {
			about = append(about, "the "+words+" "+name)
		} else {
			about = append(about, article(words))
		}
	}
	if len(about) > 0 {
		b.WriteString(", about " + listed(about, " and "))
	}
	return b.String()
}

// A scene is one event while it is rendered for one reader.
type scene struct {
	typ               *Type
	shown             Disclosed
	subjects, changes int // to be looked at
}

func newScene(t *Type, d Disclosed) scene {
	s := scene{typ: t, shown: d}
	subjects, changes := d.Listed()
	s.subjects, s.changes = min(subjects, maxLooked), min(changes, maxLooked)
	return s
}

// clause appends c, unless it is optional and something in it is not shown.
func (s *scene) clause(b []byte, c *clause) []byte {
	before := len(b)
	for i := range c.pieces {
		p := &c.pieces[i]
		if p.names == nil {
			b = append(b, p.text...)
			continue
		}
		value, ok := s.first(p.names)
		if !ok && c.optional {
			return b[:before]
		}
		if !ok && len(b) == 0 {
			value = capital(value)
		}
		b = append(b, value...)
	}
	return b
}

// outcome returns the beginning of a sentence about what was not done.
func (s *scene) outcome() string {
	switch outcome, _ := s.value("outcome"); outcome {
	case "failure":
		return "Failed: "
	case "denied":
		return "Denied: "
	case "unknown":
		return "Outcome unknown: "
	default:
		return ""
	}
}

// first returns the first value of names that is shown; else a phrase that
// stands for it and false.
func (s *scene) first(names []placeholder) (string, bool) {
	for i := range names {
		if names[i].name == "actor" && i > 0 && !s.actorMayBe(names[0].name) {
			continue
		}
		if value, ok := s.named(&names[i]); ok {
			return value, true
		}
	}
	return s.absent(names[0].name), false
}

// actorMayBe reports whether the actor can stand for a subject of the given
// type of which nothing is said. An administrator who acted on somebody must not
// be taken for that person.
func (s *scene) actorMayBe(subjectType string) bool {
	if typ, ok := s.value("actor.type"); !ok || typ != subjectType {
		return false
	}
	_, there := s.subjectOf(subjectType)
	return !there
}

// named returns the value a placeholder stands for.
func (s *scene) named(p *placeholder) (string, bool) {
	name := p.name
	if name == "actor" {
		return s.actor()
	}
	if field, ok := s.typ.metadata[name]; ok {
		if value, ok := s.metadata(field, p.metadata); ok {
			return value, true
		}
	}
	if i, ok := s.subjectOf(name); ok {
		if value, ok := s.subjectAt(i); ok {
			return value, true
		}
	}
	switch name {
	case "fields":
		return s.changedFields()
	case "reason":
		return s.value("reason")
	case "old":
		return s.value(changeNames[0].old)
	case "new":
		return s.value(changeNames[0].new)
	case "target_user":
		return s.target()
	case "version":
		return s.version()
	}
	if field, word := changeOf(name); field != "" {
		return s.changed(field, word)
	}
	return "", false
}

// value returns a value that is shown and has something in it, made fit for a
// sentence.
func (s *scene) value(name string) (string, bool) {
	value, ok := s.shown.Value(name)
	if !ok {
		return "", false
	}
	return clean(value)
}

// metadata returns the value of field, which events have under name, in the way its
// type is written.
func (s *scene) metadata(field *Field, name string) (string, bool) {
	raw, ok := s.shown.Value(name)
	if !ok {
		return "", false
	}
	switch field.Type {
	case List:
		return listOf(raw)
	case Enum:
		raw = strings.ReplaceAll(raw, "_", " ")
	case Int:
		if field.Unit != "" {
			raw += " " + field.Unit
		}
	case String, Text, Digest, Time, IP, Bool:
	}
	return clean(raw)
}

// actor returns who acted; if nobody is named, a phrase by the type of the
// actor and false.
func (s *scene) actor() (string, bool) {
	if name, ok := s.value("actor.name"); ok {
		return name, true
	}
	typ, _ := s.value("actor.type")
	if id, ok := s.value("actor.id"); ok {
		if typ == "" {
			typ = "user"
		}
		return strings.ReplaceAll(typ, "_", " ") + " " + id, true
	}
	if phrase, ok := actorPhrases[typ]; ok {
		return phrase, false
	}
	return somebody, false
}

// subjectOf returns the place of the first subject of the given type.
func (s *scene) subjectOf(typ string) (int, bool) {
	for i := range s.subjects {
		if found, ok := s.value(subjectNames[i].typ); ok && found == typ {
			return i, true
		}
	}
	return 0, false
}

// subjectAt returns the name, or else the type and ID, of a subject.
func (s *scene) subjectAt(i int) (string, bool) {
	names := &subjectNames[i]
	typ, typed := s.value(names.typ)
	if typ == "version" {
		if version, ok := s.value(names.version); ok {
			return version, true
		}
	}
	if name, ok := s.value(names.name); ok {
		return name, true
	}
	id, ok := s.value(names.id)
	if !ok {
		return "", false
	}
	if typed {
		id = strings.ReplaceAll(typ, "_", " ") + " " + id
	}
	return id, true
}

// target returns the subject whose role is to be the target.
func (s *scene) target() (string, bool) {
	for i := range s.subjects {
		if role, ok := s.value(subjectNames[i].role); ok && role == "target" {
			return s.subjectAt(i)
		}
	}
	if i, ok := s.subjectOf("user"); ok {
		return s.subjectAt(i)
	}
	return "", false
}

// version returns the version of the first subject that has one.
func (s *scene) version() (string, bool) {
	for i := range s.subjects {
		if version, ok := s.value(subjectNames[i].version); ok {
			return version, true
		}
	}
	return "", false
}

// changedFields returns the names of what changed.
func (s *scene) changedFields() (string, bool) {
	var names []string
	for i := range s.changes {
		if name, ok := s.value(changeNames[i].field); ok {
			names = append(names, strings.ReplaceAll(name, "_", " "))
		}
	}
	return listed(names, ", "), len(names) > 0
}

// changed returns the old or new value of the change of field.
func (s *scene) changed(field, word string) (string, bool) {
	for i := range s.changes {
		names := &changeNames[i]
		name, ok := s.value(names.field)
		switch {
		case !ok || name != field:
		case word == "old":
			return s.value(names.old)
		default:
			return s.value(names.new)
		}
	}
	return "", false
}
