package console

import (
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reading"
)

// A row is an event as pages list it.
type row struct {
	Seq      journal.Seq
	Time     time.Time
	Sentence template.HTML
	Tag      string
	Severity string // "" if it deserves no attention
	Imported bool   // it was loaded later
	Partial  string // why only a part is shown, in words

	By         template.HTML // who did it, if the sentence does not say; ""
	For        template.HTML // on whose behalf; "" if on nobody's
	About      []about       // what it is about, as far as the sentence does not say
	Credential credential
	Address    string // from where; "" if that is not shown
	AddressURL string
	Country    string
	Client     string

	Masked bool // something is shown to who gives a reason
	Erased bool // something is there no more
	Fields []fieldRow
}

// A credential is that with which something was done.
type credential struct {
	Kind string
	ID   string // of a token
	URL  string
	Name string
	MFA  string // the second factor; "none" without one, "" if that is not known
}

// An about is something that an event is about.
type about struct {
	Type string // in words
	Link template.HTML
}

// A fieldRow is one field in the table of all.
type fieldRow struct {
	Name   string
	Value  template.HTML
	Signed bool   // the value is the one that was signed, so a receipt can tell
	State  string // instead of a value: why there is none
}

// rowsOf returns events as pages list them.
func (c *Console) rowsOf(events []*reading.Shown) []*row {
	rows := make([]*row, len(events))
	for i, e := range events {
		rows[i] = c.rowOf(e)
	}
	return rows
}

// rowOf returns an event as pages list it.
func (c *Console) rowOf(e *reading.Shown) *row {
	text := e.Fields.Text
	r := &row{
		Seq: e.Seq, Time: e.Time(), Sentence: c.sentence(e), Tag: text("tag"),
		Imported: text("trust") == string(event.Imported), Partial: partial(e.Partial),
		Credential: credentialOf(e.Fields), Country: e.Country, Client: e.Client,
		Masked: len(e.Masked) > 0, Erased: len(e.Erased) > 0, Fields: fieldsOf(e),
	}
	if e.Severity != string(catalogue.Info) {
		r.Severity = e.Severity
	}
	if f, ok := e.Fields.Get("context.ip"); ok {
		r.Address = f.Text()
		r.AddressURL = networkURL(r.Address)
	}
	if name := firstOf(text("on_behalf_of.name"), text("on_behalf_of.id")); name != "" {
		r.For = anchor(partyURL(text("on_behalf_of.type"), text("on_behalf_of.id"), name), name)
	}
	if name := firstOf(text("actor.name"), text("actor.id")); name != "" && !strings.Contains(e.Text, name) {
		r.By = anchor(partyURL(text("actor.type"), text("actor.id"), name), name)
	}
	r.About = abouts(e)
	c.derive(r, e)
	return r
}

// derive fills in what follows from the address and the user agent, if these are
// shown.
func (c *Console) derive(r *row, e *reading.Shown) {
	if f, ok := e.Fields.Get("context.ip"); ok && r.Country == "" {
		if d := c.Room.Policy.Derive; d != nil && d.Country != nil && len(f.Value) == 16 {
			r.Country = d.Country([16]byte(f.Value))
		}
	}
	if agent := e.Fields.Text("context.user_agent"); r.Client == "" && agent != "" {
		r.Client = string(query.ClientOf([]byte(agent)))
	}
}

// maxAbout bounds what a row says an event is about.
const maxAbout = 4

// abouts returns what an event is about that has a page and is not in its sentence.
func abouts(e *reading.Shown) []about {
	var list []about
	shown := e.Fields.Event()
	for i := range shown.Subjects {
		s := &shown.Subjects[i]
		name := firstOf(s.Name, s.ID)
		switch s.Type {
		case "project", "user", "org", "team", "token":
		default:
			continue // a version or a file is of a project that is there, too
		}
		if name == "" || strings.Contains(e.Text, name) || s.ID != "" && strings.Contains(e.Text, s.ID) || s.ID == shown.Actor.ID && s.Type == "user" {
			continue
		}
		if len(list) == maxAbout {
			break
		}
		list = append(list, about{words(s.Type), anchor(subjectURL(s), name)})
	}
	return list
}

func credentialOf(f event.Fields) credential {
	made := credential{Kind: f.Text("credential.kind"), ID: f.Text("credential.id"), Name: f.Text("credential.name"), MFA: f.Text("credential.mfa")}
	if made.Kind == "token" || made.Kind == "" {
		made.URL = tokenURL(made.ID)
	}
	return made
}

// partial says why only a part of an event is shown; "" if all of it is.
func partial(kind catalogue.ConditionKind) string {
	switch kind {
	case "":
		return ""
	case catalogue.Tombstone:
		return "You may see that something is gone, not who it was."
	case catalogue.Verdict:
		return "You may see the verdict, not what led to it."
	case catalogue.Flag:
		return "You may see the state that it left behind, no more."
	case catalogue.Notice:
		return "You may see that it happened, no more."
	case catalogue.Optional, catalogue.Scoped, catalogue.Delayed, catalogue.After, catalogue.Summary, catalogue.Count, catalogue.YearlyCount:
	}
	return "You may see a part of it only."
}

// States of fields that have no value.
const (
	maskedField = "masked: give a reason to see it"
	erasedField = "erased, or past its time"
)

// fieldsOf returns all fields of an event, in the order of their names, and the
// names of those whose values are not there for the visitor.
func fieldsOf(e *reading.Shown) []fieldRow {
	list := make([]fieldRow, 0, len(e.Fields)+len(e.Masked)+len(e.Erased))
	l := &linker{fields: e.Fields, subjects: e.Fields.Event().Subjects}
	for i := range e.Fields {
		f := &e.Fields[i]
		text := f.Text()
		r := fieldRow{Name: f.Name, Value: seen(text), Signed: !slices.Contains(e.Erased, f.Name)}
		if address := l.leads(f.Name, text); address != "" {
			r.Value = anchor(address, text)
		}
		if !r.Signed {
			r.State = "erased: a pseudonym stands here"
		}
		list = append(list, r)
	}
	for _, name := range e.Masked {
		list = append(list, fieldRow{Name: name, State: maskedField})
	}
	for _, name := range e.Erased {
		if _, there := e.Fields.Get(name); !there {
			list = append(list, fieldRow{Name: name, State: erasedField})
		}
	}
	slices.SortStableFunc(list, func(a, b fieldRow) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// leads returns where a value in the table of fields leads; "" if nowhere.
func (l *linker) leads(name, text string) string {
	switch name {
	case "tag", "source", "outcome", "trust":
		return searchURL(name, text)
	case "context.ip":
		return networkURL(text)
	case "context.request_id", "context.trace_id":
		return searchURL("request", text)
	case "credential.id":
		if kind := l.fields.Text("credential.kind"); kind == "token" || kind == "" {
			return tokenURL(text)
		}
		return searchURL("token", text)
	}
	return l.address(name, text)
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// AnchorID returns the name of the event in a page.
func (r *row) AnchorID() string { return "e" + strconv.FormatInt(int64(r.Seq), 10) }
