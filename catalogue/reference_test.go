package catalogue_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
)

// The reference page is written by this test:
//
//	go test ./catalogue -run TestReferencePage -update
var update = flag.Bool("update", false, "write docs/catalogue.md anew")

// The page is made from the same files as the program. A page that is behind
// would tell a source to send what the log treats otherwise.
func TestReferencePage(t *testing.T) {
	want := reference(load(t))
	name := filepath.Join("..", "docs", "catalogue.md")
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from the catalogue; run: go test ./catalogue -run TestReferencePage -update", name)
	}
}

const referenceHead = `# Catalogue of events

Made from catalogue/types and catalogue/core.yaml; to change it, change those and run
` + "`go test ./catalogue -run TestReferencePage -update`" + `.

## How to read it

Each type of event has a tag, a sentence, the readers who see it, how long it is kept, and how much attention it
deserves. In a sentence, ` + "`{name}`" + ` stands for a value, or for a neutral phrase where the reader may not see it;
` + "`{a|b}`" + ` for the first of several that can be shown; what stands in ` + "`[ ]`" + ` is left out unless everything in it can be
shown.

Fields are keys of ` + "`metadata`" + `. **†** marks a personal one: it can be erased, and unless it says otherwise it is
shown to the person it is about and to staff only. Behind some fields stands who sees them, where that is not who sees
the event. "Changes" are the values of ` + "`changes[].field`" + ` that the type expects. Keys and changes that are not listed are
allowed; they are taken to be personal and are for staff only.

Readers: **public** anybody; **owner** has a role in the project; **self** the person concerned; **org** has a role in the
organization; **admin** administers the registry; **auditor** audits it and this log. What the public sees, everybody
sees; what anybody outside sees, admins and auditors see.

Some readers see an event under a condition only: **optional** where the registry has chosen so; **scoped** where the
token reaches something of theirs; **delayed** once it can no longer spoil an investigation; **after** where they may
see the project as the event left it. Others see a part of it, which is its tag, its time and the fields that name them:
**tombstone**, **flag**, **summary**, **verdict**, **notice**. **count** and **yearly_count** show only how many there were.

`

const referenceStanza = `## Types of your own

Put a file with stanzas like this beside the configuration. An unknown key, a tag that exists and a wrong word are
errors with file and line.

` + "```yaml" + `
types:
  - tag: project:badge:award          # class, subject, verb: 2 to 5 words; the class is one of those below
    description: "{actor} gave {project} the badge[ {badge}][ on behalf of {sponsor}]"
    subjects: [project]               # types of subjects an event is expected to have
    fields:                           # keys of metadata
      badge: {type: enum, values: [gold, silver]}
      points: {type: int, unit: points}
      sponsor: {type: string, personal: true, visible: [owner], absent: a sponsor}
    changes:                          # what changes[] may change
      badge: {type: string}
    visibility: [owner, org]
    conditions: {public: optional}
    retention: permanent
    severity: info
    # negative: true                  the sentence says itself that something was refused
    # override: true                  takes the place of a type that is part of the program
` + "```" + `

Types of fields: ` + "`string`, `text`, `enum`, `digest`, `time`, `ip`" + ` (strings in JSON), ` + "`int`, `bool`, `list`" + `.

`

// reference returns the page.
func reference(c *catalogue.Catalogue) []byte {
	var b bytes.Buffer
	b.WriteString(referenceHead + referenceStanza)
	b.WriteString("## Retention\n\n| class | the event | its personal fields |\n| --- | --- | --- |\n")
	for _, r := range catalogue.Retentions() {
		personal := duration(r.KeepPersonal)
		if r.KeepPersonal == 0 {
			personal = "as long as the event"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Name, duration(r.Keep), personal)
	}
	b.WriteString("\nThese are defaults. A person may ask for erasure earlier, and a hold may keep events longer.\n\n")
	writeCore(&b, c)
	b.WriteString("## Contents\n\n")
	all := c.Types()
	for _, class := range catalogue.Classes() {
		n := 0
		for _, t := range all {
			if t.Class() == class {
				n++
			}
		}
		fmt.Fprintf(&b, "- [%s](#%s): %d types\n", class, class, n)
	}
	for _, class := range catalogue.Classes() {
		fmt.Fprintf(&b, "\n## %s\n", class)
		for _, t := range all {
			if t.Class() == class {
				writeType(&b, t)
			}
		}
	}
	return b.Bytes()
}

func duration(d time.Duration) string {
	days := int(d / (24 * time.Hour))
	switch {
	case days == 0:
		return "for ever"
	case days%365 == 0:
		return fmt.Sprintf("%d years", days/365)
	default:
		return fmt.Sprintf("%d days", days)
	}
}

func writeCore(b *bytes.Buffer, c *catalogue.Catalogue) {
	b.WriteString("## Fields of every event\n\n`*` stands for a number.\n\n| field | seen by | otherwise |\n| --- | --- | --- |\n")
	for _, f := range c.CoreFields() {
		var otherwise []string
		if len(f.Impersonal) > 0 {
			otherwise = append(otherwise, "not personal for "+strings.Join(f.Impersonal, ", "))
		}
		for _, class := range catalogue.Classes() {
			if r, ok := f.Classes[class]; ok {
				otherwise = append(otherwise, fmt.Sprintf("in class %s: %s", class, shortReaders(r)))
			}
		}
		var types []string
		for name := range f.Types {
			types = append(types, name)
		}
		slices.Sort(types)
		for _, name := range types {
			otherwise = append(otherwise, fmt.Sprintf("of type %s: %s", name, shortReaders(f.Types[name])))
		}
		fmt.Fprintf(b, "| `%s`%s | %s | %s |\n", f.Name, mark(f.Personal), shortReaders(f.Visible), strings.Join(otherwise, "; "))
	}
	b.WriteString("\nKeys of metadata that may come with any type:\n\n| key | type | seen by |\n| --- | --- | --- |\n")
	for _, f := range c.CommonMetadata() {
		seen := "who sees the event"
		switch {
		case f.Visible != 0:
			seen = shortReaders(f.Visible)
		case f.Personal:
			seen = "self, staff"
		}
		fmt.Fprintf(b, "| `%s`%s | %s | %s |\n", f.Name, mark(f.Personal), f.Type, seen)
	}
	b.WriteString("\n")
}

func writeType(b *bytes.Buffer, t *catalogue.Type) {
	fmt.Fprintf(b, "\n### `%s`\n\n%s\n\n", t.Tag, escape(t.Description))
	fmt.Fprintf(b, "- seen by %s", shortReaders(t.Visibility))
	for _, c := range t.Conditions {
		fmt.Fprintf(b, "; %s: %s", c.Reader, c.Kind)
	}
	fmt.Fprintf(b, " · kept: %s · %s", t.Retention, t.Severity)
	if len(t.Subjects) > 0 {
		fmt.Fprintf(b, " · about %s", strings.Join(t.Subjects, ", "))
	}
	b.WriteString("\n")
	writeFields(b, t, "fields", t.Fields)
	writeFields(b, t, "changes", t.Changes)
}

func writeFields(b *bytes.Buffer, t *catalogue.Type, what string, fields []catalogue.Field) {
	if len(fields) == 0 {
		return
	}
	var words []string
	for _, f := range fields {
		word := fmt.Sprintf("`%s`%s %s", f.Name, mark(f.Personal), f.Type)
		if f.Unit != "" {
			word += " in " + f.Unit
		}
		if len(f.Values) > 0 {
			word += " (" + strings.Join(f.Values, ", ")
			if f.Type != catalogue.Enum {
				word += ", …"
			}
			word += ")"
		}
		if f.Required {
			word += " required"
		}
		if usual := visibleByDefault(t, f.Personal); f.Visible != usual {
			word += " *→ " + shortReaders(f.Visible) + "*"
		}
		words = append(words, word)
	}
	fmt.Fprintf(b, "- %s: %s\n", what, strings.Join(words, "; "))
}

// visibleByDefault returns who sees a field that does not say so itself.
func visibleByDefault(t *catalogue.Type, personal bool) catalogue.Readers {
	r := t.Visibility
	for _, c := range t.Conditions {
		if !c.Kind.Partial() {
			r |= c.Reader
		}
	}
	if personal {
		r &= catalogue.Self | catalogue.Staff
	}
	return r
}

// shortReaders leaves out who sees it anyway.
func shortReaders(r catalogue.Readers) string {
	if r == catalogue.Everybody {
		return "public"
	}
	if outside := r &^ catalogue.Staff; outside != 0 && r.Has(catalogue.Staff) {
		return outside.String() + ", staff"
	}
	return r.String()
}

func mark(personal bool) string {
	if personal {
		return "†"
	}
	return ""
}

// escape keeps Markdown from reading a sentence's brackets as links and its
// bars as tables.
func escape(s string) string {
	return strings.NewReplacer("[", `\[`, "]", `\]`, "|", `\|`, "_", `\_`).Replace(s)
}
