package console

import (
	"time"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reading"
)

// A document is an embedded view as JSON, see docs/embedding.md. Members may be
// added to it.
type document struct {
	About  partyDocument    `json:"about"`
	Roles  []roleDocument   `json:"roles,omitempty"` // of a project: who has or had which
	Recent []*reading.Shown `json:"recent,omitempty"`
	Looks  []*reading.Shown `json:"looks,omitempty"`
	Events []*reading.Shown `json:"events"`
	Next   string           `json:"next,omitempty"` // for "after": where older events begin
	Notes  []string         `json:"notes,omitempty"`
}

// A partyDocument is somebody or something.
type partyDocument struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// A roleDocument is a role, from one event to another.
type roleDocument struct {
	Who    partyDocument `json:"who"`
	Role   string        `json:"role,omitempty"`
	Since  *markDocument `json:"since,omitempty"` // absent: from before what the log knows
	Until  *markDocument `json:"until,omitempty"` // absent: they have it still
	Unsure bool          `json:"unsure,omitempty"`
}

// A markDocument is the event with which something began or ended.
type markDocument struct {
	Seq  journal.Seq `json:"seq"`
	Time time.Time   `json:"time"`
}

func partyOf(w dossier.Who) partyDocument { return partyDocument{w.Type, w.ID, w.Name} }

func markDocumentOf(m dossier.Mark) *markDocument {
	if m.IsZero() {
		return nil
	}
	return &markDocument{m.Seq, m.Time}
}

// documentOf returns a view as JSON has it.
func documentOf(shown *embedded) *document {
	d := &document{Events: shown.History.Events, Next: shown.History.Next}
	if d.Events == nil {
		d.Events = []*reading.Shown{}
	}
	for _, note := range shown.History.Notes() {
		d.Notes = append(d.Notes, note.Text)
	}
	if u := shown.User; u != nil {
		d.About, d.Recent = partyOf(u.Who), eventsOf(u.Recent.List)
		for i := range u.Looks.List {
			d.Looks = append(d.Looks, u.Looks.List[i].Event)
		}
		return d
	}
	p := shown.Project
	d.About = partyDocument{p.Ref.Type, p.Ref.ID, p.Name}
	for i := range p.Hands.Roles {
		t := &p.Hands.Roles[i]
		d.Roles = append(d.Roles, roleDocument{partyOf(t.Who), t.Role, markDocumentOf(t.Since), markDocumentOf(t.Until), t.Unsure})
	}
	return d
}

func eventsOf(acts []dossier.Act) []*reading.Shown {
	var list []*reading.Shown
	for i := range acts {
		list = append(list, acts[i].Event)
	}
	return list
}
