package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/api"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	readers "github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/internal/view"
)

// A bench is the API over real parts, on a disk in memory.
type bench struct {
	t       testing.TB
	api     *api.API
	handler http.Handler
	fs      disk.FS
	journal *journal.Journal
	tree    *tree.Tree
	index   *store.Store
	room    *reading.Room
	keys    map[string]string // secret by scope
	stop    func()            // power off, in order; may be called twice
}

// sub returns a directory of fs.
func sub(t testing.TB, fs disk.FS, name string) disk.FS {
	t.Helper()
	dir, err := fs.Sub(name)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// open starts a log on fs. Each change is applied to the API before its
// handler is made.
func open(t testing.TB, fs disk.FS, change ...func(*api.API)) *bench {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	files, err := journal.OpenFiles(sub(t, fs, "journal"))
	must(err)
	b := &bench{t: t, fs: fs, journal: journal.New(files), keys: make(map[string]string)}
	cat, err := catalogue.Load()
	must(err)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	keyDir := sub(t, fs, "signing")
	signing, err := tree.LoadKeys(keyDir)
	if err != nil {
		signing, err = tree.GenerateKeys("custody.test/log")
		must(err)
		must(signing.Save(keyDir))
	}
	dir := sub(t, fs, "tree")
	b.tree, err = tree.Open(t.Context(), tree.Config{
		Dir: dir, Head: tree.FileHead(dir), Keys: signing, Records: b.journal, EntryOf: tree.StoredEntry, Log: log,
	})
	must(err)
	desk, err := intake.Open(t.Context(), intake.Config{Log: log, Journal: b.journal, Catalogue: cat}, nil)
	must(err)
	keys, err := auth.Open(fs)
	must(err)
	for _, scope := range auth.Scopes {
		_, b.keys[scope], err = keys.Create("the "+scope+" key", scope+"-source", []string{scope})
		must(err)
	}
	b.index, err = store.Open(store.Config{
		Dir: sub(t, fs, "store"), Log: log, Family: cat.RetentionOf,
		Derive: &query.Derive{Severity: func(tag string) string { return string(cat.SeverityOf(tag)) }},
	})
	must(err)
	b.index.Connect(store.Parts{
		Journal: b.journal, Tail: files, Tree: b.tree,
		Signed: func() journal.Seq { return journal.Seq(b.tree.Latest().N) },
	})
	b.api = &api.API{
		Log: log, Version: "test", Journal: b.journal, Desk: desk, Store: b.index, Tree: b.tree, Keys: keys,
		KeyDir: keyDir, Catalogue: cat, Views: []view.View{b.tree, b.index}, Registry: prometheus.NewRegistry(),
	}
	for _, c := range change {
		c(b.api)
	}
	b.room = &reading.Room{
		Store: b.index, Journal: b.journal, Tree: b.tree, Desk: desk, Keeper: b.api.Keeper, Catalogue: cat,
		Policy: &readers.Policy{Catalogue: cat, Derive: b.index.Derive()},
	}
	b.api.Room = b.room
	b.handler = b.api.Handler()
	b.run(log, files)
	return b
}

// run starts what loops.
func (b *bench) run(log *slog.Logger, files *journal.Files) {
	ctx, cancel := context.WithCancel(context.Background())
	loops := []func() error{
		func() error { return b.journal.Run(ctx) },
		func() error { return b.tree.Run(ctx) },
		func() error { return view.Follow(ctx, log, b.journal, b.tree) },
		func() error { return view.Follow(ctx, log, b.journal, b.index) },
	}
	ended := make(chan error, len(loops))
	for _, loop := range loops {
		go func() { ended <- loop() }()
	}
	stopped := false
	b.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		for range loops {
			<-ended // how is for the tests of those parts
		}
		if err := files.Close(); err != nil {
			b.t.Errorf("Close: %v", err)
		}
	}
	b.t.Cleanup(b.stop)
}

// settled waits until every view has taken in every record and all is signed.
// It is for use within synctest.
func (b *bench) settled() {
	b.t.Helper()
	if size := b.journal.Size(); size > 0 {
		if err := b.tree.WaitFor(b.t.Context(), size-1); err != nil {
			b.t.Fatal(err)
		}
	}
	synctest.Wait()
}

// unsyncable returns a disk that does not sync the journal while broken is set.
func unsyncable() (fs *disk.Mem, broken *atomic.Bool) {
	broken = new(atomic.Bool)
	fs = &disk.Mem{Fail: func(op, path string) error {
		if broken.Load() && op == "sync" && strings.HasPrefix(path, "journal/") {
			return disk.ErrInjected
		}
		return nil
	}}
	return fs, broken
}

// A call is one request.
type call struct {
	method, path string
	scope        string // of the key it comes with; "" for none
	header       map[string]string
	body         string
}

// do makes a request, checks that the document foresees its answer, and
// returns that.
func (b *bench) do(c call) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), c.method, c.path, strings.NewReader(c.body))
	if c.scope != "" {
		r.Header.Set("Authorization", "Bearer "+b.keys[c.scope])
	}
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	if err := theDocument.check(c.method, r.URL.Path, w.Result(), w.Body.Bytes()); err != nil {
		b.t.Errorf("%s %s: the document does not foresee %d %.500s: %v", c.method, c.path, w.Code, w.Body, err)
	}
	return w
}

// submit records body, which must succeed.
func (b *bench) submit(body string) *httptest.ResponseRecorder {
	b.t.Helper()
	w := b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: jsonBody, body: body})
	if w.Code != http.StatusCreated {
		b.t.Fatalf("submit %.200s = %d %s", body, w.Code, w.Body)
	}
	return w
}

// get reads path into v, which must succeed.
func (b *bench) get(path string, v any) {
	b.t.Helper()
	w := b.do(call{method: "GET", path: path, scope: auth.Read})
	if w.Code != http.StatusOK {
		b.t.Fatalf("GET %s = %d %s", path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		b.t.Fatalf("GET %s: %v", path, err)
	}
}

var (
	jsonBody = map[string]string{"Content-Type": "application/json"}
	lines    = map[string]string{"Content-Type": "application/x-ndjson"}
)

// login is an event.
func login(id, name string) string {
	return `{"id":"` + id + `","tag":"user:login:success","time":"2026-03-31T00:20:00Z","actor":{"type":"user","name":"` + name + `"}}`
}

// published is an event with a bit of everything.
const published = `{"id":"p-1","tag":"project:release:add","time":"2026-03-31T00:21:00.123456Z","outcome":"success",
 "actor":{"type":"user","id":"u-1041","name":"alice"},"on_behalf_of":{"type":"service","id":"s1","name":"ci"},
 "credential":{"kind":"token","id":"t-88","name":"deploy","mfa":"none","session":"s9"},
 "oidc":{"issuer":"https://issuer.example","subject":"repo:a/b","repository":"a/b","workflow_ref":"w","ref":"r","sha":"h","run_id":"7","environment":"prod"},
 "subjects":[{"type":"project","id":"pkg:npm/demo-pkg","name":"demo-pkg"},{"type":"version","id":"pkg:npm/demo-pkg@1.2.3","name":"demo-pkg","version":"1.2.3","role":"target"}],
 "context":{"ip":"203.0.113.9","user_agent":"npm/11.0.0","request_id":"r1","trace_id":"x","origin":"cli"},
 "changes":[{"field":"latest","old":"1.2.2","new":"1.2.3"},{"field":"n","old":1,"new":[1,2.5]}],
 "metadata":{"version":"1.2.3"},"reason":"because","reason_internal":"really","source_seq":41}`

// gone is a reader of a body that ends before it should.
func gone(text string) io.Reader {
	return io.MultiReader(strings.NewReader(text), &failing{})
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func decode[T any](t testing.TB, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return v
}
