package signin_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/signin"
)

// A person gets in with a key and is that reader from then on; nobody else is.
func TestSessionIsItsReader(t *testing.T) {
	h := newHouse(t, nil)
	cookie := h.enter()
	who, session, err := h.who(cookie)
	if err != nil || session == nil || who.Self != "user-alice" || who.By != admin {
		t.Errorf("with the cookie: %+v, %+v, %v, want the reader of the key", who, session, err)
	}
	if who, session, err := h.who(); err != nil || session != nil || who.Self != "" || who.IsStaff() {
		t.Errorf("without a cookie: %+v, %+v, %v, want the public", who, session, err)
	}
	forged := *cookie
	forged.Value = strings.Repeat("A", len(cookie.Value))
	if who, session, err := h.who(&forged); !errors.Is(err, signin.ErrSession) || session != nil || who.IsStaff() {
		t.Errorf("with another cookie: %+v, %+v, %v, want the public and ErrSession", who, session, err)
	}
	// A neighbouring host may have set one of the same name first.
	if _, session, err := h.who(&forged, cookie); session == nil {
		t.Errorf("with a forged cookie before the right one: %v, want the session", err)
	}
}

// The cookie is one that no script reads, no other host sets, and no other
// site's form brings along; only where there is no TLS does it do without.
func TestCookie(t *testing.T) {
	h := newHouse(t, nil)
	if c := h.enter(); c.Name != "__Host-custody" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || len(c.Value) != 43 {
		t.Errorf("over TLS: %+v", c)
	}
	h = newHouse(t, func(s *signin.Settings) { s.PublicURL = "http://127.0.0.1:8080" })
	if c := h.enter(); c.Name != "custody" || c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("on this machine: %+v", c)
	}
}

// Nobody types a key into a page that somebody on the way can read.
func TestWhereSigningInIsOffered(t *testing.T) {
	for _, tt := range []struct {
		name, public, host string
		plain              bool
		status             int
	}{
		{"TLS in front", "https://audit.example.com", "127.0.0.1:8080", false, 303},
		{"this machine by name", "", "localhost:8080", false, 303},
		{"this machine by address", "", "127.0.0.1:8080", false, 303},
		{"this machine by IPv6 address", "", "[::1]:8080", false, 303},
		{"a network", "", "192.0.2.1:8080", false, 403},
		{"a name", "", "audit.example.com", false, 403},
		{"a name that begins alike", "", "localhost.example.com", false, 403},
		{"plain, as the settings say", "", "audit.example.com", true, 303},
		{"plain address", "http://audit.example.com", "localhost", false, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, func(s *signin.Settings) { s.PublicURL, s.PlainHTTP = tt.public, tt.plain })
			r := httptest.NewRequest("POST", "/signin", strings.NewReader(url.Values{"key": {goodKey}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Host = tt.host
			if answer := h.send(r); answer.StatusCode != tt.status {
				t.Errorf("signing in gave %d, want %d", answer.StatusCode, tt.status)
			}
		})
	}
}

// A session ends when its owner went away, and in any case after half a day.
func TestSessionEnds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pause time.Duration // between requests
		lives time.Duration // at the last request that finds it
	}{
		{"idle", 61 * time.Minute, 0},
		{"in use", 59 * time.Minute, 59 * 12 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, nil)
				cookie, begin, last := h.enter(), time.Now(), time.Duration(0)
				for range 24 {
					time.Sleep(tt.pause)
					if _, session, _ := h.who(cookie); session == nil {
						break
					}
					last = time.Since(begin)
				}
				if last != tt.lives {
					t.Errorf("the session was last found after %v, want %v", last, tt.lives)
				}
			})
		})
	}
}

// The settings say how long sessions live.
func TestSettingsOfSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(s *signin.Settings) { s.Idle, s.Max = 5*time.Minute, 8*time.Minute })
		cookie := h.enter()
		time.Sleep(4 * time.Minute)
		_, session, _ := h.who(cookie)
		time.Sleep(4 * time.Minute)
		if _, late, _ := h.who(cookie); session == nil || late != nil {
			t.Errorf("after 4 minutes %v, after 8 %v, want one and none", session, late)
		}
	})
}

// Who signs in anew goes on with a new cookie: one that somebody planted in the
// browser, or read before, opens nothing.
func TestSigningInRotates(t *testing.T) {
	h := newHouse(t, nil)
	old := h.enter()
	if fresh := h.enter(old); fresh.Value == old.Value {
		t.Error("the new session has the old cookie")
	}
	if _, session, _ := h.who(old); session != nil {
		t.Error("the old cookie still opens a session")
	}
}

// Signing out needs a form of that very session, and ends it here, not only in
// the browser.
func TestSignout(t *testing.T) {
	h := newHouse(t, nil)
	cookie, other := h.enter(), h.enter()
	_, session, _ := h.who(cookie)
	_, stranger, _ := h.who(other)
	for name, csrf := range map[string]string{"no token": "", "of another session": stranger.CSRF()} {
		if answer := h.do("POST", "/signout", url.Values{"csrf": {csrf}}, cookie); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", name, answer.StatusCode)
		}
	}
	if _, session, _ := h.who(cookie); session == nil {
		t.Fatal("a form of somebody else ended the session")
	}
	answer := h.do("POST", "/signout", url.Values{"csrf": {session.CSRF()}}, cookie)
	if c := answer.Cookies(); answer.StatusCode != http.StatusOK || len(c) != 1 || c[0].MaxAge >= 0 {
		t.Errorf("signing out gave %d and %v, want 200 and no cookie", answer.StatusCode, c)
	}
	if _, session, _ := h.who(cookie); session != nil {
		t.Error("the cookie still opens the session")
	}
	if _, session, _ := h.who(other); session == nil {
		t.Error("the other browser was signed out, too")
	}
	last := h.events[len(h.events)-1]
	if last.Tag != "audit:signout" || last.Metadata["why"] != "asked" || last.Actor != admin {
		t.Errorf("recorded %+v, want that admin signed out", last)
	}
}

// No page of another site signs anybody in or out.
func TestOtherSites(t *testing.T) {
	h := newHouse(t, nil)
	for _, tt := range []struct {
		name   string
		header http.Header
		status int
	}{
		{"another site", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"a neighbouring site", http.Header{"Sec-Fetch-Site": {"same-site"}}, 403},
		{"another origin, in an older browser", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"our own, in an older browser, behind a server that changes Host", http.Header{"Origin": {public}}, 303},
		{"our own", http.Header{"Sec-Fetch-Site": {"same-origin"}}, 303},
		{"no browser", nil, 303},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "http://127.0.0.1:8080/signin", strings.NewReader(url.Values{"key": {goodKey}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			maps.Copy(r.Header, tt.header)
			if answer := h.send(r); answer.StatusCode != tt.status {
				t.Errorf("got %d, want %d", answer.StatusCode, tt.status)
			}
		})
	}
}

// However many sign in, memory is bounded; who was idle for longest goes.
func TestSessionsAreBounded(t *testing.T) {
	h := newHouse(t, nil)
	first, second := h.enter(), h.enter()
	h.who(first) // in use
	for n := range 9_999 {
		h.by.ID = fmt.Sprint("key-", n)
		h.enter()
	}
	if _, session, _ := h.who(second); session != nil {
		t.Error("there are more than 10,000 sessions")
	}
	if _, session, _ := h.who(first); session == nil {
		t.Error("the session in use went before one that was idle")
	}
}

// Who signs in over and over again ends sessions of their own, and nobody else's.
func TestSessionsOfOneAreBounded(t *testing.T) {
	h := newHouse(t, nil)
	other := h.enter()
	h.by.ID = "another"
	first, second := h.enter(), h.enter()
	h.who(first) // in use
	for range 99 {
		h.enter()
	}
	for name, c := range map[string]struct {
		cookie *http.Cookie
		in     bool
	}{"of somebody else": {other, true}, "in use": {first, true}, "idle for longest": {second, false}} {
		if _, session, _ := h.who(c.cookie); (session != nil) != c.in {
			t.Errorf("the session %s goes on: %v, want %v", name, session != nil, c.in)
		}
	}
}

// Nobody gets in unrecorded.
func TestUnrecordedIsRefused(t *testing.T) {
	h := newHouse(t, nil)
	h.full = true
	answer := h.do("POST", "/signin", url.Values{"key": {goodKey}})
	if answer.StatusCode != http.StatusServiceUnavailable || len(answer.Cookies()) != 0 {
		t.Errorf("got %d and %v, want 503 and no cookie", answer.StatusCode, answer.Cookies())
	}
}

// What is recorded is what the catalogue knows, so that people can read it.
func TestEventsAreInTheCatalogue(t *testing.T) {
	known, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, nil)
	cookie := h.enter()
	h.do("POST", h.Link(admin).Path, nil)
	_, session, _ := h.who(cookie)
	h.do("POST", "/signout", url.Values{"csrf": {session.CSRF()}}, cookie)
	if len(h.events) != 3 {
		t.Fatalf("%d events, want 3", len(h.events))
	}
	for _, e := range h.events {
		kind, ok := known.Lookup(e.Tag)
		if !ok {
			t.Errorf("%s is not in the catalogue", e.Tag)
			continue
		}
		for key, value := range e.Metadata {
			i := slices.IndexFunc(kind.Fields, func(f catalogue.Field) bool { return f.Name == key })
			if i < 0 {
				t.Errorf("%s: metadata.%s is not in the catalogue", e.Tag, key)
				continue
			}
			if f := kind.Fields[i]; f.Type == "enum" && !slices.Contains(f.Values, fmt.Sprint(value)) {
				t.Errorf("%s: metadata.%s = %v, want one of %v", e.Tag, key, value, f.Values)
			}
		}
	}
}

// A key that is revoked takes along the sessions that began with it.
func TestEndSessions(t *testing.T) {
	h := newHouse(t, nil)
	cookie := h.enter()
	other := admin
	other.ID = "another"
	if n := h.EndSessions(t.Context(), other); n != 0 {
		t.Errorf("ending sessions of another key ended %d", n)
	}
	if n := h.EndSessions(t.Context(), admin); n != 1 {
		t.Errorf("ended %d sessions, want 1", n)
	}
	if _, session, _ := h.who(cookie); session != nil {
		t.Error("the session goes on")
	}
	if last := h.events[len(h.events)-1]; last.Tag != "audit:signout" || last.Metadata["why"] != "revoked" {
		t.Errorf("recorded %+v, want a session that was revoked", last)
	}
}

// A key that is revoked takes along the links that were made in its name: one that
// waits in a message would let its reader in for hours after.
func TestEndSessionsEndsLinks(t *testing.T) {
	h := newHouse(t, nil)
	other := admin
	other.ID = "another"
	gone, stays := h.Link(admin), h.Link(other)
	h.EndSessions(t.Context(), admin)
	if answer := h.do("POST", gone.Path, nil); answer.StatusCode != http.StatusForbidden || len(answer.Cookies()) != 0 {
		t.Errorf("a link of a revoked key gave %d and %v, want 403 and nothing", answer.StatusCode, answer.Cookies())
	}
	if answer := h.do("POST", stays.Path, nil); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("a link of another key gave %d, want 303", answer.StatusCode)
	}
}

// A key that is revoked at the instant at which somebody signs in with it lets
// nobody in: there is no moment that ending sessions overlooks.
func TestRevokedMeanwhile(t *testing.T) {
	h := newHouse(t, nil)
	h.checked = func() { h.EndSessions(t.Context(), admin) }
	answer := h.do("POST", "/signin", url.Values{"key": {goodKey}})
	if _, session, _ := h.who(answer.Cookies()...); session != nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("got %d and a session: %v, want 403 and none", answer.StatusCode, session != nil)
	}
	if len(h.events) != 0 {
		t.Errorf("recorded %+v, want nothing", h.events[0])
	}
}

// A cookie that is none of ours, or not any more, is on record: it may be one that
// somebody took. What the browser asks besides is not counted again.
func TestWrongSessionIsOnRecord(t *testing.T) {
	h := newHouse(t, nil)
	cookie := h.enter()
	h.who(cookie)
	h.EndSessions(t.Context(), admin)
	h.who(cookie)
	h.do("GET", "/signin", nil, cookie)
	h.who()
	if got := h.whys(); !slices.Equal(got, []string{"session unknown"}) {
		t.Fatalf("refused %q, want one unknown session", got)
	}
	if a := h.denied[0]; a.Signin || a.Address.String() != "192.0.2.7" {
		t.Errorf("on record is %+v, want no sign-in, from 192.0.2.7", a)
	}
}

// What a browser asks by itself, while its owner is away, keeps no session alive.
func TestWatchingIsNoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		cookie := h.enter()
		for range 6 {
			time.Sleep(9 * time.Minute)
			r := httptest.NewRequest("GET", public+"/tail", nil)
			r.AddCookie(cookie)
			if who, session, err := h.Watching(r); err != nil || session == nil || who.Self != "user-alice" {
				t.Fatalf("within the hour: %+v, %v", who, err)
			}
		}
		time.Sleep(6 * time.Minute)
		if _, session, err := h.who(cookie); session != nil || !errors.Is(err, signin.ErrSession) {
			t.Errorf("after an hour of nothing but watching: %v, want ErrSession", err)
		}
	})
}

// After signing in a browser is sent to a page of this log, whatever the address
// of the sign-in page said.
func TestReturnIsLocal(t *testing.T) {
	for to, want := range map[string]string{
		"/search?q=tag:a+-b&from=%2F#x":     "/search?q=tag:a+-b&from=%2F#x",
		"/project/pkg:npm%2Fdemo-http":      "/project/pkg:npm%2Fdemo-http",
		"":                                  "/",
		"search":                            "/",
		"//evil.example":                    "/",
		"///evil.example":                   "/",
		"/\\evil.example":                   "/",
		"\\\\evil.example":                  "/",
		"/\t/evil.example":                  "/",
		"/\n/evil.example":                  "/",
		"\t//evil.example":                  "/",
		" //evil.example":                   "/",
		"https://evil.example":              "/",
		"https:evil.example":                "/",
		"javascript:alert(1)":               "/",
		"/a\r\nSet-Cookie: custody=planted": "/",
		"/signin":                           "/",
		"/signout":                          "/",
		"/" + strings.Repeat("a", 4096):     "/",
	} {
		h := newHouse(t, nil)
		answer := h.do("POST", "/signin", url.Values{"key": {goodKey}, "return": {to}})
		if got := answer.Header.Get("Location"); got != want {
			t.Errorf("return=%q leads to %q, want %q", to, got, want)
		}
	}
}

// What others chose, such as a name, is text on the pages and not markup.
func TestPagesShowText(t *testing.T) {
	h := newHouse(t, nil)
	cookie := h.enter()
	for _, page := range []string{"/signin?return=/%22%3E%3Cscript%3E", "/signout"} {
		body := h.do("GET", page, nil, cookie).Body
		if strings.Contains(body, "<i>") || strings.Contains(body, "<script>") || !strings.Contains(body, "the &lt;i&gt;admin") {
			t.Errorf("%s shows %s", page, body)
		}
	}
}

// Somebody with an endless form cannot make the log read it.
func TestFormsAreBounded(t *testing.T) {
	h := newHouse(t, nil)
	body := &endless{}
	r := httptest.NewRequest("POST", public+"/signin", body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if answer := h.send(r); answer.StatusCode != http.StatusForbidden || body.read > 64<<10 {
		t.Errorf("got %d after %d bytes, want 403 after at most 64 KiB", answer.StatusCode, body.read)
	}
}

type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	e.read += len(p)
	if e.read > 64<<20 {
		return 0, errors.New("somebody read 64 MiB of it")
	}
	return len(p), nil
}
