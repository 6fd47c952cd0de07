package server_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A visitor is a browser that keeps one cookie.
type visitor struct {
	*service

	cookie *http.Cookie
}

// visit returns the browser of somebody who signs in with a key.
func (s *service) visit(key string) *visitor {
	s.t.Helper()
	v := &visitor{service: s}
	w := v.send("POST", "/signin", url.Values{"key": {key}}.Encode())
	defer w.Body.Close()
	if w.StatusCode != http.StatusSeeOther || len(w.Cookies()) != 1 {
		s.t.Fatalf("signing in = %d, with %d cookies", w.StatusCode, len(w.Cookies()))
	}
	v.cookie = w.Cookies()[0]
	return v
}

func (v *visitor) send(method, path, form string) *http.Response {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, "http://"+v.hello.Addr+path, strings.NewReader(form))
	if err != nil {
		v.t.Fatal(err)
	}
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v.cookie != nil {
		r.AddCookie(v.cookie)
	}
	w, err := http.DefaultTransport.RoundTrip(r) // no redirect is followed
	if err != nil {
		v.t.Fatal(err)
	}
	return w
}

func (v *visitor) page(path string) []byte {
	v.t.Helper()
	w := v.send("GET", path, "")
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return body
}

// Who signed in with a key is out when it is revoked. If this fails, whoever stole a
// key looks on for half a day after it was noticed.
func TestRevokedKeyEndsSessions(t *testing.T) {
	s := serve(t, t.TempDir(), "")
	type made struct{ ID, Secret string }
	for _, scopes := range []string{`["read"],"reads":["auditor"]`, `["admin"],"reads":["admin"]`} {
		key := get[made](s, "POST", "/v1/keys", `{"name":"lost","source":"lost","scopes":`+scopes+`}`, 201)
		stays, goes := s.visit(s.key), s.visit(key.Secret)
		if !bytes.Contains(goes.page("/"), []byte("Signed in as")) {
			t.Fatal("not signed in")
		}
		s.do(200, "DELETE", "/v1/keys/"+key.ID, "")
		if page := goes.page("/"); bytes.Contains(page, []byte("Signed in as")) || !bytes.Contains(page, []byte("Your session is over")) {
			t.Errorf("%s: after the key was revoked its session goes on", scopes)
		}
		if !bytes.Contains(stays.page("/"), []byte("Signed in as")) {
			t.Errorf("%s: the session of another key is over, too", scopes)
		}
	}
}

// Whoever types a key into the sign-in page is a person: personal data is masked for
// them until they say why, even if a program with that key reads everything.
func TestPeopleAreMasked(t *testing.T) {
	s := serve(t, t.TempDir(), "")
	const address = "203.0.113.77"
	s.do(201, "POST", "/v1/events", `{"id":"1","tag":"user:login:success","time":"`+time.Now().UTC().Format(time.RFC3339)+
		`","actor":{"type":"user","id":"u-1"},"context":{"ip":"`+address+`"}}`)
	s.await(func() bool { return bytes.Contains(s.do(200, "GET", "/v1/events?q=ip:"+address, ""), []byte(`"u-1"`)) })
	person := s.visit(s.key)
	page := person.page("/search?q=user:u-1")
	if !bytes.Contains(page, []byte("some of it is masked")) || bytes.Contains(page, []byte(address)) {
		t.Errorf("the page shows the address, or nothing: masked %v, shown %v",
			bytes.Contains(page, []byte("some of it is masked")), bytes.Contains(page, []byte(address)))
	}
}
