package retain

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/custody-log/custody/event"
)

// Limits of one hold, in bytes.
const (
	MaxCaseBytes   = 255
	MaxReasonBytes = 4 << 10
	MaxQueryBytes  = 4 << 10
	MaxByBytes     = 255
)

// A Hold keeps events, and what is personal in them, from being dropped or
// erased. It is on the events that its query matches, or on those of an account.
type Hold struct {
	ID      string  `json:"id"`
	Case    string  `json:"case,omitempty"`    // what it is for, in the words of whoever needs it
	Query   string  `json:"query,omitempty"`   // times in it are counted from Created
	Account *Person `json:"account,omitempty"` // in place of a query
	Reason  string  `json:"reason,omitempty"`
	By      string  `json:"by,omitempty"`

	Created time.Time `json:"created"`
	Until   time.Time `json:"until,omitzero"` // zero: until it is lifted

	Lifted     time.Time `json:"lifted,omitzero"` // zero: it was not
	LiftedBy   string    `json:"lifted_by,omitempty"`
	LiftReason string    `json:"lift_reason,omitempty"`
}

// Active reports whether the hold holds anything at that time.
func (h *Hold) Active(now time.Time) bool {
	return h.Lifted.IsZero() && (h.Until.IsZero() || now.Before(h.Until))
}

// Scope returns what the hold is on, in words.
func (h *Hold) Scope() string {
	switch {
	case h.Account == nil:
		return h.Query
	case h.Account.ID != "":
		return h.Account.Type + ":" + h.Account.ID
	}
	return h.Account.Type + ":" + h.Account.Name
}

// check refuses a hold that nobody may wish for.
func (h *Hold) check() error {
	for _, text := range []struct {
		what, text string
		most       int
	}{
		{"the case", h.Case, MaxCaseBytes},
		{"the query", h.Query, MaxQueryBytes},
		{"the reason", h.Reason, MaxReasonBytes},
		{"who placed the hold", h.By, MaxByBytes},
	} {
		if err := checkText(text.what, text.text, text.most); err != nil {
			return err
		}
	}
	switch {
	case !isID(h.ID):
		return invalid("%q is not the ID of a hold", h.ID)
	case h.Account == nil && h.Query == "" && h.Lifted.IsZero():
		return invalid("a hold needs a query; hint: tag:* holds everything")
	case h.Account != nil && h.Query != "":
		return invalid("a hold is on a query or on an account, not on both")
	case h.Account != nil:
		return h.Account.check()
	}
	return nil
}

// over reports whether nobody needs the hold's file any more. A query stays to
// be read for a while after its end. An account goes as soon as it may be
// erased; once lifted its file says no more whose it was, but stays until its
// time: the event that called for the hold may be read again.
func (h *Hold) over(now time.Time) bool {
	end := h.Until
	if h.Query != "" {
		if !h.Lifted.IsZero() {
			end = h.Lifted
		}
		return !end.IsZero() && !now.Before(end.Add(keepEnded))
	}
	return !end.IsZero() && !now.Before(end)
}

// keepEnded is how long an ended hold on a query can still be read.
const keepEnded = 30 * 24 * time.Hour

// defaultEvidenceHold is how long, in days, the events of a deleted account are
// held unless the configuration says otherwise.
const defaultEvidenceHold = 90

// accountDeleted is the tag of events that say that an account was deleted.
const accountDeleted = "user:account:delete"

// EvidenceHold returns the hold that the event with these fields calls for, if
// it says that an account was deleted and the time for it is not over: one on
// the account, so that who broke in and then deleted it wiped no tracks.
//
// The same event calls for the same hold, of the same ID.
func (h *Holds) EvidenceHold(fields event.Fields, now time.Time) (Hold, bool) {
	if fields.Text("tag") != accountDeleted || fields.Text("outcome") != string(event.Success) {
		return Hold{}, false
	}
	account, ok := deletedAccount(fields)
	if !ok {
		return Hold{}, false
	}
	at := now
	if received, ok := fields.Get("received"); ok {
		at = received.Time()
	}
	hold := Hold{
		ID:      evidenceID(fields),
		Account: &account,
		Reason:  "the account was deleted",
		By:      "custody",
		Created: at,
		Until:   h.evidence.After(at),
	}
	return hold, hold.Active(now)
}

// deletedAccount returns the first user among the subjects; without one, who
// acted.
func deletedAccount(fields event.Fields) (Person, bool) {
	var all parties
	for i := range fields {
		all.add(&fields[i], false)
	}
	for _, p := range append(all[FirstSubject:len(all):len(all)], all[Actor]) {
		person := Person{Type: p.typ}
		if p.id != nil {
			person.ID = string(p.id.Value)
		}
		if p.name != nil {
			person.Name = string(p.name.Value)
		}
		if p.typ == "user" && person.check() == nil {
			return person, true
		}
	}
	return Person{}, false
}

// evidenceID returns the ID of the hold that an event calls for.
func evidenceID(fields event.Fields) string {
	sum := sha256.Sum256([]byte(fields.Text("source") + "\x00" + fields.Text("id")))
	return "account-" + hex.EncodeToString(sum[:12])
}

// newID returns an ID of its own: the prefix and 16 hexadecimal digits.
func newID(prefix string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never returns an error
	return fmt.Sprintf("%s%x", prefix, b)
}
