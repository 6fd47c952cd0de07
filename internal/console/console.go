package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/signin"
	"github.com/custody-log/custody/internal/tree"
)

//go:embed templates static
var files embed.FS

// A Console is what the pages need. All fields must be set, except those that
// say what their zero value means.
type Console struct {
	Log       *slog.Logger
	Tree      *tree.Tree
	Journal   *journal.Journal
	Catalogue *catalogue.Catalogue
	Keys      func() *tree.Keys
	Version   string
	Address   string // that people use, such as https://audit.example.com; "" as they reach it

	Room   *reading.Room
	Signin *signin.Signin
	State  dossier.Stater // knows the facts about the log itself
	Frames []string       // origins that may show the pages below /embed/ in a frame

	// Stopping is closed when the server is about to stop: what follows the log
	// then ends. Nil: it ends with its connection.
	Stopping <-chan struct{}

	version string             // of the static files, see staticVersion
	drawn   *template.Template // the pages of signing in, and the parts of all pages
	looks   places             // of pages that look for events
	tails   places             // of pages that follow the log
	exports chan struct{}      // holds a token for each export that runs

	mu     sync.Mutex
	clears map[grant]*look // who sees what in the clear
}

// Patterns are where [Console.Handler] stands in a mux that others are in, too.
func Patterns() []string {
	return []string{
		"/{$}", "/search", "/event/", "/complete", "/tail", "/export", "/reveal", "/static/", "/signin", "/signin/", "/signout",
		"/log", "/project/", "/user/", "/token/", "/org/", "/network/", "/feed/", "/embed/",
	}
}

// Handler returns all pages and what they load. It must be called once.
func (c *Console) Handler() http.Handler {
	c.version = staticVersion()
	c.looks = newPlaces(maxLooks, maxStrangerLooks)
	c.tails = newPlaces(maxTails, maxStrangerTails)
	c.exports = make(chan struct{}, maxExports)
	c.clears = make(map[grant]*look)
	c.drawn = c.parse("drawn.html")
	c.Signin.Draw(c)

	mux := http.NewServeMux()
	mux.Handle("GET /{$}", c.page("front.html", c.front))
	mux.Handle("GET /search", c.page("search.html", c.search))
	mux.Handle("GET /event/{seq}", c.page("event.html", c.event))
	mux.Handle("GET /event/{seq}/receipt", c.answer(c.receipt))
	mux.Handle("GET /complete", c.answer(c.complete))
	mux.Handle("GET /tail", c.answerTo(c.watching, c.tail))
	mux.Handle("GET /export", c.answer(c.export))
	mux.Handle("POST /reveal", c.answer(c.reveal))
	mux.Handle("GET /log", c.LogHandler(c.State))
	c.thingRoutes(mux)

	people := c.Signin.Handler()
	for _, path := range []string{"/signin", "/signin/", "/signout"} {
		mux.Handle(path, people)
	}
	static := "/static/" + c.version
	mux.Handle("GET "+static+"/", immutable(http.StripPrefix(static, http.FileServerFS(sub("static")))))

	// What others show in a frame comes with no cookie and changes nothing: it has
	// a policy of its own, and needs no guard.
	top := http.NewServeMux()
	top.Handle("/", secure(http.MaxBytesHandler(c.Signin.Guard(mux), maxFormBytes)))
	top.Handle("/embed/", c.EmbedHandler(c.Frames))
	return top
}

// maxFormBytes bounds the body of a request: forms are small.
const maxFormBytes = 16 << 10 // 16 KiB

// page answers with what data returns, shown by templates/name.
func (c *Console) page(name string, data func(*visit) (any, error)) http.Handler {
	t, wrong := c.parse(name), c.parse("state.html")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := c.visit(r)
		shown, err := data(v)
		status := http.StatusOK
		if s, ok := shown.(interface{ status() int }); ok && err == nil {
			status = s.status()
		}
		if err == nil {
			err = c.write(w, t, status, c.frame(v, shown))
		}
		if err != nil {
			c.fail(w, v, wrong, err) //nolint:contextcheck // a visit has the context of its request
		}
	})
}

// answer is page for what is no page: h writes the answer itself, and has written
// nothing if it returns an error.
func (c *Console) answer(h func(http.ResponseWriter, *visit) error) http.Handler {
	return c.answerTo(c.visit, h)
}

// answerTo is answer for those whom who knows.
func (c *Console) answerTo(who func(*http.Request) *visit, h func(http.ResponseWriter, *visit) error) http.Handler {
	wrong := c.parse("state.html")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := who(r)
		if err := h(w, v); err != nil {
			c.fail(w, v, wrong, err) //nolint:contextcheck // a visit has the context of its request
		}
	})
}

// write writes a page. Nothing is sent until all of it has been made, so a
// failure never leaves half a page.
func (c *Console) write(w http.ResponseWriter, t *template.Template, status int, f *frame) error {
	var page bytes.Buffer
	if err := t.ExecuteTemplate(&page, "layout.html", f); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(page.Bytes())
	return nil
}

// fail answers with the page that says what err is.
func (c *Console) fail(w http.ResponseWriter, v *visit, wrong *template.Template, err error) {
	if v.Context().Err() != nil {
		return // the visitor has gone
	}
	s := stateOf(err)
	if errors.Is(err, dossier.ErrMasked) {
		s.Reveal = c.revealing(v, time.Time{})
	}
	if s.Status >= http.StatusInternalServerError {
		c.Log.ErrorContext(v.Context(), "page failed", "route", v.Pattern, "err", err)
	}
	if s.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	if err := c.write(w, wrong, s.Status, c.frame(v, s)); err != nil {
		c.Log.ErrorContext(v.Context(), "page failed", "route", v.Pattern, "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

// Draw implements [signin.Drawer].
func (c *Console) Draw(w http.ResponseWriter, r *http.Request, page signin.Page, status int) {
	if err := c.write(w, c.drawn, status, c.frame(c.visit(r), page)); err != nil {
		c.Log.ErrorContext(r.Context(), "page failed", "route", r.Pattern, "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

// policy is the Content-Security-Policy of pages that ancestors, a list of
// sources, may show in a frame: a page loads only what this binary carries.
func policy(ancestors string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors " + ancestors
}

// secure gives every answer the headers that keep browsers from doing more than
// they should. A page that may be framed sets the policy anew.
func secure(next http.Handler) http.Handler {
	strict := policy("'none'")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", strict)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// immutable lets browsers keep what they fetched: a changed file has another
// address, see staticVersion.
func immutable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		next.ServeHTTP(w, r)
	})
}

// staticVersion returns a name for the present content of all static files.
func staticVersion() string {
	h := sha256.New()
	err := fs.WalkDir(sub("static"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(sub("static"), path)
		h.Write(data)
		return err
	})
	if err != nil {
		panic("console: embedded files: " + err.Error())
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// parse returns a page, ready to execute as "layout.html".
func (c *Console) parse(name string) *template.Template {
	return template.Must(template.New("").Funcs(c.funcs()).ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name))
}

func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic("console: embedded files: " + err.Error())
	}
	return f
}
