// Package reading is the room in which events are read: whoever answers somebody
// with events asks here, in the name of a [reader.Reader], and gets no more than
// that reader may see.
//
// # Promises
//
//   - No answer, number, value, receipt or error depends on a field that the
//     reader is not shown, but for how long it takes. A query about such a field
//     finds what it would find if no event had it.
//   - What is not there and what is not for the reader are the same: [ErrNone].
//   - A page ends at an event that the reader was shown, or after so many that
//     nothing can be learned from where it ends.
//   - Nobody sees what is masked before it is on record that they looked.
//   - An answer is never silently of a part: it says when its time was up, and how
//     far behind the log it is.
package reading

import (
	"errors"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/keeper"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/tree"
)

// A Room is what answers are made from. All fields must be set, except those that
// say what their zero value means. Its methods may be called concurrently.
type Room struct {
	Store     *store.Store
	Journal   *journal.Journal
	Tree      *tree.Tree
	Desk      *intake.Desk   // takes the events about looks
	Keeper    *keeper.Keeper // knows pseudonyms; nil: there are none
	Catalogue *catalogue.Catalogue
	Policy    *reader.Policy

	// RevealDelay is how old the event of a look must be before the person
	// concerned sees it, as long as they are no staff.
	RevealDelay time.Duration

	scopes scopes
}

// Errors of a Room.
var (
	// ErrNone means that there is no such event for this reader.
	ErrNone = errors.New("reading: no such event for this reader")

	// ErrExpired means that retention dropped the event. Only staff are told.
	ErrExpired = errors.New("reading: the event is past its time")

	// ErrScope means that a query must name a project: who has no part in
	// anything reads one project at a time.
	ErrScope = errors.New("reading: the query names no project; name one with project:NAME")

	// ErrNamed means that an answer about a pseudonym cannot be gone on with, or
	// that it stands in too many events. See [Room.IsNamed].
	ErrNamed = errors.New("reading: a pseudonym has no further pages, and not too many events")

	// ErrReason means that nobody looks without a reason, or with so long a one.
	ErrReason = errors.New("reading: a reason has 1 to 500 bytes, and is not blank")

	// ErrNotStaff means that a reason opens nothing for this reader.
	ErrNotStaff = errors.New("reading: nothing is masked for a reader who is not staff")
)

// A Request says what to look for.
type Request struct {
	Query  *query.Query
	Oldest bool          // oldest first; otherwise newest first
	After  *store.Cursor // go on from here; nil to begin at the end
	Limit  int           // events, 1 to [store.MaxFound]
	Budget time.Duration // 0: [store.DefaultBudget]
}

// An Answer is what was found.
type Answer struct {
	Events []*Shown // in the order asked for

	// Next is where to go on; nil if nothing is left.
	Next *store.Cursor

	// Complete is false if the time was up before Events were full.
	Complete bool

	// Looked is how many events were compared one by one, as far as the reader may
	// know: for one who does not see everything, those that were found.
	Looked int

	Taken  journal.Seq // records that were searched: all before this one
	Behind journal.Seq // records at the end of the log that were not searched yet
}
