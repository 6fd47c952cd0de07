package signin_test

import (
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/signin"
)

// An oracle is a provider that says whatever a test wants it to. What a real one
// says is tested in e2e/provider.
type oracle struct {
	*httptest.Server

	t       *testing.T
	issuer  string             // its address
	key     ed25519.PrivateKey // that it signs with
	nonce   string             // that it was asked with
	change  claims             // what it says beside the truth
	header  claims             // that its token has
	deny    int                // status with which it answers to a code; 0 is yes
	asked   atomic.Int32       // for what it says about itself
	missing atomic.Bool        // it does not say it
	form    url.Values         // with which it was asked for a token
}

func newOracle(t *testing.T) *oracle {
	o := newSilentOracle(t)
	o.Start()
	return o
}

// newSilentOracle returns one that answers nobody before it is started.
func newSilentOracle(t *testing.T) *oracle {
	o := &oracle{t: t, key: registryKey, header: claims{"alg": "EdDSA", "kid": "o1"}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		o.asked.Add(1)
		if o.missing.Load() {
			http.Error(w, "later", http.StatusBadGateway)
			return
		}
		json.NewEncoder(w).Encode(claims{
			"issuer": o.issuer, "authorization_endpoint": o.issuer + "/auth", "token_endpoint": o.issuer + "/token", "jwks_uri": o.issuer + "/keys",
			"id_token_signing_alg_values_supported": []string{"EdDSA"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: registryKey.Public(), KeyID: "o1", Algorithm: "EdDSA", Use: "sig"},
		}})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		o.form = r.PostForm
		if o.deny != 0 {
			http.Error(w, `{"error":"invalid_grant"}`, o.deny)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(claims{"access_token": "a", "token_type": "Bearer", "id_token": o.token()})
	})
	o.Server = httptest.NewUnstartedServer(mux)
	o.issuer = "http://" + o.Listener.Addr().String()
	t.Cleanup(o.Close)
	return o
}

// token returns what it says about somebody.
func (o *oracle) token() string {
	now := time.Now().Unix()
	body := claims{
		"iss": o.issuer, "aud": "custody", "sub": "248289761001", "iat": now, "exp": now + 300, "nonce": o.nonce,
		"preferred_username": "user-alice", "name": "alice", "email": "alice@example.com", "email_verified": true,
		"groups": []string{"auditors", "staff"},
	}
	for name, value := range o.change {
		body[name] = value
		if value == nil {
			delete(body, name)
		}
	}
	return sign(o.key, o.header, body)
}

// settings let people sign in with o.
func (o *oracle) settings(s *signin.Settings) {
	s.Provider = &signin.Provider{
		Issuer: o.issuer, ClientID: "custody", ClientSecret: "secret",
		Groups: map[string]signin.Group{
			"auditors": {Staff: catalogue.Auditor, Orgs: []reader.Ref{{Type: "org", ID: "org-1"}}},
			"admins":   {Staff: catalogue.Admin},
		},
	}
}

// start begins a sign-in and returns the way back, with a code, and the cookie.
func (o *oracle) start(h *house, target string) (back string, cookie *http.Cookie) {
	o.t.Helper()
	answer := h.do("GET", target, nil)
	to, err := url.Parse(answer.Header.Get("Location"))
	if err != nil || answer.StatusCode != http.StatusSeeOther || len(answer.Cookies()) != 1 {
		o.t.Fatalf("starting gave %d, %v", answer.StatusCode, err)
	}
	q := to.Query()
	o.nonce = q.Get("nonce")
	if to.Path != "/auth" || q.Get("redirect_uri") != public+"/signin/callback" || q.Get("code_challenge_method") != "S256" || len(q.Get("state")) != 43 || len(o.nonce) != 43 {
		o.t.Fatalf("the browser was sent to %s", to)
	}
	return "/signin/callback?code=c&state=" + q.Get("state"), answer.Cookies()[0]
}

// What a provider says makes somebody the reader that the settings name.
func TestProviderSaysWho(t *testing.T) {
	for _, tt := range []struct {
		name, claim string
		change      claims
		want        reader.Reader
	}{
		{"a group with a role", "", nil, reader.Reader{
			Staff: catalogue.Auditor, Self: "user-alice", Orgs: []reader.Ref{{Type: "org", ID: "org-1"}},
			By: event.Party{Type: "admin", ID: "user-alice", Name: "alice"},
		}},
		{"no group", "", claims{"groups": nil}, reader.Reader{
			Self: "user-alice", By: event.Party{Type: "user", ID: "user-alice", Name: "alice"},
		}},
		{"one group, not in a list", "", claims{"groups": "admins"}, reader.Reader{
			Staff: catalogue.Admin, Self: "user-alice", By: event.Party{Type: "admin", ID: "user-alice", Name: "alice"},
		}},
		{"groups of another kind", "", claims{"groups": []any{1, claims{"admins": true}, []string{"admins"}}}, reader.Reader{
			Self: "user-alice", By: event.Party{Type: "user", ID: "user-alice", Name: "alice"},
		}},
		{"another claim, which is a number", "uid", claims{"uid": 12345678901234567, "groups": nil}, reader.Reader{
			Self: "12345678901234567", By: event.Party{Type: "user", ID: "12345678901234567", Name: "alice"},
		}},
		{"an address that was verified", "email", claims{"groups": nil}, reader.Reader{
			Self: "alice@example.com", By: event.Party{Type: "user", ID: "alice@example.com", Name: "alice"},
		}},
		{"an address that nobody verified", "email", claims{"email_verified": false}, reader.Reader{
			Staff: catalogue.Auditor, Orgs: []reader.Ref{{Type: "org", ID: "org-1"}},
			By: event.Party{Type: "admin", ID: "oidc:248289761001", Name: "alice"},
		}},
		{"a name with a line break", "", claims{"name": "alice\nroot", "groups": nil}, reader.Reader{
			Self: "user-alice", By: event.Party{Type: "user", ID: "user-alice", Name: "user-alice"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOracle(t)
			o.change = tt.change
			h := newHouse(t, func(s *signin.Settings) {
				o.settings(s)
				s.Provider.UserClaim = tt.claim
			})
			back, cookie := o.start(h, "/signin/oidc?return=/search%3Fq=a")
			answer := h.do("GET", back, nil, cookie)
			who, session, _ := h.who(answer.Cookies()...)
			if session == nil || answer.Header.Get("Location") != "/search?q=a" || len(o.form.Get("code_verifier")) < 43 {
				t.Fatalf("got %d to %q, want to be signed in and sent on", answer.StatusCode, answer.Header.Get("Location"))
			}
			if who.Staff != tt.want.Staff || who.Self != tt.want.Self || who.By != tt.want.By || !slices.Equal(who.Orgs, tt.want.Orgs) || who.Clear {
				t.Errorf("signed in as %+v, want %+v", who, tt.want)
			}
			if e := h.events[0]; e.Tag != "audit:signin:success" || e.Metadata["way"] != "oidc" || e.Actor != tt.want.By || e.Credential.ID != "248289761001" {
				t.Errorf("recorded %+v", e)
			}
		})
	}
}

// Nobody gets in by a token that is not this provider's, for this log, in answer
// to this question; and nobody who is nothing here.
func TestProviderIsNotBelieved(t *testing.T) {
	now := time.Now().Unix()
	for _, tt := range []struct {
		name string
		why  string
		with func(o *oracle)
	}{
		{"signed by another", "token", func(o *oracle) { o.key = strangerKey }},
		{"no algorithm", "token", func(o *oracle) { o.header["alg"] = "none" }},
		{"another issuer", "token", func(o *oracle) { o.change = claims{"iss": "https://id.example.com"} }},
		{"for another client", "token", func(o *oracle) { o.change = claims{"aud": "another"} }},
		{"expired", "token", func(o *oracle) { o.change = claims{"exp": now - 10} }},
		{"another nonce", "nonce", func(o *oracle) { o.change = claims{"nonce": strings.Repeat("a", 43)} }},
		{"no nonce", "nonce", func(o *oracle) { o.change = claims{"nonce": nil} }},
		{"no subject", "claims", func(o *oracle) { o.change = claims{"sub": nil} }},
		{"a code it does not know", "code", func(o *oracle) { o.deny = http.StatusBadRequest }},
		{"nobody", "role", func(o *oracle) { o.change = claims{"preferred_username": nil, "groups": []string{"staff"}} }},
		{"a user with a line break", "role", func(o *oracle) { o.change = claims{"preferred_username": "a\nb", "groups": nil} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOracle(t)
			h := newHouse(t, o.settings)
			back, cookie := o.start(h, "/signin/oidc")
			tt.with(o)
			answer := h.do("GET", back, nil, cookie)
			if _, session, _ := h.who(answer.Cookies()...); answer.StatusCode != http.StatusForbidden || session != nil {
				t.Errorf("got %d and %v, want 403 and no session", answer.StatusCode, session)
			}
			if got := h.whys(); !slices.Equal(got, []string{"oidc " + tt.why}) {
				t.Errorf("written down: %q, want %q", got, tt.why)
			}
		})
	}
}

// The way back is for the browser that began, once, with its own state.
func TestWayBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		why  string
		with func(o *oracle, h *house, back string, cookie *http.Cookie) *answer
	}{
		{"another browser", "unknown", func(_ *oracle, h *house, back string, _ *http.Cookie) *answer {
			return h.do("GET", back, nil)
		}},
		{"a browser that began another", "unknown", func(o *oracle, h *house, back string, _ *http.Cookie) *answer {
			_, other := o.start(h, "/signin/oidc")
			return h.do("GET", back, nil, other)
		}},
		{"twice", "unknown", func(_ *oracle, h *house, back string, cookie *http.Cookie) *answer {
			h.do("GET", back, nil, cookie)
			return h.do("GET", back, nil, cookie)
		}},
		{"no state", "unknown", func(_ *oracle, h *house, _ string, cookie *http.Cookie) *answer {
			return h.do("GET", "/signin/callback?code=c", nil, cookie)
		}},
		{"a cookie that was changed", "unknown", func(_ *oracle, h *house, back string, cookie *http.Cookie) *answer {
			first := byte('A')
			if cookie.Value[0] == first {
				first = 'B'
			}
			cookie.Value = string(first) + cookie.Value[1:]
			return h.do("GET", back, nil, cookie)
		}},
		{"a cookie that is garbage", "unknown", func(_ *oracle, h *house, back string, cookie *http.Cookie) *answer {
			cookie.Value = "garbage"
			return h.do("GET", back, nil, cookie)
		}},
		{"a cookie of another log", "unknown", func(o *oracle, h *house, back string, _ *http.Cookie) *answer {
			_, other := o.start(newHouse(t, o.settings), "/signin/oidc")
			return h.do("GET", back, nil, other)
		}},
		{"from another issuer", "foreign", func(_ *oracle, h *house, back string, cookie *http.Cookie) *answer {
			return h.do("GET", back+"&iss=https://id.example.com", nil, cookie)
		}},
		{"a no", "denied", func(_ *oracle, h *house, back string, cookie *http.Cookie) *answer {
			return h.do("GET", back+"&error=access_denied", nil, cookie)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOracle(t)
			h := newHouse(t, o.settings)
			back, cookie := o.start(h, "/signin/oidc")
			answer := tt.with(o, h, back, cookie)
			if answer.StatusCode != http.StatusForbidden {
				t.Errorf("got %d, want 403", answer.StatusCode)
			}
			if got := h.whys(); !slices.Equal(got, []string{"oidc " + tt.why}) {
				t.Errorf("written down: %q, want %q", got, tt.why)
			}
		})
	}
}

// A sign-in that somebody left open on their screen is over after ten minutes.
func TestWayBackExpires(t *testing.T) {
	for _, tt := range []struct {
		pause  time.Duration
		status int
	}{{10*time.Minute - time.Second, http.StatusSeeOther}, {10 * time.Minute, http.StatusForbidden}} {
		synctest.Test(t, func(t *testing.T) {
			o := newSilentOracle(t)
			h := newHouse(t, func(s *signin.Settings) {
				o.settings(s)
				s.Provider.Client = &http.Client{Transport: direct{o.Config.Handler}}
			})
			back, cookie := o.start(h, "/signin/oidc")
			time.Sleep(tt.pause)
			if answer := h.do("GET", back, nil, cookie); answer.StatusCode != tt.status {
				t.Errorf("after %v: %d, want %d", tt.pause, answer.StatusCode, tt.status)
			}
		})
	}
}

// direct asks a handler without a network, on which no clock of a test can wait.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// The cookie of a sign-in under way is gone within minutes, also from what is
// believed of it.
func TestProgressCookie(t *testing.T) {
	o := newOracle(t)
	h := newHouse(t, o.settings)
	_, cookie := o.start(h, "/signin/oidc?return="+url.QueryEscape("/search?q="+strings.Repeat("a", 2000)))
	if cookie.Name != "__Host-custody-signin" || cookie.MaxAge != 600 || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("the cookie is %+v", cookie)
	}
	if n := len(cookie.String()); n > 4096 {
		t.Errorf("the cookie has %d bytes; browsers keep 4096", n)
	}
}

// A provider that is away keeps nobody from starting, is asked three times, and
// then left alone; it is not taken for a failure of those who try.
func TestProviderIsAway(t *testing.T) {
	o := newOracle(t)
	o.missing.Store(true)
	h := newHouse(t, o.settings)
	for range 2 {
		if answer := h.do("GET", "/signin/oidc", nil); answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("got %d, want 503", answer.StatusCode)
		}
	}
	if n := o.asked.Load(); n != 3 {
		t.Errorf("it was asked %d times, want 3", n)
	}
	if got := h.whys(); len(got) != 0 {
		t.Errorf("written down: %q, want nothing", got)
	}

	o = newOracle(t)
	h = newHouse(t, o.settings)
	back, cookie := o.start(h, "/signin/oidc")
	o.deny = http.StatusBadGateway
	if answer := h.do("GET", back, nil, cookie); answer.StatusCode != http.StatusServiceUnavailable || len(h.whys()) != 0 {
		t.Errorf("away in the middle: %d, %q, want 503 and nothing", answer.StatusCode, h.whys())
	}
}

// Settings that make no sense are refused before anybody signs in.
func TestNewRefuses(t *testing.T) {
	for name, settings := range map[string]signin.Settings{
		"a provider and no public URL":   {Provider: &signin.Provider{Issuer: "https://id.example.com"}},
		"a public URL that is none":      {PublicURL: "audit"},
		"a viewer key without an issuer": {Origin: "o", Viewers: []signin.ViewerKey{{ID: "r1", Key: registryKey.Public().(ed25519.PublicKey)}}},
		"a viewer key that is no key":    {Origin: "o", Viewers: []signin.ViewerKey{{ID: "r1", Issuer: "registry", Key: []byte("short")}}},
		"viewer keys and no origin":      {Viewers: []signin.ViewerKey{{ID: "r1", Issuer: "registry", Key: registryKey.Public().(ed25519.PublicKey)}}},
	} {
		if _, err := signin.New(settings, signin.Doors{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
