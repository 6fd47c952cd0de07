package query_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/query"
)

// TestComplete checks what is said to be typed at the cursor, which is at the
// character | of the text.
func TestComplete(t *testing.T) {
	for _, c := range []struct {
		text       string
		kind       query.Kind
		name       string
		prefix     string
		start, end int
		choices    string // the first ones
	}{
		{"|", query.Text, "", "", 1, 1, "tag: class:"},
		{"pr|", query.Text, "", "pr", 1, 3, "project:"},
		{"o|", query.Text, "", "o", 1, 2, "outcome: on_behalf_of: org:"},
		{"xyz|", query.Text, "", "xyz", 1, 4, ""},
		{"project:|", query.Project, "", "", 9, 9, ""},
		{"project:de| x", query.Project, "", "de", 9, 11, ""},
		{"project:d|emo x", query.Project, "", "d", 9, 13, ""},
		{"outcome:|", query.Outcome, "", "", 9, 9, "success failure denied unknown"},
		{"a outcome:d|", query.Outcome, "", "d", 11, 12, "denied"},
		{"-(class:u|)", query.Class, "", "u", 9, 10, "user"},
		{"-se|", query.Text, "", "se", 2, 4, "severity:"},
		{"|-se", query.Text, "", "", 1, 1, "tag:"},
		{"-|se", query.Text, "", "", 2, 4, "tag:"},
		{"(a OR sou|)", query.Text, "", "sou", 7, 10, "source:"},
		{"pr|oj:demo", query.Text, "", "pr", 1, 6, "project:"},
		{"|project:demo", query.Text, "", "", 1, 9, "tag:"},
		{"projec|t:demo", query.Text, "", "projec", 1, 9, "project:"},
		{`project:"my p|`, query.Project, "", "my p", 9, 14, ""},
		{`project:"my p|rod" x`, query.Project, "", "my p", 9, 18, ""},
		{`project:"my p| tag:x`, query.Project, "", "my p", 9, 14, ""},
		{`project:"say \"a|`, query.Project, "", `say "a`, 9, 17, ""},
		{`project:"a\|`, query.Project, "", `a\`, 9, 12, ""},
		{`"two w|ords" x`, query.Text, "", "two w", 1, 12, ""},
		{`"tag:x|`, query.Text, "", "tag:x", 1, 7, ""},
		{"metadata.vi|", query.Text, "", "metadata.vi", 1, 12, ""},
		{"metad|", query.Text, "", "metad", 1, 6, "metadata.KEY:"},
		{"metadata.via:up|", query.Metadata, "via", "up", 14, 16, ""},
		{"foo:ba|", query.Text, "", "foo:ba", 1, 7, ""},
		{"ä project:é|ü b", query.Project, "", "é", 11, 13, ""},
		{"a  |  b", query.Text, "", "", 4, 4, "tag:"},
		{"(|", query.Text, "", "", 2, 2, "tag:"},
		{"user:project:|x", query.User, "", "project:", 6, 15, ""},
	} {
		before, _, _ := strings.Cut(c.text, "|")
		text := strings.Replace(c.text, "|", "", 1)
		got := query.Complete(text, utf8.RuneCountInString(before)+1)
		first := strings.Fields(c.choices)
		if got.Kind != c.kind || got.Name != c.name || got.Prefix != c.prefix || got.Start != c.start || got.End != c.end ||
			len(first) > len(got.Choices) || !slices.Equal(first, got.Choices[:len(first)]) || len(first) == 0 && len(got.Choices) > 0 {
			t.Errorf("%q: got %+v, want %+v", c.text, got, c)
		}
	}
	for _, cursor := range []int{-5, 0, 1, 9, 99} {
		if got := query.Complete("tag:x", cursor); got.Start < 1 || got.End > 6 {
			t.Errorf("with the cursor at %d: %+v", cursor, got)
		}
	}
	if got := query.Complete(strings.Repeat("a", query.MaxBytes+1), 3); got.Choices != nil {
		t.Errorf("a text that is too long is completed: %+v", got)
	}
}

// TestCompleteAgreesWithParse checks that a term that ends at the cursor is
// completed as what it is parsed as.
func TestCompleteAgreesWithParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawTerm(t)
		q, err := query.Parse(text, now)
		if err != nil {
			return
		}
		term, ok := q.Root.(*query.Term)
		if last, _ := utf8.DecodeLastRuneInString(text); !ok || unicode.IsSpace(last) || last == ')' {
			return // the cursor is behind the term
		}
		before := rapid.SampledFrom([]string{"", "x ", "(", `"a b" -`, "tag:a OR "}).Draw(t, "before")
		got := query.Complete(before+text, 1<<20)
		if strings.TrimRight(got.Prefix, "*") != strings.TrimRight(term.Value, "*") && term.Substring == nil || got.Kind != term.Kind || got.Name != term.Name {
			t.Fatalf("%q is completed as %+v, and parsed as %s", before+text, got, shape(term))
		}
	})
}

// FuzzComplete checks that any text can be completed anywhere.
func FuzzComplete(f *testing.F) {
	f.Add(`(tag:a OR -"b \" c") x`, 7)
	f.Add("-\xff:\"", 3)
	f.Fuzz(func(t *testing.T, text string, cursor int) {
		c := query.Complete(text, cursor)
		length := utf8.RuneCountInString(text)
		if len(text) <= query.MaxBytes && (c.Start < 1 || c.End > length+1 || c.Start > c.End) {
			t.Fatalf("%q at %d: %+v", text, cursor, c)
		}
	})
}
