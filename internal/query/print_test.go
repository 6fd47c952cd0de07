package query_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/query"
)

// drawTerm draws a term as somebody may write it.
func drawTerm(t *rapid.T) string {
	value := rapid.OneOf(
		rapid.SampledFrom([]string{"a", "alice", "x:y", "-a", "OR", "NOT", "AND", "a,b", "a b", "(", ")", `\`, `"`, "*", "pkg:npm/%40a/b", "fe80::1", "é", "a\u00a0b", "!", ""}),
		rapid.StringMatching(`[a-zA-Z0-9:*()" ,.\\@-]{1,8}`),
		rapid.StringN(1, 8, -1),
	).Draw(t, "value")
	quote := func(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
	return rapid.SampledFrom([]func() string{
		func() string { return value },
		func() string { return quote(value) },
		func() string { return quote(value) + "*" },
		func() string { return value + "*" },
		func() string { return "*" + value + "*" },
		func() string { return "*" + quote(value) + "*" },
		func() string {
			name := rapid.SampledFrom([]string{"tag:", "actor:", "user:", "project:", "client:", "metadata.k:", "metadata.a.b:", "foo:"}).Draw(t, "qualifier")
			return name + rapid.SampledFrom([]string{value, value + "*", quote(value), quote(value) + "*", "*"}).Draw(t, "as")
		},
		func() string {
			return rapid.SampledFrom([]string{
				"ip:203.0.113.0/24", "ip:::1", "outcome:denied", "class:user", "severity:high", "country:nl", "trust:imported", "after:-7d",
				"before:2026-03-01", "after:2026-03-01T00:00:00+02:00", `outcome:"denied"`,
			}).Draw(t, "fixed")
		},
	}).Draw(t, "form")()
}

// drawQuery draws a text which often is a query.
func drawQuery(t *rapid.T, depth int) string {
	n := rapid.IntRange(1, 4).Draw(t, "operands")
	parts := make([]string, n)
	for i := range parts {
		part := ""
		if depth < 4 && rapid.IntRange(0, 3).Draw(t, "nested") == 0 {
			part = "(" + drawQuery(t, depth+1) + ")"
		} else {
			part = drawTerm(t)
		}
		parts[i] = rapid.SampledFrom([]string{"", "", "-", "NOT "}).Draw(t, "negated") + part
	}
	var text strings.Builder
	text.WriteString(parts[0])
	for _, part := range parts[1:] {
		text.WriteString(rapid.SampledFrom([]string{" ", "  ", " OR ", "\tOR\n"}).Draw(t, "between") + part)
	}
	return text.String()
}

// checkPrint checks what printing promises of one text.
func checkPrint(t rapid.TB, text string) {
	q, err := query.Parse(text, now)
	if err != nil {
		e, ok := errors.AsType[*query.Error](err)
		if !ok || e.Column < 1 || e.Column > len([]rune(text))+1 || e.Expected == "" {
			t.Fatalf("Parse(%q) = %#v, want an *Error with a column of it", text, err)
		}
		return
	}
	printed := q.String()
	if len(printed) > len(text) {
		t.Fatalf("%q is printed as %q, which is longer", text, printed)
	}
	again, err := query.Parse(printed, now)
	if err != nil {
		t.Fatalf("Parse(%q), printed from %q: %v", printed, text, err)
	}
	if again.String() != printed || shape(again.Root) != shape(q.Root) || !reflect.DeepEqual(again, q) {
		t.Fatalf("%q is printed as %q and that as %q; read as %s and as %s", text, printed, again, shape(q.Root), shape(again.Root))
	}
}

// TestPrint checks that a query printed is the same query, and prints the same:
// consoles show it, links carry it, people change it.
func TestPrint(t *testing.T) {
	fields := fieldsOf(t, published)
	read := 0
	rapid.Check(t, func(t *rapid.T) {
		text := drawQuery(t, 0)
		checkPrint(t, text)
		if q, err := query.Parse(text, now); err == nil {
			read++
			q.Match(fields, derive) // must end
		}
	})
	if read == 0 {
		t.Error("no text that was drawn is a query")
	}
}

// FuzzParse checks that no text breaks the parser, that a query printed is the
// same query, and that neither takes long.
func FuzzParse(f *testing.F) {
	for _, text := range append(append([]string(nil), finds...), misses...) {
		f.Add(text)
	}
	for _, text := range []string{
		`a OR -(b "c d"* *e*) NOT f`, `"a:b" tag:x:* project:"my project"`, "-", "((", "a)", "é\u00a0x", `"`, `"\`, "*", "metadata.:", "OR", "a,b:c", "tag:a,b",
		strings.Repeat("(", 30), strings.Repeat("-(", 10) + "a" + strings.Repeat(")", 10), strings.Repeat("a ", 64), "*\"*\"*", "\"a\"*b",
	} {
		f.Add(text)
	}
	fields := fieldsOf(f, published)
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		checkPrint(t, text)
		if q, err := query.Parse(text, now); err == nil {
			q.Match(fields, derive)
			q.Span()
		}
		if took := time.Since(start); took > time.Second {
			t.Fatalf("%q takes %v", text, took)
		}
	})
}

// TestTimeOfParse checks that what is long, or repeats what may have to be
// looked at again, is read in time proportional to its length.
func TestTimeOfParse(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("(", query.MaxBytes), strings.Repeat("-", query.MaxBytes), strings.Repeat("a:", query.MaxBytes/2),
		strings.Repeat("OR ", query.MaxBytes/3), `"` + strings.Repeat(`\"`, query.MaxBytes/2-1) + `"`, "*" + strings.Repeat("*", query.MaxBytes-1),
		`"` + strings.Repeat("a ", query.MaxBytes/2-1) + `"`, "tag:" + strings.Repeat("é", query.MaxBytes/2-2),
	} {
		start := time.Now()
		for range 10 {
			checkPrint(t, text)
		}
		if took := time.Since(start) / 10; took > 100*time.Millisecond {
			t.Errorf("%.20q… of %d bytes takes %v", text, len(text), took)
		}
	}
}
