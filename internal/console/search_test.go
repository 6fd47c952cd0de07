package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// The questions that an incident raises are answered by the page alone: who,
// what, from where, with which credential, and what else that credential did.
func TestSearchAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin := b.as("admin")
		page := admin.search("project:demo-http version:1.3.1 tag:project:release:add")
		says(t, page, "1 event matches.", "alice published demo-http 1.3.1", "2026-03-31 00:21:00 UTC", "with token tok-13, no second factor", "NL", "using npm")
		for _, link := range []string{`href="/token/tok-13"`, `href="/user/user-alice"`, `href="/event/19"`, `href="/search?q=project:pkg:npm/demo-http+version:1.3.1"`} {
			if !strings.Contains(page, link) {
				t.Errorf("the page has no %s", link)
			}
		}
		page = admin.search("token:tok-13 tag:user:token:create")
		says(t, page, "alice created a token with permissions publish", "about token backup", "with session s-666, second factor totp")
		if !strings.Contains(page, `about token <a href="/token/tok-13">`) {
			t.Error("nothing leads to the token that was made")
		}
	})
}

// Every state has its sentence. An empty page that does not say why could as well
// be a hidden one.
func TestSearchStates(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		says(t, b.as("").page("/search", http.StatusForbidden), "Without signing in you can search within one project: project:NAME.", "Sign in")
		b.incident()
		admin, public := b.as("admin"), b.as("")
		size := b.journal.Size()
		for _, c := range []struct {
			name string
			who  *browser
			path string
			code int
			want string
		}{
			{"nothing matches, staff", admin, "/search?q=user:nobody", 200, fmt.Sprintf("No events match. The search covers all %d events.", size)},
			{"nothing matches in what is not masked", admin, "/search?q=ip:203.0.113.77", 200, "No events match in what you see. What is masked was not searched"},
			{"nothing matches, public", public, "/search?q=project:nothing", 200, fmt.Sprintf("No events match among those that you may see. The log has %d events.", size)},
			{"not allowed", public, "/search?q=user:alice", 403, "Without signing in you can search within one project"},
			{"not a query", public, "/search?q=tag:", 400, "The query cannot be understood: at column 5, expected a value after tag:."},
			{"not a qualifier", admin, "/search?q=projekt:a", 400, "Did you mean project:?"},
			{"not a time", admin, "/search?after=yesterday", 400, "The address asks for events after what is no time"},
			{"not an order", admin, "/search?order=best", 400, "The order is newest or oldest."},
			{"not a cursor", admin, "/search?cursor=x", 400, "a place that is not in this search"},
			{"masked", admin, "/search?q=token:tok-13", 200, "some of it is masked"},
		} {
			t.Log(c.name)
			says(t, c.who.page(c.path, c.code), c.want)
		}
	})
}

// An empty log says that it is empty, and not that nothing matches.
func TestEmptyLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		admin := open(t, "store").as("admin")
		says(t, admin.page("/search", http.StatusOK), "No events match. The search covers all", "The search is 1 event behind the log.")
	})
}

// A search that has not taken in the newest events says so.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, "store")
		b.incident()
		says(t, b.as("admin").search("user:alice"), fmt.Sprintf("The search is %d events behind the log.", sampled+1))
	})
}

// Pages go on where the one before ended, to the last event, in both orders, and
// each event is on one of them.
func TestSearchPages(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		const n = 120
		lines := make([]string, n)
		for i := range lines {
			lines[i] = fmt.Sprintf(`{"id":"e-%d","tag":"project:create","time":"2026-03-%02dT00:00:00Z","actor":{"type":"user","id":"u-1","name":"dave"},"subjects":[{"type":"project","id":"pkg:npm/p-%d","name":"p-%d"}]}`, i, i%28+1, i, i)
		}
		b.record(lines...)
		next := regexp.MustCompile(`rel="next" href="([^"]+)"`)
		for _, order := range []string{"", "&order=oldest"} {
			seen, pages := map[string]bool{}, 0
			for path := "/search?q=tag:project:create" + order; path != ""; pages++ {
				page := b.as("admin").page(path, http.StatusOK)
				for _, m := range regexp.MustCompile(`<li id="e(\d+)"`).FindAllStringSubmatch(page, -1) {
					if seen[m[1]] {
						t.Errorf("event %s is on two pages", m[1])
					}
					seen[m[1]] = true
				}
				path = ""
				if m := next.FindStringSubmatch(page); m != nil {
					path = html.UnescapeString(m[1])
				}
			}
			if len(seen) != n || pages != 3 {
				t.Errorf("order %q: %d events on %d pages, want %d on 3", order, len(seen), pages, n)
			}
		}
	})
}

// A value of a facet leads to exactly as many events as it says, with it and
// without it.
func TestFacetsNarrow(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin := b.as("admin")
		count := func(page string) int {
			m := regexp.MustCompile(`(\d+) events? match`).FindStringSubmatch(text(page))
			if m == nil {
				t.Fatalf("no count in %.500s", text(page))
			}
			n, _ := strconv.Atoi(m[1])
			return n
		}
		value := regexp.MustCompile(`<li><a href="([^"]+)"><bdi>([^<]*)</bdi></a> <a class="not" href="([^"]+)">.*?<span class="number">(\d+)</span>`)
		for _, q := range []string{"project:demo-http", "user:alice OR user:bob"} {
			page := admin.search(q)
			all, values := count(page), value.FindAllStringSubmatch(page, -1)
			if len(values) < 10 {
				t.Fatalf("%s: %d values, want more", q, len(values))
			}
			for _, m := range values {
				n, _ := strconv.Atoi(m[4])
				only := admin.page(html.UnescapeString(m[1]), http.StatusOK)
				if got := count(only); got != n {
					t.Errorf("%s: %s says %d and leads to %d events", q, m[2], n, got)
				}
				if !strings.Contains(only, `>any<`) {
					t.Errorf("%s: nothing leads back from %s", q, m[2])
				}
				if got := count(admin.page(html.UnescapeString(m[3]), http.StatusOK)); got != all-n {
					t.Errorf("%s: without %s there are %d events, want %d of %d", q, m[2], got, all-n, all)
				}
			}
		}
	})
}

// A bar leads to as many events as it says; all bars together are all events. It
// works without scripts.
func TestBarsNarrow(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin := b.as("admin")
		page := admin.search("user:alice before:2026-05-01")
		all := strings.Count(page, `<li id="e`)
		sum := 0
		for _, m := range regexp.MustCompile(`<a href="([^"]+)" tabindex="-1"><title>(\d+) event`).FindAllStringSubmatch(page, -1) {
			n, _ := strconv.Atoi(m[2])
			narrow := admin.page(html.UnescapeString(m[1]), http.StatusOK)
			if got := strings.Count(narrow, `<li id="e`); got != n {
				t.Errorf("a bar of %d leads to %d events: %s", n, got, m[1])
			}
			says(t, narrow, "any time")
			sum += n
		}
		if sum != all || all == 0 {
			t.Errorf("bars have %d events, the page has %d", sum, all)
		}
	})
}

// What may be typed is offered as the query has to have it, and nothing is that
// the visitor may not see.
func TestComplete(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		for _, c := range []struct{ who, q, want, not string }{
			{"", "pro", `"text":"project:"`, ""},
			{"", "outcome:d", `"text":"denied"`, ""},
			{"admin", "actor:ali", `"show":"alice"`, ""},
			{"admin", "actor:registry", `"text":"\"registry security\"","show":"registry security"`, ""},
			{"admin", "token:tok", `tok-13`, ""},
			{"admin", "ip:203", `"values":[]`, "203.0.113.77"},
			{"", "actor:ali", `"values":[]`, "alice"},
			{"", "token:tok", `"values":[]`, "tok-13"},
			{"owner", "ip:203", `"values":[]`, "203.0.113.77"},
		} {
			got := b.as(c.who).page("/complete?"+url.Values{"q": {c.q}}.Encode(), http.StatusOK)
			if !strings.Contains(got, c.want) || c.not != "" && strings.Contains(got, c.not) {
				t.Errorf("%q: completing %s = %s, want %s and no %q", c.who, c.q, got, c.want, c.not)
			}
		}
	})
}

// Nobody sees in a page of theirs what the catalogue keeps from them: the public
// no address, no token's holder's address; an owner not where a maintainer was.
func TestSearchKeepsSecrets(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		for _, who := range []string{"", "owner", "admin"} {
			page := b.as(who).search("project:demo-http")
			says(t, page, "published demo-http 1.3.1")
			keeps(t, page, "203.0.113.77", "198.51.100.24", "Mozilla/5.0", "s-666")
		}
		keeps(t, b.as("").search("project:demo-http"), "from NL", "Country")
	})
}
