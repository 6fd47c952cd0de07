package catalogue

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A CoreField is what is known about a field that every event can have. It must
// not be modified.
type CoreField struct {
	Name       string // "*" stands for a number
	Personal   bool
	Impersonal []string           // types of party or subject for which it is not personal
	Visible    Readers            // who sees it of an event that they may see
	Classes    map[string]Readers // who sees it instead, by class of event
	Types      map[string]Readers // who sees it at most, by type of party or subject

	impersonal map[string]bool // Impersonal
}

// PersonalFor reports whether the field is personal when it is of a party or
// subject of the given type; "" when that is not known, or does not apply.
func (f *CoreField) PersonalFor(partyType string) bool {
	return f.Personal && !f.impersonal[partyType]
}

// VisibleIn returns who may see the field in events of the given class when it
// is of a party or subject of the given type ("" when that does not apply).
// Only who may see the event sees anything of it.
func (f *CoreField) VisibleIn(class, partyType string) Readers {
	visible := f.Visible
	if r, ok := f.Classes[class]; ok {
		visible = r
	}
	if r, ok := f.Types[partyType]; ok {
		visible &= r
	}
	return visible
}

// Core returns what is known about the field called name, for example
// "context.ip" or "subjects.0.name". It knows nothing about the values of
// metadata and changes.
func (c *Catalogue) Core(name string) (*CoreField, bool) {
	if rest, ok := strings.CutPrefix(name, "subjects."); ok {
		return memberOf(c.core.subjects, rest)
	}
	if rest, ok := strings.CutPrefix(name, "changes."); ok {
		return memberOf(c.core.changes, rest)
	}
	f, ok := c.core.scalars[name]
	return f, ok
}

// memberOf returns what is known about "NUMBER.MEMBER".
func memberOf(members map[string]*CoreField, rest string) (*CoreField, bool) {
	number, member, _ := strings.Cut(rest, ".")
	if !isNumber(number) {
		return nil, false
	}
	f, ok := members[member]
	return f, ok
}

// A coreTable holds the core fields in the way they are looked for.
type coreTable struct {
	all      []*CoreField // in the order of their names
	scalars  map[string]*CoreField
	subjects map[string]*CoreField // "subjects.*.KEY" by KEY
	changes  map[string]*CoreField // "changes.*.KEY" by KEY
	metadata []Field               // keys that may come with any type; Visible is 0 where not declared
}

// add puts f where it is looked for.
func (t *coreTable) add(f *CoreField) {
	t.all = append(t.all, f)
	if member, ok := strings.CutPrefix(f.Name, "subjects.*."); ok {
		t.subjects[member] = f
	} else if member, ok := strings.CutPrefix(f.Name, "changes.*."); ok {
		t.changes[member] = f
	} else {
		t.scalars[f.Name] = f
	}
}

// CoreFields returns what is known about fields that every event can have, in
// the order of their names.
func (c *Catalogue) CoreFields() []*CoreField { return slices.Clone(c.core.all) }

// CommonMetadata returns the keys that may come with any type of the catalogue,
// in the order of the file. Visible is 0 where that depends on the type.
func (c *Catalogue) CommonMetadata() []Field { return slices.Clone(c.core.metadata) }

// addCommon lets events of type t have the keys that any type may have.
func (t *Type) addCommon(common []Field) {
	for _, f := range common {
		if _, own := t.metadata[f.Name]; own {
			continue
		}
		if f.Visible == 0 {
			f.Visible = t.defaultVisible(f.Personal)
		}
		f.Visible &= t.mayEverSee()
		t.metadata[f.Name] = &f
	}
}

// isNumber reports whether s is a short decimal number.
func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 4
}

// readCore reads the file of core fields.
func readCore(name string, data []byte) (*coreTable, error) {
	f := file{name}
	top, err := f.parse(data)
	if err != nil {
		return nil, err
	}
	table := &coreTable{
		scalars:  make(map[string]*CoreField),
		subjects: make(map[string]*CoreField),
		changes:  make(map[string]*CoreField),
	}
	err = f.members(top, "the file", map[string]func(*yaml.Node) error{
		"fields": func(node *yaml.Node) error {
			return f.eachMember(node, "fields", func(key, value *yaml.Node) error {
				field := &CoreField{Name: key.Value, Classes: make(map[string]Readers), Types: make(map[string]Readers)}
				table.add(field)
				return f.coreField(value, field)
			})
		},
		"metadata": func(node *yaml.Node) (err error) {
			s := &stanza{file: f, node: node, visible: make(map[*Field]*yaml.Node)}
			table.metadata, err = s.readFields(node, "metadata")
			return err
		},
	})
	if err == nil && len(table.all) == 0 {
		err = fmt.Errorf("catalogue: %s:1: no fields", name)
	}
	slices.SortFunc(table.all, func(a, b *CoreField) int { return strings.Compare(a.Name, b.Name) })
	return table, err
}

func (f file) coreField(node *yaml.Node, field *CoreField) error {
	what := "field " + field.Name
	readersBy := func(m map[string]Readers, known []string) func(*yaml.Node) error {
		return func(n *yaml.Node) error {
			return f.eachMember(n, what, func(key, value *yaml.Node) error {
				if known != nil && !slices.Contains(known, key.Value) {
					return f.errorf(key, "%s: no class is called %q", what, key.Value)
				}
				r, err := f.readers(value, what)
				m[key.Value] = r
				return err
			})
		}
	}
	declared := false
	err := f.members(node, what, map[string]func(*yaml.Node) error{
		"personal": func(n *yaml.Node) (err error) {
			declared = true
			field.Personal, err = f.flag(n, what+": personal")
			return err
		},
		"impersonal": func(n *yaml.Node) (err error) {
			field.Impersonal, err = f.texts(n, what+": impersonal")
			field.impersonal = make(map[string]bool)
			for _, name := range field.Impersonal {
				field.impersonal[name] = true
			}
			return err
		},
		"visible": func(n *yaml.Node) (err error) {
			field.Visible, err = f.readers(n, what+": visible")
			return err
		},
		"classes": readersBy(field.Classes, classes),
		"types":   readersBy(field.Types, nil),
	})
	if err != nil {
		return err
	}
	if !declared || field.Visible == 0 {
		return f.errorf(node, "%s must say whether it is personal and to whom it is visible", what)
	}
	return nil
}
