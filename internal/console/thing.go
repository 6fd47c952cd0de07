package console

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"time"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
)

// thingRoutes adds the pages about one thing.
//
// What a page is about is all that follows in the path, slashes and @ included,
// so that the name of a package stands there as people write it:
// /project/pkg:npm/@scope/name. Which names can stand there thingURL knows.
//
// What needs more than the console has is in handlers of its own: see
// [Console.LogHandler], [Console.EmbedHandler].
func (c *Console) thingRoutes(mux *http.ServeMux) {
	mux.Handle("GET /project/{id...}", c.thing(c.project, "project.html", "public.html"))
	mux.Handle("GET /user/{id...}", c.thing(c.user, "user.html"))
	mux.Handle("GET /token/{id...}", c.thing(c.token, "token.html"))
	mux.Handle("GET /org/{id...}", c.thing(c.organization, "organization.html"))
	mux.Handle("GET /network/{id...}", c.thing(c.network, "network.html"))
	mux.Handle("GET /feed/project/{id...}", c.answer(c.feed))
}

// A thing is what the page about one thing begins with. It is part of what each
// of these pages shows.
type thing struct {
	Reveal *revealing // the form that asks why, or that was answered; nil if nothing is masked
}

// A sheet is a page that is shown by another template than the first.
type sheet interface{ sheet() string }

// thing answers with what data returns, shown by the first of templates/names,
// unless it is a [sheet] and says by which. It waits for its turn, as searches do.
func (c *Console) thing(data func(*visit) (any, error), names ...string) http.Handler {
	pages := make(map[string]*template.Template)
	for _, name := range names {
		pages[name] = c.parseThing(name)
	}
	wrong := c.parse("state.html")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := c.visit(r)
		name := names[0]
		shown, err := c.inTurn(v, data) //nolint:contextcheck // a visit has the context of its request
		if s, ok := shown.(sheet); ok && err == nil {
			name = s.sheet()
		}
		if err == nil {
			err = c.write(w, pages[name], http.StatusOK, c.frame(v, shown))
		}
		if other, ok := errors.AsType[*elsewhere](err); ok {
			w.Header().Set("Location", other.address)
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusSeeOther)
			return
		}
		if err != nil {
			c.fail(w, v, wrong, err) //nolint:contextcheck // a visit has the context of its request
		}
	})
}

// elsewhere says that another page of this log has what was asked for.
type elsewhere struct{ address string }

func (e *elsewhere) Error() string { return "console: see " + e.address }

// inTurn returns what data does, when it is the visitor's turn.
func (c *Console) inTurn(v *visit, data func(*visit) (any, error)) (any, error) {
	done, err := c.turn(v.Context(), v.SignedIn())
	if err != nil {
		return nil, err
	}
	defer done()
	shown, err := data(v)
	return shown, plainThing(err)
}

// plainThing returns err; for a page that is not for the reader, the answer for
// what is not there.
func plainThing(err error) error {
	if errors.Is(err, dossier.ErrNotAllowed) || errors.Is(err, reading.ErrExpired) {
		return errNone
	}
	return err
}

// parseThing is [Console.parse] for a page that uses what templates/things.html
// defines, too.
func (c *Console) parseThing(name string) *template.Template {
	return template.Must(template.New("").Funcs(c.funcs()).Funcs(thingFuncs()).ParseFS(
		files, "templates/layout.html", "templates/parts.html", "templates/things.html", "templates/"+name))
}

// An inquiry is one visitor asking about one thing.
type inquiry struct {
	*watchedRoom

	reader  *reader.Reader
	until   time.Time // that nothing is masked for the reader; zero if something is
	visit   *visit
	console *Console
}

// A watchedRoom is a reading room that remembers what was seen in it.
type watchedRoom struct {
	*reading.Room

	events []*reading.Shown
	masked bool // something of them is shown to staff who give a reason
}

// Search is [reading.Room.Search].
func (w *watchedRoom) Search(ctx context.Context, r *reader.Reader, q reading.Request) (*reading.Answer, error) {
	answer, err := w.Room.Search(ctx, r, q)
	if err != nil {
		return nil, err
	}
	w.events = append(w.events, answer.Events...)
	for _, e := range answer.Events {
		w.masked = w.masked || len(e.Masked) > 0
	}
	return answer, nil
}

var _ interface {
	Count(context.Context, *reader.Reader, store.CountRequest) (*store.Count, error)
} = (*watchedRoom)(nil)

// inquire begins to ask for v, in the clear if they gave a reason to see the page.
func (c *Console) inquire(v *visit) *inquiry {
	r, until := c.clear(v, v.URL.EscapedPath())
	return &inquiry{watchedRoom: &watchedRoom{Room: c.Room}, reader: r, until: until, visit: v, console: c}
}

// options returns what a dossier is asked for besides what it is about.
func (q *inquiry) options() dossier.Options {
	var o dossier.Options
	if d := q.Policy.Derive; d != nil {
		o.Country = d.Country
	}
	return o
}

// end puts on record what was seen in the clear, and returns what the page begins
// with. Nothing may be shown if it fails.
func (q *inquiry) end() (thing, error) {
	if err := q.console.saw(q.visit, q.visit.URL.EscapedPath(), q.events); err != nil {
		return thing{}, err
	}
	if q.masked || !q.until.IsZero() {
		return thing{Reveal: q.console.revealing(q.visit, q.until)}, nil
	}
	return thing{}, nil
}

// A moment is the past time that a page is asked to look at, as a form has it.
type moment struct {
	Text string    // as it was asked for; "" if it was not
	At   time.Time // zero if it was not
	Day  bool      // all of the day, UTC
}

// momentOf reads a day, 2026-03-31, or a time, 2026-03-31T00:21:00Z.
func momentOf(text string) (moment, error) {
	if text == "" {
		return moment{}, nil
	}
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return moment{text, at, true}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return moment{}, badRequest("The address asks for a moment that is none; one is 2026-03-31, or 2026-03-31T00:21:00Z.")
	}
	return moment{Text: text, At: at.UTC()}, nil
}

// Date returns the day of m as the field of a form has it.
func (m moment) Date() string {
	if m.At.IsZero() {
		return ""
	}
	return m.At.Format(time.DateOnly)
}

// String returns m as sentences have it.
func (m moment) String() string {
	if m.Day {
		return m.At.Format(time.DateOnly)
	}
	return m.At.Format("2006-01-02 15:04:05 UTC")
}
