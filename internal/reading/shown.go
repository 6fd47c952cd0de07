package reading

import (
	"slices"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/internal/journal"
)

// A Shown is an event as one reader gets it. It must not be changed.
type Shown struct {
	Seq    journal.Seq
	Fields event.Fields // those shown, in order; the name of who was erased is a pseudonym

	Masked []string // names of fields that are there, and shown to staff who give a reason
	Erased []string // names of fields that would be shown had they not been erased or passed their time

	// Partial says why only a part of the event is shown; "" if all of it is.
	Partial catalogue.ConditionKind

	Text     string // the event as a sentence, of what is shown
	Class    string
	Severity string

	// Country and Client stand instead of an address and a user agent that are
	// not shown, for those who may know that much.
	Country, Client string

	Commitment event.Commitment
	As         catalogue.Readers // as what the reader sees the event

	tag    string        // "" if it is not shown
	record *event.Record // of which the event is; whoever had it disclosed leaves it as it is
	known  event.Fields  // what a query is compared with: Fields, and of a part also why the reader sees it

	projects [][]byte // what finds the projects of an event of which anybody sees a part
}

// Time returns when the event happened.
func (e *Shown) Time() time.Time {
	f, _ := e.Fields.Get("time")
	return f.Time()
}

// Row returns the event as a row of an export. It shares memory with e, and has no
// secrets.
func (e *Shown) Row() *export.Row {
	row := e.row()
	row.Record = &event.Record{Commitment: e.Commitment, Fields: e.record.Fields}
	if len(e.Fields) == len(e.record.Fields) && len(e.Erased) == 0 {
		return &row
	}
	row.Record.Fields = make([]event.StoredField, 0, len(e.record.Fields))
	for i := range e.record.Fields {
		f := &e.record.Fields[i]
		if shown := find(e.Fields, f.Name); shown != nil {
			row.Record.Fields = append(row.Record.Fields, event.StoredField{Field: *shown})
		} else if f.Erased && slices.Contains(e.Erased, f.Name) {
			row.Record.Fields = append(row.Record.Fields, *f)
		}
	}
	return &row
}

// row returns what a row says besides its record.
func (e *Shown) row() export.Row {
	return export.Row{Seq: int64(e.Seq), Class: e.Class, Severity: e.Severity, Text: e.Text}
}

// MarshalJSON implements json.Marshaler. Of an event of which everything is
// shown it is the line that an export has.
func (e *Shown) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil) }

// AppendJSON appends what MarshalJSON returns.
func (e *Shown) AppendJSON(dst []byte) ([]byte, error) {
	row := e.row()
	dst, err := export.AppendShown(dst, &row, e.Fields, e.Commitment)
	if err != nil {
		return nil, err
	}
	dst = dst[:len(dst)-1] // its end is further on
	dst = appendNames(dst, "erased", e.Erased)
	dst = appendNames(dst, "masked", e.Masked)
	dst = appendMember(dst, "partial", string(e.Partial))
	dst = appendMember(dst, "country", e.Country)
	dst = appendMember(dst, "client", e.Client)
	return append(dst, '}'), nil
}

// appendNames appends a member that is a list of names, unless there is none.
func appendNames(dst []byte, member string, names []string) []byte {
	for i, name := range names {
		if i == 0 {
			dst = append(append(append(dst, `,"`...), member...), `":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = export.AppendString(dst, name)
	}
	if len(names) == 0 {
		return dst
	}
	return append(dst, ']')
}

// appendMember appends a member that is a text, unless that is empty.
func appendMember(dst []byte, member, text string) []byte {
	if text == "" {
		return dst
	}
	dst = append(append(append(dst, `,"`...), member...), `":`...)
	return export.AppendString(dst, text)
}
