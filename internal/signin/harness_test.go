package signin_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/signin"
)

const (
	public  = "https://audit.example.com"
	goodKey = "cst_0123456789ab_right"
	client  = "192.0.2.7:4321"
)

// admin is whose key goodKey is.
var admin = event.Party{Type: "service", ID: "0123456789ab", Name: "the <i>admin</i> key"}

// A house is a Signin and what it had recorded.
type house struct {
	*signin.Signin

	t       *testing.T
	handler http.Handler

	by      event.Party // whose key goodKey is; admin at first
	checked func()      // called between the check of a key and the session; nil if there is nothing to do

	mu     sync.Mutex
	full   bool // nothing can be recorded
	events []*event.Event
	denied []denial.Attempt
}

// newHouse returns a house on the web, but for what change changes.
func newHouse(t *testing.T, change func(*signin.Settings)) *house {
	t.Helper()
	h := &house{t: t, by: admin}
	settings := signin.Settings{Origin: "audit.example.com/log", PublicURL: public}
	if change != nil {
		change(&settings)
	}
	var err error
	h.Signin, err = signin.New(settings, signin.Doors{
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Key: func(text string) (*reader.Reader, error) {
			if text != goodKey {
				return nil, errors.New("no such key")
			}
			if h.checked != nil {
				h.checked()
			}
			return &reader.Reader{Staff: catalogue.Auditor, Self: "user-alice", By: h.by}, nil
		},
		Record: h.record,
		Denied: func(a denial.Attempt) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.denied = append(h.denied, a)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.handler = h.Handler()
	return h
}

func (h *house) record(_ context.Context, e *event.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.full {
		return errors.New("no space left")
	}
	h.events = append(h.events, e)
	return nil
}

// whys returns how and why somebody did not get in, each time.
func (h *house) whys() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var whys []string
	for _, a := range h.denied {
		whys = append(whys, string(a.Way)+" "+string(a.Why))
	}
	return whys
}

// do sends a request, with a form if it is a POST, as a browser would from a page
// of the house.
func (h *house) do(method, target string, form url.Values, cookies ...*http.Cookie) *answer {
	h.t.Helper()
	r := httptest.NewRequest(method, public+target, strings.NewReader(form.Encode()))
	r.RemoteAddr = client
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return h.send(r)
}

// An answer is what came back.
type answer struct {
	StatusCode int
	Header     http.Header
	Body       string
	cookies    []*http.Cookie
}

// Cookies are those that it sets.
func (a *answer) Cookies() []*http.Cookie { return a.cookies }

func (h *house) send(r *http.Request) *answer {
	h.t.Helper()
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	got := w.Result()
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return &answer{StatusCode: got.StatusCode, Header: got.Header, Body: string(body), cookies: got.Cookies()}
}

// enter signs in with the right key and returns the session's cookie.
func (h *house) enter(cookies ...*http.Cookie) *http.Cookie {
	h.t.Helper()
	answer := h.do("POST", "/signin", url.Values{"key": {goodKey}}, cookies...)
	for _, c := range answer.Cookies() {
		if strings.HasSuffix(c.Name, "custody") && c.Value != "" {
			return c
		}
	}
	h.t.Fatalf("signing in gave %d and no session", answer.StatusCode)
	return nil
}

// who returns whom the house takes the bearer of cookies for.
func (h *house) who(cookies ...*http.Cookie) (*reader.Reader, *signin.Session, error) {
	r := httptest.NewRequest("GET", public+"/", nil)
	r.RemoteAddr = client
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return h.Reader(r)
}
