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
// nothing. It shares memory with record, which must not be changed as long as it is
// used.
func (m *Room) disclose(r *reader.Reader, seq journal.Seq, record *event.Record) (e *Shown, ok bool) {
	if e, ok = m.see(r, seq, record); ok {
		m.tell(e)
	}
	return e, ok
}

// see is disclose without a sentence about the event, for who may have no use of it.
func (m *Room) see(r *reader.Reader, seq journal.Seq, record *event.Record) (e *Shown, ok bool) {
	var memory [usualFields]event.Field
	whole, erased := m.whole(memory[:0], seq, record)
	d, ok := m.Policy.Disclose(r, whole)
	if !ok {
		return nil, false
	}
	e = &Shown{
		Seq: seq, Fields: d.Fields, Masked: d.Masked, Partial: d.Partial, As: d.As, Country: d.Country, Client: d.Client,
		Commitment: record.Commitment, record: record,
	}
	m.setKind(e)
	if e.tag == lookTag && e.As&catalogue.Staff == 0 && m.RevealDelay > 0 && time.Since(e.Time()) < m.RevealDelay {
		return nil, false
	}
	e.setErased(erased)
	e.known = e.Fields
	if e.Partial != "" {
		e.known = related(r, whole, e)
		if e.As.Has(catalogue.Public) {
			e.projects = projectsIn(whole)
		}
	}
	return e, true
}

// usualFields is how many fields most events have at most. Those of others take
// memory that is collected.
const usualFields = 48

// setKind fills in what the tag says about the event.
func (m *Room) setKind(e *Shown) {
	var tag []byte
	if f := find(e.Fields, "tag"); f != nil && f.Type == event.String {
		tag = f.Value
	}
	if typ, known := m.Catalogue.Lookup(string(tag)); known {
		e.tag, e.Severity = typ.Tag, string(typ.Severity)
	} else {
		e.tag = string(tag)
		e.Severity = string(m.Catalogue.SeverityOf(e.tag))
	}
	e.Class = catalogue.ClassOf(e.tag)
}

// whole appends to fields, which is empty, all fields of a record, in order, those
// that are erased without a value or with a pseudonym for one, and returns them and
// the names of these.
func (m *Room) whole(memory event.Fields, seq journal.Seq, record *event.Record) (fields event.Fields, erased []string) {
	fields, erased = m.Keeper.Shown(memory, seq, record)
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

// related returns what r knows of an event of which they see a part: that, and
// what makes them somebody who sees it.
func related(r *reader.Reader, whole event.Fields, e *Shown) event.Fields {
	known := e.Fields[:len(e.Fields):len(e.Fields)] // whoever appends copies
	for i := range whole {
		place, isType := strings.CutSuffix(whole[i].Name, ".type")
		if !isType || !e.mayBeReason(r, whole[i].Value) {
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
	if len(known) > len(e.Fields) {
		slices.SortFunc(known, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
	}
	return known
}

// mayBeReason reports whether a party or subject of a type may be one for which r
// sees a part of e.
func (e *Shown) mayBeReason(r *reader.Reader, kind []byte) bool {
	switch string(kind) {
	case "user":
		return r.Self != ""
	case "project":
		return len(r.Projects) > 0
	case "org", "team":
		return len(r.Orgs) > 0
	}
	return false
}

// projectsIn returns what finds the projects in an event.
func projectsIn(whole event.Fields) (list [][]byte) {
	var keys query.Keys
	for _, f := range slices.Clone(whole) {
		keys.Add(&f)
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
