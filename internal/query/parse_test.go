package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// shape writes n with every parenthesis, so that it can be seen how it was read.
func shape(n query.Node) string {
	list := func(name string, nodes []query.Node) string {
		var b strings.Builder
		b.WriteString(name + "(")
		for i, inner := range nodes {
			if i > 0 {
				b.WriteString(" ")
			}
			b.WriteString(shape(inner))
		}
		return b.String() + ")"
	}
	switch n := n.(type) {
	case query.And:
		return list("and", n)
	case query.Or:
		return list("or", n)
	case *query.Not:
		return list("not", []query.Node{n.Node})
	case *query.Term:
		text := fmt.Sprintf("%s=%s", n.Kind, n.Value)
		if n.Kind == query.Metadata {
			text = fmt.Sprintf("%s.%s=%s", n.Kind, n.Name, n.Value)
		}
		if n.Prefix {
			text += "…"
		}
		if n.Substring != nil {
			text = fmt.Sprintf("%s=…%s…", n.Kind, n.Substring)
		}
		return text
	}
	return ""
}

// TestParse checks how a text is read and printed. A query that is read
// otherwise than meant hides events.
func TestParse(t *testing.T) {
	for _, c := range []struct{ text, shape, printed string }{
		{"", "", ""},
		{" \t\u00a0\n", "", ""},
		{"a", "text=a", "a"},
		{"a b  c", "and(text=a text=b text=c)", "a b c"},
		{"a OR b", "or(text=a text=b)", "a OR b"},
		{"a b OR c d", "or(and(text=a text=b) and(text=c text=d))", "a b OR c d"},
		{"a (b OR c) d", "and(text=a or(text=b text=c) text=d)", "a (b OR c) d"},
		{"(a b) OR c", "or(and(text=a text=b) text=c)", "a b OR c"},
		{"(a b) c", "and(text=a text=b text=c)", "a b c"},
		{"(a OR b) OR c", "or(text=a text=b text=c)", "a OR b OR c"},
		{"((( a )))", "text=a", "a"},
		{"( a\tOR(b))", "or(text=a text=b)", "a OR b"},
		{"-a", "not(text=a)", "-a"},
		{"NOT a", "not(text=a)", "-a"},
		{"a NOT b", "and(text=a not(text=b))", "a -b"},
		{"-a OR -b c", "or(not(text=a) and(not(text=b) text=c))", "-a OR -b c"},
		{"-(a b)", "not(and(text=a text=b))", "-(a b)"},
		{"NOT(a OR b)", "not(or(text=a text=b))", "-(a OR b)"},
		{"-(a)", "not(text=a)", "-a"},
		{"-(-a)", "text=a", "a"},
		{"-(NOT (a b)) c", "and(text=a text=b text=c)", "a b c"},
		{"-(-(a OR b)) c", "and(or(text=a text=b) text=c)", "(a OR b) c"},
		{"or not and", "and(text=or text=not text=and)", "or not and"},
		{`"OR" "NOT" "AND" ORB`, "and(text=OR text=NOT text=AND text=ORB)", `"OR" "NOT" "AND" ORB`},
		{`OR* NOT*`, "and(text=OR… text=NOT…)", `OR* NOT*`},
		{`"two words"`, "text=two words", `"two words"`},
		{`"one"`, "text=one", "one"},
		{`"say \"\\"`, `text=say "\`, `"say \"\\"`},
		{`a\b`, `text=a\b`, `a\b`},
		{`"-a" "!a" "|a" "&a" "a(b)"`, "and(text=-a text=!a text=|a text=&a text=a(b))", `"-a" "!a" "|a" "&a" "a(b)"`},
		{"a-b", "text=a-b", "a-b"},
		{"wor*", "text=wor…", "wor*"},
		{`"two wor"*`, "text=two wor…", `"two wor"*`},
		{`"wor"*`, "text=wor…", "wor*"},
		{`"wor*"`, "text=wor*", `"wor*"`},
		{"*PaRt*", "text=…part…", "*PaRt*"},
		{`*"a b"* *"-"* *a:b*`, "and(text=…a b… text=…-… text=…a:b…)", `*"a b"* *-* *a:b*`},
		{`*"*"*`, "text=…*…", `*"*"*`},
		{"pkg:npm/x", "text=pkg:npm/x", "pkg:npm/x"},
		{"2001:db8::1 fe80::1 ::1 12:30", "and(text=2001:db8::1 text=fe80::1 text=::1 text=12:30)", "2001:db8::1 fe80::1 ::1 12:30"},
		{`"fe80::1"*`, "text=fe80::1…", `"fe80::1"*`},
		{`"tag:x"`, "text=tag:x", `"tag:x"`},
		{"tag:a:b", "tag=a:b", "tag:a:b"},
		{"tag:a:*", "tag=a:…", "tag:a:*"},
		{`tag:"a:"*`, "tag=a:…", "tag:a:*"},
		{"tag:*", "tag=…", "tag:*"},
		{`actor:"a*"`, "actor=a*", `actor:"a*"`},
		{`actor:"a b"*`, "actor=a b…", `actor:"a b"*`},
		{`actor:"alice"`, "actor=alice", "actor:alice"},
		{`actor:"a,b"`, "actor=a,b", `actor:"a,b"`},
		{`actor:"a)" actor:-x actor:OR`, "and(actor=a) actor=-x actor=OR)", `actor:"a)" actor:-x actor:OR`},
		{"(actor:a)", "actor=a", "actor:a"},
		{`-project:"my project"`, "not(project=my project)", `-project:"my project"`},
		{"metadata.a.b-c_D:x metadata.k:*", "and(metadata.a.b-c_D=x metadata.k=…)", "metadata.a.b-c_D:x metadata.k:*"},
		{"class:audit outcome:unknown severity:critical trust:imported", "and(class=audit outcome=unknown severity=critical trust=imported)", "class:audit outcome:unknown severity:critical trust:imported"},
		{"country:nl client:NPM", "and(country=nl client=NPM)", "country:nl client:NPM"},
		{"on_behalf_of:a user:b org:c version:1 request:r source:s token:t", "and(on_behalf_of=a user=b org=c version=1 request=r source=s token=t)", "on_behalf_of:a user:b org:c version:1 request:r source:s token:t"},
		{"ip:10.0.0.0/8 ip:::1", "and(ip=10.0.0.0/8 ip=::1)", "ip:10.0.0.0/8 ip:::1"},
		{"after:-7d before:2026-03-01", "and(after=-7d before=2026-03-01)", "after:-7d before:2026-03-01"},
		{strings.Repeat("(", query.MaxDepth) + "a" + strings.Repeat(")", query.MaxDepth), "text=a", "a"},
	} {
		q := parse(t, c.text)
		if got := shape(q.Root); got != c.shape {
			t.Errorf("%q is read as %s, want %s", c.text, got, c.shape)
		}
		if got := q.String(); got != c.printed {
			t.Errorf("%q is printed as %q, want %q", c.text, got, c.printed)
		}
	}
}

// TestParseTerm checks what a store compares.
func TestParseTerm(t *testing.T) {
	term := func(text string) *query.Term { return parse(t, text).Root.(*query.Term) }
	if got := term("project:pkg:npm/%40demo/*"); string(got.Key) != "pkg:npm/@demo/" || !got.Prefix {
		t.Errorf("project prefix is %q, %t", got.Key, got.Prefix)
	}
	if got := term("after:-7d"); got.Micros != now.Add(-7*24*time.Hour).UnixMicro() || got.Key != nil {
		t.Errorf("seven days ago is %d", got.Micros)
	}
	if got := term("ip:203.0.113.9/24"); fmt.Sprintf("%x %x", got.Key, got.Last) != "00000000000000000000ffffcb007100 00000000000000000000ffffcb0071ff" {
		t.Errorf("range is %x to %x", got.Key, got.Last)
	}
	if got := term("country:nl"); string(got.Key) != "NL" {
		t.Errorf("country is %q", got.Key)
	}
	if got := term("client:NPM"); string(got.Key) != "npm" {
		t.Errorf("client is %q", got.Key)
	}
	for text, want := range map[string]string{
		"Two-words":             `["two" "words"]`,
		"*Two*":                 `[]`,
		"metadata.k:Two-words":  `["two" "words"]`,
		"metadata.k:Two-*":      `["two"]`,
		"metadata.k:*":          `[]`,
		"metadata.k:4711":       `["4711"]`,
		"metadata.k:-4*":        `["4"]`,
		"metadata.k:true":       `["true"]`,
		"metadata.k:\"a\tb\"":   `[]`, // in JSON it is a\tb
		"metadata.k:1.5":        `["1" "5"]`,
		"actor:alice":           `[]`,
		strings.Repeat("x", 99): `["` + strings.Repeat("x", 64) + `"]`,
		"pkg:npm/%40demo/pkg":   `["pkg" "npm" "40demo" "pkg"]`,
	} {
		if got := fmt.Sprintf("%q", term(text).Words); got != want {
			t.Errorf("words of %q are %s, want %s", text, got, want)
		}
	}
	text := term("pkg:npm/%40demo/pkg")
	if string(text.KeyOf(query.Project)) != "pkg:npm/@demo/pkg" || string(text.KeyOf(query.Actor)) != "pkg:npm/%40demo/pkg" || text.KeyOf(query.IP) != nil || text.KeyOf(query.Class) != nil {
		t.Error("a package URL as text has other keys")
	}
	if got := term("203.0.113.9").KeyOf(query.IP); fmt.Sprintf("%x", got) != "00000000000000000000ffffcb007109" {
		t.Errorf("an address as text has the key %x", got)
	}
	if got := term("alic*").KeyOf(query.Actor); got != nil {
		t.Errorf("the beginning of a word has the key %q", got)
	}
}

// TestChoices checks that the words of other packages are values here.
func TestChoices(t *testing.T) {
	var texts []string
	for _, class := range event.Classes {
		texts = append(texts, "class:"+class)
	}
	for _, s := range []catalogue.Severity{catalogue.Info, catalogue.Warn, catalogue.High, catalogue.Critical} {
		texts = append(texts, "severity:"+string(s))
	}
	for _, text := range append(texts, "trust:witnessed", "trust:imported", "outcome:success", "outcome:failure", "outcome:denied", "outcome:unknown") {
		parse(t, text)
	}
}

// TestErrors checks that a text that cannot be understood is refused at the
// right column, with what may help.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, text     string
		column         int
		expected, hint string
	}{
		{"unknown qualifier", "tag:a foo:bar", 7, "a qualifier", "qualifiers are tag:, class:"},
		{"slip of a qualifier", "projct:x", 1, "a qualifier", "did you mean project:?"},
		{"swapped letters", "porject:x", 1, "a qualifier", "did you mean project:?"},
		{"capital letter", "(Actor:x)", 2, "a qualifier", "did you mean actor:?"},
		{"short slip", "pi:x", 1, "a qualifier", "did you mean ip:?"},
		{"metadata without key", "metadata:x", 1, "a qualifier", "metadata.KEY:"},
		{"metadata with an empty key", "metadata.:x", 1, "a qualifier", "metadata.KEY:"},
		{"metadata with a long key", "metadata." + strings.Repeat("k", 101) + ":x", 10, "1 to 100", ""},
		{"long unknown qualifier", strings.Repeat("k", 200) + ":x", 1, "a qualifier", "qualifiers are"},
		{"text as a qualifier", "text:x", 1, "a qualifier", ""},
		{"tag without qualifier", "x audit:api_key:create", 3, "a qualifier", "tag:audit:api_key:create"},
		{"address of a page", "https://example.com", 1, "text in quotes", ""},
		{"no value", "tag:a actor:", 13, "a value after actor:", ""},
		{"no value before a parenthesis", "(actor:)", 8, "a value after actor:", ""},
		{"parenthesis as value", "tag:(a OR b)", 5, "a value after tag:", "(tag:a OR tag:b)"},
		{"empty quotes", `""`, 1, "text between the quotes", ""},
		{"empty quoted value", `tag:""`, 5, "a value after tag:", ""},
		{"nothing before *", `tag:""*`, 7, "a space", ""},
		{"open quotes", `é "abc`, 7, "column 3", ""},
		{"open quoted value", `tag:"abc`, 9, "column 5", ""},
		{"text after quotes", `"a"b`, 4, "a space", ""},
		{"text after quotes and *", `"a"*b`, 5, "a space", ""},
		{"quote in a word", `a"b`, 2, "a space", ""},
		{"quote in a value", `tag:a"b`, 6, "a space", ""},
		{"bad escape", `"a\n"`, 4, "after a", ""},
		{"escape at the end", `"a\`, 4, "after a", ""},
		{"list of values", "tag:a,b", 6, "one value", "(tag:a OR tag:b)"},
		{"list of times", "x after:-7d,-8d", 12, "one value", "(after:a OR after:b)"},
		{"list of metadata", "metadata.k:a,b", 13, "one value", "(metadata.k:a OR metadata.k:b)"},
		{"minus alone", "a - b", 4, "after -", ""},
		{"minus at the end", "a -", 4, "after -", ""},
		{"two minus", "--a", 2, "after -", "quotes"},
		{"minus before )", "(-)", 3, "after -", ""},
		{"minus before OR", "-OR b", 2, "after -", ""},
		{"NOT at the end", "a NOT", 6, "after NOT", ""},
		{"NOT NOT", "NOT NOT a", 5, "after NOT", ""},
		{"NOT OR", "NOT OR a", 5, "after NOT", ""},
		{"OR first", "OR a", 1, "a term before OR", `"OR"`},
		{"OR last", "a OR", 5, "a term after OR", ""},
		{"OR OR", "a OR OR b", 6, "a term", ""},
		{"OR first in parentheses", "x (OR a)", 4, "a term before OR", ""},
		{"OR last in parentheses", "(a OR )", 7, "a term after OR", ""},
		{"AND", "a AND b", 3, "in quotes", "side by side"},
		{"&&", "a && b", 3, "in quotes", "side by side"},
		{"||", "a || b", 3, "in quotes", "OR"},
		{"!", "a !b", 3, "in quotes", "-word"},
		{"open parenthesis", "é (a", 5, "column 3", ""},
		{"open parenthesis of two", "((a)", 5, "column 1", ""},
		{"closed too often", "a) b", 2, "a ( somewhere before", "quotes"},
		{"only closed", ")", 1, "a ( somewhere before", ""},
		{"closed after OR", "a OR )", 6, "a ( somewhere before", ""},
		{"empty parentheses", "a ( )", 5, "a term between the parentheses", ""},
		{"word before (", "a(b)", 2, "a space", "quotes"},
		{"value before (", "actor:a(b)", 8, "a space", "quotes"},
		{"word after )", "(a)b", 4, "a space", ""},
		{"( after )", "(a)(b)", 4, "a space", ""},
		{"too deep", strings.Repeat("(", 17) + "a" + strings.Repeat(")", 17), 17, "at most 16", ""},
		{"star within a tag", "tag:a*b", 6, "one * at its end", "quotes"},
		{"star first", "actor:*a", 7, "one * at its end", ""},
		{"two stars", "tag:a**", 6, "one * at its end", ""},
		{"star within a word", "a*b", 2, "one * at its end", ""},
		{"star before a word", "x *ab", 6, "a * after", "*part*"},
		{"star alone", "*", 2, "between the asterisks", ""},
		{"two stars alone", "**", 2, "between the asterisks", ""},
		{"three stars", "***", 2, "one * at its end", ""},
		{"star after no word", "@demo/*", 1, "a letter or digit before", ""},
		{"no words", "@ x", 1, "a letter or digit", "*text*"},
		{"no words in quotes", `x " . "`, 3, "a letter or digit", ""},
		{"no address", "ip:300.1.1.1", 4, "an address", ""},
		{"address with zone", "ip:fe80::1%eth0", 4, "an address", ""},
		{"beginning of an address", "ip:10.*", 4, "an address", ""},
		{"range too long", "ip:10.0.0.0/33", 4, "an address", ""},
		{"no outcome", "outcome:won", 9, "one of success", ""},
		{"beginning of an outcome", "outcome:den*", 9, "one of success", ""},
		{"quoted beginning of an outcome", `outcome:"denied"*`, 17, "a space", ""},
		{"no class", "class:users", 7, "one of user,", ""},
		{"no severity", "severity:>=high", 10, "one of info, warn, high, critical", ""},
		{"no trust", "trust:yes", 7, "one of witnessed, imported", ""},
		{"no country", "country:Holland", 9, "two letters", ""},
		{"no time", "after:yesterday", 7, "a day", ""},
		{"time without zone", "after:2026-03-01T00:00:00", 7, "a day", ""},
		{"ago without unit", "after:-7", 7, "a day", ""},
		{"ago of nothing", "after:-", 7, "a day", ""},
		{"ago of a unit", "after:-d", 7, "a day", ""},
		{"ago too long", "before:-4000000000w", 8, "a day", ""},
		{"control character", "a\x00", 2, "can be seen", ""},
		{"control character in quotes", "x \"é\x1b\"", 5, "can be seen", ""},
		{"invalid UTF-8", "é\xff", 2, "UTF-8", ""},
		{"too long", strings.Repeat("é", query.MaxBytes/2) + "x", query.MaxBytes/2 + 1, "4096 bytes", ""},
		{"too many terms", strings.Repeat("a ", query.MaxTerms) + "b", 2*query.MaxTerms + 1, "64 terms", ""},
		{"too many terms within", strings.Repeat("(a OR b) ", query.MaxTerms/2) + "c", 9*query.MaxTerms/2 + 1, "64 terms", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := query.Parse(c.text, now)
			e, ok := errors.AsType[*query.Error](err)
			if !ok || e.Column != c.column || !strings.Contains(e.Expected, c.expected) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("Parse(%q) = %v, want column %d, %q and the hint %q", c.text, err, c.column, c.expected, c.hint)
			}
		})
	}
}
