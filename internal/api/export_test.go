package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/api"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/gen"
	"github.com/custody-log/custody/proof"
)

// many submits n events, a second apart, of which every third was refused.
func (b *bench) many(n int) {
	b.t.Helper()
	var body strings.Builder
	for i := range n {
		outcome := "success"
		if i%3 == 0 {
			outcome = "denied"
		}
		at := time.Date(2026, 3, 1, 0, 0, i, 0, time.UTC).Format(time.RFC3339)
		fmt.Fprintf(&body, `{"id":"e-%d","tag":"user:login:success","time":%q,"outcome":%q,"actor":{"type":"user","name":"u%d"}}`+"\n", i, at, outcome, i%7)
	}
	w := b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: lines, body: body.String()})
	if w.Code != http.StatusCreated {
		b.t.Fatalf("submit = %d %s", w.Code, w.Body)
	}
}

// export returns what an export of what was submitted answers. Earlier exports
// are events, too, and later than that.
func (b *bench) export(params string) string {
	b.t.Helper()
	w := b.do(call{method: "GET", path: "/v1/export?before=2026-04-01&" + params, scope: auth.Read})
	if w.Code != http.StatusOK {
		b.t.Fatalf("export %s = %d %s", params, w.Code, w.Body)
	}
	return w.Body.String()
}

// seqsOf returns the positions in lines of JSON.
func seqsOf(t *testing.T, text string) (seqs []int64) {
	t.Helper()
	for line := range strings.Lines(text) {
		var e struct {
			Seq *int64 `json:"seq"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if e.Seq != nil {
			seqs = append(seqs, *e.Seq)
		}
	}
	return seqs
}

// An export must have each event that was acknowledged before it, once, in
// order, in each form; and exactly as reading it alone shows it.
func TestExportIsAll(t *testing.T) {
	b := open(t, new(disk.Mem))
	const n = 2500 // pages
	b.many(n)
	b.submit(published)
	text := b.export("")
	seqs := seqsOf(t, text)
	if len(seqs) != n+1 {
		t.Fatalf("%d events, want %d", len(seqs), n+1)
	}
	for i, seq := range seqs {
		if seq != int64(i) {
			t.Fatalf("event %d at %d", seq, i)
		}
	}
	alone := b.do(call{method: "GET", path: fmt.Sprintf("/v1/events/%d", n), scope: auth.Read}).Body.String()
	if !strings.HasSuffix(text, "\n"+alone) {
		t.Errorf("the last line is not %s", alone)
	}
	newest := seqsOf(t, b.export("order=newest"))
	slices.Reverse(newest)
	if !slices.Equal(newest, seqs) {
		t.Error("the newest first is another set, or in another order")
	}
	denied := seqsOf(t, b.export("q=outcome:denied+before:2026-03-01T00:00:30Z"))
	if len(denied) != 10 || denied[1] != 3 {
		t.Errorf("those that match are %d", denied)
	}
	rows, err := csv.NewReader(strings.NewReader(b.export("format=csv"))).ReadAll()
	if err != nil || len(rows) != n+2 || rows[0][0] != "seq" || rows[n+1][0] != fmt.Sprint(n) {
		t.Errorf("CSV has %d lines, %v", len(rows), err)
	}
	data := b.export("format=parquet&q=outcome:denied")
	file, err := parquet.OpenFile(strings.NewReader(data), int64(len(data)))
	if err != nil || file.NumRows() != (n+2)/3 {
		t.Errorf("Parquet: %v, %v", file, err)
	}
}

// Whoever was cut off must be able to go on, and then have what they would have
// had.
func TestExportGoesOn(t *testing.T) {
	b := open(t, new(disk.Mem))
	b.many(2100)
	for _, order := range []string{"oldest", "newest"} {
		whole := b.export("order=" + order)
		seqs := seqsOf(t, whole)
		rest := b.export(fmt.Sprintf("order=%s&last=%d", order, seqs[1234]))
		if cut := strings.SplitAfterN(whole, "\n", 1236); cut[1235] != rest {
			t.Errorf("%s first: going on after event %d gives something else", order, seqs[1234])
		}
		head := b.export("format=csv&order=" + order)
		tail := b.export(fmt.Sprintf("format=csv&order=%s&last=%d", order, seqs[1234]))
		if cut := strings.SplitAfterN(head, "\n", 1237); cut[1236] != tail {
			t.Errorf("%s first: going on with CSV gives something else", order)
		}
	}
	var last string
	var before, after []int64
	text := b.export("format=records")
	for line := range strings.Lines(text) {
		if c, ok := strings.CutPrefix(line, `{"cursor":"`); ok {
			last = strings.TrimSuffix(c, "\"}\n")
			break
		}
		before = append(before, seqsOf(t, line)...)
	}
	after = seqsOf(t, b.export("format=records&cursor="+last))
	if all := append(before, after...); len(all) != 2100 || all[1000] != 1000 {
		t.Errorf("%d and %d events with a cursor between", len(before), len(after))
	}
}

// An export that nobody knows of is how a log leaks.
func TestExportIsAnEvent(t *testing.T) {
	b := open(t, new(disk.Mem))
	b.many(10)
	b.export("format=csv&q=outcome:denied+actor:u0&order=newest")
	records, err := b.journal.Read(10, 1)
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records after an export, %v", len(records), err)
	}
	record, err := event.DecodeRecord(records[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	e := record.Open().Event()
	want := map[string]any{"format": "csv", "rows": int64(1), "query": "outcome:denied actor:u0 before:2026-04-01"}
	for name, v := range want {
		if fmt.Sprint(e.Metadata[name]) != fmt.Sprint(v) {
			t.Errorf("the event has %s %v, want %v", name, e.Metadata[name], v)
		}
	}
	if e.Tag != "audit:export" || e.Actor.Name != "the read key" || e.Outcome != event.Success || e.Metadata["sha256"] == nil {
		t.Errorf("the event is %+v", e)
	}
}

// Evidence under several checkpoints is hard to check; all receipts must be
// under one, and prove.
func TestExportReceipts(t *testing.T) {
	b := open(t, new(disk.Mem))
	b.many(40)
	keys, err := b.tree.Keys().Policy()
	if err != nil {
		t.Fatal(err)
	}
	var note string
	n := 0
	for line := range strings.Lines(b.export("format=receipts&q=outcome:denied")) {
		var l struct {
			Seq     int64
			Receipt string
			End     *struct {
				Rows       int
				Checkpoint string
			}
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.End != nil {
			if l.End.Rows != n || l.End.Checkpoint != note {
				t.Errorf("the end is %+v after %d rows", l.End, n)
			}
			n = -1
			continue
		}
		r, err := proof.ParseReceipt([]byte(l.Receipt))
		if err != nil {
			t.Fatal(err)
		}
		v, err := r.Verify(keys)
		if err != nil || v.Seq != l.Seq {
			t.Fatalf("the receipt of event %d: %v, %+v", l.Seq, err, v)
		}
		if n++; n > 1 && note != string(r.Proof.Checkpoint) {
			t.Error("two checkpoints")
		}
		note = string(r.Proof.Checkpoint)
	}
	if n != -1 {
		t.Errorf("there is no end after %d receipts", n)
	}
}

// A record that a program gets must not hand out what hidden fields are salted
// with.
func TestExportRecordsAreBare(t *testing.T) {
	b := open(t, new(disk.Mem))
	b.submit(published)
	first, _, _ := strings.Cut(b.export("format=records"), "\n")
	var l struct{ Record string }
	if err := json.Unmarshal([]byte(first), &l); err != nil {
		t.Fatal(err)
	}
	body, err := base64.StdEncoding.DecodeString(l.Record)
	if err != nil {
		t.Fatal(err)
	}
	record, err := event.DecodeRecord(body)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := b.journal.Read(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := event.DecodeRecord(stored[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	if record.Secrets != (event.Secrets{}) || record.Commitment != whole.Commitment || len(record.Fields) != len(whole.Fields) {
		t.Errorf("the record is %+v", record)
	}
}

// What makes no sense is refused before anything is written.
func TestExportRefuses(t *testing.T) {
	b := open(t, new(disk.Mem))
	b.many(3)
	for _, params := range []string{
		"format=xml", "format=bundle", "order=random", "cursor=x", "last=-1", "last=3", "last=1&cursor=x", "q=tag:", "limit=3", "after=soon",
		"witnessed=perhaps",
	} {
		if w := b.do(call{method: "GET", path: "/v1/export?" + params, scope: auth.Read}); w.Code != http.StatusBadRequest {
			t.Errorf("export?%s = %d %s, want 400", params, w.Code, w.Body)
		}
	}
	if w := b.do(call{method: "GET", path: "/v1/export?witnessed=true", scope: auth.Read}); w.Code != http.StatusConflict {
		t.Errorf("witnessed where there are none = %d %s, want 409", w.Code, w.Body)
	}
	if size := b.journal.Size(); size != 3 {
		t.Errorf("%d events, want 3: what was refused is no export", size)
	}
	if w := b.do(call{method: "HEAD", path: "/v1/export", scope: auth.Read}); w.Code != http.StatusOK || w.Body.Len() > 0 || b.journal.Size() != 3 {
		t.Errorf("HEAD = %d, %d bytes", w.Code, w.Body.Len())
	}
}

// A slow reader may hold a place, not all of them for nothing: the fifth is told
// at once.
func TestExportLimit(t *testing.T) {
	b := open(t, new(disk.Mem))
	b.many(8000)
	server := httptest.NewUnstartedServer(b.handler)
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if err := c.(*net.TCPConn).SetWriteBuffer(32 << 10); err != nil { // or an export ends that nobody reads
			t.Error(err)
		}
		return ctx
	}
	server.Start()
	defer server.Close()
	var open []io.Closer
	status := 0
	for range 5 {
		resp := b.start(server, "/v1/export") //nolint:bodyclose // below
		open = append(open, resp.Body)
		if status = resp.StatusCode; status != http.StatusOK {
			break
		}
	}
	for _, c := range open {
		c.Close()
	}
	if len(open) != 5 || status != http.StatusServiceUnavailable {
		t.Errorf("export %d = %d, want that the fifth is refused", len(open), status)
	}
}

// start sends a request and returns its answer, of which nothing is read.
func (b *bench) start(server *httptest.Server, path string) *http.Response {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), "GET", server.URL+path, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+b.keys[auth.Read])
	resp, err := server.Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp
}

// A file that was cut short and looks whole is an incident nobody finds. The
// reader must see that the connection broke, and the log must say that it was
// cut short, also when the server stops.
func TestExportBreaksOff(t *testing.T) {
	stopping := make(chan struct{})
	b := open(t, new(disk.Mem), func(a *api.API) { a.Stopping = stopping })
	b.many(10_000)
	server := httptest.NewServer(b.handler)
	defer server.Close()
	resp := b.start(server, "/v1/export?format=records")
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	close(stopping)
	rest, err := io.ReadAll(resp.Body)
	if err == nil || bytes.Contains(rest, []byte(`"end"`)) {
		t.Fatalf("the rest is %d bytes, %v, want an answer that breaks off", len(rest), err)
	}
	if err := b.journal.Wait(t.Context(), 10_000); err != nil {
		t.Fatal(err)
	}
	records, err := b.journal.Read(10_000, 1)
	if err != nil {
		t.Fatal(err)
	}
	record, err := event.DecodeRecord(records[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	if e := record.Open().Event(); e.Tag != "audit:export" || e.Outcome != event.Failure || e.Reason == "" {
		t.Errorf("the event is %+v", e)
	}
}

// A sinkhole takes an answer and forgets it.
type sinkhole struct {
	header http.Header
	bytes  int64
}

func (s *sinkhole) Header() http.Header { return s.header }
func (s *sinkhole) WriteHeader(int)     {}
func (s *sinkhole) Write(b []byte) (int, error) {
	s.bytes += int64(len(b))
	return len(b), nil
}

// BenchmarkExport exports a log of sealed events.
func BenchmarkExport(b *testing.B) {
	const n = 100_000
	l := open(b, new(disk.Mem))
	g := gen.New(l.api.Catalogue, 7, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	for l.journal.Size() < n {
		var body bytes.Buffer
		for range 2000 {
			body.Write(append(g.Append(nil), '\n'))
		}
		w := l.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: lines, body: body.String()})
		if w.Code != http.StatusCreated {
			b.Fatal(w.Code, w.Body)
		}
	}
	if w := l.do(call{method: "POST", path: "/v1/log/seal", scope: auth.Admin}); w.Code != http.StatusOK {
		b.Fatal(w.Code, w.Body)
	}
	for _, format := range []string{"ndjson", "csv", "parquet", "records"} {
		b.Run(format, func(b *testing.B) {
			var bytes int64
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), "GET", "/v1/export?format="+format, http.NoBody)
				r.Header.Set("Authorization", "Bearer "+l.keys[auth.Read])
				w := &sinkhole{header: make(http.Header)}
				l.handler.ServeHTTP(w, r)
				bytes = w.bytes
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(bytes)/n, "B/event")
		})
	}
}

// Somebody who was erased must be gone from exports as well, can still be told
// apart and found by the pseudonym, and what is left still proves.
func TestExportOfErased(t *testing.T) {
	b := openKept(t)
	b.submit(published)
	b.submit(login("l-1", "bob"))
	w := b.do(call{
		method: "POST", path: "/v1/erasures", scope: auth.Admin, header: jsonBody,
		body: `{"subject":{"type":"user","id":"u-1041","name":"alice"},"reason":"asked for"}`,
	})
	erasure := decode[struct{ ID, State, Pseudonym string }](t, w)
	for deadline := time.Now().Add(20 * time.Second); erasure.State != "done"; {
		if time.Now().After(deadline) {
			t.Fatalf("erasure %s is %s", erasure.ID, erasure.State)
		}
		w := b.do(call{method: "GET", path: "/v1/erasures/" + erasure.ID, scope: auth.Admin})
		erasure = decode[struct{ ID, State, Pseudonym string }](t, w)
	}
	all := b.export("")
	if strings.Contains(all, "alice") || !strings.Contains(all, `"actor":{"type":"user","name":"`+erasure.Pseudonym+`"}`) || len(seqsOf(t, all)) != 2 {
		t.Errorf("the export is %s", all)
	}
	if named := b.export("q=project:demo-pkg+actor:" + erasure.Pseudonym); len(seqsOf(t, named)) != 1 || !strings.Contains(named, erasure.Pseudonym) {
		t.Errorf("the export for the pseudonym is %s", named)
	}
	if w := b.do(call{method: "GET", path: "/v1/export?last=1&q=actor:" + erasure.Pseudonym, scope: auth.Read}); w.Code != http.StatusBadRequest {
		t.Errorf("going on with it = %d %s, want 400", w.Code, w.Body)
	}
	policy, err := b.tree.Keys().Policy()
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(b.export("format=receipts&q=project:demo-pkg"), "\n")
	var l struct{ Receipt string }
	if err := json.Unmarshal([]byte(first), &l); err != nil {
		t.Fatal(err)
	}
	r, err := proof.ParseReceipt([]byte(l.Receipt))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := r.Verify(policy); err != nil || v.Seq != 0 || v.Hidden == 0 || strings.Contains(l.Receipt, "alice") {
		t.Errorf("the receipt: %v, %+v", err, v)
	}
}
