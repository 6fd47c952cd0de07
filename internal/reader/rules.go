package reader

import (
	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
)

// A rule is what the catalogue says about a field of events of one class, and of
// parties of one type where it is a member of one.
type rule struct {
	visible  catalogue.Readers
	personal bool
}

// Rules are the rules of all fields that every event can have, so that nobody has
// to ask the catalogue about each field of each event. There is one for each class
// and each type of party that the catalogue tells apart, and one for all others:
// how many there are does not depend on what events say.
type rules struct {
	classes, types numbers // of parties

	// By number of the class, times how many types there are, plus that of the type.
	list []*[event.CodeLimit]rule
}

// newRules returns the rules of the fields in places.
func newRules(c *catalogue.Catalogue, places *[event.CodeLimit]place) rules {
	r := rules{classes: newNumbers(), types: newNumbers()}
	for _, f := range c.CoreFields() {
		for class := range f.Classes {
			r.classes.add(class)
		}
		for typ := range f.Types {
			r.types.add(typ)
		}
		for _, typ := range f.Impersonal {
			r.types.add(typ)
		}
	}
	classes, types := r.classes.names, r.types.names
	r.list = make([]*[event.CodeLimit]rule, len(classes)*len(types))
	for i, class := range classes {
		for k, typ := range types {
			of := new([event.CodeLimit]rule)
			for code := range places {
				if core := places[code].core; core != nil {
					of[code] = rule{core.VisibleIn(class, typ), core.PersonalFor(typ)}
				}
			}
			r.list[i*len(types)+k] = of
		}
	}
	return r
}

// of returns the rules, by number of the type of party, of events of a class.
func (r *rules) of(class string) []*[event.CodeLimit]rule {
	i, n := r.classes.of([]byte(class)), len(r.types.names)
	return r.list[i*n : (i+1)*n]
}

// Numbers are names that the catalogue tells apart, numbered.
type numbers struct {
	names  []string // by number
	byName map[string]int
}

// The numbers of what a catalogue need not name.
const (
	blank = iota // nothing is said
	other        // a name that no core field has anything to say about
)

func newNumbers() numbers {
	return numbers{names: []string{blank: "", other: "\x00"}, byName: map[string]int{"": blank}}
}

// add gives name a number, unless it has one.
func (n *numbers) add(name string) {
	if _, there := n.byName[name]; !there {
		n.byName[name] = len(n.names)
		n.names = append(n.names, name)
	}
}

// of returns the number of name.
func (n *numbers) of(name []byte) int {
	if i, ok := n.byName[string(name)]; ok {
		return i
	}
	return other
}
