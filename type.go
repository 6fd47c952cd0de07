package custody

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/custody-log/custody/event"
)

// A Kind says what a metadata field holds.
type Kind int

// The kinds, named as in the catalogue.
const (
	Text Kind = iota + 1 // a string
	Int                  // a whole number of any Go type
	Bool
	List // anything that is an array in JSON
)

// kindNames say what a kind's values are.
var kindNames = map[Kind]string{Text: "a string", Int: "a whole number", Bool: "true or false", List: "a list"}

// A MetadataField is one field that events of a [Type] may have.
type MetadataField struct {
	Name string
	Kind Kind
}

// Field returns the field called name.
func Field(name string, kind Kind) MetadataField { return MetadataField{Name: name, Kind: kind} }

// A Type is a kind of event: its tag and the metadata it may have. It is for
// programs what a stanza of the catalogue is for readers; a type without a
// stanza is recorded all the same and shown generically.
type Type struct {
	tag    string
	fields []MetadataField
}

// NewType returns the type of events with tag. It fails if an event of it
// could never be recorded.
func NewType(tag string, fields ...MetadataField) (Type, error) {
	if reason := event.CheckTag(tag); reason != "" {
		return Type{}, fmt.Errorf("custody: type %q: the tag %s", tag, reason)
	}
	seen := make(map[string]bool)
	for _, f := range fields {
		switch {
		case f.Name == "" || kindNames[f.Kind] == "":
			return Type{}, fmt.Errorf("custody: type %s: a field has no name or no kind", tag)
		case seen[f.Name]:
			return Type{}, fmt.Errorf("custody: type %s: field %s is there twice", tag, f.Name)
		}
		seen[f.Name] = true
	}
	t := Type{tag: tag, fields: slices.Clone(fields)}
	if err := t.try(); err != nil {
		return Type{}, fmt.Errorf("custody: type %s: %w", tag, err)
	}
	return t, nil
}

// MustType is [NewType] for package variables: it panics on an error.
//
//	var StampAdd = custody.MustType("project:stamp:add", custody.Field("colour", custody.Text))
func MustType(tag string, fields ...MetadataField) Type {
	t, err := NewType(tag, fields...)
	if err != nil {
		panic(err.Error())
	}
	return t
}

// try encodes an event that has all fields of t.
func (t Type) try() error {
	d := t.By(Party{Type: "system"})
	for _, f := range t.fields {
		d = d.With(f.Name, map[Kind]any{Text: "x", Int: 1, Bool: true, List: []string{}}[f.Kind])
	}
	e := d.Event()
	complete(&e)
	_, _, err := encode(&e)
	return err
}

// Tag returns the tag of t.
func (t Type) Tag() string { return t.tag }

// By returns a draft of an event of type t: actor did it.
func (t Type) By(actor Party) Draft {
	return Draft{fields: t.fields, e: Event{Tag: t.tag, Actor: actor}}
}

// A Draft is an event that is being written. Each method returns a new draft,
// so that one can be the start of several.
type Draft struct {
	e      Event
	fields []MetadataField
}

// On adds what the event is about.
func (d Draft) On(subjects ...Subject) Draft {
	d.e.Subjects = append(slices.Clip(d.e.Subjects), subjects...)
	return d
}

// With adds metadata. A name that the type does not have, or a value of
// another kind, makes the event invalid: recording it fails with an
// [*event.InvalidError] that says so.
func (d Draft) With(name string, value any) Draft {
	metadata := maps.Clone(d.e.Metadata)
	if metadata == nil {
		metadata = make(map[string]any)
	}
	metadata[name] = d.checked(name, value)
	d.e.Metadata = metadata
	return d
}

// Event returns the event, to be completed further or recorded.
func (d Draft) Event() Event { return d.e }

// checked returns value, or what fails to encode in its place.
func (d Draft) checked(name string, value any) any {
	i := slices.IndexFunc(d.fields, func(f MetadataField) bool { return f.Name == name })
	if i < 0 {
		return wrongValue{name, "is not a field of " + d.e.Tag}
	}
	kind := d.fields[i].Kind
	if !kind.holds(value) {
		return wrongValue{name, fmt.Sprintf("must be %s, not of type %T", kindNames[kind], value)}
	}
	return value
}

// holds reports whether value is of kind k.
func (k Kind) holds(value any) bool {
	switch v := value.(type) {
	case string:
		return k == Text
	case bool:
		return k == Bool
	case int, int8, int16, int32, int64, uint8, uint16, uint32:
		return k == Int
	case uint:
		return k == Int && v <= math.MaxInt64
	case uint64:
		return k == Int && v <= math.MaxInt64
	default:
		data, err := json.Marshal(value)
		return k == List && err == nil && len(data) > 0 && data[0] == '['
	}
}

// A wrongValue stands in metadata for a value that the type does not allow.
type wrongValue struct{ name, reason string }

// MarshalJSON implements [json.Marshaler]: it always fails.
func (w wrongValue) MarshalJSON() ([]byte, error) {
	return nil, &event.InvalidError{Index: -1, Path: "metadata." + w.name, Reason: w.reason}
}
