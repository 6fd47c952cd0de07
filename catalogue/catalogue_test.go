package catalogue_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/custody-log/custody/catalogue"
)

func load(t testing.TB) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// table returns the rows of a file of tab-separated values, without its head.
func table(t *testing.T, name string) [][]string {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var rows [][]string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		rows = append(rows, strings.Split(lines.Text(), "\t"))
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

// The research found these types and fields in the registries' own code. One
// that gets lost here is history nobody can read any more.
func TestEveryResearchedTypeIsThere(t *testing.T) {
	c := load(t)
	rows := table(t, "researched.tsv")
	if len(rows) != 282 {
		t.Errorf("%d researched types, want 282", len(rows))
	}
	for _, row := range rows {
		tag, retention, severity := row[0], row[1], row[2]
		typ, ok := c.Lookup(tag)
		if !ok {
			t.Errorf("type %s is missing", tag)
			continue
		}
		if typ.Retention != retention || c.RetentionOf(tag) != retention {
			t.Errorf("%s is kept %s, want %s", tag, typ.Retention, retention)
		}
		if string(typ.Severity) != severity || string(c.SeverityOf(tag)) != severity {
			t.Errorf("%s has severity %s, want %s", tag, typ.Severity, severity)
		}
		for name := range strings.SplitSeq(row[3], ",") {
			// "changes" is a list that every event has.
			if _, ok := typ.Field(name); !ok && name != "" && name != "changes" {
				t.Errorf("%s has no field %s", tag, name)
			}
		}
	}
}

// Each event that a registry records today has a place in the catalogue.
func TestEveryRegistryEventHasAType(t *testing.T) {
	c := load(t)
	for _, row := range table(t, "registry-events.tsv") {
		if _, ok := c.Lookup(row[2]); !ok {
			t.Errorf("%s %s maps to %s, which is not in the catalogue", row[0], row[1], row[2])
		}
	}
}

func TestTypesAreInTheFileOfTheirClass(t *testing.T) {
	for _, class := range catalogue.Classes() {
		data, err := os.ReadFile(filepath.Join("types", class+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			if tag, ok := strings.CutPrefix(line, "  - tag: "); ok && catalogue.ClassOf(tag) != class {
				t.Errorf("%s is in the file of class %s", tag, class)
			}
		}
	}
}

func TestTypesAreSorted(t *testing.T) {
	types := load(t).Types()
	for i := 1; i < len(types); i++ {
		if types[i-1].Tag >= types[i].Tag {
			t.Errorf("%s stands before %s", types[i-1].Tag, types[i].Tag)
		}
	}
}

func TestValidTag(t *testing.T) {
	for _, test := range []struct {
		name, tag string
		valid     bool
	}{
		{"two words", "project:create", true},
		{"five words", "user:a:b:c:d", true},
		{"digits and underscores", "org:mfa_2:set", true},
		{"exactly 100 bytes", "user:" + strings.Repeat("a", 64) + ":" + strings.Repeat("b", 30), true},
		{"empty", "", false},
		{"one word", "project", false},
		{"six words", "user:a:b:c:d:e", false},
		{"unknown class", "registry:create", false},
		{"capital", "project:Create", false},
		{"empty word", "project::create", false},
		{"colon at the end", "project:create:", false},
		{"space", "project:cre ate", false},
		{"letter beyond ASCII", "project:créate", false},
		{"word of 65 bytes", "user:" + strings.Repeat("a", 65), false},
		{"101 bytes", "user:" + strings.Repeat("a", 64) + ":" + strings.Repeat("b", 31), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := catalogue.ValidTag(test.tag); (err == nil) != test.valid {
				t.Errorf("ValidTag(%q) = %v, want valid %t", test.tag, err, test.valid)
			}
		})
	}
}

// stanzaWith returns a stanza that is right but for the lines given, which take
// the place of those with the same key.
func stanzaWith(lines ...string) string {
	stanza := []string{
		"tag: project:badge:award",
		"description: \"{actor} gave {project} a badge\"",
		"subjects: [project]",
		"fields: {badge: {type: string}}",
		"visibility: [owner]",
		"retention: permanent",
		"severity: info",
	}
	for _, line := range lines {
		key, _, _ := strings.Cut(line, ":")
		found := false
		for i := range stanza {
			if strings.HasPrefix(stanza[i], key+":") {
				stanza[i], found = line, true
			}
		}
		if !found {
			stanza = append(stanza, line)
		}
	}
	return "types:\n  - " + strings.Join(stanza, "\n    ") + "\n"
}

// A mistake in a file must not be found out when an event is shown, or shown to
// the wrong people.
func TestMistakesAreErrorsWithFileAndLine(t *testing.T) {
	for _, test := range []struct {
		name, file string
		line       int
		want       string
	}{
		{"not YAML", "types:\n  - tag: [\n", 2, "did not find"},
		{"empty", "", 1, "nothing"},
		{"two documents", "types: []\n---\ntypes: []\n", 2, "second document"},
		{"not a mapping", "- 1\n", 1, "keys and values"},
		{"unknown key of the file", "typs: []\n", 1, `"typs"`},
		{"unknown key of a type", stanzaWith("colour: red"), 9, `"colour"`},
		{"key twice", stanzaWith() + "    severity: warn\n", 9, "twice, first on line 8"},
		{"bad tag", stanzaWith("tag: badge"), 2, "badge"},
		{"unknown class", stanzaWith("tag: badge:award"), 2, "class"},
		{"tag twice", stanzaWith() + strings.TrimPrefix(stanzaWith(), "types:\n"), 9, "acme.yaml:2"},
		{"tag of the program", stanzaWith("tag: project:create"), 2, "override"},
		{"override of nothing", stanzaWith("override: true"), 2, "overrides nothing"},
		{"override is no flag", stanzaWith("override: 1"), 9, "true or false"},
		{"unknown reader", stanzaWith("visibility: [owners]"), 6, `"owners"`},
		{"nobody sees it", stanzaWith("visibility: []"), 6, "nobody"},
		{"reader twice", stanzaWith("visibility: [owner, owner]"), 6, "twice"},
		{"readers are no list", stanzaWith("visibility: owner"), 6, "list"},
		{"unknown condition", stanzaWith("conditions: {self: perhaps}"), 9, `"perhaps"`},
		{"condition for who sees it anyway", stanzaWith("conditions: {owner: scoped}"), 2, "anyway"},
		{"unknown retention", stanzaWith("retention: eternal"), 7, `"eternal"`},
		{"unknown severity", stanzaWith("severity: urgent"), 8, `"urgent"`},
		{"missing retention", strings.Replace(stanzaWith(), "    retention: permanent\n", "", 1), 2, "no retention"},
		{"missing description", strings.Replace(stanzaWith(), "    description: \"{actor} gave {project} a badge\"\n", "", 1), 2, "no description"},
		{"missing visibility", strings.Replace(stanzaWith(), "    visibility: [owner]\n", "", 1), 2, "no visibility"},
		{"unknown type of field", stanzaWith("fields: {badge: {type: float}}"), 5, `"float"`},
		{"field without type", stanzaWith("fields: {badge: {}}"), 5, "no type"},
		{"field with an odd name", stanzaWith("fields: {Badge: {type: int}}"), 5, `"Badge"`},
		{"unknown key of a field", stanzaWith("fields: {badge: {type: int, secret: true}}"), 5, `"secret"`},
		{"enum without values", stanzaWith("fields: {badge: {type: enum}}"), 5, "values"},
		{"values of an int", stanzaWith("fields: {badge: {type: int, values: [a]}}"), 5, "values"},
		{"unit of a string", stanzaWith("fields: {badge: {type: string, unit: km}}"), 5, "unit"},
		{"field for who does not see the event", stanzaWith("fields: {badge: {type: int, visible: [public]}}"), 5, "cannot see"},
		{"placeholder without a value", stanzaWith(`description: "{actor} gave {medal}"`), 2, "{medal}"},
		{"open brace", stanzaWith(`description: "{actor gave"`), 2, "braces"},
		{"open bracket", stanzaWith(`description: "{actor}[ gave"`), 2, "not closed"},
		{"bracket without placeholder", stanzaWith(`description: "{actor}[ gave]"`), 2, "no placeholder"},
		{"nothing but brackets", stanzaWith(`description: "[{actor}]"`), 2, "optional"},
		{"alias", stanzaWith("retention: &r permanent", "severity: *r"), 8, "string"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := catalogue.LoadWith(fstest.MapFS{"acme.yaml": {Data: []byte(test.file)}})
			if err == nil {
				t.Fatalf("LoadWith accepts\n%s", test.file)
			}
			place := fmt.Sprintf("catalogue: acme.yaml:%d: ", test.line)
			if !strings.HasPrefix(err.Error(), place) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want it to begin with %q and to contain %q", err, place, test.want)
			}
		})
	}
}

func TestLoadWith(t *testing.T) {
	c, err := catalogue.LoadWith(fstest.MapFS{
		"acme.yaml":   {Data: []byte(stanzaWith())},
		"more.yml":    {Data: []byte(stanzaWith("tag: project:create", "override: true", "severity: critical"))},
		"readme.txt":  {Data: []byte("not YAML: [")},
		"old/it.yaml": {Data: []byte("not YAML: [")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Lookup("project:badge:award"); !ok {
		t.Error("the added type is missing")
	}
	if got := c.SeverityOf("project:create"); got != catalogue.Critical {
		t.Errorf("severity of the overridden type = %s, want critical", got)
	}
	if got := load(t).SeverityOf("project:create"); got != catalogue.Info {
		t.Errorf("severity in another catalogue = %s, want info", got)
	}
}

func TestLoadWithTooLargeAFile(t *testing.T) {
	large := make([]byte, catalogue.MaxFileBytes+1)
	if _, err := catalogue.LoadWith(fstest.MapFS{"acme.yaml": {Data: large}}); err == nil || !strings.Contains(err.Error(), "acme.yaml") {
		t.Errorf("LoadWith = %v, want an error that names the file", err)
	}
}

// A source that sends a value of another type would make every later reader of
// the field guess.
func TestCheckMetadata(t *testing.T) {
	c := load(t)
	for _, test := range []struct {
		name, tag, key string
		kind           catalogue.Kind
		want           string
	}{
		{"string as string", "project:release:add", "version", catalogue.KindString, ""},
		{"int as string", "project:release:add", "version", catalogue.KindInt, "metadata.version must be a string (string)"},
		{"string as int", "audit:proxy:drop", "count", catalogue.KindString, "metadata.count must be a whole number (int)"},
		{"string as bool", "project:release:add", "attested", catalogue.KindString, "metadata.attested must be true or false (bool)"},
		{"string as list", "user:token:create", "permissions", catalogue.KindString, "metadata.permissions must be a list (list)"},
		{"list as list", "user:token:create", "permissions", catalogue.KindJSON, ""},
		{"string as time", "user:token:create", "expires", catalogue.KindString, ""},
		{"int as time", "user:token:create", "expires", catalogue.KindInt, "metadata.expires must be a string (time)"},
		{"unknown key", "project:release:add", "shoe_size", catalogue.KindInt, ""},
		{"unknown type", "project:gadget:polish", "version", catalogue.KindInt, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if err := c.CheckMetadata(test.tag, test.key, test.kind); err != nil {
				var wrong *catalogue.MetadataError
				if !errors.As(err, &wrong) || wrong.Key != test.key {
					t.Errorf("error %#v does not name the key", err)
				}
				got = strings.TrimPrefix(err.Error(), "catalogue: ")
			}
			if got != test.want {
				t.Errorf("CheckMetadata = %q, want %q", got, test.want)
			}
		})
	}
}
