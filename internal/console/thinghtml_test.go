package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var (
	headings = regexp.MustCompile(`<h([1-6])[ >]`)
	heads    = regexp.MustCompile(`<th\b[^>]*>`)
	idents   = regexp.MustCompile(`\sid="([^"]*)"`)
	inputs   = regexp.MustCompile(`<(?:input|select|textarea)\b[^>]*>`)
	anchors  = regexp.MustCompile(`(?s)<a\b[^>]*href="([^"]*)"[^>]*>(.*?)</a>`)
	inline   = regexp.MustCompile(`(?i)<(?:style\b|script>|[^>]*\sstyle=)`)
	regions  = regexp.MustCompile(`<div class="scroll"[^>]*>`)
)

// Who listens to a page, or goes through it by its keys, finds their way: headings
// in order, cells with their heads, fields with their names, links that say where
// they lead. The rest is for a browser to judge.
func TestThingsAreWellFormed(t *testing.T) {
	with(t, "member", member)
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		b.record(orgEvents...)
		admin := b.as("admin")
		admin.reveal("/network/"+attacker, "to see it")
		for _, c := range []struct {
			who  *browser
			path string
		}{
			{b.as(""), project},
			{b.as(""), project + "?at=2026-03-31"},
			{b.as("owner"), project + "?at=2026-03-31"},
			{admin, project},
			{b.as("alice"), "/user/user-alice"},
			{admin, "/user/user-alice"},
			{admin, "/token/tok-13"},
			{b.as("alice"), "/token/tok-13"},
			{b.as("member"), "/org/org-1?at=2026-01-05"},
			{admin, "/network/" + attacker},
			{admin, "/network/203.0.113.78"},
			{b.as(""), "/user/nobody"},
		} {
			status := http.StatusOK
			if c.path == "/user/nobody" {
				status = http.StatusNotFound
			}
			wellFormed(t, c.path, c.who.page(c.path, status))
		}
	})
}

func wellFormed(t *testing.T, path, page string) {
	t.Helper()
	level := 0
	for i, m := range headings.FindAllStringSubmatch(page, -1) {
		next := int(m[1][0] - '0')
		if next > level+1 || next == 1 && i > 0 {
			t.Errorf("%s: heading %d has level %d after %d", path, i, next, level)
		}
		level = next
	}
	for _, head := range heads.FindAllString(page, -1) {
		if !strings.Contains(head, `scope="`) {
			t.Errorf("%s: %s has no scope", path, head)
		}
	}
	known := make(map[string]bool)
	for _, m := range idents.FindAllStringSubmatch(page, -1) {
		if known[m[1]] {
			t.Errorf("%s: the id %q is there twice", path, m[1])
		}
		known[m[1]] = true
	}
	for _, input := range inputs.FindAllString(page, -1) {
		named := strings.Contains(input, `aria-label="`) || strings.Contains(input, `type="hidden"`)
		at := strings.Index(page, input)
		open, shut := strings.LastIndex(page[:at], "<label"), strings.LastIndex(page[:at], "</label>")
		if !named && open <= shut {
			t.Errorf("%s: %s has no label", path, input)
		}
	}
	for _, m := range anchors.FindAllStringSubmatch(page, -1) {
		if strings.TrimSpace(text(m[2])) == "" || m[1] == "" {
			t.Errorf("%s: the link to %q says %q", path, m[1], m[2])
		}
		if id, ok := strings.CutPrefix(m[1], "#"); ok && !known[id] {
			t.Errorf("%s: a link leads to #%s, which is not there", path, id)
		}
	}
	for _, region := range regions.FindAllString(page, -1) {
		if !strings.Contains(region, `role="region" aria-label="`) && !strings.Contains(region, `role="group" aria-label="`) || !strings.Contains(region, `tabindex="0"`) {
			t.Errorf("%s: %s cannot be named or reached", path, region)
		}
	}
	if m := inline.FindString(page); m != "" {
		t.Errorf("%s: %s would not pass the policy", path, m)
	}
	for _, open := range []string{"table", "section", "dl", "ol", "ul", "div", "span", "td", "th"} {
		if a, z := len(regexp.MustCompile(`<`+open+`\b`).FindAllString(page, -1)), strings.Count(page, "</"+open+">"); a != z {
			t.Errorf("%s: %d <%s>, %d </%s>", path, a, open, z, open)
		}
	}
}
