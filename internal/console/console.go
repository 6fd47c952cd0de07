// Package console is the web door for people: for now the front page, which
// says what this log is and how far it has come. It shows no event: those need
// a key. The page is complete HTML that works without scripts.
package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"

	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
)

//go:embed templates static
var files embed.FS

// A Console is what the pages need. All fields must be set.
type Console struct {
	Log     *slog.Logger
	Tree    *tree.Tree
	Journal *journal.Journal
	Keys    func() *tree.Keys
	Version string
}

// Handler returns all pages and what they load.
func (c *Console) Handler() http.Handler {
	version := staticVersion()
	front := parse(version, "front.html")
	mux := http.NewServeMux()
	mux.Handle("GET /static/"+version+"/", immutable(http.StripPrefix("/static/"+version, http.FileServerFS(sub("static")))))
	mux.Handle("GET /{$}", c.page(front, c.front))
	return secure(mux)
}

// A frontPage is what templates/front.html shows.
type frontPage struct {
	Origin     string
	Keys       []string
	Records    int64
	Signed     int64  // records that the public checkpoint covers
	Behind     int64  // records that it does not cover yet
	Root       string // base64; empty before the first checkpoint
	Checkpoint string // the signed text
	Address    string // of this log, as the reader reached it
	Version    string
}

func (c *Console) front(r *http.Request) (any, error) {
	keys := c.Keys()
	signed := c.Tree.Checkpoint()
	p := frontPage{
		Origin:     keys.Origin(),
		Keys:       keys.Verifiers(),
		Records:    int64(c.Journal.Size()),
		Signed:     signed.N,
		Checkpoint: string(signed.Message),
		Address:    "http://" + r.Host,
		Version:    c.Version,
	}
	p.Behind = max(0, p.Records-p.Signed)
	if signed.Message != nil {
		p.Root = base64.StdEncoding.EncodeToString(signed.Hash[:])
	}
	return p, nil
}

// page answers with what data returns, shown by t. Nothing is sent until the
// whole page has been made, so a failure never leaves half a page.
func (c *Console) page(t *template.Template, data func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var page bytes.Buffer
		v, err := data(r)
		if err == nil {
			err = t.ExecuteTemplate(&page, "layout.html", v)
		}
		if err != nil {
			c.Log.ErrorContext(r.Context(), "page failed", "route", r.Pattern, "err", err)
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Write(page.Bytes())
	})
}

// secure lets pages load only what this binary carries.
func secure(next http.Handler) http.Handler {
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
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
func parse(version, name string) *template.Template {
	funcs := template.FuncMap{
		"static": func(name string) string { return "/static/" + version + "/" + name },
	}
	return template.Must(template.New("").Funcs(funcs).ParseFS(files, "templates/layout.html", "templates/"+name))
}

func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic("console: embedded files: " + err.Error())
	}
	return f
}
