package catalogue

// A FieldType says what the value of a field looks like in JSON.
type FieldType string

// The types of fields.
const (
	String FieldType = "string" // short, without a form of its own
	Text   FieldType = "text"   // written by a person, possibly long
	Enum   FieldType = "enum"   // one of [Field.Values]
	Digest FieldType = "digest" // of something, as a string
	Time   FieldType = "time"   // RFC 3339, as a string
	IP     FieldType = "ip"     // an address, as a string
	Int    FieldType = "int"    // a whole number
	Bool   FieldType = "bool"
	List   FieldType = "list" // of strings or numbers
)

// fieldTypes are all types of fields, and what their values are in words.
var fieldTypes = map[FieldType]string{
	String: "a string", Text: "a string", Enum: "a string", Digest: "a string", Time: "a string", IP: "a string",
	Int: "a whole number", Bool: "true or false", List: "a list",
}

// A Kind is what a value is in JSON. The numbers are those of the types of
// fields of package event, so that one converts to the other.
type Kind uint8

// The kinds of values.
const (
	KindString Kind = 1
	KindInt    Kind = 2
	KindBool   Kind = 3
	KindTime   Kind = 4 // a string that was read as a time
	KindIP     Kind = 5 // a string that was read as an address
	KindJSON   Kind = 6 // a list, an object, or a number that is not whole
)

// accepts reports whether a value of the given kind may be one of type t.
func (t FieldType) accepts(kind Kind) bool {
	switch kind {
	case KindString:
		return t != Int && t != Bool && t != List
	case KindInt:
		return t == Int
	case KindBool:
		return t == Bool
	case KindTime:
		return t == Time
	case KindIP:
		return t == IP
	case KindJSON:
		return t == List
	default:
		return false
	}
}

// A Field is one key of the metadata of a type of event, or one thing that its
// changes may change.
type Field struct {
	Name     string
	Type     FieldType
	Values   []string // of an enum: all there are; of a string: examples
	Unit     string   // of a whole number, for example "bytes"
	Personal bool     // says something about a person; it can be erased
	Required bool     // an event without it is incomplete
	Absent   string   // stands in a sentence for a value that is not shown

	// Visible are the readers who may see the field of an event that they may
	// see. It holds readers under a condition as well.
	Visible Readers
}

// A Type is what is known about one kind of event. It must not be modified.
type Type struct {
	Tag         string
	Description string   // a sentence with placeholders, see [Type.Render]
	Subjects    []string // the types of subjects an event is expected to have
	Fields      []Field  // of metadata, in the order of the stanza
	Changes     []Field  // what changes may change, in the order of the stanza
	Visibility  Readers  // who sees the event without further conditions
	Conditions  []Condition
	Retention   string // the name of a [Retention]
	Severity    Severity
	Negative    bool     // the description says itself that something failed or was refused
	Sources     []string // where the type is known from, in the shorthand of the research

	sentence []clause
	metadata map[string]*Field // Fields by name, and those that any type may have
	changes  map[string]*Field // Changes by name
}

// Class returns the class of t.
func (t *Type) Class() string { return ClassOf(t.Tag) }

// Field returns the field of the metadata called name, be it one that any type
// may have.
func (t *Type) Field(name string) (*Field, bool) {
	f, ok := t.metadata[name]
	return f, ok
}

// Change returns what is known about changes of the given field.
func (t *Type) Change(field string) (*Field, bool) {
	f, ok := t.changes[field]
	return f, ok
}

// Condition returns the condition under which reader, who is not in
// [Type.Visibility], sees events of the type.
func (t *Type) Condition(reader Readers) (ConditionKind, bool) {
	for _, c := range t.Conditions {
		if c.Reader == reader {
			return c.Kind, true
		}
	}
	return "", false
}

// mayEverSee returns who sees events of the type, be it under a condition.
func (t *Type) mayEverSee() Readers {
	r := t.Visibility
	for _, c := range t.Conditions {
		r |= c.Reader
	}
	return r
}

// defaultVisible returns who sees a field whose stanza does not say. Readers
// who see only a part see none of these, and a personal field is for the person
// and the staff.
func (t *Type) defaultVisible(personal bool) Readers {
	r := t.Visibility
	for _, c := range t.Conditions {
		if !c.Kind.Partial() {
			r |= c.Reader
		}
	}
	// A condition for the public is not closed over: it lets the public see the
	// event, and everybody else only as part of the public.
	if personal {
		r &= Self | Staff
	}
	return r
}
