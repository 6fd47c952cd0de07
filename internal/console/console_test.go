package console_test

import (
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestFrontPage checks that the page is complete, loads nothing from elsewhere,
// and that all it names is there.
func TestFrontPage(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		w := b.as("").get("/")
		says(t, w.Body.String(), "custody.test/log", "Nothing yet: the log is empty.", "v1.2.3", "custody verify", "project:NAME", "sign in")
		b.incident()
		says(t, b.as("").page("/", http.StatusOK), fmt.Sprintf("Events %d", sampled), fmt.Sprintf("%d events, root", sampled))
	})
}

// Every answer says what a browser may do with it: load what is here, and
// nothing else. A page without the policy would run whatever a name smuggles in.
func TestPolicy(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		for _, path := range []string{"/", "/search?q=project:demo-http", "/search?q=(", "/event/19", "/event/999", "/event/1/2/3", "/complete?q=a", "/signin", "/export"} {
			h := b.as("").get(path).Result().Header
			policy := h.Get("Content-Security-Policy")
			if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
				t.Errorf("%s: Content-Security-Policy = %q", path, policy)
			}
			if got := h.Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("%s: X-Content-Type-Options = %q", path, got)
			}
		}
	})
}

// A page has nothing in it that the policy forbids, or that is lost without
// scripts: no inline script, style or handler, and no element that is filled by
// a script and says something otherwise.
func TestPagesNeedNoScript(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin := b.as("admin")
		inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script(?:[^>]*)>[^<]`)
		for _, path := range []string{"/", "/search", "/search?q=)", "/event/19", "/event/999"} {
			page := admin.get(path).Body.String()
			if m := inline.FindString(page); m != "" {
				t.Errorf("%s has %q inline", path, m)
			}
			for _, m := range regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
				if !strings.HasPrefix(m[1], "/") && !strings.HasPrefix(m[1], "#") || strings.HasPrefix(m[1], "//") {
					t.Errorf("%s leads to %s, which is elsewhere", path, m[1])
				}
			}
		}
		says(t, admin.search("project:demo-http"), "alice published demo-http 1.3.1", "What happened", "Who did it")
	})
}

// Every link of a page leads somewhere: a dead one in evidence looks like
// something was taken away.
func TestLinksLead(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin := b.as("admin")
		seen := map[string]bool{"/checkpoint": true, "/openapi.yaml": true} // the API's
		for _, path := range []string{"/", "/search", "/event/19", "/search?q=token:tok-13"} {
			for _, m := range regexp.MustCompile(`(?:href|src)="([^"#]+)"`).FindAllStringSubmatch(admin.page(path, http.StatusOK), -1) {
				address := html.UnescapeString(m[1])
				if seen[address] {
					continue
				}
				seen[address] = true
				if code := admin.get(address).Code; code != http.StatusOK {
					t.Errorf("%s links %s, which is answered with %d", path, address, code)
				}
			}
		}
		if len(seen) < 100 {
			t.Errorf("only %d links were tried", len(seen))
		}
	})
}

// What a browser loads stays small, and keeps for ever under its address.
func TestBudget(t *testing.T) {
	const budget = 60 << 10 // 60 KiB of CSS and JavaScript
	inBubble(t, func(t *testing.T, b *bench) {
		page := b.as("").page("/", http.StatusOK)
		version := regexp.MustCompile(`/static/([0-9a-f]+)/`).FindStringSubmatch(page)[1]
		total := 0
		err := fs.WalkDir(os.DirFS("static"), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			w := b.as("").get("/static/" + version + "/" + path)
			if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s = %d, %q", path, w.Code, w.Header().Get("Cache-Control"))
			}
			total += w.Body.Len()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if total > budget || total < 10<<10 {
			t.Errorf("style and scripts have %d bytes, want at most %d", total, budget)
		}
	})
}
