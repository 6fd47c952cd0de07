package reader

import (
	"strings"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
)

// A decision is what becomes of a field.
type decision uint8

const (
	hide decision = iota // not even the name
	mask                 // the name
	show
)

// decide returns what becomes of f, a field of the event e, which it may write
// its code into.
func (p *Policy) decide(l *look, e *sighting, f *event.Field) decision {
	code := f.Code()
	at := &p.table.places[code]
	switch {
	case at.nature == always:
		return show
	case code == event.MetadataCode:
		return p.decideMetadata(l, strings.TrimPrefix(f.Name, "metadata."))
	case at.member == valueMember:
		return p.decideChange(l, string(e.changed[at.change]))
	case at.core == nil: // of a later version of the log
		return l.verdict(l.whole, catalogue.Staff, true)
	}
	as := l.whole
	if at.nature&surroundings != 0 && !l.acted {
		as &^= catalogue.Self
	}
	rule := l.rules[e.parties[at.party].kind][code]
	if at.member == fieldMember && l.typ == nil {
		rule.personal = true // what an unknown type calls the thing that changed
	}
	return l.verdict(as, rule.visible, rule.personal && at.nature&tookPart == 0)
}

// decideMetadata returns what becomes of the value of metadata under key.
func (p *Policy) decideMetadata(l *look, key string) decision {
	if l.typ != nil {
		if f, declared := l.typ.Field(key); declared {
			return l.verdict(l.whole|l.part, f.Visible, f.Personal)
		}
	}
	return l.verdict(l.whole, p.Catalogue.VisibleMetadata(l.tag, key), p.Catalogue.PersonalMetadata(l.tag, key))
}

// decideChange returns what becomes of the values of a change of field.
func (p *Policy) decideChange(l *look, field string) decision {
	as := l.whole
	if l.part != 0 {
		if _, declared := l.typ.Change(field); declared {
			as |= l.part
		}
	}
	return l.verdict(as, p.Catalogue.VisibleChange(l.tag, field), p.Catalogue.PersonalChange(l.tag, field))
}

// verdict returns what becomes of a field that is visible to the given readers
// when it is looked at as as. What is private is masked for who sees it as staff
// only.
func (l *look) verdict(as, visible catalogue.Readers, private bool) decision {
	as &= visible
	switch {
	case as == 0:
		return hide
	case private && !l.clear && as&^catalogue.Staff == 0:
		return mask
	}
	return show
}
