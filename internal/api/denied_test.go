package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/api"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/signin"
)

// watched starts a log that records who is not let in, and whose clients say
// where they come from with X-From. It is for use within synctest.
func watched(t *testing.T, change ...func(*api.API)) *bench {
	ctx, cancel := context.WithCancel(t.Context())
	var book *denial.Book
	b := open(t, new(disk.Mem), append(change, func(a *api.API) {
		book = denial.New(a.Log, func(ctx context.Context, e *event.Event) error {
			_, err := a.Desk.Record(ctx, intake.OwnSource, e)
			return err
		})
		a.Denied = book.Note
		a.Address = func(r *http.Request) netip.Addr {
			addr, err := netip.ParseAddr(r.Header.Get("X-From"))
			if err != nil {
				addr = netip.MustParseAddr("192.0.2.1")
			}
			return addr
		}
	})...)
	ended := make(chan error)
	go func() { ended <- book.Run(ctx) }()
	off := b.stop
	b.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the book ended with %v", err)
		}
		off()
	}
	return b
}

// denials returns what the log says about who was not let in, oldest first.
func (b *bench) denials() []string {
	b.t.Helper()
	synctest.Wait()
	b.settled()
	var p struct {
		Events []struct {
			Outcome  string
			Actor    struct{ Type, ID string }
			Subjects []struct{ Type, ID string }
			Context  struct{ IP, Origin string }
			Metadata struct {
				Way, Why string
				Count    int
			}
		}
	}
	b.get("/v1/events?q=tag:audit:access:deny&order=oldest", &p)
	var lines []string
	for _, e := range p.Events {
		var line strings.Builder
		fmt.Fprintf(&line, "%s %s %s %d %s", e.Context.IP, e.Metadata.Way, e.Metadata.Why, e.Metadata.Count, e.Actor.Type)
		for _, s := range e.Subjects {
			line.WriteString(" " + s.Type + " " + s.ID)
		}
		if e.Outcome != "denied" || e.Context.Origin != "api" {
			b.t.Errorf("the outcome of %s is %q at %q", line.String(), e.Outcome, e.Context.Origin)
		}
		lines = append(lines, line.String())
	}
	return lines
}

// credentials returns keys that let nobody in: wrong, revoked, forged and of
// another log.
func (b *bench) credentials() map[string]string {
	b.t.Helper()
	must := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	gone, revoked, err := b.api.Keys.Create("gone", "gone", []string{auth.Read})
	must(err)
	_, err = b.api.Keys.Revoke(gone.ID)
	must(err)
	others, err := auth.Open(new(disk.Mem))
	must(err)
	_, foreign, err := others.Create("x", "x", []string{auth.Admin})
	must(err)
	id := strings.Split(b.keys[auth.Admin], "_")[1]
	return map[string]string{
		"wrong": "hunter2", "revoked": revoked, "foreign": foreign, "forged": "cst_" + id + "_" + strings.Repeat("A", 43),
		"forged of a revoked key": "cst_" + gone.ID + "_" + strings.Repeat("A", 43),
	}
}

// TestWhoIsNotLetInIsOnRecord tries each kind of credential that lets nobody in:
// the status says so, and the log says who tried and what was wrong with it.
func TestWhoIsNotLetInIsOnRecord(t *testing.T) {
	for _, c := range []struct {
		name   string
		header string // what Authorization is; {name} stands for a credential
		path   string // "" is a search
		status int
		want   string // in the log; {name} stands for the ID in a credential
	}{
		{"none", "", "", 401, ""},
		{"wrong", "Bearer {wrong}", "", 401, "203.0.113.9 key unknown 1 anonymous"},
		{"another kind", "Basic YTpi", "", 401, "203.0.113.9 key unknown 1 anonymous"},
		{"expired", "Bearer {revoked}", "", 401, "203.0.113.9 key expired 1 anonymous key {revoked}"},
		{"forged", "Bearer {forged}", "", 401, "203.0.113.9 key forged 1 anonymous key {forged}"},
		{"foreign", "Bearer {foreign}", "", 401, "203.0.113.9 key foreign 1 anonymous"},
		{"wrong scope", "Bearer {submit}", "", 403, "203.0.113.9 key scope 1 service key {submit}"},
		{"wrong scope for an administrator's path", "Bearer {read}", "/v1/keys", 403, "203.0.113.9 key scope 1 service key {read}"},
		{"wrong scope for what is asked", "Bearer {submit}", "/v1/events?trust=imported", 403, "203.0.113.9 key scope 1 service key {submit}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := watched(t)
				defer b.stop()
				header := map[string]string{"X-From": "203.0.113.9", "Content-Type": "application/json"}
				want := c.want
				credentials := b.credentials()
				for _, scope := range auth.Scopes {
					credentials[scope] = b.keys[scope]
				}
				for name, text := range credentials {
					c.header = strings.ReplaceAll(c.header, "{"+name+"}", text)
					if _, rest, ok := strings.Cut(text, "_"); ok {
						id, _, _ := strings.Cut(rest, "_")
						want = strings.ReplaceAll(want, "{"+name+"}", id)
					}
				}
				if c.header != "" {
					header["Authorization"] = c.header
				}
				method, body := "GET", ""
				if strings.Contains(c.path, "trust") {
					method, body = "POST", published
				}
				if c.path == "" {
					c.path = "/v1/events"
				}
				if w := b.do(call{method: method, path: c.path, header: header, body: body}); w.Code != c.status {
					t.Errorf("%s = %d %s, want %d", c.header, w.Code, w.Body, c.status)
				}
				if got := strings.Join(b.denials(), "\n"); got != want {
					t.Errorf("the log says\n%s\nwant\n%s", got, want)
				}
			})
		})
	}
}

// TestRefusalsLookTheSame checks that nobody learns from an answer whether there
// is or was such a key: all of it is the same, byte for byte.
func TestRefusalsLookTheSame(t *testing.T) {
	b := open(t, new(disk.Mem))
	b.submit(published)
	for _, at := range []struct{ method, path string }{{"GET", "/v1/events"}, {"GET", "/v1/events/0"}, {"GET", "/v1/events/999"}, {"POST", "/v1/keys"}, {"GET", "/v1/log"}} {
		var first *http.Response
		var body string
		for name, text := range b.credentials() {
			w := b.do(call{method: at.method, path: at.path, header: map[string]string{"Authorization": "Bearer " + text}})
			if w.Code != 401 {
				t.Errorf("%s %s with a key that is %s = %d, want 401", at.method, at.path, name, w.Code)
			}
			if first == nil {
				first, body = w.Result(), w.Body.String()
			}
			if w.Body.String() != body || !reflect.DeepEqual(w.Result().Header, first.Header) {
				t.Errorf("%s %s with a key that is %s = %s %v; another gets %s %v", at.method, at.path, name, w.Body, w.Result().Header, body, first.Header)
			}
		}
	}
	// An administrator may know which keys there are, and no more.
	gone, _, err := b.api.Keys.Create("gone", "gone", []string{auth.Read})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.api.Keys.Revoke(gone.ID); err != nil {
		t.Fatal(err)
	}
	revoked, never := b.do(call{method: "GET", path: "/v1/keys/" + gone.ID, scope: auth.Admin}), b.do(call{method: "GET", path: "/v1/keys/0123456789ab", scope: auth.Admin})
	if revoked.Code != 404 || !bytes.Equal(revoked.Body.Bytes(), never.Body.Bytes()) {
		t.Errorf("a revoked key = %d %s, one that never was = %s", revoked.Code, revoked.Body, never.Body)
	}
}

// TestTooManyWrongKeys lets one address send wrong keys until it is told to wait:
// nobody with a valid key notices, and the log stays readable.
func TestTooManyWrongKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watched(t, func(a *api.API) { a.Limiter = new(signin.Limiter) })
		defer b.stop()
		ask := func(key, from string) (int, http.Header, problem) {
			w := b.do(call{method: "GET", path: "/v1/events?limit=1", header: map[string]string{"Authorization": "Bearer " + key, "X-From": from}})
			return w.Code, w.Header(), decode[problem](t, w)
		}
		const attacker, other = "203.0.113.9", "203.0.113.10"
		var limited http.Header
		for i := 0; limited == nil; i++ {
			switch code, header, p := ask("hunter2", attacker); {
			case code == 429 && p.Type == "/problems/too-many-failures":
				limited = header
			case code != 401 || i > 100:
				t.Fatalf("wrong key %d = %d %+v, want 401 and in the end 429", i, code, p)
			}
		}
		wait, err := strconv.Atoi(limited.Get("Retry-After"))
		if err != nil || wait < 1 || limited.Get("WWW-Authenticate") != "" {
			t.Fatalf("429 with %v", limited)
		}
		for name, from := range map[string]string{"another address": other, "the same address": attacker} {
			if code, _, p := ask(b.keys[auth.Read], from); code != 200 {
				t.Errorf("a valid key from %s = %d %+v, want 200", name, code, p)
			}
		}
		if code, _, _ := ask("hunter2", other); code != 401 {
			t.Errorf("a wrong key from another address = %d, want 401", code)
		}
		for range 200 {
			ask("hunter2", attacker)
		}
		time.Sleep(time.Duration(wait) * time.Second)
		if code, _, _ := ask("hunter2", attacker); code != 401 {
			t.Errorf("a wrong key after the wait = %d, want 401", code)
		}
		time.Sleep(2 * time.Minute)
		said, attempts := b.denials(), 0
		for _, line := range said {
			var count int
			if _, err := fmt.Sscanf(line, attacker+" key limited %d", &count); err == nil {
				attempts += count
			}
		}
		if len(said) > 8 || attempts != 201 {
			t.Errorf("of 201 attempts that were too many the log counts %d:\n%s", attempts, strings.Join(said, "\n"))
		}
	})
}

// TestSigninLink checks that a link is given to administrators only, in their name
// and on record, and not at all if that cannot be recorded.
func TestSigninLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expires := time.Now().Add(15 * time.Minute)
		var asked []event.Party
		fs, broken := unsyncable()
		b := open(t, fs, func(a *api.API) {
			a.Address = func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.Header.Get("X-From")) }
			a.SigninLink = func(by event.Party) (string, time.Time, error) {
				asked = append(asked, by)
				if len(asked) > 2 {
					return "", time.Time{}, errors.New("no randomness")
				}
				return "https://log.example/signin/abc", expires, nil
			}
		})
		defer b.stop()
		link := call{method: "POST", path: "/v1/signin/link", scope: auth.Read, header: map[string]string{"X-From": "203.0.113.9"}}
		if w := b.do(link); w.Code != 403 || asked != nil {
			t.Errorf("with a key to read = %d %s", w.Code, w.Body)
		}
		link.scope = auth.Admin
		w := b.do(link)
		answer := decode[struct {
			URL     string
			Expires time.Time
		}](t, w)
		if w.Code != 201 || answer.URL != "https://log.example/signin/abc" || !answer.Expires.Equal(expires) || len(asked) != 1 || asked[0].Name != "the admin key" {
			t.Errorf("a link = %d %s, for %+v", w.Code, w.Body, asked)
		}
		b.settled()
		var p page
		w = b.do(call{method: "GET", path: "/v1/events?q=tag:audit:access:grant+ip:203.0.113.9", scope: auth.Read, header: link.header})
		if p = decode[page](t, w); len(p.Events) != 1 || !strings.Contains(p.Events[0].Text, "the console") {
			t.Errorf("the events of it are %+v", p.Events)
		}
		w = b.do(call{method: "GET", path: "/v1/events?q=abc", scope: auth.Read, header: link.header})
		if p = decode[page](t, w); len(p.Events) != 0 {
			t.Errorf("the link is in %+v", p.Events)
		}
		broken.Store(true)
		if w := b.do(link); w.Code != 503 || strings.Contains(w.Body.String(), "abc") {
			t.Errorf("a link that cannot be recorded = %d %s, want 503", w.Code, w.Body)
		}
		if w := b.do(link); w.Code != 500 || strings.Contains(w.Body.String(), "random") {
			t.Errorf("a link that cannot be made = %d %s, want 500", w.Code, w.Body)
		}
	})
	b := open(t, new(disk.Mem))
	w := b.do(call{method: "POST", path: "/v1/signin/link", scope: auth.Admin})
	if p := decode[problem](t, w); w.Code != 404 || p.Type != "/problems/no-console" || b.journal.Size() != 0 {
		t.Errorf("without a console = %d %s, want 404", w.Code, w.Body)
	}
}

// TestHiddenLooksLikeMissing asks two logs for an event: one holds it and does not
// show it to the key, the other has none. Nobody can tell which is which.
func TestHiddenLooksLikeMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		holds, empty := open(t, new(disk.Mem)), open(t, new(disk.Mem))
		defer holds.stop()
		defer empty.stop()
		holds.submit(`{"id":"1","tag":"user:login:success","time":"2026-03-31T00:20:00Z","actor":{"type":"user","id":"u-1041","name":"alice"}}`)
		holds.settled()
		for _, whom := range []string{"public", "user:u-2", "project:project:pkg:npm/demo-pkg", "org:o1"} {
			reading, err := auth.ParseReading(whom)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range []*bench{holds, empty} {
				if _, b.keys[whom], err = b.api.Keys.Create("a", "b", []string{auth.Read}, reading); err != nil {
					t.Fatal(err)
				}
			}
			for _, path := range []string{"/v1/events/0", "/v1/events/0/receipt"} {
				hidden, missing := holds.do(call{method: "GET", path: path, scope: whom}), empty.do(call{method: "GET", path: path, scope: whom})
				if hidden.Code != 404 || missing.Code != 404 || hidden.Body.String() != missing.Body.String() || !reflect.DeepEqual(hidden.Result().Header, missing.Result().Header) {
					t.Errorf("%s as %s = %d %s; where there is none %d %s", path, whom, hidden.Code, hidden.Body, missing.Code, missing.Body)
				}
			}
		}
		// Who may see it does.
		reading := auth.Reading{As: auth.AsUser, ID: "u-1041"}
		var err error
		if _, holds.keys["self"], err = holds.api.Keys.Create("a", "b", []string{auth.Read}, reading); err != nil {
			t.Fatal(err)
		}
		if w := holds.do(call{method: "GET", path: "/v1/events/0", scope: "self"}); w.Code != 200 || !strings.Contains(w.Body.String(), "alice") {
			t.Errorf("the event as the person it is about = %d %s", w.Code, w.Body)
		}
	})
}
