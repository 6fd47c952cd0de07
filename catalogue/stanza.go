package catalogue

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxPhraseBytes bounds a unit and what stands for a value that is not shown.
const maxPhraseBytes = 60

// A stanza is one type as it stands in a file.
type stanza struct {
	file     file
	node     *yaml.Node
	typ      *Type
	override bool

	visible map[*Field]*yaml.Node // where a field says itself who sees it
}

// errorf returns an error about the stanza.
func (s *stanza) errorf(format string, args ...any) error {
	return s.file.errorf(s.node, format, args...)
}

// place returns where the stanza begins.
func (s *stanza) place() string { return fmt.Sprintf("%s:%d", s.file.name, s.node.Line) }

// readStanzas reads a file of types.
func readStanzas(name string, data []byte) ([]*stanza, error) {
	f := file{name}
	top, err := f.parse(data)
	if err != nil {
		return nil, err
	}
	var all []*stanza
	err = f.members(top, "the file", map[string]func(*yaml.Node) error{
		"types": func(node *yaml.Node) error {
			return f.items(node, "types", func(n *yaml.Node) error {
				s := &stanza{file: f, node: n, typ: &Type{}, visible: make(map[*Field]*yaml.Node)}
				all = append(all, s)
				return s.read()
			})
		},
	})
	return all, err
}

// read reads the stanza and checks it.
func (s *stanza) read() error {
	t := s.typ
	err := s.file.members(s.node, "a type", map[string]func(*yaml.Node) error{
		"tag":         func(n *yaml.Node) error { return s.readTag(n) },
		"description": func(n *yaml.Node) (err error) { t.Description, err = s.file.text(n, "description"); return err },
		"subjects":    func(n *yaml.Node) (err error) { t.Subjects, err = s.readWords(n, "subjects"); return err },
		"fields":      func(n *yaml.Node) (err error) { t.Fields, err = s.readFields(n, "fields"); return err },
		"changes":     func(n *yaml.Node) (err error) { t.Changes, err = s.readFields(n, "changes"); return err },
		"visibility":  func(n *yaml.Node) (err error) { t.Visibility, err = s.file.readers(n, "visibility"); return err },
		"conditions":  func(n *yaml.Node) error { return s.readConditions(n) },
		"retention":   func(n *yaml.Node) error { return s.readRetention(n) },
		"severity":    func(n *yaml.Node) error { return s.readSeverity(n) },
		"negative":    func(n *yaml.Node) (err error) { t.Negative, err = s.file.flag(n, "negative"); return err },
		"sources":     func(n *yaml.Node) (err error) { t.Sources, err = s.file.texts(n, "sources"); return err },
		"override":    func(n *yaml.Node) (err error) { s.override, err = s.file.flag(n, "override"); return err },
	})
	if err != nil {
		return err
	}
	return s.complete()
}

func (s *stanza) readTag(node *yaml.Node) error {
	tag, err := s.file.text(node, "tag")
	if err != nil {
		return err
	}
	if err := ValidTag(tag); err != nil {
		return s.file.errorf(node, "%s", strings.TrimPrefix(err.Error(), "catalogue: "))
	}
	s.typ.Tag = tag
	return nil
}

func (s *stanza) readWords(node *yaml.Node, what string) ([]string, error) {
	words, err := s.file.texts(node, what)
	for i, word := range words {
		if !isWord(word) {
			return nil, s.file.errorf(node.Content[i], "%s: %q is not a word of lower-case letters, digits and underscores", what, word)
		}
	}
	return words, err
}

func (s *stanza) readConditions(node *yaml.Node) error {
	return s.file.eachMember(node, "conditions", func(key, value *yaml.Node) error {
		reader, ok := readerNamed(key.Value)
		if !ok {
			return s.file.errorf(key, "conditions: no reader is called %q; want %s", key.Value, strings.Join(readerNames, ", "))
		}
		word, err := s.file.text(value, "conditions")
		if err != nil {
			return err
		}
		kind := ConditionKind(word)
		if _, ok := conditionKinds[kind]; !ok {
			return s.file.errorf(value, "conditions: %q is not a condition", word)
		}
		s.typ.Conditions = append(s.typ.Conditions, Condition{reader, kind})
		return nil
	})
}

func (s *stanza) readRetention(node *yaml.Node) error {
	name, err := s.file.text(node, "retention")
	if err != nil {
		return err
	}
	if _, ok := RetentionNamed(name); !ok {
		var names []string
		for _, r := range retentions {
			names = append(names, r.Name)
		}
		return s.file.errorf(node, "retention: no class is called %q; want %s", name, strings.Join(names, ", "))
	}
	s.typ.Retention = name
	return nil
}

func (s *stanza) readSeverity(node *yaml.Node) error {
	name, err := s.file.text(node, "severity")
	if err != nil {
		return err
	}
	if !slices.Contains(severities, Severity(name)) {
		return s.file.errorf(node, "severity: %q is not info, warn, high or critical", name)
	}
	s.typ.Severity = Severity(name)
	return nil
}

// readFields reads the fields of metadata or what changes may change.
func (s *stanza) readFields(node *yaml.Node, what string) ([]Field, error) {
	if len(node.Content)/2 > MaxFields {
		return nil, s.file.errorf(node, "%s: %d of them, want at most %d", what, len(node.Content)/2, MaxFields)
	}
	// The room is made at once: places in it are kept.
	fields := make([]Field, 0, len(node.Content)/2)
	err := s.file.eachMember(node, what, func(key, value *yaml.Node) error {
		if !isWord(key.Value) {
			return s.file.errorf(key, "%s: %q is not a word of lower-case letters, digits and underscores", what, key.Value)
		}
		fields = append(fields, Field{Name: key.Value})
		return s.readField(value, &fields[len(fields)-1])
	})
	return fields, err
}

func (s *stanza) readField(node *yaml.Node, field *Field) error {
	what := "field " + field.Name
	err := s.file.members(node, what, map[string]func(*yaml.Node) error{
		"type": func(n *yaml.Node) error {
			name, err := s.file.text(n, what+": type")
			if field.Type = FieldType(name); err == nil && fieldTypes[field.Type] == "" {
				err = s.file.errorf(n, "%s: no type is called %q; want string, text, enum, digest, time, ip, int, bool or list", what, name)
			}
			return err
		},
		"values":   func(n *yaml.Node) (err error) { field.Values, err = s.file.texts(n, what+": values"); return err },
		"unit":     func(n *yaml.Node) (err error) { field.Unit, err = s.phrase(n, what+": unit"); return err },
		"absent":   func(n *yaml.Node) (err error) { field.Absent, err = s.phrase(n, what+": absent"); return err },
		"personal": func(n *yaml.Node) (err error) { field.Personal, err = s.file.flag(n, what+": personal"); return err },
		"required": func(n *yaml.Node) (err error) { field.Required, err = s.file.flag(n, what+": required"); return err },
		"visible": func(n *yaml.Node) (err error) {
			s.visible[field] = n
			field.Visible, err = s.file.readers(n, what+": visible")
			return err
		},
	})
	if err != nil {
		return err
	}
	return s.checkField(node, what, field)
}

// phrase reads a few words that become part of a sentence.
func (s *stanza) phrase(node *yaml.Node, what string) (string, error) {
	words, err := s.file.text(node, what)
	if err == nil && (len(words) > maxPhraseBytes || strings.ContainsAny(words, "{}[]\n")) {
		return "", s.file.errorf(node, "%s: want at most %d bytes on one line without braces or brackets", what, maxPhraseBytes)
	}
	return words, err
}

func (s *stanza) checkField(node *yaml.Node, what string, field *Field) error {
	switch {
	case field.Type == "":
		return s.file.errorf(node, "%s has no type", what)
	case field.Type == Enum && len(field.Values) == 0:
		return s.file.errorf(node, "%s: an enum needs values", what)
	case field.Type != Enum && field.Type != String && field.Values != nil:
		return s.file.errorf(node, "%s: only an enum or a string has values", what)
	case field.Type != Int && field.Unit != "":
		return s.file.errorf(node, "%s: only an int has a unit", what)
	}
	return nil
}

// complete checks the stanza as a whole and fills in what follows from it.
func (s *stanza) complete() error {
	t := s.typ
	for _, required := range []struct{ key, value string }{
		{"tag", t.Tag},
		{"description", t.Description},
		{"retention", t.Retention},
		{"severity", string(t.Severity)},
	} {
		if required.value == "" {
			return s.errorf("a type has no %s", required.key)
		}
	}
	if t.Visibility == 0 {
		return s.errorf("tag %s has no visibility", t.Tag)
	}
	for _, c := range t.Conditions {
		if t.Visibility.Has(c.Reader) {
			return s.errorf("tag %s has a condition for %s, who see the event anyway", t.Tag, c.Reader)
		}
	}
	if err := s.resolveVisible(t.Fields); err != nil {
		return err
	}
	if err := s.resolveVisible(t.Changes); err != nil {
		return err
	}
	t.metadata, t.changes = byName(t.Fields), byName(t.Changes)
	sentence, err := parseSentence(t.Description)
	if err != nil {
		return s.errorf("tag %s: description: %w", t.Tag, err)
	}
	t.sentence = sentence
	return s.checkPlaceholders()
}

// resolveVisible fills in who sees each of fields.
func (s *stanza) resolveVisible(fields []Field) error {
	for i := range fields {
		field := &fields[i]
		node := s.visible[field]
		if node == nil {
			field.Visible = s.typ.defaultVisible(field.Personal)
			continue
		}
		// Closing over may add staff who do not see the event; that is no mistake.
		if beyond := field.Visible &^ (s.typ.mayEverSee().closed() | Staff); beyond != 0 {
			return s.file.errorf(node, "field %s is visible to %s, who cannot see %s", field.Name, beyond, s.typ.Tag)
		}
		field.Visible &= s.typ.mayEverSee()
	}
	return nil
}

func byName(fields []Field) map[string]*Field {
	m := make(map[string]*Field, len(fields))
	for i := range fields {
		m[fields[i].Name] = &fields[i]
	}
	return m
}
