package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What somebody called themselves, their package or their browser is text
// wherever a page shows it: it becomes no element, no attribute and no address of
// a script, and does not turn the text around it. In an audit log a name that can
// do any of these can hide an event.
func TestHostileValues(t *testing.T) {
	hostile := []string{
		`<script>alert(1)</script>`,
		`"><img src=x onerror=alert(1)>`,
		`' autofocus onfocus='alert(1)`,
		`javascript:alert(1)`,
		`</bdi></a></td></table><h1>Nothing happened</h1>`,
		`{{.CSRF}} &lt;b&gt; &#60;`,
		"abc\u202Egnp.exe",           // right to left, from here on
		"\u2066isolated\u200B\uFEFF", // begins a direction, and cannot be seen
		"\uFDD00\uFDD1mark\uFDD2",    // what the console marks parts of sentences with
		"../../../search?q=x",
		strings.Repeat("W", 4000),
		"line\none\r\nid: 7\n\ndata: two",
		"שלום",
	}
	inBubble(t, func(t *testing.T, b *bench) {
		for i, name := range hostile {
			b.record(hostileEvent(i, name))
		}
		admin := b.as("auditor")
		element := regexp.MustCompile(`(?i)<(script|img|h1|b)\b[^>]*>`)
		attribute := regexp.MustCompile(`(?i)<[^>"]*(?:"[^"]*"[^>"]*)*\s(?:on[a-z]+|autofocus)\s*=`)
		paths := []string{"/search", "/search?order=oldest"}
		for i, name := range hostile {
			paths = append(paths, "/event/"+strconv.Itoa(i), "/search?"+url.Values{"q": {name}}.Encode(), "/search?"+url.Values{"q": {`"` + name}, "after": {name}}.Encode())
		}
		for _, path := range paths {
			w := admin.get(path)
			if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
				t.Errorf("%.100s = %d", path, w.Code)
			}
			page := w.Body.String()
			for _, m := range element.FindAllString(page, -1) {
				if !strings.HasPrefix(m, `<script type="module" src="/static/`) && !strings.HasPrefix(m, "<h1>") && m != `<h1 class="unseen">` && m != `<h1 class="sentence">` {
					t.Errorf("%.100s has the element %s", path, m)
				}
			}
			if m := attribute.FindString(page); m != "" {
				t.Errorf("%.100s has the attribute %s", path, m)
			}
			if strings.Contains(page, "<h1>Nothing") || strings.Contains(strings.ToLower(page), `href="javascript:`) {
				t.Errorf("%.100s has what somebody wrote as markup", path)
			}
			if strings.ContainsAny(outsideBoxes(page), "\u202E\u2066\uFDD0\uFDD1\uFDD2") {
				t.Errorf("%.100s has characters that turn or mark text", path)
			}
		}
		says(t, admin.page("/event/6", http.StatusOK), "abcU+202Egnp.exe")
	})
}

// outsideBoxes returns a page without what stands in the box of the query, where a
// text has to be as it was typed.
func outsideBoxes(page string) string {
	return regexp.MustCompile(`value="[^"]*"`).ReplaceAllString(page, "")
}

// hostileEvent returns an event that says name wherever it can.
func hostileEvent(i int, name string) string {
	short := name
	if len(short) > 200 {
		short = short[:200]
	}
	said, id := strconv.Quote(name), strconv.Quote(short)
	for from, to := range map[string]string{`\u202e`: "\u202E", `\ufeff`: "\uFEFF", `\u200b`: "\u200B", `\u2066`: "\u2066"} {
		said, id = strings.ReplaceAll(said, from, to), strings.ReplaceAll(id, from, to)
	}
	return `{"id":"h-` + strconv.Itoa(i) + `","tag":"project:release:add","time":"2026-03-31T00:00:00Z","outcome":"denied",
 "actor":{"type":"user","id":` + id + `,"name":` + said + `},"on_behalf_of":{"type":"user","id":` + id + `,"name":` + said + `},
 "credential":{"kind":"token","id":` + id + `,"name":` + said + `,"mfa":"none"},
 "subjects":[{"type":"project","id":` + id + `,"name":` + said + `},{"type":"version","id":` + id + `,"name":` + said + `,"version":` + said + `},
  {"type":"user","id":` + id + `,"name":` + said + `}],
 "context":{"ip":"203.0.113.9","user_agent":` + said + `,"request_id":` + id + `},
 "changes":[{"field":"x","old":` + said + `,"new":` + said + `}],
 "metadata":{"version":` + said + `,"via":"token","own":` + said + `},"reason":` + said + `}`
}
