package catalogue

import "strings"

// The functions in this file are asked about every field of every event that
// comes in. They take map look-ups and allocate nothing.

// Personal reports whether the field called name of an event with the given tag
// is personal, as far as that can be told from the name alone: where it depends
// on more, the answer is yes. See [Catalogue.PersonalChange] for the values of
// changes and [Catalogue.PersonalParty] for names of parties and subjects.
func (c *Catalogue) Personal(tag, name string) bool {
	if key, ok := strings.CutPrefix(name, "metadata."); ok {
		return c.PersonalMetadata(tag, key)
	}
	return c.PersonalParty(tag, name, "")
}

// PersonalMetadata reports whether the value of metadata under key is personal.
// It is unless the type of the event declares the key and says otherwise.
func (c *Catalogue) PersonalMetadata(tag, key string) bool {
	t, ok := c.types[tag]
	if !ok {
		return true
	}
	f, ok := t.metadata[key]
	return !ok || f.Personal
}

// PersonalChange reports whether the values, old and new, of a change of field
// are personal. They are unless the type of the event declares that it changes
// the field and says otherwise.
func (c *Catalogue) PersonalChange(tag, field string) bool {
	t, ok := c.types[tag]
	if !ok {
		return true
	}
	f, ok := t.changes[field]
	return !ok || f.Personal
}

// PersonalParty reports whether the field called name is personal when it is of
// a party or a subject of the given type: a user's name is, a project's is not.
func (c *Catalogue) PersonalParty(tag, name, partyType string) bool {
	f, ok := c.Core(name)
	if !ok {
		return true
	}
	if strings.HasPrefix(name, "changes.") {
		// What an unknown type calls the thing that changed may be personal, too.
		if _, known := c.types[tag]; !known {
			return true
		}
	}
	return f.PersonalFor(partyType)
}

// VisibleMetadata returns who may see the value of metadata under key. What
// nobody has declared is for [Staff].
func (c *Catalogue) VisibleMetadata(tag, key string) Readers {
	t, ok := c.types[tag]
	if !ok {
		return Staff
	}
	if f, ok := t.metadata[key]; ok {
		return f.Visible
	}
	return t.mayEverSee() & Staff
}

// VisibleChange returns who may see the values of a change of field. What
// nobody has declared is for [Staff].
func (c *Catalogue) VisibleChange(tag, field string) Readers {
	t, ok := c.types[tag]
	if !ok {
		return Staff
	}
	if f, ok := t.changes[field]; ok {
		return f.Visible
	}
	return t.mayEverSee() & Staff
}

// A MetadataError says which key of metadata has a value that its type does not
// allow.
type MetadataError struct {
	Key    string
	Want   FieldType
	Reason string // fit to show to whoever submitted the event
}

// Error returns the key and the reason.
func (e *MetadataError) Error() string {
	return "catalogue: metadata." + e.Key + " " + e.Reason
}

// CheckMetadata returns a [*MetadataError] if the type of event declares key and
// a value of the given kind cannot be one. Unknown types and unknown keys are
// allowed.
func (c *Catalogue) CheckMetadata(tag, key string, kind Kind) error {
	t, ok := c.types[tag]
	if !ok {
		return nil
	}
	f, ok := t.metadata[key]
	if !ok {
		return nil
	}
	return f.Check(kind)
}

// Check returns a [*MetadataError] if a value of the given kind cannot be one of
// the field.
func (f *Field) Check(kind Kind) error {
	if f.Type.accepts(kind) {
		return nil
	}
	return &MetadataError{Key: f.Name, Want: f.Type, Reason: "must be " + fieldTypes[f.Type] + " (" + string(f.Type) + ")"}
}
