package reader

import (
	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/query"
)

// Sees reports whether of every event that r sees as staff, what terms of kind k
// compare is shown to them, so that an index over whole events may answer for
// them; Metadata has the name of the key. Events that [Policy.Beyond] names are to
// be left out by whoever asks the index.
//
// Staff for whom addresses and user agents are masked are shown country and client
// in their place, see [Disclosure], and may ask for these; they are not among the
// fields then.
func (p *Policy) Sees(r *Reader, k query.Kind, name string) bool {
	if !r.IsStaff() {
		return false
	}
	switch k {
	case query.Tag, query.Class, query.Outcome, query.Severity, query.Actor, query.OnBehalfOf, query.User, query.Project, query.Org,
		query.Token, query.Country, query.Client, query.Version, query.Request, query.Source, query.Trust, query.After, query.Before:
		return true
	case query.IP:
		return r.Clear
	case query.Metadata:
		return r.Clear && p.each(r, func(t *catalogue.Type) bool {
			f, declared := t.Field(name)
			return !declared || f.Visible&r.staff() != 0
		})
	case query.Text: // anything there is
		return r.Clear && p.each(r, func(t *catalogue.Type) bool {
			return allVisible(t.Fields, r.staff()) && allVisible(t.Changes, r.staff())
		})
	}
	return false
}

// Beyond returns the tags of the types of events that r does not see as staff, in
// order. Who audits sees all.
func (p *Policy) Beyond(r *Reader) (tags []string) {
	for _, t := range p.Catalogue.Types() {
		if t.Visibility&r.staff() == 0 {
			tags = append(tags, t.Tag)
		}
	}
	return tags
}

// SeenAs returns the tags of the types of events of which as, one kind of reader
// that is not staff, may see at least a part, in order.
func (p *Policy) SeenAs(as catalogue.Readers) (tags []string) {
	for _, t := range p.Catalogue.Types() {
		condition, ok := t.Condition(as)
		if t.Visibility&as != 0 || ok && partial(condition) {
			tags = append(tags, t.Tag)
		}
	}
	return tags
}

// each reports whether ok is true of all types of events that r sees as staff.
func (p *Policy) each(r *Reader, ok func(*catalogue.Type) bool) bool {
	for _, t := range p.Catalogue.Types() {
		if t.Visibility&r.staff() != 0 && !ok(t) {
			return false
		}
	}
	return true
}

// allVisible reports whether each of fields is visible to one of readers.
func allVisible(fields []catalogue.Field, readers catalogue.Readers) bool {
	for i := range fields {
		if fields[i].Visible&readers == 0 {
			return false
		}
	}
	return true
}
