package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/reader"
)

// orgEvents are what happened in an organization.
var orgEvents = []string{
	`{"id":"g-1","tag":"org:create","time":"2026-01-01T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"}],"context":{"ip":"198.51.100.24"},"metadata":{"name":"demo"}}`,
	`{"id":"g-2","tag":"org:member:add","time":"2026-01-03T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"},{"type":"user","id":"user-bob","name":"bob"}],"context":{"ip":"198.51.100.24"},"metadata":{"role":"member","target_user":"bob","source":"invite"}}`,
	`{"id":"g-3","tag":"org:team:create","time":"2026-01-04T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"},{"type":"team","id":"team-1","name":"core"}],"metadata":{"team":"core"}}`,
	`{"id":"g-4","tag":"org:team:member_add","time":"2026-01-05T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"},{"type":"team","id":"team-1","name":"core"},{"type":"user","id":"user-bob","name":"bob"}],"metadata":{"team":"core","target_user":"bob"}}`,
	`{"id":"g-5","tag":"org:member:remove","time":"2026-01-09T10:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"org","id":"org-1","name":"demo"},{"type":"user","id":"user-bob","name":"bob"}],"metadata":{"role":"member","target_user":"bob"}}`,
}

// member is somebody with a role in the organization of orgEvents.
var member = &reader.Reader{
	Self: "user-carol", Orgs: []reader.Ref{{Type: "org", ID: "org-1"}}, By: event.Party{Type: "user", ID: "user-carol", Name: "carol"},
}

// with adds a reader to [people] until the test has ended.
func with(t *testing.T, name string, r *reader.Reader) {
	t.Helper()
	people[name] = r
	t.Cleanup(func() { delete(people, name) })
}

const (
	attacker = "203.0.113.77"  // where the account was taken over from
	home     = "198.51.100.24" // where its owner is
	newMail  = "alice.support@example.net"
	project  = "/project/pkg:npm/demo-http"
)

// Each page answers its questions, to each reader as far as they may know: what
// one of them must not see stands nowhere in what is sent, not in a link either.
func TestThingsForEachReader(t *testing.T) {
	with(t, "member", member)
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		b.record(orgEvents...)
		for _, c := range []struct {
			who, path string
			says      []string
			keeps     []string
		}{
			{"", project, []string{
				"bob" + "maintainer", "1.3.1", "2026-03-31 00:21:00 UTC", "alice", "a token", "Receipt of event 19", "Atom feed", "removed",
				"a workflow of example/demo-http", "An administrator removed 1.3.1 of demo-http (malware)",
			}, []string{attacker, home, "tok-13", "backup", "s-666", "totp", newMail, "admin-7", "registry security", "/user/", "/token/"}},
			{"owner", project, []string{
				"1.3.1", "tok-13", "without a second factor", "with a second factor (totp)", "NL", "npm", "What changed hands, when", "not done",
			}, []string{attacker, home, "backup", "s-666", newMail, "registry security", "masked"}},
			{"alice", project, []string{"tok-13", "backup", "s-666", attacker, "you are not known here as an owner"}, []string{"registry security", "masked"}},
			{"admin", project, []string{"tok-13", "address masked", "NL", "registry security", "Give a reason"}, []string{attacker, home}},
			{"auditor", project, []string{"tok-13", "address masked"}, []string{attacker}},
			{"alice", "/user/user-alice", []string{
				"This is you", "Was this you?", "alice logged in from a device or network not seen before", "new place", attacker, newMail,
				"The primary address was changed last on 2026-03-31 09:40:00 UTC.", "tok-13 “backup” granular", "project:release:add 2",
				"totp, since", "Who has looked at your data", "Nobody has", "demo-http" + "owner",
			}, []string{"192.0.2.5", "admin-7", "masked"}},
			{"admin", "/user/user-alice", []string{
				"address masked", "new place", "tok-13", "The primary address was changed last", "masked", "registry security",
			}, []string{attacker, home, newMail, "Was this you?", "Who has looked at"}},
			{"owner", "/user/user-alice", []string{"No sign-ins that you may see.", "tok-13", "demo-http"}, []string{attacker, newMail, "s-666", "backup", "demo-cookies"}},
			{"alice", "/token/tok-13", []string{
				"Minted", "2026-03-30 22:58:44 UTC", "s-666", "with a second factor (totp)", attacker, "needs no second factor",
				"In a session begun", "First use", "2026-03-31 00:20:57 UTC", "Last use", "2026-03-31 02:09:48 UTC", "Refused" + "1 time", "demo-cookies", "6 events",
			}, []string{"admin-7", "192.0.2.5"}},
			{"admin", "/token/tok-13", []string{"Minted", "alice", "address masked", "NL", "registry security", "demo-cookies"}, []string{attacker}},
			{"owner", "/token/tok-13", []string{"demo-http", "NL", "Minted" + "not known, or not for you to see"}, []string{attacker, "demo-cookies", "s-666", "backup"}},
			{"member", "/org/org-1", []string{"bob", "core", "Who left", "Nobody is in"}, []string{home, "masked"}},
			{"admin", "/org/demo", []string{"alice" + "owner", "core"}, []string{home}},
			{"admin", "/network/" + attacker, []string{"Addresses are masked for you until you give a reason."}, []string{"alice", "demo-http"}},
		} {
			page := b.as(c.who).page(c.path, http.StatusOK)
			t.Logf("%q sees %s", c.who, c.path)
			says(t, page, c.says...)
			keeps(t, afterHeader(page), c.keeps...)
		}
	})
}

// afterHeader returns a page without what says who is signed in.
func afterHeader(page string) string {
	_, main, _ := strings.Cut(page, "<main")
	return main
}

// Staff who gave a reason see what was masked, on that page, once it is on record:
// the look is the newest thing in the log, and names whom it was about.
func TestThingsInTheClear(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		for _, c := range []struct {
			path string
			says []string
		}{
			{"/user/user-alice", []string{attacker, home, newMail, "Nothing is masked here for you"}},
			{"/token/tok-13", []string{attacker, "backup"}},
			{project, []string{attacker, home}},
			{"/network/" + attacker, []string{"alice", "demo-http", "demo-cookies", "tok-13", "Accounts signed in to from here", "203.0.113.0/24", "refused"}},
			{"/network/203.0.113.0/24", []string{"alice", "Addresses", attacker}},
		} {
			admin := b.as("admin")
			before := b.journal.Size()
			if w := admin.reveal(c.path, "an account may have been taken over"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != c.path {
				t.Fatalf("reveal %s = %d to %q: %s", c.path, w.Code, w.Header().Get("Location"), text(w.Body.String()))
			}
			if b.journal.Size() == before {
				t.Errorf("%s was opened, and nothing was recorded", c.path)
			}
			before = b.journal.Size()
			says(t, admin.page(c.path, http.StatusOK), c.says...)
			b.settled()
			if b.journal.Size() == before {
				t.Errorf("%s was shown, and it is not on record which events were looked at", c.path)
			}
			if !strings.Contains(b.as("auditor").search("tag:audit:reveal_pii"), "an account may have been taken over") {
				t.Errorf("%s: no event has the reason", c.path)
			}
		}
		says(t, b.as("admin").page("/user/user-alice", http.StatusOK), "address masked") // another session
		says(t, b.as("alice").page("/user/user-alice", http.StatusOK), "Who has looked at your data", "an account may have been taken over")
	})
}

// Nobody learns from an answer whether a thing is there that is not for them:
// what is there and what is not are answered alike, byte for byte.
func TestNoThingTellsWhatIsThere(t *testing.T) {
	with(t, "member", member)
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		b.record(orgEvents...)
		for _, c := range []struct{ who, there, not string }{
			{"", "/user/user-alice", "/user/user-nobod"},
			{"", "/token/tok-13", "/token/tok-99"},
			{"", "/org/org-1", "/org/org-9"},
			{"", "/network/" + attacker, "/network/203.0.113.78"},
			{"owner", "/token/tok-66", "/token/tok-99"},
			{"owner", "/org/org-7", "/org/org-9"},
			{"owner", "/user/user-mia", "/user/user-ned"},
			{"alice", "/user/user-mia", "/user/user-ned"},
			{"member", "/token/tok-13", "/token/tok-99"},
			{"admin", "/network/" + attacker, "/network/203.0.113.78"},
		} {
			b.record(hidden(c.there)...)
			u := b.as(c.who)
			there, not := u.get(c.there), u.get(c.not)
			want := http.StatusNotFound
			if c.who == "admin" {
				want = http.StatusOK // which asks why, whatever is there
			}
			if there.Code != want || not.Code != want {
				t.Errorf("%q: %s = %d, %s = %d, want %d", c.who, c.there, there.Code, c.not, not.Code, want)
			}
			if one, other := without(there.Body.String(), c.there), without(not.Body.String(), c.not); one != other {
				t.Errorf("%q: %s and %s differ:\n%s\n%s", c.who, c.there, c.not, text(one), text(other))
			}
			for name := range there.Header() {
				if there.Header().Get(name) != not.Header().Get(name) {
					t.Errorf("%q: %s and %s differ in %s", c.who, c.there, c.not, name)
				}
			}
		}
	})
}

// hidden returns events that make a thing be there which nobody asked about
// elsewhere; none if it is there already.
func hidden(path string) []string {
	const at = `"time":"2026-04-01T00:00:00Z",`
	switch path {
	case "/token/tok-66", "/user/user-mia":
		return []string{`{"id":"` + path + `","tag":"user:token:create",` + at + `"actor":{"type":"user","id":"user-mia","name":"mia"},"subjects":[{"type":"user","id":"user-mia","name":"mia"},{"type":"token","id":"tok-66"}],"metadata":{"token_id":"tok-66"}}`}
	case "/org/org-7":
		return []string{`{"id":"` + path + `","tag":"org:create",` + at + `"actor":{"type":"user","id":"user-mia","name":"mia"},"subjects":[{"type":"org","id":"org-7","name":"seven"}]}`}
	}
	return nil
}

// without returns a page without its own address, wherever that stands, and
// without what forms send back.
func without(page, path string) string {
	for _, form := range []string{path, url.QueryEscape(path), strings.ReplaceAll(path, "/", "%2f"), strings.TrimPrefix(path, "/network/")} {
		page = strings.ReplaceAll(page, form, "")
	}
	return page
}

// Whoever is asked for by a hostile name is not there, or there by that name, and
// nothing else: no other page, no error of ours, no markup.
func TestThingsWithHostileNames(t *testing.T) {
	names := []string{
		"@scope/name", "pkg:npm/%40scope/name", "pkg:npm/@scope/name", "a/b/c", "..", "a/../b", "a//b", ".", "%", "%2F", "%2e%2e/x", "a?b#c", "a b", "a+b",
		`"><script>alert(1)</script>`, "'", "abc\u202Egnp.exe", "שלום", "*", "demo-http*", "tag:*", `") OR ("`, strings.Repeat("x", 300), "feed.atom", "a\\b", "{{.}}", "\x7f",
	}
	inBubble(t, func(t *testing.T, b *bench) {
		for i, name := range names {
			b.record(`{"id":"n-` + strconv.Itoa(i) + `","tag":"project:create","time":"2026-03-31T00:00:00Z","actor":{"type":"user","id":` + quoted(name) + `,"name":` + quoted(name) + `},"credential":{"kind":"token","id":` + quoted(name) +
				`},"subjects":[{"type":"project","id":` + quoted(name) + `,"name":` + quoted(name) + `},{"type":"org","id":` + quoted(name) + `}],"context":{"ip":"203.0.113.9"}}`)
		}
		markup := regexp.MustCompile(`(?i)<script(?: type="module" src="/static/[^"]*")?>`)
		admin, public := b.as("admin"), b.as("")
		for i, name := range names {
			found := admin.search(`tag:project:create "n-` + strconv.Itoa(i) + `"`)
			for _, link := range regexp.MustCompile(`href="(/(?:project|user|token|org)/[^"]*)"`).FindAllStringSubmatch(found, -1) {
				path := strings.ReplaceAll(strings.ReplaceAll(link[1], "&#43;", "+"), "&amp;", "&")
				w := admin.get(path)
				if w.Code != http.StatusOK {
					t.Errorf("%q: the link %s = %d", name, path, w.Code)
				}
				if m := markup.FindAllString(w.Body.String(), -1); len(m) != 1 {
					t.Errorf("%q: %s has %q", name, path, m)
				}
				if strings.ContainsRune(w.Body.String(), '\u202E') {
					t.Errorf("%q: %s turns text around", name, path)
				}
			}
		}
		for _, name := range names {
			for _, kind := range []string{"project", "user", "token", "org", "network", "feed/project"} {
				path := "/" + kind + "/" + url.PathEscape(name)
				for _, u := range []*browser{admin, public} {
					if w := u.get(path); w.Code >= http.StatusInternalServerError {
						t.Errorf("%s = %d %s", path, w.Code, text(w.Body.String()))
					}
				}
			}
		}
	})
}

// quoted returns text as JSON has it.
func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < ' ':
			b.WriteString(`\u00` + strconv.FormatInt(int64(r)+0x100, 16)[1:])
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

// A past day is asked for in the address, so that an answer can be shared; what is
// no day is an answer about that, not a page about today.
func TestPastDays(t *testing.T) {
	with(t, "member", member)
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		b.record(orgEvents...)
		for _, c := range []struct {
			who, path string
			status    int
			want      string
		}{
			{"", project + "?at=2026-03-31", 200, "Who had a role at some moment of 2026-03-31: WhoRoleSinceUntilProof bobmaintainer"},
			{"", project + "?at=2026-01-08", 200, "Who had a role at some moment of 2026-01-08: WhoRoleSinceUntilProof bob"},
			{"", project + "?at=2026-01-07", 200, "Who had a role at some moment of 2026-01-07: WhoRoleSinceUntilProof aliceowner"},
			{"", project + "?at=2026-01-08T11:29:59Z", 200, "Who had a role at 2026-01-08 11:29:59 UTC: WhoRoleSinceUntilProof aliceowner"},
			{"", project + "?at=2025-01-01", 200, "No public event says that anybody had a role on 2025-01-01."},
			{"owner", project + "?at=2025-01-01", 200, "No event says that anybody had a role on 2025-01-01."},
			{"", project + "?at=2026-02-30", 400, "The address asks for a moment that is none"},
			{"", project + "?at=-7d", 400, "The address asks for a moment that is none"},
			{"member", "/org/org-1?at=2026-01-05", 200, fmt.Sprintf("bobmemberevent %d of 2026-01-03 10:00:00 UTCevent %d of 2026-01-09 10:00:00 UTCalice Teams core Made event %d of 2026-01-04 10:00:00 UTC. MembersWhoRoleSinceUntilGiven by bob", sampled+1, sampled+4, sampled+2)},
			{"member", "/org/org-1?at=2026-01-02", 200, "As it was at some moment of 2026-01-02: Members WhoRoleSinceUntilGiven by aliceowner"},
		} {
			says(t, b.as(c.who).page(c.path, c.status), c.want)
		}
	})
}

// The questions of an incident are answered within three clicks: each page links
// to the next.
func TestWaysBetweenPages(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin, alice := b.as("admin"), b.as("alice")
		for _, way := range []struct {
			who   *browser
			from  string
			links []string // each is on the page that the one before leads to
			want  string
		}{
			{admin, "/search?q=project:demo-http", []string{project, "/token/tok-13", "/user/user-alice"}, "The primary address was changed last"},
			{admin, project, []string{"/token/tok-13", "/event/17"}, "second factor"},
			{admin, project + "?at=2026-03-31", []string{"/user/user-bob"}, "demo-http"},
			{alice, "/", []string{"/user/user-alice"}, "Who has looked at your data"},
		} {
			at := way.from
			for _, link := range way.links {
				if page := way.who.page(at, http.StatusOK); !strings.Contains(page, `href="`+link+`"`) {
					t.Errorf("%s does not link to %s", at, link)
				}
				at = link
			}
			says(t, way.who.page(at, http.StatusOK), way.want)
		}
		admin.reveal("/token/tok-13", "where it was used from")
		page := admin.page("/token/tok-13", http.StatusOK)
		if !strings.Contains(page, `href="/network/`+attacker+`"`) {
			t.Error("the page of a token that is in the clear does not lead to its network")
		}
	})
}

// Who is no staff has no page about a network, and is sent to what they did from
// there themself, whether anybody else did anything or not.
func TestNetworkForOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		for _, address := range []string{attacker, "203.0.113.78", "203.0.113.0/24", "2001:db8::/48"} {
			w := b.as("owner").get("/network/" + address)
			if w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), "/search?q=ip:") {
				t.Errorf("%s = %d to %q, want a search", address, w.Code, w.Header().Get("Location"))
			}
		}
		for _, no := range []string{"nowhere", "203.0.113.77/33", "fe80::1%25eth0", "203.0.113.077", "/"} {
			if w := b.as("admin").get("/network/" + no); w.Code != http.StatusNotFound && w.Code != http.StatusTemporaryRedirect && w.Code != http.StatusMovedPermanently {
				t.Errorf("/network/%s = %d, want 404", no, w.Code)
			}
		}
	})
}

// A page that has not all of it yet says so.
func TestThingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, "store")
		b.incident()
		w := b.as("admin").get(project)
		if w.Code != http.StatusNotFound {
			t.Errorf("a project that is not searched yet = %d", w.Code)
		}
	})
}
