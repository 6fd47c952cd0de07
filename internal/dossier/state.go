package dossier

import (
	"strconv"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/retain"
)

// A State says why something is not there to be read, or not all of it.
type State string

// The states.
const (
	Late       State = "late"        // the time was up before all was looked at
	Cut        State = "cut"         // there is more than was asked for
	Behind     State = "behind"      // the newest events are not searched yet
	Expired    State = "expired"     // retention dropped it
	Erased     State = "erased"      // a person's data were taken out
	Masked     State = "masked"      // shown to staff who give a reason
	NotAllowed State = "not_allowed" // not there, or not for the reader
)

// A Note is one sentence about a state.
type Note struct {
	State State
	Text  string
}

// String returns the sentence.
func (n Note) String() string { return n.Text }

// LateNote is about an answer to which not all that there is was looked at.
func LateNote() Note {
	return Note{Late, "The time was up before everything was looked at; there may be more."}
}

// CutNote is about a list that is made of the newest events only, the oldest of
// them at that time.
func CutNote(events int, oldest time.Time) Note {
	text := "This is made of the newest " + count(int64(events), "event") + "; there are older ones"
	if !oldest.IsZero() {
		text += ", from before " + moment(oldest)
	}
	return Note{Cut, text + "."}
}

// BehindNote is about a search that has not taken in the newest events.
func BehindNote(events int64) Note {
	return Note{Behind, "The search is " + count(events, "event") + " behind the log."}
}

// ExpiredNote is about an event that retention has dropped; class and keep are
// those of its policy, if they are known.
func ExpiredNote(class string, keep retain.Days) Note {
	text := "The event is past its time and was dropped"
	if class != "" && keep != retain.Forever {
		text += ": events of the class " + class + " are kept for " + keep.String()
	}
	return Note{Expired, text + ". That it was recorded can still be proved."}
}

// ErasedNote is about an event of which that many fields were erased, or are
// past their time.
func ErasedNote(fields int) Note {
	return Note{Erased, count(int64(fields), "field") + " of the event " + wereOrWas(fields) +
		" erased, or kept no longer. What is left can still be proved."}
}

// MaskedNote is about an event of which that many fields are masked.
func MaskedNote(fields int) Note {
	if fields == 0 {
		return Note{Masked, "This is about personal data. They are shown to staff who give a reason, and the person concerned sees that."}
	}
	return Note{Masked, count(int64(fields), "personal field") + " " + isOrAre(fields) +
		" masked. They are shown to staff who give a reason, and the person concerned sees that."}
}

// NotAllowedNote is the answer both where there is nothing and where there is
// something that is not for the reader.
func NotAllowedNote() Note { return Note{NotAllowed, "There is nothing here that you may see."} }

// count returns "1 event", "1,204 events".
func count(n int64, what string) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && c != '-' && digits[i-1] != '-' && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	b.WriteString(" " + what)
	if n != 1 {
		b.WriteByte('s')
	}
	return b.String()
}

func wereOrWas(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// moment returns a time as sentences have it.
func moment(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }
