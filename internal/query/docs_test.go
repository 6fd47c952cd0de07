package query_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/query"
)

// TestDocs checks that the examples of the reference are queries, and that it
// has every qualifier.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../../docs/query.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	_, examples, _ := strings.Cut(page, "```\n")
	examples, rest, _ := strings.Cut(examples, "```\n")
	for line := range strings.Lines(examples) {
		text, _, _ := strings.Cut(line, "   ")
		parse(t, strings.TrimSpace(text))
	}
	// Elsewhere, what stands in code and is a qualifier with a value.
	found := regexp.MustCompile("`([a-z_]+(?:\\.via|\\.rows|\\.attested)?:[^`]+)`").FindAllStringSubmatch(rest, -1)
	for _, m := range found {
		if m[1] != "tag:a,b" && !strings.Contains(m[1], "…") {
			parse(t, m[1])
		}
	}
	for k := range query.Text {
		name := k.String() + ":"
		if name == "metadata:" {
			name = "metadata.KEY:"
		}
		if !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("docs/query.md does not have %s", name)
		}
	}
	if len(found) < 10 {
		t.Errorf("docs/query.md has %d examples of qualifiers", len(found))
	}
}
