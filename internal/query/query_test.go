package query_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

var now = time.Date(2026, 4, 2, 12, 0, 0, 0, time.UTC)

// published is an event with every member that a query can ask for.
const published = `{"id":"e-1","tag":"project:release:add","time":"2026-03-31T00:21:00.5Z","outcome":"denied",
 "actor":{"type":"token","id":"u-77","name":"alice"},
 "on_behalf_of":{"type":"user","id":"u-99","name":"carol"},
 "credential":{"kind":"token","id":"t-9","name":"laptop key"},
 "oidc":{"repository":"demo/build"},
 "subjects":[{"type":"project","id":"pkg:npm/%40demo/pkg","name":"@demo/pkg"},
  {"type":"file","id":"pkg:npm/other@1.0.0?file_name=x.tgz","name":"x.tgz"},
  {"type":"version","id":"plain-7","name":"plain","version":"2.0.1-rc"},
  {"type":"user","id":"u-88","name":"bob","role":"new owner"},
  {"type":"token","id":"t-10","name":"deploy"},
  {"type":"org","id":"o-1","name":"acme"},{"type":"team","id":"o-2","name":"acme core"}],
 "context":{"ip":"203.0.113.9","user_agent":"NPM/11 (straße)","request_id":"r-1","trace_id":"r-2","origin":"cli"},
 "changes":[{"field":"email","old":"before","new":{"at":"after all"}}],
 "metadata":{"note":"Two Words, ÄRGER ahead","deep":["needle","hay stack",7,1.5,"7up"],"rows":4711,"attested":true,"a.b-c_D":"x","star":"a*b"},
 "reason":"say \"why\" c:\\x","reason_internal":"quiet"}`

var derive = &query.Derive{
	Severity: func(tag string) string {
		if tag == "project:release:add" {
			return "high"
		}
		return "info"
	},
	Country: func(address [16]byte) string {
		if address[12] == 203 {
			return "NL"
		}
		return ""
	},
}

func parse(t testing.TB, text string) *query.Query {
	t.Helper()
	q, err := query.Parse(text, now)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return q
}

func fieldsOf(t testing.TB, text string) event.Fields {
	t.Helper()
	parser := event.Parser{Added: event.Fields{event.StringField("source", "registry"), event.StringField("trust", "witnessed")}}
	fields, err := parser.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

// finds and misses are what must match the event published, and what stands
// close by and must not.
var finds = []string{
	"", "  \t\n",
	"tag:project:release:add", "tag:project:release:*", "tag:proj*", "tag:*", `tag:"project:release:add"`, `tag:"project:rel"*`,
	"class:project", "outcome:denied", "severity:high", "country:NL", "country:nl", "trust:witnessed", "source:registry", "source:reg*",
	"actor:alice", "actor:u-77", "actor:ali*", "on_behalf_of:carol", "on_behalf_of:u-99",
	"user:alice", "user:u-99", "user:bob", "user:u-88", "user:b*",
	"project:@demo/pkg", "project:pkg:npm/%40demo/pkg", "project:pkg:npm/@demo/pkg", "project:pkg:npm/%40demo/*", "project:@demo/*", "project:other",
	"project:pkg:npm/other", "project:pkg:npm/other@1.0.0?file_name=x.tgz", "project:plain", "project:plain-7",
	"org:acme", "org:o-1", `org:"acme core"`, `org:"acme c"*`, "org:o-2",
	"ip:203.0.113.9", "ip:::ffff:203.0.113.9", "ip:203.0.113.0/24", "ip:203.0.113.8/31", "ip:0.0.0.0/0", "ip:::/0",
	"token:t-9", "token:t-10", "token:t-*", "client:npm", "client:NPM", "client:n*", "version:2.0.1-rc", "version:2.0.*",
	"request:r-1", "request:r-2",
	"metadata.rows:4711", "metadata.rows:47*", "metadata.rows:*", "metadata.attested:true", "metadata.a.b-c_D:x", "metadata.deep:needle",
	`metadata.deep:"hay stack"`, "metadata.deep:7", "metadata.deep:1.5", "metadata.deep:7u*", "metadata.deep:*", `metadata.star:"a*b"`,
	`metadata.note:"Two Words, ÄRGER ahead"`, `metadata.note:"Two W"*`,
	"after:2026-03-31", "after:2026-03-31T00:21:00.5Z", "before:2026-03-31T02:21:00.6+02:00", "after:-3d", "before:-2d after:-1w",
	// Words, in each value that has some.
	"ALICE", "carol", "laptop", "plain", "demo", "build", "owner", "2.0.1-rc", "npm", "STRAßE", "cli", "email", `"after all"`, "needle", "stack",
	`"hay stack"`, "ärger", `"two words"`, "two-words", `"two words ärger"`, "say", `"say why"`, `"why c x"`, "quiet", "two words", "word*", `"two wor"*`, "Ä*",
	// Text that is a key.
	"t-9", "r-2", "203.0.113.9", "::ffff:203.0.113.9", "pkg:npm/%40demo/pkg", "pkg:npm/other", "u-88", `"project:release:add"`, "registry", "denied", "witnessed",
	// Parts, in text and keys.
	"*eedl*", "*LAPT*", `*"y\" c:\\"*`, "*3.0.11*", "*npm/other@*", "*ject:rel*", "*raß*", "*ÄRG*", `*"(str"*`, "*-8*",
	// Together.
	"alice outcome:denied project:plain", "alice OR nobody", "nobody OR alice", "alice -nobody", "NOT nobody", "-(nobody OR nowhere)", "-(alice nobody)",
	"(nobody OR alice) plain", "nobody alice OR plain", "-source:none", "-metadata.none:*", "-metadata.none:x", "-(-alice)",
}

var misses = []string{
	"tag:project:release", "tag:user:*", "class:user", "outcome:success", "severity:info", "country:DE", "trust:imported", "source:regis",
	"actor:Alice", "actor:ali", "actor:bob", "actor:carol", `actor:"ali*"`, "on_behalf_of:alice", "user:acme", "user:t-10", "user:al",
	"project:pkg", "project:demo", "project:pkg:npm/other@1.0.0", "project:x.tgz", "project:bob", "org:bob", "org:acm",
	"ip:203.0.113.8", "ip:203.0.113.10/31", "ip:2001:db8::/32", "token:t", "token:deploy", "client:npm/11", "client:straße", "version:2", "version:11",
	"request:e-1", "metadata.rows:4712", "metadata.rows:47", "metadata.none:*", "metadata.note:two", "metadata.note:Two", "metadata.deep:hay", "metadata.deep:need",
	"metadata.star:a", "metadata.attested:false",
	"after:2026-03-31T00:21:00.500001Z", "before:2026-03-31T00:21:00.5Z", "before:2026-03-31", "after:-2d",
	`"words two"`, "STRASSE", "eedle", "alic", `"stack needle"`, `"alice carol"`, "nowhere", `"two ahead"`, `"two words ahead"*`,
	"e-1", "session", "4711", "u-8", "T-9", "203.0.113", "203.0.113.8", "pkg:npm/oth", "witness",
	"*eedlx*", "*e-1*", "*4711*",
	"alice outcome:failure project:plain", "nobody OR nowhere", "alice -alice", "-(alice OR nobody)", "(nobody OR nowhere) alice", "NOT (alice plain)", "-metadata.rows:*",
}

// TestMatch checks each kind of term against one event. What it misses nobody
// will see, and nobody will know.
func TestMatch(t *testing.T) {
	fields := fieldsOf(t, published)
	for want, texts := range map[bool][]string{true: finds, false: misses} {
		for _, text := range texts {
			if got := parse(t, text).Match(fields, derive); got != want {
				t.Errorf("%q matches = %t, want %t", text, got, want)
			}
		}
	}
}

// TestMatchNothing checks that a term about what an event does not have does
// not hold, and its Not does.
func TestMatchNothing(t *testing.T) {
	fields := event.Fields{event.StringField("actor.type", "system"), event.StringField("id", "e-2")}
	for _, term := range []string{
		"tag:*", "class:user", "outcome:success", "severity:info", "actor:*", "on_behalf_of:*", "user:*", "project:*", "org:*", "ip:::/0", "token:*",
		"country:NL", "client:*", "version:*", "request:*", "source:*", "trust:witnessed", "metadata.a:*", "after:1970-01-01", "before:9999-01-01", "system", "*e*",
	} {
		if parse(t, term).Match(fields, derive) {
			t.Errorf("%s holds for an event without it", term)
		}
		if !parse(t, "-"+term).Match(fields, derive) {
			t.Errorf("-%s does not hold for an event without it", term)
		}
	}
}

// TestMatchEmpty checks that an empty value is one of metadata, and no key.
func TestMatchEmpty(t *testing.T) {
	fields := event.Fields{event.StringField("actor.name", ""), event.StringField("context.user_agent", "(x)"), event.StringField("metadata.a", "")}
	for text, want := range map[string]bool{"actor:*": false, "client:*": false, "metadata.a:*": true, "metadata.a:x*": false} {
		q := parse(t, text)
		if got := q.Match(fields, nil); got != want {
			t.Errorf("%q matches = %t, want %t", text, got, want)
		}
		if term := q.Root.(*query.Term); term.Matches(nil) != want {
			t.Errorf("%q matches an empty key = %t, want %t", text, !want, want)
		}
	}
}

// TestMatchWithoutDerive checks that nothing is derived where nothing can be.
func TestMatchWithoutDerive(t *testing.T) {
	fields := fieldsOf(t, published)
	for _, d := range []*query.Derive{nil, {}} {
		for text, want := range map[string]bool{"severity:high": false, "country:NL": false, "-severity:high": true, "class:project": true} {
			if got := parse(t, text).Match(fields, d); got != want {
				t.Errorf("%q matches = %t, want %t", text, got, want)
			}
		}
	}
}

// TestWordsNarrow checks that who looks for a term's words, or its keys, finds
// every event for which it holds: an index does.
func TestWordsNarrow(t *testing.T) {
	fields := fieldsOf(t, published)
	var keys query.Keys
	for i := range fields {
		keys.Add(&fields[i])
	}
	keys.End()
	for _, text := range append(finds, misses...) {
		for _, term := range termsOf(parse(t, text).Root) {
			if len(term.Words) == 0 {
				continue
			}
			holds := (&query.Query{Root: term}).Match(fields, derive)
			might := false
			for i := range fields {
				f := &fields[i]
				might = might || query.IsText(f) && hasPhrase(wordsOf(string(f.Value)), term) ||
					term.Kind == query.Metadata && f.Name == "metadata."+term.Name && !query.IsText(f)
			}
			for _, k := range keys.List {
				key := term.KeyOf(k.Kind)
				might = might || key != nil && string(key) == string(k.Value)
			}
			if holds && !might || term.Kind == query.Text && holds != might {
				t.Errorf("%s holds = %t; by its words %q and keys %t", term, holds, term.Words, might)
			}
		}
	}
}

// termsOf returns all terms of n.
func termsOf(n query.Node) []*query.Term {
	var inner []query.Node
	switch n := n.(type) {
	case *query.Term:
		return []*query.Term{n}
	case *query.Not:
		inner = []query.Node{n.Node}
	case query.And:
		inner = n
	case query.Or:
		inner = n
	}
	var terms []*query.Term
	for _, one := range inner {
		terms = append(terms, termsOf(one)...)
	}
	return terms
}

// hasPhrase reports whether t's words stand one after another in words.
func hasPhrase(words []string, t *query.Term) bool {
	for i := 0; i+len(t.Words) <= len(words); i++ {
		fits := true
		for k, w := range t.Words {
			last := t.Prefix && k == len(t.Words)-1
			fits = fits && (words[i+k] == string(w) || last && strings.HasPrefix(words[i+k], string(w)))
		}
		if fits {
			return true
		}
	}
	return false
}

// TestPhrase checks that words one after another are found wherever they begin,
// also after a beginning that came to nothing.
func TestPhrase(t *testing.T) {
	words := func(most int) *rapid.Generator[[]string] {
		return rapid.SliceOfN(rapid.SampledFrom([]string{"a", "a", "b", "ab"}), 1, most)
	}
	for value, phrase := range map[string]string{"a a a b": "a a b", "a b a a b a b": "a b a b", "a a b a a a b a a a c": "a a b a a a c"} {
		if !parse(t, `"`+phrase+`"`).Match(event.Fields{event.StringField("reason", value)}, nil) {
			t.Errorf("%q is not found in %q", phrase, value)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		value, phrase := strings.Join(words(14).Draw(t, "value"), " "), strings.Join(words(5).Draw(t, "phrase"), " ")
		star := rapid.SampledFrom([]string{"", "*"}).Draw(t, "star")
		q, err := query.Parse(`"`+phrase+`"`+star, now)
		if err != nil {
			t.Fatal(err)
		}
		got := q.Match(event.Fields{event.StringField("reason", value)}, nil)
		if want := hasPhrase(wordsOf(value), q.Root.(*query.Term)); got != want {
			t.Fatalf("%q holds for %q = %t, want %t", q, value, got, want)
		}
	})
}

// TestAnd checks that adding terms leaves the query as it was.
func TestAnd(t *testing.T) {
	after, err := query.NewTerm(query.After, "-1d", now)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":               "after:-1d",
		"alice":          "alice after:-1d",
		"alice bob":      "alice bob after:-1d",
		"alice OR bob":   "(alice OR bob) after:-1d",
		"-(alice bob)":   "-(alice bob) after:-1d",
		"a (b OR c) (d)": "a (b OR c) d after:-1d",
	} {
		q := parse(t, text)
		before := q.String()
		if got := q.And(after).String(); got != want || q.String() != before {
			t.Errorf("%q and after:-1d is %q, want %q; it was %q and is %q", text, got, want, before, q)
		}
		one := q.And(after)
		other, err := query.NewTerm(query.Actor, "bob", now)
		if err != nil {
			t.Fatal(err)
		}
		if q.And(other); one.String() != want {
			t.Errorf("%q and after:-1d becomes %q by adding another term to the same query", text, one)
		}
		if again := q.And(); again.String() != before {
			t.Errorf("%q and nothing is %q", text, again)
		}
	}
}

// TestNewTerm checks that the value of a term that a program makes is only ever
// compared: names are others' choice.
func TestNewTerm(t *testing.T) {
	for _, c := range []struct {
		kind        query.Kind
		value, want string
	}{
		{query.Actor, "a*", `actor:"a*"`},
		{query.Actor, "a OR b", `actor:"a OR b"`},
		{query.Project, `x" OR tag:*`, `project:"x\" OR tag:*"`},
		{query.Text, "-tag:x", `"-tag:x"`},
		{query.Before, "-7d", "before:-7d"},
		{query.IP, "203.0.113.0/24", "ip:203.0.113.0/24"},
	} {
		term, err := query.NewTerm(c.kind, c.value, now)
		if err != nil {
			t.Errorf("%s of %q: %v", c.kind, c.value, err)
			continue
		}
		if got := term.String(); got != c.want || term.Value != c.value || parse(t, got).String() != got {
			t.Errorf("%s of %q is %s, want %s", c.kind, c.value, got, c.want)
		}
	}
	for _, c := range []struct {
		kind  query.Kind
		value string
	}{
		{query.Before, "soon"},
		{query.Actor, ""},
		{query.Metadata, "x"},
		{query.Kind(99), "x"},
		{query.Actor, "a\x00"},
		{query.Actor, "a\xff"},
		{query.Text, "..."},
		{query.Actor, strings.Repeat("a", query.MaxBytes+1)},
		{query.Outcome, "den*"},
	} {
		if term, err := query.NewTerm(c.kind, c.value, now); err == nil {
			t.Errorf("%s of %.20q is taken: %s", c.kind, c.value, term)
		}
	}
}

// TestSpan checks the times that a query is bounded by. Bounds that are too
// narrow hide events; such that are too wide make every search read all.
func TestSpan(t *testing.T) {
	day := func(d int) int64 { return time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC).UnixMicro() }
	for _, c := range []struct {
		text          string
		after, before int64
	}{
		{"", math.MinInt64, math.MaxInt64},
		{"alice", math.MinInt64, math.MaxInt64},
		{"after:2026-03-01", day(1), math.MaxInt64},
		{"alice after:2026-03-01 before:2026-03-09", day(1), day(9)},
		{"after:2026-03-01 after:2026-03-05 before:2026-03-09 before:2026-03-07", day(5), day(7)},
		{"(after:2026-03-01 before:2026-03-02) OR (after:2026-03-07 before:2026-03-08)", day(1), day(8)},
		{"after:2026-03-05 OR alice", math.MinInt64, math.MaxInt64},
		{"(after:2026-03-05 OR after:2026-03-03) bob", day(3), math.MaxInt64},
		{"-after:2026-03-05", math.MinInt64, math.MaxInt64},
		{"after:2026-03-05 before:2026-03-01", day(5), day(1)},
	} {
		if after, before := parse(t, c.text).Span(); after != c.after || before != c.before {
			t.Errorf("%q spans %d to %d, want %d to %d", c.text, after, before, c.after, c.before)
		}
	}
}

// TestMatchManyFalseStarts checks that a phrase is looked for in time
// proportional to the text, whatever both are made of.
func TestMatchManyFalseStarts(t *testing.T) {
	value := []byte(strings.Repeat("a ", event.MaxTextBytes/2))
	fields := event.Fields{{Name: "reason", Type: event.String, Value: value}}
	q := parse(t, `"`+strings.Repeat("a ", 2000)+`b"`)
	fits := parse(t, `"`+strings.Repeat("a ", 2000)+`"`)
	start := time.Now()
	const times = 20
	for range times {
		if q.Match(fields, nil) || !fits.Match(fields, nil) {
			t.Fatal("a phrase is found that is not there, or not found")
		}
	}
	// It takes a millisecond; trying anew for each word takes a second.
	if took := time.Since(start) / times; took > 100*time.Millisecond {
		t.Errorf("one event takes %v", took)
	}
}
