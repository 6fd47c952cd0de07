package query_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

func wordsOf(text string) []string {
	var words []string
	query.Words([]byte(text), func(word []byte) { words = append(words, string(word)) })
	return words
}

// TestWords checks how text is taken apart. An index and a search that do it in
// two ways do not find each other.
func TestWords(t *testing.T) {
	long := strings.Repeat("x", query.MaxWordBytes)
	for text, want := range map[string][]string{
		"":                                   nil,
		" .-/":                               nil,
		"one":                                {"one"},
		"One two-THREE_4":                    {"one", "two", "three", "4"},
		"npm/11.2 (x64)":                     {"npm", "11", "2", "x64"},
		`{"a":["B",1.5,null]}`:               {"a", "b", "1", "5", "null"},
		"Ärger, STRAßE ÇA":                   {"ärger", "straße", "ça"},
		"aÄa":                                {"aäa"},
		"日本語 текст":                          {"日本語", "текст"},
		"٣٤ x":                               {"٣٤", "x"},
		"a\xffb\xc3":                         {"a", "b"},
		"İ":                                  {"i"},
		long + "y z":                         {long, "z"},
		strings.ToUpper(long):                {long},
		long[1:] + "äöü":                     {long[1:]},
		long[1:] + "äx":                      {long[1:]}, // nothing after what did not fit
		strings.Repeat("ä", 40):              {strings.Repeat("ä", 32)},
		strings.Repeat("Ⱥ", 40):              {strings.Repeat("ⱥ", 21)}, // of 2 bytes, and 3 in lower case
		"x" + strings.Repeat("Ⱥ", 30) + "-Q": {"x" + strings.Repeat("ⱥ", 21), "q"},
	} {
		if got := wordsOf(text); !slices.Equal(got, want) {
			t.Errorf("words of %q are %q, want %q", text, got, want)
		}
	}
}

// TestWordsTwice checks that words are words already: taking them apart again,
// together or alone, changes nothing.
func TestWordsTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkWords(t, rapid.OneOf(rapid.String(), rapid.StringN(0, -1, 300), rapid.StringMatching(`[A-Za-zÄäȺ0-9 .]{0,200}`)).Draw(t, "text"))
	})
	for r := range rune(unicode.MaxRune) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			checkWords(t, string(r))
		}
	}
}

func checkWords(t rapid.TB, text string) {
	words := wordsOf(text)
	if again := wordsOf(strings.Join(words, " ")); !slices.Equal(words, again) {
		t.Fatalf("words of %q are %q, and theirs %q", text, words, again)
	}
	for _, w := range words {
		if len(w) == 0 || len(w) > query.MaxWordBytes || !utf8.ValidString(w) {
			t.Fatalf("%q has the word %q", text, w)
		}
	}
	if upper := wordsOf(string(bytes.Map(unicode.ToLower, []byte(text)))); !slices.Equal(words, upper) {
		t.Fatalf("words of %q are %q, and in lower case %q", text, words, upper)
	}
}

// FuzzWords is [TestWordsTwice] for any bytes.
func FuzzWords(f *testing.F) {
	for _, text := range []string{"", "One two", "Ärger\xff", strings.Repeat("Ⱥx", 40), `{"a":"b\n"}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkWords(t, text) })
}

// TestWordsMemory checks that taking text apart needs no memory of its own.
func TestWordsMemory(t *testing.T) {
	text := []byte("Plain text, and Ärger, with UPPER case 4711")
	n := 0
	if got := testing.AllocsPerRun(100, func() { query.Words(text, func([]byte) { n++ }) }); got > 0 {
		t.Errorf("Words allocates %v times", got)
	}
}

// TestIsText checks which values are searched for words: ids, hashes of people
// and positions are not.
func TestIsText(t *testing.T) {
	var got []string
	for _, f := range fieldsOf(t, published) {
		if query.IsText(&f) {
			got = append(got, f.Name)
		}
	}
	want := []string{
		"actor.name", "changes.0.field", "changes.0.new", "changes.0.old", "context.origin", "context.user_agent", "credential.name",
		"metadata.a.b-c_D", "metadata.deep", "metadata.note", "metadata.star", "oidc.repository", "on_behalf_of.name", "reason", "reason_internal",
		"subjects.0.name", "subjects.1.name", "subjects.2.name", "subjects.2.version", "subjects.3.name", "subjects.3.role",
		"subjects.4.name", "subjects.5.name", "subjects.6.name",
	}
	if !slices.Equal(got, want) {
		t.Errorf("text values are %q, want %q", got, want)
	}
	if query.IsText(&event.Field{Name: "metadata.n", Type: event.Int}) {
		t.Error("a number is text")
	}
}

// TestClientOf checks that the name of a program is taken from what it says.
func TestClientOf(t *testing.T) {
	for text, want := range map[string]string{
		"npm/10.2.0 node/v20":      "npm",
		"Mozilla/5.0 (X11; Linux)": "mozilla",
		"Go-http-client/1.1":       "go-http-client",
		"cargo 1.70.0 (x)":         "cargo",
		"  pip/24.0 {\"a\":1}":     "pip",
		"plain":                    "plain",
		"tool(comment)":            "tool",
		"":                         "",
		"   ":                      "",
		"/1.0":                     "",
		"(comment) x/1":            "",
		"änder/1":                  "",
		"npmé/1":                   "",
	} {
		if got := string(query.ClientOf([]byte(text))); got != want {
			t.Errorf("client of %q is %q, want %q", text, got, want)
		}
	}
}

// TestClientIsAmongWords checks that the words of a program's name are words of the
// user agent, by which programs are found.
func TestClientIsAmongWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		agent := []byte(rapid.StringOf(rapid.SampledFrom([]rune("aZ9-_ /\t\x7f\u00e9(.!"))).Draw(t, "agent"))
		if n := rapid.IntRange(0, 80).Draw(t, "long"); n > 60 {
			agent = append(bytes.Repeat([]byte("x"), n), agent...)
		}
		all := wordsOf(string(agent))
		for _, word := range wordsOf(string(query.ClientOf(agent))) {
			if !slices.Contains(all, word) {
				t.Fatalf("%q is a word of the client of %q, and not of that", word, agent)
			}
		}
	})
}

// TestProjectKeys checks by what a project is found.
func TestProjectKeys(t *testing.T) {
	for _, c := range []struct {
		id, name string
		isFile   bool
		want     []string
	}{
		{"p-1", "demo", false, []string{"p-1", "demo"}},
		{"", "demo", false, []string{"demo"}},
		{"p-1", "demo.tgz", true, []string{"p-1"}},
		{"", "", false, nil},
		{"pkg:npm/%40demo/pkg@1.0?x=y#z", "", false, []string{"pkg:npm/@demo/pkg@1.0?x=y#z", "pkg:npm/@demo/pkg", "@demo/pkg"}},
		{"pkg:npm/@demo/pkg", "", false, []string{"pkg:npm/@demo/pkg", "@demo/pkg"}},
		{"pkg:npm/", "", false, []string{"pkg:npm/"}},
		{"pkg:x%4", "", false, []string{"pkg:x%4"}},
	} {
		var got []string
		query.ProjectKeys([]byte(c.id), []byte(c.name), c.isFile, func(key []byte) { got = append(got, string(key)) })
		if !slices.Equal(got, c.want) {
			t.Errorf("keys of %q, %q are %q, want %q", c.id, c.name, got, c.want)
		}
	}
}
