package reading

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
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

	row   *event.Record // what is shown, as exports have it
	known event.Fields  // what a query is compared with: Fields, and of a part also why the reader sees it

	projects [][]byte // what finds the projects of an event of which anybody sees a part
}

// Time returns when the event happened.
func (e *Shown) Time() time.Time {
	f, _ := e.Fields.Get("time")
	return f.Time()
}

// Row returns the event as a row of an export.
func (e *Shown) Row() *export.Row {
	return &export.Row{Seq: int64(e.Seq), Record: e.row, Class: e.Class, Severity: e.Severity, Text: e.Text}
}

// MarshalJSON implements [json.Marshaler]. Of an event of which everything is
// shown it is the line that an export has.
func (e *Shown) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil) }

// AppendJSON appends what MarshalJSON returns.
func (e *Shown) AppendJSON(dst []byte) ([]byte, error) {
	row := e.Row()
	if len(e.Erased) > 0 || row.Record == nil { // the row may lack a pseudonym
		row.Record = &event.Record{Commitment: e.Commitment, Fields: make([]event.StoredField, len(e.Fields))}
		for i := range e.Fields {
			row.Record.Fields[i].Field = e.Fields[i]
		}
	}
	start := len(dst)
	dst, err := export.AppendJSON(dst, row)
	if err != nil {
		return nil, err
	}
	dst = e.withoutEmpty(dst, start)
	if len(e.Erased) == 0 && len(e.Masked) == 0 && e.Partial == "" && e.Country == "" && e.Client == "" {
		return dst, nil
	}
	more, err := json.Marshal(&struct {
		Erased  []string                `json:"erased,omitempty"`
		Masked  []string                `json:"masked,omitempty"`
		Partial catalogue.ConditionKind `json:"partial,omitempty"`
		Country string                  `json:"country,omitempty"`
		Client  string                  `json:"client,omitempty"`
	}{e.Erased, e.Masked, e.Partial, e.Country, e.Client})
	if err != nil {
		return nil, err
	}
	dst[len(dst)-1] = ','
	return append(dst, more[1:]...), nil
}

// withoutEmpty takes out of the JSON of e, which begins at start, the two members
// that it always has, where nothing is shown of them. They come before all objects
// that somebody else chose.
func (e *Shown) withoutEmpty(dst []byte, start int) []byte {
	id, actor := false, false
	for i := range e.Fields {
		id = id || e.Fields[i].Name == "id"
		actor = actor || strings.HasPrefix(e.Fields[i].Name, "actor.")
	}
	cut := func(member string) {
		if i := bytes.Index(dst[start:], []byte(member)); i >= 0 {
			dst = slices.Delete(dst, start+i, start+i+len(member))
		}
	}
	if !id {
		cut(`,"id":""`)
	}
	if !actor {
		cut(`,"actor":{}`)
	}
	return dst
}
