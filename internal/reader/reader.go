// Package reader decides what of an event somebody gets: it knows who looks, and
// what the catalogue allows them.
//
// # Promises
//
//   - Nobody gets a field, or what is derived from one, that the catalogue does
//     not allow somebody of their kind: not the value, and of what is not even
//     masked not the name.
//   - Nobody gets an event that the catalogue shows them under a condition which
//     the log cannot judge.
//   - What describes the surroundings of whoever acted, such as their address, is
//     shown to them, and to staff, and to nobody else the event is about.
//   - Disclose changes nothing that it is given, and may be called concurrently.
package reader

import (
	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
)

// A Reader is who looks. Everybody is [catalogue.Public] besides what they are
// here; the zero Reader is the public. It must not be changed while in use.
type Reader struct {
	Staff    catalogue.Readers // Admin, Auditor or both; 0 for others
	Self     string            // ID of the user that they are; "" if that is not known
	Projects []Ref             // of which they are an owner
	Orgs     []Ref             // organizations and teams in which they have a role

	// Clear says that personal fields are not masked: the reader is a program
	// that was trusted with them, or a person who gave a reason.
	Clear bool

	By event.Party // what stands in the events about their looks
}

// A Ref names what has a history, as the subjects of events do.
type Ref struct {
	Type string // "project"; "org" or "team"
	ID   string
}

// IsStaff reports whether r works for the registry.
func (r *Reader) IsStaff() bool { return r.staff() != 0 }

// staff returns what r is among the staff, and nothing else.
func (r *Reader) staff() catalogue.Readers { return r.Staff & catalogue.Staff }

// A Disclosure is what a reader gets of an event.
type Disclosure struct {
	As     catalogue.Readers // as what the reader sees the event
	Fields event.Fields      // what is shown of it, in order
	Masked []string          // names of fields that are there, and shown to staff who give a reason

	// Partial says why only a part of the event is shown; "" if all of it is, but
	// for fields that are not for the reader.
	Partial catalogue.ConditionKind

	// Country and Client stand instead of an address and a user agent that are
	// not shown, for those who may know that much; "" for others, and where
	// nothing is known.
	Country string // two capital letters (ISO 3166-1)
	Client  string // the program, as [query.ClientOf] names it
}
