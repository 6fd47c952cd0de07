package reading

import (
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
)

// lookTag is the tag of the events of looks, which RevealDelay is about.
const lookTag = "audit:reveal_pii"

// disclose returns the event of a record as r gets it; ok is false if that is
// nothing. It shares memory with record.
func (m *Room) disclose(r *reader.Reader, seq journal.Seq, record *event.Record) (e *Shown, ok bool) {
	whole, erased := m.whole(seq, record)
	d, ok := m.Policy.Disclose(r, whole)
	if !ok {
		return nil, false
	}
	tag := d.Fields.Text("tag")
	e = &Shown{
		Seq: seq, Fields: d.Fields, Masked: d.Masked, Partial: d.Partial, As: d.As, Country: d.Country, Client: d.Client,
		Class: catalogue.ClassOf(tag), Severity: string(m.Catalogue.SeverityOf(tag)), Commitment: record.Commitment,
	}
	if tag == lookTag && e.As&catalogue.Staff == 0 && m.RevealDelay > 0 && time.Since(e.Time()) < m.RevealDelay {
		return nil, false
	}
	e.setErased(erased)
	e.setRow(record)
	e.Text = m.Catalogue.Render(tag, func(name string) (string, bool) {
		f, ok := e.Fields.Get(name)
		if !ok {
			return "", false
		}
		return f.Text(), true
	})
	e.known = e.Fields
	if e.Partial != "" {
		e.known = related(r, whole, e)
		if e.As.Has(catalogue.Public) {
			e.projects = projectsIn(whole)
		}
	}
	return e, true
}

// whole returns all fields of a record, in order, those that are erased without a
// value or with a pseudonym for one, and the names of these.
func (m *Room) whole(seq journal.Seq, record *event.Record) (fields event.Fields, erased []string) {
	fields, erased = m.Keeper.Shown(seq, record)
	if len(erased) == 0 {
		return fields, nil
	}
	for i := range record.Fields {
		f := &record.Fields[i]
		if _, named := fields.Get(f.Name); f.Erased && !named {
			fields = append(fields, event.Field{Name: f.Name, Type: f.Type, Private: f.Private})
		}
	}
	slices.SortFunc(fields, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields, erased
}

// setErased tells apart what is erased of what would be shown or masked.
func (e *Shown) setErased(erased []string) {
	if len(erased) == 0 {
		return
	}
	for _, name := range erased {
		if _, shown := e.Fields.Get(name); shown || slices.Contains(e.Masked, name) {
			e.Erased = append(e.Erased, name)
		}
	}
	e.Fields = slices.DeleteFunc(e.Fields, func(f event.Field) bool { return f.Value == nil && slices.Contains(erased, f.Name) })
	e.Masked = slices.DeleteFunc(e.Masked, func(name string) bool { return slices.Contains(erased, name) })
	if len(e.Masked) == 0 {
		e.Masked = nil
	}
}

// setRow keeps what is shown in the form that exports have. It has no secrets.
func (e *Shown) setRow(record *event.Record) {
	e.row = &event.Record{Commitment: record.Commitment, Fields: record.Fields}
	if len(e.Fields) == len(record.Fields) && len(e.Erased) == 0 {
		return
	}
	e.row.Fields = make([]event.StoredField, 0, len(record.Fields))
	for i := range record.Fields {
		f := &record.Fields[i]
		if shown, ok := e.Fields.Get(f.Name); ok {
			e.row.Fields = append(e.row.Fields, event.StoredField{Field: shown})
		} else if f.Erased && slices.Contains(e.Erased, f.Name) {
			e.row.Fields = append(e.row.Fields, *f)
		}
	}
}

// related returns what r knows of an event of which they see a part: that, and
// what makes them somebody who sees it.
func related(r *reader.Reader, whole event.Fields, e *Shown) event.Fields {
	known := slices.Clone(e.Fields)
	for i := range whole {
		place, isType := strings.CutSuffix(whole[i].Name, ".type")
		if !isType {
			continue
		}
		id, _ := whole.Get(place + ".id")
		name, _ := whole.Get(place + ".name")
		if !e.isReason(r, string(whole[i].Value), string(id.Value), string(name.Value)) {
			continue
		}
		for _, f := range []event.Field{whole[i], id, name} {
			if _, there := known.Get(f.Name); !there && len(f.Value) > 0 {
				known = append(known, f)
			}
		}
	}
	slices.SortFunc(known, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
	return known
}

// projectsIn returns what finds the projects in an event.
func projectsIn(whole event.Fields) (list [][]byte) {
	var keys query.Keys
	for i := range whole {
		keys.Add(&whole[i])
	}
	keys.End()
	for _, k := range keys.List {
		if k.Kind == query.Project {
			list = append(list, k.Value)
		}
	}
	return list
}

// isReason reports whether a party or subject is one for which r sees a part of e.
func (e *Shown) isReason(r *reader.Reader, kind, id, name string) bool {
	is := func(refs []reader.Ref) bool {
		return slices.Contains(refs, reader.Ref{Type: kind, ID: id}) || id == "" && slices.Contains(refs, reader.Ref{Type: kind, ID: name})
	}
	switch kind {
	case "user":
		return e.As.Has(catalogue.Self) && r.Self != "" && (id == r.Self || id == "" && name == r.Self)
	case "project":
		return is(r.Projects)
	case "org", "team":
		return is(r.Orgs)
	}
	return false
}

// matches reports whether a query that may depend on what is hidden matches what r
// knows of e.
func (p *plan) matches(e *Shown, derive *query.Derive) bool {
	if p.match == nil {
		return true
	}
	if p.own && e.As&^catalogue.Public == 0 {
		return false // they see it as anybody does, who has to name its project
	}
	q := p.match
	if len(e.projects) > 0 || p.origin && (e.Country != "" || e.Client != "") {
		rest, possible := q.Given(e.besides)
		if !possible {
			return false
		}
		q = rest
	}
	return q.Match(e.known, derive)
}

// isOrigin reports whether t is about what may stand instead of an address or a
// user agent.
func isOrigin(t *query.Term) bool { return t.Kind == query.Country || t.Kind == query.Client }

// besides says of a term about what is not among the fields that are shown whether
// it holds. Of an event of which anybody is told a part, that it is about a project
// is told to who names that project, and nobody learns the name by it.
func (e *Shown) besides(t *query.Term) (holds, known bool) {
	switch {
	case t.Kind == query.Project && !t.Prefix && slices.ContainsFunc(e.projects, t.Matches):
		return true, true
	case t.Kind == query.Country && e.Country != "":
		return t.Matches([]byte(e.Country)), true
	case t.Kind == query.Client && e.Client != "":
		return t.Matches([]byte(e.Client)), true
	}
	return false, false
}
