package retain

import (
	"slices"
	"strings"

	"github.com/custody-log/custody/event"
)

// A Person is somebody whose data are held or erased. ID or Name may be empty.
//
// A person is a party or subject of an event if its type is the same and its ID
// is; or, where the event says no ID, its name. A name alone reaches no event
// that says an ID: a name that was given up may be somebody else's now.
type Person struct {
	Type string `json:"type"` // as parties and subjects have it, for example "user"
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// Limits of a person, in bytes.
const maxPersonTypeBytes = 64

// check refuses somebody whom no event can be about.
func (p Person) check() error {
	if p.Type == "" || p.ID == "" && p.Name == "" {
		return invalid("a person needs a type, such as user, and an ID or a name")
	}
	if err := checkText("the type of a person", p.Type, maxPersonTypeBytes); err != nil {
		return err
	}
	if err := checkText("the ID of a person", p.ID, event.MaxTextBytes); err != nil {
		return err
	}
	return checkText("the name of a person", p.Name, event.MaxTextBytes)
}

// keys returns what p is found by, see [party.key].
func (p Person) keys() (keys []personKey) {
	if p.ID != "" {
		keys = append(keys, personKey{typ: p.Type, id: true, value: p.ID})
	}
	if p.Name != "" {
		keys = append(keys, personKey{typ: p.Type, value: p.Name})
	}
	return keys
}

// In reports whether p is a party or a subject of the event with these fields.
func (p Person) In(fields event.Fields) bool {
	keys := p.keys()
	for _, key := range keysOf(fields) {
		if slices.Contains(keys, key) {
			return true
		}
	}
	return false
}

// A personKey is what tells a person from others: an ID, or a name where no ID
// is said.
type personKey struct {
	typ   string
	id    bool
	value string
}

// A party is what an event says of one who acts, or of one subject.
type party struct {
	typ      string
	id, name *event.Field // nil: not said
	erased   bool         // of the ID; then the name does not count
	private  bool         // ID or name is, or was before it was erased
}

// key returns what the party is known by.
func (p *party) key() personKey {
	switch {
	case p.erased:
	case p.id != nil:
		return personKey{typ: p.typ, id: true, value: string(p.id.Value)}
	case p.name != nil:
		return personKey{typ: p.typ, value: string(p.name.Value)}
	}
	return personKey{}
}

// belongings are the types of parties and subjects that are no people but may
// belong to one. Every other that has something private is taken for a person.
var belongings = []string{"token", "key", "session", "trusted_publisher", "service", "system", "anonymous"}

func (p *party) isPerson() bool { return p.private && !slices.Contains(belongings, p.typ) }

// parties are those of one event, by slot.
type parties [MaxSlots]party

// add takes in a field.
func (ps *parties) add(f *event.Field, erased bool) {
	at := memberAt[f.Code()]
	if at.member == notMember {
		return
	}
	p := &ps[at.slot]
	p.private = p.private || f.Private
	switch {
	case at.member == idMember && erased:
		p.erased = true
	case erased:
	case at.member == typeMember:
		p.typ = string(f.Value)
	case at.member == idMember:
		p.id = f
	case at.member == nameMember:
		p.name = f
	}
}

// keysOf returns what the parties and subjects of an event are known by.
func keysOf(fields event.Fields) (keys []personKey) {
	var all parties
	for i := range fields {
		all.add(&fields[i], false)
	}
	for i := range all {
		if key := all[i].key(); key.value != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// PersonalFields returns the numbers of the fields of r that are about p and can
// be erased, and the slots in which p loses an ID or a name by it.
//
// If p is the actor, or whom the actor acted for, these are all private fields
// but the IDs and names of other people. If p is only a subject, they are p's
// own ID and name, and what was said in metadata, changes and reasons: who acted,
// from where and with what is somebody else's.
//
// Tokens, keys and sessions among the subjects go with p unless another person
// stands beside them, whose they may be.
func PersonalFields(r *event.Record, p Person) (fields []int, slots []Slot) {
	var all parties
	for i := range r.Fields {
		all.add(&r.Fields[i].Field, r.Fields[i].Erased)
	}
	q := question{keys: p.keys()}
	for i := range all {
		is := all[i].private && q.isOne(&all[i])
		q.is[i] = is
		q.person[i] = all[i].isPerson()
		switch {
		case Slot(i) <= OnBehalfOf:
			q.acted = q.acted || is
		case is:
			q.subject = true
		case q.person[i]:
			q.others = true
		}
	}
	if !q.acted && !q.subject {
		return nil, nil
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		if !f.Private || f.Erased || !q.reaches(&f.Field) {
			continue
		}
		fields = append(fields, i)
		at := memberAt[f.Code()]
		if at.member != notMember && q.is[at.slot] && !slices.Contains(slots, at.slot) {
			slots = append(slots, at.slot)
		}
	}
	slices.Sort(slots)
	return fields, slots
}

// A question is which fields of one event are about one person.
type question struct {
	keys    []personKey
	is      [MaxSlots]bool // by slot: it is that person
	person  [MaxSlots]bool // by slot: it is a person
	acted   bool           // the person is the actor, or whom the actor acted for
	subject bool           // the person is among the subjects
	others  bool           // another person is among the subjects
}

func (q *question) isOne(p *party) bool {
	key := p.key()
	return key.value != "" && slices.Contains(q.keys, key)
}

// reaches reports whether a private field is about the person.
func (q *question) reaches(f *event.Field) bool {
	at := memberAt[f.Code()]
	switch {
	case at.member != notMember && q.is[at.slot]:
		return true
	case at.member != notMember && q.person[at.slot]:
		return false
	case at.member != notMember && at.slot > OnBehalfOf:
		return !q.others
	case isSaid(f.Name):
		return true
	}
	return q.acted
}

// isSaid reports whether the field called name says something about the act
// itself, and not about who acted, or how.
func isSaid(name string) bool {
	return name == "reason" || name == "reason_internal" || strings.HasPrefix(name, "metadata.") || strings.HasPrefix(name, "changes.")
}
