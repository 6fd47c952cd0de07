package retain

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/custody-log/custody/event"
)

// A Slot is a place in an event where a person stands. The numbers are part of
// the ledger's format.
type Slot uint8

// The slots; subject N has slot FirstSubject + N.
const (
	Actor Slot = iota
	OnBehalfOf
	FirstSubject

	MaxSlots = FirstSubject + event.MaxSubjects
)

// String returns what the names of the slot's fields begin with: actor,
// on_behalf_of or subjects.N.
func (s Slot) String() string {
	if s == Actor {
		return "actor"
	}
	if s == OnBehalfOf {
		return "on_behalf_of"
	}
	return fmt.Sprintf("subjects.%d", s-FirstSubject)
}

// SlotNamed returns the slot called name, for example actor or subjects.0.
func SlotNamed(name string) (Slot, bool) {
	switch name {
	case "actor":
		return Actor, true
	case "on_behalf_of":
		return OnBehalfOf, true
	}
	number, ok := strings.CutPrefix(name, "subjects.")
	n, err := strconv.ParseUint(number, 10, 8)
	if !ok || err != nil || n >= event.MaxSubjects || strconv.FormatUint(n, 10) != number {
		return 0, false
	}
	return FirstSubject + Slot(n), true
}

// A member is what a field says of a party or subject.
type member uint8

const (
	notMember member = iota
	typeMember
	idMember
	nameMember
)

// A place is where in an event a field stands.
type place struct {
	slot   Slot
	member member
}

// memberAt says of which slot a field is, by code of its name.
var memberAt = newMemberAt()

func newMemberAt() *[event.CodeLimit]place {
	places := new([event.CodeLimit]place)
	for slot := range MaxSlots {
		for m, name := range map[member]string{typeMember: "type", idMember: "id", nameMember: "name"} {
			places[event.CodeOf(slot.String()+"."+name)] = place{slot, m}
		}
	}
	return places
}
