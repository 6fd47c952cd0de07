package query_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

var now = time.Date(2026, 4, 2, 12, 0, 0, 0, time.UTC)

// published is an event with every member that a query can ask for.
const published = `{"id":"e-1","tag":"project:release:add","time":"2026-03-31T00:21:00.5Z","outcome":"denied",
 "actor":{"type":"user","id":"u-77","name":"alice"},
 "credential":{"kind":"token","id":"t-9"},
 "subjects":[{"type":"project","id":"pkg:npm/%40demo/pkg","name":"@demo/pkg"},
  {"type":"file","id":"pkg:npm/other@1.0.0?file_name=x.tgz","name":"x.tgz"},
  {"type":"version","id":"plain-7","name":"plain","version":"2"},
  {"type":"user","id":"u-88","name":"bob"},
  {"type":"token","id":"t-10","name":"deploy"}],
 "context":{"ip":"203.0.113.9","user_agent":"npm/11 Straße"},
 "metadata":{"note":"Two Words, ÄRGER","deep":["needle"]},"reason":"say \"why\" c:\\x"}`

// TestMatch checks each kind of term against one event: what it must find, and
// what stands close by and must not be found.
func TestMatch(t *testing.T) {
	parser := event.Parser{Added: event.Fields{event.StringField("source", "registry")}}
	fields, err := parser.Parse([]byte(published))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"":                            true,
		"  \t\n":                      true,
		"tag:project:release:add":     true,
		"tag:project:release":         false,
		"tag:project:release:*":       true,
		"tag:proj*":                   true,
		"tag:*":                       true,
		"tag:user:*":                  false,
		"actor:alice":                 true,
		"actor:u-77":                  true,
		"actor:Alice":                 false,
		"actor:ali":                   false,
		"actor:bob":                   false,
		"project:@demo/pkg":           true,
		"project:pkg:npm/%40demo/pkg": true,
		"project:pkg:npm/@demo/pkg":   true,
		"project:pkg":                 false,
		"project:demo":                false,
		"project:other":               true,
		"project:pkg:npm/other":       true,
		"project:pkg:npm/other@1.0.0": false,
		"project:pkg:npm/other@1.0.0?file_name=x.tgz": true,
		"project:x.tgz":                       false,
		"project:plain":                       true,
		"project:plain-7":                     true,
		"project:bob":                         false,
		"ip:203.0.113.9":                      true,
		"ip:::ffff:203.0.113.9":               true,
		"ip:203.0.113.0/24":                   true,
		"ip:203.0.113.8/31":                   true,
		"ip:203.0.113.8":                      false,
		"ip:203.0.113.10/31":                  false,
		"ip:0.0.0.0/0":                        true,
		"ip:2001:db8::/32":                    false,
		"token:t-9":                           true,
		"token:t":                             false,
		"token:t-10":                          true,
		"token:deploy":                        false,
		"source:registry":                     true,
		"source:regis":                        false,
		"outcome:denied":                      true,
		"outcome:success":                     false,
		"after:2026-03-31":                    true,
		"after:2026-03-31T00:21:00.5Z":        true,
		"after:2026-03-31T00:21:00.500001Z":   false,
		"before:2026-03-31T00:21:00.5Z":       false,
		"before:2026-03-31T02:21:00.6+02:00":  true,
		"before:2026-03-31":                   false,
		"after:-3d":                           true,
		"after:-2d":                           false,
		"before:-2d after:-1w":                true,
		"ALICE":                               true,
		"npm/11":                              true,
		"STRASSE":                             false,
		"straße":                              true,
		"STRAßE":                              true,
		"ärger":                               true,
		`"two words"`:                         true,
		`"words two"`:                         false,
		"two words":                           true,
		"needle":                              true,
		"203.0.113":                           true,
		`"say \"why\""`:                       true,
		`"c:\\x"`:                             true,
		"nowhere":                             false,
		"alice outcome:denied project:plain":  true,
		"alice outcome:failure project:plain": false,
		`actor:"alice"`:                       true,
	} {
		q, err := query.Parse(text, now)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
			continue
		}
		if got := q.Match(fields); got != want {
			t.Errorf("%q matches = %t, want %t", text, got, want)
		}
	}
}

// TestErrors checks that a text that cannot be understood is refused at the
// right column: a query that is read otherwise than meant hides events.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		column     int
		expected   string
	}{
		{"unknown word", "tag:a foo:bar", 7, "project:"},
		{"no value", "tag:a actor:", 13, "a value after actor:"},
		{"empty quotes", `""`, 1, "text between the quotes"},
		{"empty quoted value", `tag:""`, 5, "a value after tag:"},
		{"open quotes", `é "abc`, 7, "column 3"},
		{"open quoted value", `tag:"abc`, 9, "column 5"},
		{"text after quotes", `"a"b`, 4, "a space"},
		{"quote in a word", `a"b`, 2, "a space"},
		{"bad escape", `"a\n"`, 4, "after a"},
		{"escape at the end", `"a\`, 4, "after a"},
		{"minus", "a -b", 3, "quoted"},
		{"parenthesis", "(a", 1, "quoted"},
		{"OR", "a OR b", 3, "OR must be quoted"},
		{"star within a tag", "tag:a*b", 5, "at the end"},
		{"two stars", "tag:a**", 5, "at the end"},
		{"no address", "ip:300.1.1.1", 4, "an address"},
		{"address with zone", "ip:fe80::1%eth0", 4, "an address"},
		{"range too long", "ip:10.0.0.0/33", 4, "an address"},
		{"no outcome", "outcome:won", 9, "one of success"},
		{"no time", "after:yesterday", 7, "a day"},
		{"time without zone", "after:2026-03-01T00:00:00", 7, "a day"},
		{"ago without unit", "after:-7", 7, "a day"},
		{"ago of nothing", "after:-", 7, "a day"},
		{"ago of a unit", "after:-d", 7, "a day"},
		{"ago too long", "before:-4000000000w", 8, "a day"},
		{"control character", "a\x00", 2, "can be seen"},
		{"invalid UTF-8", "a\xff", 2, "UTF-8"},
		{"too long", strings.Repeat("é", query.MaxBytes/2) + "x", query.MaxBytes/2 + 1, "4096 bytes"},
		{"too many terms", strings.Repeat("a ", query.MaxTerms) + "b", 2*query.MaxTerms + 1, "64 terms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := query.Parse(c.text, now)
			e, ok := errors.AsType[*query.Error](err)
			if !ok || e.Column != c.column || !strings.Contains(e.Expected, c.expected) {
				t.Errorf("Parse(%q) = %v, want column %d and %q", c.text, err, c.column, c.expected)
			}
		})
	}
}

// TestAnd checks that adding terms leaves the query as it was.
func TestAnd(t *testing.T) {
	q, err := query.Parse("alice", now)
	if err != nil {
		t.Fatal(err)
	}
	after, err := query.NewTerm(query.After, "-1d", now)
	if err != nil {
		t.Fatal(err)
	}
	both := q.And(after)
	if got := both.String(); got != "alice after:-1d" || q.String() != "alice" || !after.Holds(now.UnixMicro()) {
		t.Errorf("And gives %q and leaves %q", got, q)
	}
	if term, err := query.NewTerm(query.Before, "soon", now); err == nil {
		t.Errorf("NewTerm takes soon as a time: %v", term)
	}
}

// FuzzParse checks that no text breaks the parser, and that a query printed is
// the same query.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", "alice", `"two words"`, `"a:b" tag:x:* project:"my project"`, "ip:10.0.0.0/8 after:-7d before:2026-03-01",
		`"say \"\\ "`, "OR", "-a", `"OR"`, `"-a"`, "é\u00a0x", "outcome:denied source:s token:t actor:a",
	} {
		f.Add(text)
	}
	fields, err := event.Parse([]byte(published))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := query.Parse(text, now)
		if err != nil {
			if _, ok := errors.AsType[*query.Error](err); !ok {
				t.Fatalf("Parse(%q) = %v, want an *Error", text, err)
			}
			return
		}
		printed := q.String()
		again, err := query.Parse(printed, now)
		if err != nil && len(printed) <= query.MaxBytes { // escapes may take it over the limit
			t.Fatalf("Parse(%q), printed from %q: %v", printed, text, err)
		}
		if err == nil && (again.String() != printed || len(again.Terms()) != len(q.Terms()) || again.Match(fields) != q.Match(fields)) {
			t.Fatalf("%q is printed as %q and that as %q", text, printed, again)
		}
	})
}
