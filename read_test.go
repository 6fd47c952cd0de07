package custody_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody"
)

func fill(t *testing.T, log *fakeLog, n int) {
	t.Helper()
	c := log.client(t)
	for i := range n {
		e := release("1.0.0")
		e.ID = fmt.Sprintf("event-%04d", log.len())
		e.Metadata = map[string]any{"size": int64(1)<<53 + 1, "ratio": 0.5, "place": i}
		record(t, c, e)
	}
}

// Search yields every event once, newest first, over all pages, with whole
// numbers that are whole.
func TestSearch(t *testing.T) {
	log := newFakeLog(t)
	fill(t, log, 25)
	client := log.client(t)
	next := int64(24)
	for f, err := range client.Search(t.Context(), custody.Query{Text: "project:demo-pkg", Limit: 10, After: time.Unix(1, 0)}) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Seq != next || f.Actor.Name != "alice" || f.Metadata["size"] != int64(1)<<53+1 || f.Text == "" || len(f.Raw) == 0 {
			t.Fatalf("found %+v, want %d", f, next)
		}
		next--
	}
	if next != -1 || log.asked("/v1/events") != 25+3 {
		t.Errorf("Search ended before %d, after %d pages", next, log.asked("/v1/events")-25)
	}
	if q := log.requests[25].URL.Query(); q.Get("q") != "project:demo-pkg" || q.Get("after") != "1970-01-01T00:00:01Z" || q.Get("limit") != "10" {
		t.Errorf("asked %v", q)
	}
	for range client.Search(t.Context(), custody.Query{}) {
		break
	}
	page, err := client.SearchPage(t.Context(), custody.Query{Limit: 3})
	if err != nil || len(page.Events) != 3 || !page.Complete || page.Next == "" {
		t.Errorf("SearchPage = %+v, %v", page, err)
	}
	if _, err := client.Event(t.Context(), 99); err == nil {
		t.Error("there is an event 99")
	}
}

// A page that leads to itself ends a search with an error, not never.
func TestSearchEnds(t *testing.T) {
	log := newFakeLog(t)
	log.before = func(w http.ResponseWriter, _ *http.Request) bool {
		writeJSON(w, 200, map[string]any{"events": []any{}, "next": "x"})
		return true
	}
	var err error
	for _, err = range log.client(t).Search(t.Context(), custody.Query{}) {
	}
	if err == nil || log.asked("/") != 2 {
		t.Errorf("Search = %v after %d pages", err, log.asked("/"))
	}
}

// Tail yields each event once and leaves none out, however often the
// connection breaks. The test's log breaks it after everything it has.
func TestTail(t *testing.T) {
	for _, c := range []struct {
		name  string
		from  int64
		first int
	}{
		{"from the start", 0, 0},
		{"from a position", 3, 3},
		{"from now", custody.Now, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := newFakeLog(t)
				fill(t, log, 5)
				connections := 0
				log.before = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path != "/v1/tail" {
						return false
					}
					connections++
					switch connections % 4 {
					case 1:
						w.WriteHeader(503)
					case 2:
						w.WriteHeader(statusLost)
					}
					return connections%4 == 1 || connections%4 == 2
				}
				log.after = func(r *http.Request, a *httptest.ResponseRecorder) {
					if body := a.Body.String(); r.URL.Path == "/v1/tail" && connections%4 == 0 && len(body) > 100 {
						replaceBody(a, []byte(body[:len(body)-50])) // in the midst of an event
					}
				}
				go func() {
					time.Sleep(time.Second)
					for range 10 {
						fill(t, log, 1)
						time.Sleep(time.Second)
					}
				}()
				want := c.first
				for f, err := range log.client(t).Tail(t.Context(), "project:demo-pkg", c.from) {
					if err != nil {
						t.Fatal(err)
					}
					if f.Seq != int64(want) {
						t.Fatalf("Tail yields %d, want %d", f.Seq, want)
					}
					if want++; want == 15 {
						break
					}
				}
				time.Sleep(time.Minute) // let the writer end
			})
		})
	}
}

// A tail ends with its context, which is no error, or with what trying again
// does not mend.
func TestTailEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog(t)
		fill(t, log, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		n := 0
		for _, err := range log.client(t).Tail(ctx, "", 0) {
			if err != nil {
				t.Errorf("Tail = %v", err)
			}
			n++
		}
		if n != 1 {
			t.Errorf("%d events", n)
		}
		log.before = func(w http.ResponseWriter, _ *http.Request) bool {
			writeProblem(w, 400, "bad-query", map[string]any{"title": "column 3"})
			return true
		}
		var last error
		for _, last = range log.client(t).Tail(t.Context(), "((", 0) {
		}
		var e *custody.Error
		if !errors.As(last, &e) || e.Title != "column 3" {
			t.Errorf("Tail of a bad query = %v", last)
		}
	})
}

// A log that goes silent is connected to anew; comments count as life.
func TestTailSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := make(chan struct{}, 10)
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			silent <- struct{}{}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: &silence{ctx: r.Context(), comments: 5}}, nil
		})
		client, err := custody.New("http://log.example.com", testKey, custody.WithHTTPClient(&http.Client{Transport: rt}))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		for range client.Tail(ctx, "", 0) {
		}
		// 5 comments 15 s apart, then 45 s of nothing: 2 minutes each.
		if n := len(silent); n != 2 {
			t.Errorf("%d connections in 4 minutes, want 2", n)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A silence is a stream that brings some comments and then nothing.
type silence struct {
	ctx      context.Context
	comments int
}

func (s *silence) Read(p []byte) (int, error) {
	if s.comments > 0 {
		s.comments--
		time.Sleep(15 * time.Second)
		return copy(p, ": here\n"), nil
	}
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func (s *silence) Close() error { return nil }

// A key that is to read as nobody is not asked for as one that reads everything.
func TestCreateReaderKey(t *testing.T) {
	log := newFakeLog(t)
	client := log.client(t)
	var body string
	log.before = func(w http.ResponseWriter, r *http.Request) bool {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		body = string(data)
		w.Write([]byte(`{"id":"k2","name":"a","source":"b","scopes":["read"],"reads":["user:u1","org:o1"],"secret":"cst_k2_secret"}`))
		return true
	}
	k, _, err := client.CreateReaderKey(t.Context(), "a", "b", []string{"user:u1", "org:o1"}, custody.ScopeRead)
	if err != nil || !slices.Equal(k.Reads, []string{"user:u1", "org:o1"}) || !strings.Contains(body, `"reads":["user:u1","org:o1"]`) {
		t.Errorf("CreateReaderKey = %+v, %v, asked with %s", k, err, body)
	}
	if _, _, err := client.CreateReaderKey(t.Context(), "a", "b", nil, custody.ScopeRead); err != nil || !strings.Contains(body, `"reads":[]`) {
		t.Errorf("CreateReaderKey for nobody asked with %s, %v, want an empty list", body, err)
	}
}

// Administrators' calls are made once: a key that is made twice is one too many.
func TestAdmin(t *testing.T) {
	log := newFakeLog(t)
	client := log.client(t)
	k, secret, err := client.CreateAPIKey(t.Context(), "ci", "pypi", custody.ScopeSubmit)
	if err != nil || k.ID != "k1" || k.Source != "pypi" || !slices.Equal(k.Scopes, []string{"submit"}) || secret != "cst_k1_secret" {
		t.Errorf("CreateAPIKey = %+v, %q, %v", k, secret, err)
	}
	if keys, err := client.APIKeys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("APIKeys = %v, %v", keys, err)
	}
	if err := client.RevokeAPIKey(t.Context(), "k1"); err != nil {
		t.Error(err)
	}
	if info, err := client.Info(t.Context()); err != nil || info.Keys[0] != log.vkey || info.Origin != "log.example.com" {
		t.Errorf("Info = %+v, %v", info, err)
	}
	before := log.asked("/")
	log.before = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true }
	if _, _, err := client.CreateAPIKey(t.Context(), "ci", "pypi"); err == nil || log.asked("/") != before+1 {
		t.Errorf("CreateAPIKey with the log away = %v after %d tries", err, log.asked("/")-before)
	}
	log.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Write([]byte(`{"secret":"cst_k2_secret"}`))
		return true
	}
	if _, _, err := client.CreateAPIKey(t.Context(), "ci", "pypi"); err == nil || strings.Contains(err.Error(), "cst_k2_secret") {
		t.Errorf("CreateAPIKey with half an answer = %v, want an error without the secret", err)
	}
	if answer, err := client.Call(t.Context(), "POST", "/v1/new", nil); err != nil || !strings.Contains(string(answer), "secret") {
		t.Errorf("Call = %s, %v, want the answer as it is", answer, err)
	}
}
