package console_test

import (
	"context"
	"errors"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/console"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/sample"
	"github.com/custody-log/custody/internal/signin"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/internal/view"
)

// A bench is the console over real parts, on a disk in memory. It is for use
// within synctest.
type bench struct {
	t       testing.TB
	console *console.Console
	handler http.Handler
	desk    *intake.Desk
	journal *journal.Journal
	store   *store.Store
	tree    *tree.Tree
	denied  []denial.Attempt // to who came with viewer tokens, see embedded
}

// people are the readers whom keys of their names sign in.
var people = map[string]*reader.Reader{
	"admin":   {Staff: catalogue.Admin, By: event.Party{Type: "admin", ID: "admin-7", Name: "registry security"}},
	"auditor": {Staff: catalogue.Admin | catalogue.Auditor, By: event.Party{Type: "admin", ID: "admin-8", Name: "the auditor"}},
	"alice":   {Self: "user-alice", By: event.Party{Type: "user", ID: "user-alice", Name: "alice"}},
	"owner": {
		Self: "user-bob", Projects: []reader.Ref{{Type: "project", ID: "pkg:npm/demo-http"}},
		By: event.Party{Type: "user", ID: "user-bob", Name: "bob"},
	},
}

// open starts a log. The view called hold takes in no record.
func open(t testing.TB, hold ...string) *bench {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fs := new(disk.Mem)
	dir := func(name string) disk.FS {
		d, err := fs.Sub(name)
		must(err)
		return d
	}
	files, err := journal.OpenFiles(dir("journal"))
	must(err)
	b := &bench{t: t, journal: journal.New(files)}
	types, err := catalogue.Load()
	must(err)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	keys, err := tree.GenerateKeys("custody.test/log")
	must(err)
	b.tree, err = tree.Open(t.Context(), tree.Config{
		Dir: dir("tree"), Head: tree.FileHead(dir("tree")), Keys: keys, Records: b.journal, EntryOf: tree.StoredEntry, Log: log,
	})
	must(err)
	b.desk, err = intake.Open(t.Context(), intake.Config{Log: log, Journal: b.journal, Catalogue: types}, nil)
	must(err)
	derive := &query.Derive{
		Severity: func(tag string) string { return string(types.SeverityOf(tag)) },
		Country: func(a [16]byte) string {
			if a[12] == 203 {
				return "NL"
			}
			return "DE"
		},
	}
	b.store, err = store.Open(store.Config{Dir: dir("store"), Log: log, Family: types.RetentionOf, Derive: derive})
	must(err)
	b.store.Connect(store.Parts{
		Journal: b.journal, Tail: files, Tree: b.tree,
		Signed: func() journal.Seq { return journal.Seq(b.tree.Latest().N) },
	})
	way, err := signin.New(signin.Settings{Origin: "custody.test/log", PlainHTTP: true}, signin.Doors{
		Log: log,
		Key: func(text string) (*reader.Reader, error) {
			if r := people[text]; r != nil {
				return r, nil
			}
			return nil, errors.New("no such key")
		},
		Record: func(ctx context.Context, e *event.Event) error {
			_, err := b.desk.Record(ctx, intake.OwnSource, e)
			return err
		},
	})
	must(err)
	b.console = &console.Console{
		Log: log, Tree: b.tree, Journal: b.journal, Catalogue: types, Keys: b.tree.Keys, Version: "v1.2.3", Signin: way, State: facts{},
		Room: &reading.Room{
			Store: b.store, Journal: b.journal, Tree: b.tree, Desk: b.desk, Catalogue: types,
			Policy: &reader.Policy{Catalogue: types, Derive: derive},
		},
	}
	mux, all := http.NewServeMux(), b.console.Handler()
	for _, pattern := range console.Patterns() {
		mux.Handle(pattern, all)
	}
	b.handler = mux
	b.run(log, files, hold)
	return b
}

// facts are those of a log of which nothing is known.
type facts struct{}

func (facts) Facts(context.Context) (dossier.Facts, error) { return dossier.Facts{}, nil }

// run starts what loops.
func (b *bench) run(log *slog.Logger, files *journal.Files, hold []string) {
	ctx, cancel := context.WithCancel(context.Background())
	loops := []func() error{
		func() error { return b.journal.Run(ctx) },
		func() error { return b.tree.Run(ctx) },
	}
	for _, v := range []view.View{b.tree, b.store} {
		if len(hold) == 0 || v.Name() != hold[0] {
			loops = append(loops, func() error { return view.Follow(ctx, log, b.journal, v) })
		}
	}
	ended := make(chan error, len(loops))
	for _, loop := range loops {
		go func() { ended <- loop() }()
	}
	b.t.Cleanup(func() {
		cancel()
		for range loops {
			<-ended // how is for the tests of those parts
		}
		if err := files.Close(); err != nil {
			b.t.Errorf("Close: %v", err)
		}
	})
}

// record records events, one JSON object a line, and waits until all views that
// run have them.
func (b *bench) record(lines ...string) {
	b.t.Helper()
	for _, line := range lines {
		if _, err := b.desk.Accept(b.t.Context(), origin, []byte(line)); err != nil {
			b.t.Fatalf("%.200s: %v", line, err)
		}
	}
	b.settled()
}

// sampled is how many events the sample has.
var sampled = strings.Count(string(sample.Incident()), "\n")

// incident records the sample.
func (b *bench) incident() {
	b.t.Helper()
	b.record(strings.Split(strings.TrimSpace(string(sample.Incident())), "\n")...)
}

// settled waits until nothing moves any more.
func (b *bench) settled() {
	time.Sleep(2 * tree.SignInterval) // of the clock in the bubble
	synctest.Wait()
}

// A browser keeps the cookies of one visitor.
type browser struct {
	*bench

	cookies []*http.Cookie
}

// as returns the browser of somebody of [people], signed in; of the public for "".
func (b *bench) as(name string) *browser {
	b.t.Helper()
	u := &browser{bench: b}
	if name == "" {
		return u
	}
	w := u.post("/signin", url.Values{"key": {name}})
	if w.Code != http.StatusSeeOther {
		b.t.Fatalf("signing in as %s = %d %s", name, w.Code, w.Body)
	}
	u.cookies = w.Result().Cookies()
	b.settled()
	return u
}

// send sends a request.
func (u *browser) send(r *http.Request) *httptest.ResponseRecorder {
	for _, c := range u.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	u.handler.ServeHTTP(w, r)
	return w
}

func (u *browser) get(path string) *httptest.ResponseRecorder {
	return u.send(httptest.NewRequestWithContext(u.t.Context(), http.MethodGet, path, http.NoBody))
}

func (u *browser) post(path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(u.t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return u.send(r)
}

// page returns the page at path, which must be answered with status.
func (u *browser) page(path string, status int) string {
	u.t.Helper()
	w := u.get(path)
	if w.Code != status {
		u.t.Fatalf("GET %s = %d, want %d: %s", path, w.Code, status, text(w.Body.String()))
	}
	return w.Body.String()
}

// search returns the page of a search, which must succeed.
func (u *browser) search(q string) string {
	u.t.Helper()
	return u.page("/search?"+url.Values{"q": {q}}.Encode(), http.StatusOK)
}

// csrf returns what forms of the session send back.
func (u *browser) csrf() string {
	u.t.Helper()
	m := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(u.page("/", http.StatusOK))
	if m == nil {
		u.t.Fatal("the page has no form of this session")
	}
	return html.UnescapeString(m[1])
}

// reveal gives a reason to look at a page.
func (u *browser) reveal(page, reason string) *httptest.ResponseRecorder {
	u.t.Helper()
	w := u.post("/reveal", url.Values{"page": {page}, "reason": {reason}, "csrf": {u.csrf()}})
	u.settled()
	return w
}

var (
	tags   = regexp.MustCompile(`<[^>]*>`)
	spaces = regexp.MustCompile(`\s+`)
)

// text returns what a page says, in one line.
func text(page string) string {
	if _, main, ok := strings.Cut(page, "<main"); ok {
		page = "<main" + main
	}
	return spaces.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(page, "")), " ")
}

// says reports what of want a page does not say.
func says(t testing.TB, page string, want ...string) {
	t.Helper()
	said := text(page)
	for _, w := range want {
		if !strings.Contains(said, w) {
			t.Errorf("the page does not say %q; it says %.3000s", w, said)
		}
	}
}

// keeps reports what a page says that it should not.
func keeps(t testing.TB, page string, secret ...string) {
	t.Helper()
	for _, s := range secret {
		if strings.Contains(page, s) {
			t.Errorf("the page has %q", s)
		}
	}
}

// inBubble runs a test on a log of its own.
func inBubble(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, open(t)) })
}

// origin is where the events of tests come from.
var origin = intake.Origin{Source: "test", Trust: event.Witnessed}
