package api_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/internal/api"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/proof"
)

// A page is the answer to a search.
type page struct {
	Events []struct {
		Seq                                     int
		ID, Tag, Text, Class, Severity, Outcome string
	}
	Next     string
	Complete bool
	Behind   int
}

func (p *page) ids() string {
	var ids []string
	for _, e := range p.Events {
		ids = append(ids, e.ID)
	}
	return strings.Join(ids, " ")
}

// numbered returns an event that happened n seconds after another one.
func numbered(n int, name string) string {
	at := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
	return fmt.Sprintf(`{"id":"n-%d","tag":"project:release:add","time":%q,"actor":{"type":"user","name":%q},"subjects":[{"type":"project","name":"demo-pkg"}]}`,
		n, at.Format(time.RFC3339), name)
}

// TestEvent checks that an event is shown with all that was sent and what the
// log adds.
func TestEvent(t *testing.T) {
	b := open(t, new(disk.Mem))
	sent := decode[accepted](t, b.submit(published))
	var got map[string]any
	b.get("/v1/events/0", &got)
	for name, want := range map[string]any{
		"seq": 0.0, "id": "p-1", "time": "2026-03-31T00:21:00.123456Z", "source": "submit-source", "trust": "witnessed",
		"class": "project", "reason_internal": "really", "source_seq": 41.0,
		"commitment": base64.StdEncoding.EncodeToString(sent.Commitment),
	} {
		if !cmp.Equal(got[name], want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if text := fmt.Sprint(got["text"]); !strings.Contains(text, "alice") || !strings.Contains(text, "demo-pkg") {
		t.Errorf("text is %q, want a sentence about alice and demo-pkg", text)
	}
	for _, c := range []struct {
		path   string
		status int
	}{
		{"/v1/events/1", 404},
		{"/v1/events/-1", 400},
		{"/v1/events/first", 400},
		{"/v1/events/99999999999999999999", 400},
		{"/v1/events/9223372036854775807", 404},
		{"/v1/events/0?x=1", 400},
	} {
		if w := b.do(call{method: "GET", path: c.path, scope: auth.Read}); w.Code != c.status {
			t.Errorf("GET %s = %d %s, want %d", c.path, w.Code, w.Body, c.status)
		}
	}
}

// TestSearch checks that the answer is what the parameters ask for.
func TestSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		b.submit(published)
		b.submit(login("l-1", "bob"))
		for i := range 3 {
			b.submit(numbered(i, "carol"))
		}
		b.settled()
		for _, c := range []struct{ params, want string }{
			{"", "n-2 n-1 n-0 p-1 l-1"},
			{"q=project:demo-pkg", "n-2 n-1 n-0 p-1"},
			{"q=project:pkg:npm/demo-pkg", "p-1"},
			{"q=actor:bob", "l-1"},
			{"q=ip:203.0.113.0/24+tag:project:*", "p-1"},
			{"q=carol+OTHER", ""},
			{"q=CAROL&limit=2", "n-2 n-1"},
			{"q=source:submit-source+outcome:success+token:t-88", "p-1"},
			{"after=2026-04-01T00:00:01Z", "n-2 n-1"},
			{"before=2026-04-01", "p-1 l-1"},
			{"q=before:2026-04-01&after=2026-03-31T00:21:00Z", "p-1"},
		} {
			var p page
			b.get("/v1/events?"+c.params, &p)
			if p.ids() != c.want || !p.Complete || p.Behind != 0 {
				t.Errorf("%q finds %q, complete %t, behind %d; want %q", c.params, p.ids(), p.Complete, p.Behind, c.want)
			}
		}
		for _, c := range []struct {
			params, slug string
			column       int
		}{
			{"q=tag:", "bad-query", 5},
			{"q=a+OR", "bad-query", 5},
			{"q=" + strings.Repeat("x", 5000), "bad-query", 4097},
			{"after=yesterday", "bad-request", 0},
			{"before=", "bad-request", 0},
			{"limit=0", "bad-request", 0},
			{"limit=1001", "bad-request", 0},
			{"limit=many", "bad-request", 0},
			{"cursor=x", "bad-request", 0},
			{"cursor=", "bad-request", 0},
			{"query=x", "bad-request", 0},
			{"q=a&q=b", "bad-request", 0},
			{"q=%zz", "bad-request", 0},
		} {
			w := b.do(call{method: "GET", path: "/v1/events?" + c.params, scope: auth.Read})
			if got := decode[problem](t, w); w.Code != 400 || got.Type != "/problems/"+c.slug || got.Column != c.column {
				t.Errorf("%.50q = %d %s, want 400 %s at column %d", c.params, w.Code, w.Body, c.slug, c.column)
			}
		}
		b.stop()
	})
}

// TestPages checks that turning pages shows every event once, while others
// arrive that are newer, and older.
func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		var want []string
		for i := range 40 {
			b.submit(numbered(i, "alice"))
			want = append(want, fmt.Sprint("n-", i))
		}
		slices.Reverse(want)
		b.settled()
		var got []string
		next := ""
		for i := 100; ; i++ {
			var p page
			b.get("/v1/events?q=actor:alice&limit=7"+next, &p)
			for _, e := range p.Events {
				got = append(got, e.ID)
			}
			if p.Next == "" {
				break
			}
			next = "&cursor=" + url.QueryEscape(p.Next)
			b.submit(numbered(i, "alice"))
			b.submit(numbered(-i, "bob"))
			b.settled()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-there at the start +shown):\n%s", diff)
		}
		b.stop()
	})
}

// TestBehind checks that a search says what it could not search yet.
func TestBehind(t *testing.T) {
	b := open(t, new(disk.Mem))
	b.stop()
	var p page
	if b.get("/v1/events", &p); p.Behind != 0 {
		t.Errorf("behind is %d in an empty log", p.Behind)
	}
	fs := new(disk.Mem)
	full := open(t, fs)
	for i := range 3 {
		full.submit(numbered(i, "alice"))
	}
	full.stop()
	late := open(t, fs, func(a *api.API) { a.Views = nil })
	late.stop() // before its index could take in anything, or after
	late.get("/v1/events", &p)
	if taken := int(late.index.Cursor()); p.Behind != 3-taken || len(p.Events) != taken {
		t.Errorf("%d events found and behind is %d, with %d of 3 taken in", len(p.Events), p.Behind, taken)
	}
}

// TestReceipt checks that a receipt proves its event to somebody who has only
// the log's key, and that a changed one does not.
func TestReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		b.submit(published)
		b.submit(login("l-1", "bob"))
		w := b.do(call{method: "GET", path: "/v1/events/0/receipt?wait=2s", scope: auth.Read})
		if w.Code != 200 {
			t.Fatalf("receipt = %d %s", w.Code, w.Body)
		}
		policy, err := proof.KeyPolicy(b.tree.Keys().Verifiers()...)
		if err != nil {
			t.Fatal(err)
		}
		receipt, err := proof.ParseReceipt(w.Body.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		verified, err := receipt.Verify(policy)
		if err != nil {
			t.Fatalf("Verify: %v", err)
		}
		if verified.Seq != 0 || verified.Hidden != 0 || verified.Fields.Text("actor.name") != "alice" {
			t.Errorf("the receipt proves %+v, want all of event 0", verified)
		}
		for i := 0; i < w.Body.Len(); i += 7 {
			other, err := proof.ParseReceipt([]byte(flipped(w.Body.String(), i)))
			if err != nil {
				continue
			}
			if _, err := other.Verify(policy); err == nil {
				t.Errorf("a receipt with byte %d changed still proves", i)
			}
		}
		b.stop()
	})
}

// TestReceiptNotYet checks that waiting ends when it should.
func TestReceiptNotYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var witnessed atomic.Bool
		b := open(t, new(disk.Mem), func(a *api.API) { a.Witnessed = func([]byte) bool { return witnessed.Load() } })
		b.submit(published)
		b.settled()
		get := func(params string) (int, problem, time.Duration) {
			began := time.Now()
			w := b.do(call{method: "GET", path: "/v1/events/0/receipt" + params, scope: auth.Read})
			took := time.Since(began)
			if w.Code == 200 {
				return 200, problem{}, took
			}
			return w.Code, decode[problem](t, w), took
		}
		if status, p, took := get("?witnessed=true"); status != 404 || p.Type != "/problems/not-yet" || took != 0 {
			t.Errorf("unwitnessed = %d %+v after %v, want 404 not-yet at once", status, p, took)
		}
		if status, p, took := get("?witnessed=true&wait=3s"); status != 404 || p.Type != "/problems/not-yet" || took != 3*time.Second {
			t.Errorf("unwitnessed, waiting = %d %+v after %v, want 404 not-yet after 3s", status, p, took)
		}
		go func() {
			time.Sleep(time.Second)
			witnessed.Store(true)
		}()
		if status, _, took := get("?witnessed=true&wait=30s"); status != 200 || took > 1200*time.Millisecond {
			t.Errorf("witnessed after 1s = %d after %v", status, took)
		}
		for _, params := range []string{"?wait=31s", "?wait=-1s", "?wait=soon", "?witnessed=yes", "?wit=1"} {
			if status, _, _ := get(params); status != 400 {
				t.Errorf("receipt%s = %d, want 400", params, status)
			}
		}
		if w := b.do(call{method: "GET", path: "/v1/events/7/receipt?wait=30s", scope: auth.Read}); w.Code != 404 || decode[problem](t, w).Type != "/problems/not-found" {
			t.Errorf("receipt of no event = %d %s, want 404 not-found", w.Code, w.Body)
		}
		b.api.Witnessed = nil
		if status, p, _ := get("?witnessed=true"); status != 409 || p.Type != "/problems/no-witnesses" {
			t.Errorf("witnessed without witnesses = %d %+v, want 409", status, p)
		}
		b.stop()
	})
}

// TestCheckpoint checks the checkpoint, and that consistency proofs prove.
func TestCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		if w := b.do(call{method: "GET", path: "/v1/consistency?from=0&to=1", scope: auth.Read}); w.Code != 404 {
			t.Errorf("consistency with a tree to come = %d %s, want 404", w.Code, w.Body)
		}
		for i := range 5 {
			b.submit(numbered(i, "alice"))
		}
		b.settled()
		var head struct {
			Origin, Note string
			Size         int64
			Root         []byte
			Witnessed    *struct{ Size int64 }
		}
		b.get("/v1/checkpoint", &head)
		policy, err := proof.KeyPolicy(b.tree.Keys().Verifiers()...)
		if err != nil {
			t.Fatal(err)
		}
		checked, err := policy.Check([]byte(head.Note))
		if err != nil || checked.N != 5 || head.Size != 5 || !cmp.Equal(head.Root, checked.Hash[:]) || head.Origin != "custody.test/log" || head.Witnessed != nil {
			t.Errorf("checkpoint %+v, %v", head, err)
		}
		var c struct {
			From, To int64
			Proof    [][]byte
		}
		if b.get("/v1/consistency?from=3", &c); c.From != 3 || c.To != 5 || len(c.Proof) == 0 {
			t.Errorf("consistency %+v, want a proof from 3 to 5", c)
		}
		if b.get("/v1/consistency?from=0&to=5", &c); len(c.Proof) != 0 {
			t.Errorf("consistency from nothing %+v, want no hashes", c)
		}
		for params, status := range map[string]int{"": 400, "?from=x": 400, "?from=-1": 400, "?from=1&to=x": 400, "?from=3&to=2": 400, "?from=3&to=6": 404, "?from=6": 404} {
			if w := b.do(call{method: "GET", path: "/v1/consistency" + params, scope: auth.Read}); w.Code != status {
				t.Errorf("consistency%s = %d %s, want %d", params, w.Code, w.Body, status)
			}
		}
		b.api.Witnessed = func([]byte) bool { return true }
		if b.get("/v1/checkpoint", &head); head.Witnessed == nil || head.Witnessed.Size != 5 {
			t.Errorf("with witnesses the checkpoint is %+v", head)
		}
		b.stop()
	})
}

// TestStatus checks what the log says about itself.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem), func(a *api.API) {
			a.Witnesses = func() []api.Witness { return []api.Witness{{Name: "witness.example", Size: 1, Error: "no answer"}} }
		})
		b.submit(published)
		b.settled()
		var got struct {
			Origin, Version string
			Keys            []string
			Size            int64
			CheckpointSize  int64 `json:"checkpoint_size"`
			Views           []struct {
				Name        string
				Cursor, Lag int64
			}
			Sources   []struct{ Name string }
			Witnesses []api.Witness
		}
		b.get("/v1/log", &got)
		if got.Origin != "custody.test/log" || len(got.Keys) != 1 || got.Size != 1 || got.CheckpointSize != 1 || got.Version != "test" ||
			len(got.Views) != 2 || got.Views[1].Name != "store" || got.Views[1].Lag != 0 || got.Sources[0].Name != "submit-source" || len(got.Witnesses) != 1 {
			t.Errorf("status %+v", got)
		}
		if w := b.do(call{method: "GET", path: "/readyz"}); w.Code != 200 {
			t.Errorf("/readyz = %d %s", w.Code, w.Body)
		}
		w := b.do(call{method: "GET", path: "/metrics"})
		for _, want := range []string{
			`custody_http_requests_total{code="201",route="POST /v1/events"} 1`, `custody_http_events_total{result="recorded"} 1`,
		} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("/metrics has no %s", want)
			}
		}
		b.stop()
	})
}

// TestNoRoute checks that also who is lost gets a problem.
func TestNoRoute(t *testing.T) {
	b := open(t, new(disk.Mem))
	for _, c := range []struct {
		method, path string
		status       int
		slug, detail string
	}{
		{"GET", "/v2/events", 404, "not-found", "no such path"},
		{"GET", "/v1/events/1/2/3", 404, "not-found", "no such path"},
		{"PUT", "/v1/events", 405, "method", "GET, HEAD, POST"},
		{"DELETE", "/healthz", 405, "method", "GET, HEAD"},
	} {
		w := b.do(call{method: c.method, path: c.path})
		if p := decode[problem](t, w); w.Code != c.status || p.Type != "/problems/"+c.slug || !strings.Contains(p.Detail, c.detail) {
			t.Errorf("%s %s = %d %s, want %d %s", c.method, c.path, w.Code, w.Body, c.status, c.slug)
		}
	}
}
