// Package catalogue says what the log knows about each kind of event: how it
// reads as a sentence, which fields it has, which of them are personal, who may
// see what, how long it is kept and how much attention it deserves.
//
// The kinds of events are stanzas in YAML, one file per class, that are part of
// the program. An installation adds files of its own with [LoadWith]; a new kind
// of event costs one stanza. The form of a stanza and all kinds of events are in
// docs/catalogue.md, which is made from the same files.
//
// # Promises
//
//   - A mistake in a file is an error that names the file and the line; a
//     catalogue is loaded completely or not at all.
//   - What nobody has declared is personal: every value of an event of an
//     unknown type, and every unknown key of a known one.
//   - A personal field is never shown to the public, to owners or to
//     organizations unless its stanza names them.
//   - Every event has a sentence that is never blank, whatever part of it may be
//     shown, and that does not read as done what was refused.
//   - A loaded catalogue never changes and may be used concurrently.
package catalogue

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Limits on a catalogue.
const (
	MaxFileBytes = 4 << 20 // 4 MiB, one file of stanzas
	MaxFiles     = 1000    // files an installation adds
	MaxTypes     = 10_000
	MaxFields    = 64 // fields of one type; an event has no more metadata
)

//go:embed types/*.yaml core.yaml
var embedded embed.FS

// A Catalogue is what is known about all kinds of events.
type Catalogue struct {
	types  map[string]*Type
	sorted []*Type // by tag
	core   *coreTable
}

// Load returns the catalogue that is part of the program.
func Load() (*Catalogue, error) {
	c := &Catalogue{types: make(map[string]*Type)}
	data, err := embedded.ReadFile("core.yaml")
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	if c.core, err = readCore("core.yaml", data); err != nil {
		return nil, err
	}
	stanzas, err := readDir(embedded, "types")
	if err != nil {
		return nil, err
	}
	if err := c.add(stanzas); err != nil {
		return nil, err
	}
	return c, nil
}

// LoadWith returns the catalogue that is part of the program together with the
// types in files: everything that ends in .yaml or .yml at its top. They may
// add types. A stanza for a type that is part of the program must say
// "override: true" and then takes its place.
func LoadWith(files fs.FS) (*Catalogue, error) {
	c, err := Load()
	if err != nil {
		return nil, err
	}
	stanzas, err := readDir(files, ".")
	if err != nil {
		return nil, err
	}
	if err := c.add(stanzas); err != nil {
		return nil, err
	}
	return c, nil
}

// readDir returns the stanzas of all YAML files in dir, in the order of names.
func readDir(files fs.FS, dir string) ([]*stanza, error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	var all []*stanza
	read := 0
	for _, entry := range entries {
		if ext := path.Ext(entry.Name()); entry.IsDir() || ext != ".yaml" && ext != ".yml" {
			continue
		}
		if read++; read > MaxFiles {
			return nil, fmt.Errorf("catalogue: more than %d files", MaxFiles)
		}
		name := path.Join(dir, entry.Name())
		data, err := readFile(files, name)
		if err != nil {
			return nil, err
		}
		stanzas, err := readStanzas(name, data)
		if err != nil {
			return nil, err
		}
		all = append(all, stanzas...)
	}
	return all, nil
}

// readFile returns the contents of a file of at most [MaxFileBytes].
func readFile(files fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	if info.Size() > MaxFileBytes {
		return nil, fmt.Errorf("catalogue: %s has %d bytes, want at most %d", name, info.Size(), MaxFileBytes)
	}
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	return data, nil
}

// add takes in the stanzas of one origin. A tag that an earlier origin defined
// needs "override: true"; one that the same origin defined is a mistake.
func (c *Catalogue) add(stanzas []*stanza) error {
	added := make(map[string]*stanza, len(stanzas))
	for _, s := range stanzas {
		tag := s.typ.Tag
		if first, ok := added[tag]; ok {
			return s.errorf("tag %s is defined already at %s", tag, first.place())
		}
		_, known := c.types[tag]
		switch {
		case known && !s.override:
			return s.errorf("tag %s is part of the program; say override: true to replace it", tag)
		case !known && s.override:
			return s.errorf("tag %s overrides nothing", tag)
		}
		s.typ.addCommon(c.core.metadata)
		added[tag] = s
	}
	for tag, s := range added {
		c.types[tag] = s.typ
	}
	c.sorted = slices.SortedFunc(maps.Values(c.types), func(a, b *Type) int { return strings.Compare(a.Tag, b.Tag) })
	if len(c.types) > MaxTypes {
		return fmt.Errorf("catalogue: more than %d types", MaxTypes)
	}
	return nil
}

// Lookup returns the type of events with the given tag.
func (c *Catalogue) Lookup(tag string) (*Type, bool) {
	t, ok := c.types[tag]
	return t, ok
}

// Types returns all types in the order of their tags.
func (c *Catalogue) Types() []*Type { return slices.Clone(c.sorted) }

// SeverityOf returns the severity of events with the given tag; for an unknown
// one, [Warn].
func (c *Catalogue) SeverityOf(tag string) Severity {
	if t, ok := c.types[tag]; ok {
		return t.Severity
	}
	return unknownSeverity
}

// RetentionOf returns the name of the retention class of events with the given
// tag. An event of an unknown type is kept; its personal fields, which are all
// it has, are not.
func (c *Catalogue) RetentionOf(tag string) string {
	if t, ok := c.types[tag]; ok {
		return t.Retention
	}
	return unknownRetention
}

// VisibilityOf returns who sees events with the given tag without further
// conditions; for an unknown one, [Staff].
func (c *Catalogue) VisibilityOf(tag string) Readers {
	if t, ok := c.types[tag]; ok {
		return t.Visibility
	}
	return Staff
}
