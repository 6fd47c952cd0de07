package reading

import (
	"strings"

	"github.com/custody-log/custody/event"
)

// tell says in a sentence what of the event is shown.
func (m *Room) tell(e *Shown) { e.Text = m.Catalogue.RenderDisclosed(e.tag, (*said)(e)) }

// A said is an event as a [catalogue.Disclosed].
type said Shown

// Value returns the text of the field called name, if it is shown.
func (e *said) Value(name string) (string, bool) {
	f := find(e.Fields, name)
	if f == nil {
		return "", false
	}
	if f.Type == event.String {
		return textOf(f.Value), true
	}
	return f.Text(), true
}

// textOf returns value as a string; of what most events say it makes none.
func textOf(value []byte) string {
	switch string(value) {
	case "success":
		return "success"
	case "user":
		return "user"
	case "project":
		return "project"
	case "version":
		return "version"
	case "file":
		return "file"
	case "token":
		return "token"
	}
	return string(value)
}

// Listed returns how many subjects and changes there are, as far as they are shown.
func (e *said) Listed() (subjects, changes int) {
	for i := range e.Fields {
		f := &e.Fields[i]
		if !strings.HasPrefix(f.Name, "subjects.") && !strings.HasPrefix(f.Name, "changes.") {
			continue // most are neither
		}
		switch code := f.Code(); {
		case code >= event.ChangeCode:
			changes = max(changes, (code-event.ChangeCode)/changeStep+1)
		case code >= firstSubjectCode:
			subjects = max(subjects, (code-firstSubjectCode)/subjectStep+1)
		}
	}
	return subjects, changes
}

// The code of the first field of a subject, and how far apart those of two subjects
// and of two changes are.
var (
	firstSubjectCode = event.CodeOf("subjects.0.type")
	subjectStep      = event.CodeOf("subjects.1.type") - firstSubjectCode
	changeStep       = event.CodeOf("changes.1.field") - event.ChangeCode
)

// find returns the field called name, or nil.
func find(fields event.Fields, name string) *event.Field {
	for i := range fields {
		if fields[i].Name == name {
			return &fields[i]
		}
	}
	return nil
}
