package signin

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"html/template"
	"math"
	"net/http"
	"strconv"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/reader"
)

//go:embed templates
var files embed.FS

func parsePages() *template.Template {
	return template.Must(template.ParseFS(files, "templates/*.html"))
}

// A Page is what there is to show: complete HTML for the inside of a <main>,
// which has its own <h1>.
type Page struct {
	Title string
	Body  template.HTML
}

// A Drawer draws a page within the layout of the console, and answers with it.
type Drawer interface {
	Draw(w http.ResponseWriter, r *http.Request, page Page, status int)
}

// plainDrawer draws pages for who has no layout.
type plainDrawer struct{}

var plainLayout = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}} · Custody</title></head>
<body><main>
{{.Body}}</main></body>
</html>
`))

// plainPolicy lets a page load nothing and send its forms nowhere else.
const plainPolicy = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (plainDrawer) Draw(w http.ResponseWriter, _ *http.Request, page Page, status int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", plainPolicy)
	w.WriteHeader(status)
	_ = plainLayout.Execute(w, page) // the client has gone; nobody to tell
}

// draw answers with a page made of one of the templates.
func (s *Signin) draw(w http.ResponseWriter, r *http.Request, status int, title, name string, data any) {
	var body bytes.Buffer
	if err := s.pages.ExecuteTemplate(&body, name, data); err != nil {
		s.doors.Log.ErrorContext(r.Context(), "page failed", "page", name, "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	s.drawer.Draw(w, r, Page{Title: title, Body: template.HTML(body.String())}, status)
}

// A message is a page that says what happened, and what to do.
type message struct{ Title, Text, Hint string }

var (
	plainMessage = message{
		"Not over this connection",
		"Somebody on the way could read what you send, so nobody signs in here.",
		"Open the console on the machine it runs on, or put a server that speaks TLS in front and set console.public_url.",
	}
	keyMessage     = message{"Not signed in", "That is no API key which may look at this log.", ""}
	linkMessage    = message{"Not signed in", "That link was used already, is too old, or was never made.", "Ask for another one: it is good for 15 minutes, once."}
	stateMessage   = message{"Not signed in", "This sign-in was not begun in this browser, was finished already, or took more than 10 minutes.", "Begin again."}
	refusedMessage = message{"Not signed in", "The provider did not let you in, or what it said could not be believed.", "Begin again; if that does not help, ask who runs this log."}
	nobodyMessage  = message{"Not signed in", "The provider knows you, but nothing says what you may see here.", "Ask who runs this log to give your group a role."}
	awayMessage    = message{"Not signed in", "The provider does not answer.", "Try again in a minute. API keys work all the same."}
	fullMessage    = message{"Not signed in", "The log cannot record your sign-in now, and without that nobody gets in.", "Try again in a minute."}
	againMessage   = message{"Not signed in", "Somebody's sessions were ended at this very moment.", "Try again."}
	foreignMessage = message{"Not done", "The request came from a page of another site.", "Do it from the console's own pages."}
	formMessage    = message{"Not done", "The form is not of this session, which may be over.", "Go back, reload the page, and try again."}
	limitMessage   = message{"Not now", "Too many tries from your network failed.", "Try again later."}
	outMessage     = message{"Signed out", "You are signed out on this browser.", ""}
)

func (s *Signin) message(w http.ResponseWriter, r *http.Request, status int, m message) {
	s.draw(w, r, status, m.Title, "message.html", m)
}

// refuseForeign answers a request that came from a page of another origin.
func (s *Signin) refuseForeign(w http.ResponseWriter, r *http.Request) {
	s.message(w, r, http.StatusForbidden, foreignMessage)
}

// try says whether somebody may try to get in by a way, and answers if not.
func (s *Signin) try(w http.ResponseWriter, r *http.Request, way denial.Way) bool {
	var limit *LimitError
	if !errors.As(s.limited(r), &limit) {
		return true
	}
	s.note(r, way, denial.Limited)
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(limit.Wait.Seconds()))))
	s.message(w, r, http.StatusTooManyRequests, limitMessage)
	return false
}

// signinPage shows the ways in. Its address may name the page to go on to.
func (s *Signin) signinPage(w http.ResponseWriter, r *http.Request) {
	_, session, _ := s.Watching(r)
	s.draw(w, r, http.StatusOK, "Sign in", "signin.html", map[string]any{
		"Offered": s.mayOffer(r), "Provider": s.provider != nil, "Keys": s.doors.Key != nil,
		"Plain": plainMessage, "Return": localPath(r.URL.Query().Get("return")), "Session": session,
	})
}

func (s *Signin) signinWithKey(w http.ResponseWriter, r *http.Request) {
	if s.doors.Key == nil {
		http.NotFound(w, r)
		return
	}
	if !s.try(w, r, denial.Key) {
		return
	}
	since := s.sessions.age()
	who, err := s.doors.Key(r.PostFormValue("key"))
	if err != nil || who == nil {
		s.refused(r, denial.Key, denial.Unknown)
		s.message(w, r, http.StatusForbidden, keyMessage)
		return
	}
	session := Session{Reader: who, Name: nameOf(who.By), Way: denial.Key}
	s.begin(w, r, since, session, event.Credential{Kind: "token", ID: who.By.ID}, localPath(r.PostFormValue("return")))
}

// begin signs somebody in and sends them on. The browser's earlier session ends:
// nobody goes on with a cookie from before. Since is how old the sessions were
// before it was checked who they are, see [sessions.add].
func (s *Signin) begin(w http.ResponseWriter, r *http.Request, since int, what Session, credential event.Credential, next string) {
	session, secret, ok := s.sessions.add(what, since)
	if !ok {
		s.message(w, r, http.StatusForbidden, againMessage)
		return
	}
	if err := s.recordSignin(r, session, credential); err != nil {
		s.sessions.end(session.hash)
		s.doors.Log.ErrorContext(r.Context(), "a sign-in was not recorded, so it was refused", "way", what.Way, "err", err)
		s.message(w, r, http.StatusServiceUnavailable, fullMessage)
		return
	}
	for i, c := range r.CookiesNamed(s.cookieName()) {
		if i == maxCookies {
			break
		}
		s.sessions.end(hashOf(c.Value))
	}
	s.setCookie(w, s.cookieName(), secret, 0)
	sendTo(w, next)
}

// signoutPage shows a button: an address alone signs nobody out.
func (s *Signin) signoutPage(w http.ResponseWriter, r *http.Request) {
	_, session, _ := s.Watching(r)
	if session == nil {
		s.message(w, r, http.StatusOK, outMessage)
		return
	}
	s.draw(w, r, http.StatusOK, "Sign out", "signout.html", session)
}

func (s *Signin) signout(w http.ResponseWriter, r *http.Request) {
	_, session, _ := s.Watching(r)
	if session != nil {
		if err := session.CheckForm(r); err != nil {
			s.message(w, r, http.StatusForbidden, formMessage)
			return
		}
		s.sessions.end(session.hash)
		s.recordSignout(r.Context(), session, "asked")
	}
	s.clearCookie(w, s.cookieName())
	s.message(w, r, http.StatusOK, outMessage)
}

// nameOf returns what to call a party.
func nameOf(p event.Party) string { return cmp.Or(p.Name, p.ID, p.Type) }

// rolesOf returns the names of the roles that r has as staff.
func rolesOf(r *reader.Reader) []string {
	var roles []string
	for _, role := range []catalogue.Readers{catalogue.Admin, catalogue.Auditor} {
		if r.Staff.Has(role) {
			roles = append(roles, role.String())
		}
	}
	return roles
}
