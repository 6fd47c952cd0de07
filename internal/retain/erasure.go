package retain

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"time"
)

// The states of an erasure.
const (
	Pending = "pending" // was asked for; its work is to be done
	Held    = "held"    // was done but for what is under a hold; to be done again
	Done    = "done"
	Denied  = "denied" // will not be done; what was taken before that is gone
)

// An Erasure takes what is personal about one person from all records.
type Erasure struct {
	ID    string `json:"id"`
	State string `json:"state"`

	// Pseudonym stands in the place of the person from now on. It is random, and
	// of this erasure: nobody can tell whose it was, and somebody who is erased
	// twice has two.
	Pseudonym string `json:"pseudonym"`

	Requested time.Time `json:"requested"`
	Ended     time.Time `json:"ended,omitzero"` // done or denied

	Records int64  `json:"records"`        // from which something was taken
	Fields  int64  `json:"fields"`         // that were taken
	Kept    []Kept `json:"kept,omitempty"` // what was under a hold when the work was done last

	// These may say who it is. They are gone once the erasure has ended.
	Person *Person `json:"person,omitempty"`
	By     string  `json:"by,omitempty"` // who asked for it here
	Reason string  `json:"reason,omitempty"`
}

// A Kept says how many records a hold kept from an erasure.
type Kept struct {
	Hold    string `json:"hold"`
	Records int64  `json:"records"`
}

// MaxKept bounds how many holds one erasure names.
const MaxKept = 1000

// ended reports whether there is nothing more to do.
func (e *Erasure) ended() bool { return e.State == Done || e.State == Denied }

// anonymous returns e without what may say who it is.
func (e Erasure) anonymous() Erasure {
	e.Person, e.By, e.Reason = nil, "", ""
	return e
}

// check refuses what no file of an erasure can say.
func (e *Erasure) check(id string, pending bool) error {
	known := e.State == Pending || e.State == Held || e.ended()
	switch {
	case e.ID != id || !isID(id):
		return invalid("it is of erasure %q", e.ID)
	case !known || e.ended() == pending || pending == (e.Person == nil):
		return invalid("its state is %q, and it names a person: %v", e.State, e.Person != nil)
	case !strings.HasPrefix(e.Pseudonym, pseudonymPrefix):
		return invalid("its pseudonym is %q", e.Pseudonym)
	}
	return nil
}

// pseudonymPrefix begins every pseudonym.
const pseudonymPrefix = "erased-"

// newPseudonym returns a pseudonym of its own: 80 random bits.
func newPseudonym() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never returns an error
	return pseudonymPrefix + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// A Touch is what an erasure takes from one record.
type Touch struct {
	Seq    int64
	Fields []int  // numbers of fields, see [PersonalFields]
	Slots  []Slot // in which the person stood
}
