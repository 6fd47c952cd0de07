package intake

import (
	"errors"
	"slices"
	"strings"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
)

// personal says which of the fields that every event may have are personal:
// what the catalogue says, by code of the name.
type personal [event.CodeLimit]*catalogue.CoreField

func newPersonal(c *catalogue.Catalogue) *personal {
	p := new(personal)
	for code := range p {
		p[code], _ = c.Core(event.NameOf(code))
	}
	return p
}

// A gist is what the desk needs of an event besides its record.
type gist struct {
	tag       string
	id        []byte
	at        event.Field // its time
	sourceSeq int64       // 0: it has none
}

// mark sets Private on the fields that the catalogue says are personal, and
// checks the metadata against it. What the catalogue does not know is personal:
// a salt wrongly kept apart does no harm, one wrongly kept for ever does.
func (d *Desk) mark(f event.Fields) (g gist, err *event.InvalidError) {
	tag := f.Text("tag")
	g.tag = tag
	known, _ := d.catalogue.Lookup(tag)
	var party []byte // the type of the party or subject whose members come next
	// Backwards, because a party's type comes after its name and ID. What changed
	// comes before its values, so that is looked up.
	for i := len(f) - 1; i >= 0; i-- {
		field := &f[i]
		code := field.Code()
		core := d.personal[code]
		switch {
		case code == event.MetadataCode:
			if err := d.markMetadata(field, known); err != nil {
				return g, err
			}
			continue
		case code == codeID:
			g.id = field.Value
		case code == codeTime:
			g.at = *field
		case code == codeSourceSeq:
			g.sourceSeq = field.Int()
		case code == codeIP && d.anonymise.on():
			field.Value = d.anonymise.cutValue(field.Value)
		case d.isType[code]:
			party = field.Value
		}
		switch {
		case code >= event.ChangeCode:
			if err := d.markChange(field, f, tag, known); err != nil {
				return g, err
			}
		case core == nil:
			field.Private = true
		default:
			field.Private = core.Personal && !slices.Contains(core.Impersonal, string(party))
		}
	}
	return g, nil
}

// checkClass refuses what only the log itself may say about itself. A proxy
// elsewhere says what it does under audit:proxy.
func checkClass(tag string) *event.InvalidError {
	if !strings.HasPrefix(tag, "audit:") || strings.HasPrefix(tag, "audit:proxy:") {
		return nil
	}
	return &event.InvalidError{Index: -1, Path: "tag", Reason: "is of the class audit, in which only the log itself records"}
}

// Codes of the names that the desk looks for.
var (
	codeID        = event.CodeOf("id")
	codeTime      = event.CodeOf("time")
	codeIP        = event.CodeOf("context.ip")
	codeSourceSeq = event.CodeOf("source_seq")
	codeReceived  = event.CodeOf("received")
	codeSource    = event.CodeOf("source")
	codeTrust     = event.CodeOf("trust")
)

// newIsType says for each code whether it is that of a party's or subject's
// type.
func newIsType() *[event.CodeLimit]bool {
	is := new([event.CodeLimit]bool)
	for code := range is {
		is[code] = strings.HasSuffix(event.NameOf(code), ".type")
	}
	return is
}

// markChange marks a member of a change, one of the fields f.
func (d *Desk) markChange(field *event.Field, f event.Fields, tag string, known *catalogue.Type) *event.InvalidError {
	i := strings.LastIndexByte(field.Name, '.')
	change, member := field.Name[:i], field.Name[i+1:]
	if member == "field" {
		field.Private = d.catalogue.Personal(tag, field.Name)
		return nil
	}
	changed := f.Text(change + ".field")
	field.Private = d.catalogue.PersonalChange(tag, changed)
	if known == nil {
		return nil
	}
	if declared, ok := known.Change(changed); ok {
		return d.anonymise.cutDeclared(field, declared)
	}
	return nil
}

// markMetadata marks and checks a member of metadata.
func (d *Desk) markMetadata(field *event.Field, known *catalogue.Type) *event.InvalidError {
	field.Private = true
	if known == nil {
		return nil
	}
	declared, ok := known.Field(field.Name[len("metadata."):])
	if !ok {
		return nil
	}
	field.Private = declared.Personal
	err := declared.Check(catalogue.Kind(field.Type))
	if err == nil {
		return d.anonymise.cutDeclared(field, declared)
	}
	reason := err.Error()
	if e, ok := errors.AsType[*catalogue.MetadataError](err); ok {
		reason = e.Reason
	}
	return &event.InvalidError{Index: -1, Path: field.Name, Reason: reason}
}
