package intake

import (
	"errors"
	"strings"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
)

// mark sets Private on the fields that the catalogue says are personal, and
// checks the metadata against it. What the catalogue does not know is personal:
// a salt wrongly kept apart does no harm, one wrongly kept for ever does.
func (d *Desk) mark(f event.Fields) *event.InvalidError {
	tag := f.Text("tag")
	for i := range f {
		field := &f[i]
		list, rest, _ := strings.Cut(field.Name, ".")
		switch list {
		case "metadata":
			if err := d.checkMetadata(tag, rest, field.Type); err != nil {
				return err
			}
			field.Private = d.catalogue.PersonalMetadata(tag, rest)
		case "changes":
			number, member, _ := strings.Cut(rest, ".")
			if member == "field" {
				field.Private = d.catalogue.Personal(tag, field.Name)
			} else {
				field.Private = d.catalogue.PersonalChange(tag, f.Text("changes."+number+".field"))
			}
		case "actor", "on_behalf_of":
			field.Private = d.catalogue.PersonalParty(tag, field.Name, f.Text(list+".type"))
		case "subjects":
			number, _, _ := strings.Cut(rest, ".")
			field.Private = d.catalogue.PersonalParty(tag, field.Name, f.Text("subjects."+number+".type"))
		default:
			field.Private = d.catalogue.Personal(tag, field.Name)
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
