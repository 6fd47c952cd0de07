package reader

import (
	"strconv"
	"strings"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
)

// A place is what is known about a field by its name alone.
type place struct {
	core   *catalogue.CoreField // nil: nothing, or it is a value of a change
	party  int                  // of a member of a party or subject: its number from 1
	change int                  // of a member of a change: its number from 1
	member member
	nature nature
}

// A member is one of those that the fields of an event are decided by.
type member uint8

const (
	otherMember member = iota
	typeMember         // of a party or subject
	idMember           // of a party or subject
	nameMember         // of a party or subject
	fieldMember        // of a change: what changed
	valueMember        // of a change: what it was or is
)

// A nature says what a field is about, where that decides who sees it.
type nature uint8

const (
	always       nature = 1 << iota // shown of every event that somebody sees
	tookPart                        // says who, or with which credential: never masked
	surroundings                    // of whoever acted
)

// Numbers of parties; those of subjects follow.
const (
	theActor = 1 + iota
	theBeneficiary
	firstSubject

	maxParties = firstSubject + event.MaxSubjects
	maxChanges = 1 + event.MaxChanges
)

// A table holds what a policy knows about names of fields. It is made once, of the
// catalogue alone, and does not change.
type table struct {
	places          [event.CodeLimit]place // by code
	rules           rules
	country, client *catalogue.CoreField
}

// known returns the table of p.
func (p *Policy) known() *table {
	p.once.Do(func() {
		p.table = new(table)
		for code := range p.table.places {
			p.table.places[code] = newPlace(p.Catalogue, event.NameOf(code))
		}
		p.table.rules = newRules(p.Catalogue, &p.table.places)
		p.table.country, p.table.client = coreField(p.Catalogue, "geo.country"), coreField(p.Catalogue, "client.name")
	})
	return p.table
}

// coreField returns what c knows about a field; of one that it does not know,
// that nobody sees it.
func coreField(c *catalogue.Catalogue, name string) *catalogue.CoreField {
	if f, ok := c.Core(name); ok {
		return f
	}
	return &catalogue.CoreField{Name: name, Personal: true}
}

func newPlace(c *catalogue.Catalogue, name string) place {
	top, rest, _ := strings.Cut(name, ".")
	at := place{nature: natureOf(top, rest)}
	at.core, _ = c.Core(name)
	key, word := "", rest
	if top == "subjects" || top == "changes" {
		key, word, _ = strings.Cut(rest, ".")
	}
	number, _ := strconv.Atoi(key) // 0 for none
	switch top {
	case "actor":
		at.party = theActor
	case "on_behalf_of":
		at.party = theBeneficiary
	case "subjects":
		at.party = firstSubject + number
	case "changes":
		at.change = 1 + number
		at.member = valueMember
		if word == "field" {
			at.member = fieldMember
		}
	}
	if at.party > 0 {
		at.member = map[string]member{"type": typeMember, "id": idMember, "name": nameMember}[word]
	}
	return at
}

// natureOf returns what the field with that name, cut at its first dot, is about.
//
// An administrator has to be able to follow a credential by its ID, which says no
// more about its holder than their own ID does. What they call it says more.
func natureOf(top, rest string) nature {
	switch top {
	case "tag", "time":
		return always
	case "actor", "on_behalf_of", "subjects":
		return tookPart
	case "credential":
		if rest == "id" {
			return surroundings | tookPart
		}
		return surroundings
	case "context", "oidc":
		return surroundings
	}
	return 0
}
