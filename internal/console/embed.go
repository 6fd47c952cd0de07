package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/signin"
)

// An embedding is the pages below /embed/, which a registry shows within its own
// to somebody whom it knows, and says who they are with a viewer token.
//
// # Where the token is
//
// In the body of a form that has the frame as its target, or in the header
// Authorization. A frame that can only be given an address has it there, as
// ?token=: a page that works without scripts cannot read the fragment of its
// address. It is then in the history of the browser and may be in messages of
// servers on the way, which is why it lives for minutes, and why the form is
// better. Either way it is in no link, no message of ours and no Referer, and the
// answer is kept by nobody.
//
// # What is answered
//
// No cookie is read or set, so a page here knows nobody but by the token, and
// nothing here changes anything: it needs no guard against forms of other
// origins, which is what it is for. There is no link on the pages. Receipts are
// asked for with a form that has the token in its body.
type embedding struct {
	*Console

	frames []string
	pages  *template.Template
}

// EmbedHandler returns the pages below /embed/ that other origins, those in
// frames, may show in a frame, and whose JSON their scripts may read. An origin is
// https://registry.example.com, checked by who read the settings. The handler must
// stand beside that of the console, not behind its guard against forms of other
// origins. It is called after [Console.Handler].
func (c *Console) EmbedHandler(frames []string) http.Handler {
	pages := template.New("").Funcs(c.funcs()).Funcs(thingFuncs())
	e := &embedding{Console: c, frames: frames, pages: template.Must(pages.ParseFS(files, "templates/embed.html"))}
	mux := http.NewServeMux()
	for _, kind := range []string{"user", "project"} {
		page, data := e.answer(kind, false), e.answer(kind, true)
		mux.Handle("GET /embed/"+kind, page)
		mux.Handle("POST /embed/"+kind, page)
		mux.Handle("GET /embed/"+kind+".json", data)
		mux.Handle("POST /embed/"+kind+".json", data)
		mux.HandleFunc("OPTIONS /embed/"+kind+".json", e.preflight)
	}
	mux.HandleFunc("POST /embed/receipt", e.receiptFor)
	return e.headers(http.MaxBytesHandler(mux, maxFormBytes))
}

// headers lets only the origins in the settings show what is answered, and nobody
// keep it.
func (e *embedding) headers(next http.Handler) http.Handler {
	ancestors := strings.Join(e.frames, " ")
	if ancestors == "" {
		ancestors = "'none'"
	}
	policy := "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors " + ancestors
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// share lets scripts of the origins in the settings read an answer.
func (e *embedding) share(w http.ResponseWriter, r *http.Request) (allowed bool) {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(e.frames, origin) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	return true
}

// preflight answers a browser that asks whether a script may send the header
// Authorization.
func (e *embedding) preflight(w http.ResponseWriter, r *http.Request) {
	if e.share(w, r) {
		h := w.Header()
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Authorization")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// tokenOf returns the viewer token of a request, and takes it out of the address,
// so that nothing that is made of it has it.
func tokenOf(r *http.Request) string {
	inAddress := r.URL.Query().Get("token")
	if r.URL.RawQuery != "" {
		values := r.URL.Query()
		values.Del("token")
		r.URL.RawQuery = values.Encode()
		r.RequestURI = r.URL.RequestURI()
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return token
	}
	if r.Method == http.MethodPost {
		return r.PostFormValue("token") // "" if the body is none, or too large
	}
	return inAddress
}

// admit returns who brought a token, for a view of the given kind.
func (e *embedding) admit(r *http.Request, token, kind string) (*reader.Reader, error) {
	who, err := e.Signin.Viewer(r, token)
	if limited, ok := errors.AsType[*signin.LimitError](err); ok {
		return nil, &tooManyError{limited.Wait}
	}
	if err != nil {
		return nil, errToken
	}
	if kind == "user" && who.Self == "" || kind == "project" && len(who.Projects) == 0 {
		e.Signin.OtherView(r)
		return nil, errForeignToken
	}
	return who, nil
}

// errToken is the answer to a token that is none, or none for now or for here.
var errToken = &state{
	Status: http.StatusUnauthorized, Title: "Not for this token",
	Sentence: "This view needs a token of the registry that is valid now.", Hint: "Reload the page that it is shown in.",
}

// errForeignToken is the answer to a token that speaks of something else.
var errForeignToken = &state{
	Status: http.StatusForbidden, Title: "Not for this token", Sentence: "The token is for another kind of view.",
}

// A tooManyError is the answer to who tried too often.
type tooManyError struct{ wait time.Duration }

func (t *tooManyError) Error() string { return "console: too many tokens that are none" }

// An embedded is what templates/embed.html and the JSON show.
type embedded struct {
	Version string
	Kind    string
	Token   string // for the forms
	User    *dossier.User
	Project *dossier.Project
	History *dossier.Page
	State   *state // instead of all else
}

// answer answers with a view of the given kind.
func (e *embedding) answer(kind string, asJSON bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asJSON {
			e.share(w, r)
		}
		token := tokenOf(r)
		shown, err := e.look(r, token, kind)
		if err == nil && asJSON {
			err = e.writeJSON(w, http.StatusOK, documentOf(shown))
		} else if err == nil {
			err = e.writePage(w, http.StatusOK, shown)
		}
		if err != nil {
			e.refuse(w, r, asJSON, err)
		}
	})
}

// look returns what a token shows.
func (e *embedding) look(r *http.Request, token, kind string) (*embedded, error) {
	who, err := e.admit(r, token, kind)
	if err != nil {
		return nil, err
	}
	done, err := e.turn(r.Context(), true)
	if err != nil {
		return nil, err
	}
	defer done()
	o := dossier.Options{After: r.FormValue("after")}
	if d := e.Room.Policy.Derive; d != nil {
		o.Country = d.Country
	}
	shown := &embedded{Version: e.version, Kind: kind, Token: token}
	if kind == "user" {
		if shown.User, err = dossier.NewUser(r.Context(), e.Room, who, who.Self, o); err != nil {
			return nil, plainThing(err)
		}
		shown.History = &shown.User.History
		return shown, nil
	}
	if shown.Project, err = dossier.NewProject(r.Context(), e.Room, who, who.Projects[0], o); err != nil {
		return nil, plainThing(err)
	}
	shown.History = &shown.Project.History
	return shown, nil
}

// receiptFor answers with the evidence for one event, as the bearer of a token
// sees it.
func (e *embedding) receiptFor(w http.ResponseWriter, r *http.Request) {
	token := tokenOf(r)
	who, err := e.admit(r, token, "")
	if err == nil {
		r.SetPathValue("seq", r.PostFormValue("seq"))
		err = e.receipt(w, &visit{Request: r, Reader: who}) //nolint:contextcheck // a visit has the context of its request
	}
	if err != nil {
		e.refuse(w, r, false, err)
	}
}

// refuse answers with what err is.
func (e *embedding) refuse(w http.ResponseWriter, r *http.Request, asJSON bool, err error) {
	if r.Context().Err() != nil {
		return // the client has gone
	}
	var s *state
	if limited, ok := errors.AsType[*tooManyError](err); ok {
		s = &state{Status: http.StatusTooManyRequests, Title: "Too many tries", Sentence: "There were too many tokens from here that are none."}
		w.Header().Set("Retry-After", strconv.Itoa(int(limited.wait/time.Second)+1))
	} else {
		s = stateOf(err)
	}
	if s.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if s.Status >= http.StatusInternalServerError {
		e.Log.ErrorContext(r.Context(), "embedded view failed", "route", r.Pattern, "err", err)
	}
	if asJSON {
		err = e.writeJSON(w, s.Status, &refusal{Type: "about:blank", Title: s.Title, Status: s.Status, Detail: s.Sentence})
	} else {
		err = e.writePage(w, s.Status, &embedded{Version: e.version, State: s})
	}
	if err != nil {
		e.Log.ErrorContext(r.Context(), "embedded view failed", "route", r.Pattern, "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

// A refusal says in JSON why there is no view, see RFC 9457.
type refusal struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func (e *embedding) writePage(w http.ResponseWriter, status int, shown *embedded) error {
	var page bytes.Buffer
	if err := e.pages.ExecuteTemplate(&page, "embed.html", shown); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(page.Bytes())
	return nil
}

func (e *embedding) writeJSON(w http.ResponseWriter, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	kind := "application/json"
	if status >= http.StatusBadRequest {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	w.Write(append(data, '\n'))
	return nil
}
