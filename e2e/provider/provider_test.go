package main

import (
	"context"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/signin"
)

// A world is a console that people sign in to, and the provider they do it with.
type world struct {
	console  string
	issuer   string
	provider func() // starts it

	mu     sync.Mutex
	events []*event.Event
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := new(world)
	var handler http.Handler
	console := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(console.Close)
	w.console = console.URL

	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listen.Addr().String()
	w.issuer = "http://" + address
	listen.Close() // until it is started
	w.provider = func() {
		dex, err := newProvider(t.Context(), w.issuer, w.console+"/signin/callback")
		if err != nil {
			t.Fatal(err)
		}
		again, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(dex)
		server.Listener.Close()
		server.Listener = again
		server.Start()
		t.Cleanup(server.Close)
	}

	s, err := signin.New(signin.Settings{
		PublicURL: w.console,
		Provider: &signin.Provider{
			Issuer: w.issuer, ClientID: clientID, ClientSecret: clientSecret,
			Scopes: []string{"profile", "email", "groups"},
			Groups: map[string]signin.Group{
				"custody-admins":   {Staff: catalogue.Admin, Orgs: []reader.Ref{{Type: "org", ID: "org-1"}}},
				"custody-auditors": {Staff: catalogue.Auditor},
			},
		},
	}, signin.Doors{
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Record: func(_ context.Context, e *event.Event) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
			return nil
		},
		Denied: func(denial.Attempt) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/signin", s.Handler())
	mux.Handle("/signin/", s.Handler())
	mux.HandleFunc("/who", func(rw http.ResponseWriter, r *http.Request) {
		who, _, _ := s.Reader(r)
		json.NewEncoder(rw).Encode(who)
	})
	handler = mux
	return w
}

func (w *world) tags() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var tags []string
	for _, e := range w.events {
		tags = append(tags, e.Tag)
	}
	return tags
}

// A browser keeps cookies, and stops before it opens an address that begins with
// stop, if that is not "".
type browser struct {
	t      *testing.T
	client *http.Client
	stop   string
}

func newBrowser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, client: &http.Client{Jar: jar}}
	b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if b.stop != "" && strings.HasPrefix(r.URL.String(), b.stop) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return b
}

// An answer is what came back, from where.
type answer struct {
	StatusCode int
	Location   string
	From       *url.URL
	Page       string
}

func (b *browser) get(address string) *answer {
	b.t.Helper()
	got, err := b.client.Get(address)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.read(got)
}

func (b *browser) post(address string, form url.Values) *answer {
	b.t.Helper()
	got, err := b.client.PostForm(address, form)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.read(got)
}

func (b *browser) read(got *http.Response) *answer {
	b.t.Helper()
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &answer{got.StatusCode, got.Header.Get("Location"), got.Request.URL, string(body)}
}

var formAction = regexp.MustCompile(`<form method="post" action="([^"]+)"`)

// signIn begins at the console and types what the provider asks for.
func (b *browser) signIn(console, email, secret string) *answer {
	b.t.Helper()
	asked := b.get(console + "/signin/oidc?return=/who")
	form := formAction.FindStringSubmatch(asked.Page)
	if form == nil {
		b.t.Fatalf("the provider shows no form: %d %s", asked.StatusCode, asked.Page)
	}
	action, err := asked.From.Parse(html.UnescapeString(form[1]))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.post(action.String(), url.Values{"login": {email}, "password": {secret}})
}

// What a real provider says of its people makes them the readers that the
// settings name, and nobody more.
func TestPeopleBecomeReaders(t *testing.T) {
	w := newWorld(t)
	w.provider()
	for _, tt := range []struct {
		email string
		staff catalogue.Readers
		self  string
		orgs  int
		by    string
	}{
		{"admin@example.com", catalogue.Admin, "admin-7", 1, "admin"},
		{"auditor@example.com", catalogue.Auditor, "auditor-1", 0, "admin"},
		{"alice@example.com", 0, "user-alice", 0, "user"},
	} {
		t.Run(tt.email, func(t *testing.T) {
			b := newBrowser(t)
			got := b.signIn(w.console, tt.email, password)
			var who reader.Reader
			if err := json.Unmarshal([]byte(got.Page), &who); err != nil {
				t.Fatalf("after signing in: %d %s", got.StatusCode, got.Page)
			}
			if who.Staff != tt.staff || who.Self != tt.self || len(who.Orgs) != tt.orgs || who.By.Type != tt.by || who.By.ID != tt.self {
				t.Errorf("signed in as %+v, want %+v", who, tt)
			}
		})
	}
	if got := w.tags(); !slices.Equal(got, []string{"audit:signin:success", "audit:signin:success", "audit:signin:success"}) {
		t.Errorf("recorded %q, want three sign-ins", got)
	}
}

// Who does not know the password is not sent back, and is nobody here.
func TestWrongPassword(t *testing.T) {
	w := newWorld(t)
	w.provider()
	b := newBrowser(t)
	b.signIn(w.console, "admin@example.com", "wrong")
	if got := b.get(w.console + "/who"); strings.Contains(got.Page, "admin") {
		t.Errorf("signed in with a wrong password: %s", got.Page)
	}
	if got := w.tags(); len(got) != 0 {
		t.Errorf("recorded %q, want nothing", got)
	}
}

// Whoever gets hold of the address that leads back, from a history or a log,
// gets in neither with another browser, nor once more with the same one.
func TestWayBackIsForOneBrowserOnce(t *testing.T) {
	w := newWorld(t)
	w.provider()
	b := newBrowser(t)
	b.stop = w.console + "/signin/callback"
	back := b.signIn(w.console, "admin@example.com", password).Location
	if !strings.HasPrefix(back, b.stop) {
		t.Fatalf("sent to %q, want %s", back, b.stop)
	}
	b.stop = ""

	if got := newBrowser(t).get(back); got.StatusCode != http.StatusForbidden {
		t.Errorf("another browser got %d %s, want 403", got.StatusCode, got.Page)
	}
	if got := b.get(back); !strings.Contains(got.Page, "admin-7") {
		t.Errorf("the browser that began got %s, want to be admin-7", got.Page)
	}
	if got := b.get(back); got.StatusCode != http.StatusForbidden {
		t.Errorf("a second time gave %d %s, want 403", got.StatusCode, got.Page)
	}
}

// A code is worth nothing to whoever has not the verifier, even with the secret
// of the client: the provider holds us to PKCE.
func TestCodeNeedsItsVerifier(t *testing.T) {
	w := newWorld(t)
	w.provider()
	b := newBrowser(t)
	b.stop = w.console + "/signin/callback"
	back, err := url.Parse(b.signIn(w.console, "admin@example.com", password).Location)
	if err != nil {
		t.Fatal(err)
	}
	code := back.Query().Get("code")
	for name, verifier := range map[string]string{"none": "", "another": strings.Repeat("a", 43)} {
		form := url.Values{
			"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {b.stop},
			"client_id": {clientID}, "client_secret": {clientSecret},
		}
		if verifier != "" {
			form.Set("code_verifier", verifier)
		}
		if got := b.post(w.issuer+"/token", form); code == "" || got.StatusCode != http.StatusBadRequest || !strings.Contains(got.Page, "invalid_grant") {
			t.Errorf("verifier %s: %d %s, want invalid_grant", name, got.StatusCode, got.Page)
		}
	}
}

// A provider that is down is said to be, and the first who comes after it is up
// again gets in.
func TestProviderIsDownAtFirst(t *testing.T) {
	w := newWorld(t)
	b := newBrowser(t)
	if got := b.get(w.console + "/signin/oidc"); got.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("without a provider: %d %s, want 503", got.StatusCode, got.Page)
	}
	w.provider()
	began := time.Now()
	// It is left alone for a moment after it did not answer.
	for tick := time.Tick(100 * time.Millisecond); ; <-tick {
		if b.get(w.console+"/signin/oidc").StatusCode == http.StatusOK {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("after a minute: still not")
		}
	}
	if got := b.signIn(w.console, "alice@example.com", password); !strings.Contains(got.Page, "user-alice") {
		t.Errorf("after the provider came up: %s, want to be user-alice", got.Page)
	}
}
