package intake

import (
	"errors"
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

// mark sets Private on the fields that the catalogue says are personal, and
// checks the metadata against it. What the catalogue does not know is personal:
// a salt wrongly kept apart does no harm, one wrongly kept for ever does.
func (d *Desk) mark(f event.Fields) *event.InvalidError {
	tag := f.Text("tag")
	party := "" // the type of the party or subject whose members come next
	// Backwards, because a party's type comes after its name and ID. What changed
	// comes before its values, so that is looked up.
	for i := len(f) - 1; i >= 0; i-- {
		field := &f[i]
		if field.Code() == event.MetadataCode {
			key := field.Name[len("metadata."):]
			if err := d.checkMetadata(tag, key, field.Type); err != nil {
				return err
			}
			field.Private = d.catalogue.PersonalMetadata(tag, key)
			continue
		}
		core := d.personal[field.Code()]
		switch {
		case core == nil:
			field.Private = true
		case !strings.HasPrefix(field.Name, "changes."):
			if strings.HasSuffix(field.Name, ".type") {
				party = string(field.Value)
			}
			field.Private = core.PersonalFor(party)
		case strings.HasSuffix(field.Name, ".field"):
			field.Private = d.catalogue.Personal(tag, field.Name)
		default:
			change := strings.TrimSuffix(strings.TrimSuffix(field.Name, ".old"), ".new")
			field.Private = d.catalogue.PersonalChange(tag, f.Text(change+".field"))
		}
	}
	return nil
}

func (d *Desk) checkMetadata(tag, key string, t event.Type) *event.InvalidError {
	err := d.catalogue.CheckMetadata(tag, key, catalogue.Kind(t))
	if err == nil {
		return nil
	}
	reason := err.Error()
	if e, ok := errors.AsType[*catalogue.MetadataError](err); ok {
		reason = e.Reason
	}
	return &event.InvalidError{Index: -1, Path: "metadata." + key, Reason: reason}
}
