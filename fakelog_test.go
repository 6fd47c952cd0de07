package custody_test

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/proof"
)

const testKey = "cst_test_0123456789abcdef"

// A fakeLog speaks the contract of the HTTP API, with true commitments, trees
// and signatures, in memory. It lies only where a test tells it to.
type fakeLog struct {
	skey, vkey string

	mu       sync.Mutex
	records  [][]byte // in order
	byID     map[string]int
	hashes   []tlog.Hash     // stored hashes of the tree
	requests []*http.Request // that arrived, bodies consumed
	numbers  []int64         // source_seq of the events as they arrived, duplicates too
	size     int64           // of the checkpoint; -1 means all records

	// Before, if not nil, may answer instead; it returns true if it did.
	before func(w http.ResponseWriter, r *http.Request) bool
	// After, if not nil, may spoil an answer that was made.
	after func(r *http.Request, answer *httptest.ResponseRecorder)
	// refuse, if not nil, says why an event will never be taken.
	refuse func(f event.Fields) string
}

func newFakeLog(t testing.TB) *fakeLog {
	t.Helper()
	return makeFakeLog()
}

func makeFakeLog() *fakeLog {
	skey, vkey, err := note.GenerateKey(rand.Reader, "log.example.com")
	if err != nil {
		panic(err)
	}
	return &fakeLog{skey: skey, vkey: vkey, byID: make(map[string]int), size: -1}
}

// client returns a client that calls l without a network, so that time in a
// synctest bubble can pass.
func (l *fakeLog) client(t testing.TB, opts ...custody.Option) *custody.Client {
	t.Helper()
	opts = append([]custody.Option{custody.WithHTTPClient(&http.Client{Transport: inProcess{l}})}, opts...)
	c, err := custody.New("http://log.example.com", testKey, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// An inProcess transport calls a handler.
type inProcess struct{ handler http.Handler }

var errLostConnection = errors.New("connection reset")

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	if w.Code == statusLost {
		return nil, errLostConnection
	}
	return w.Result(), nil
}

// statusLost stands for an answer that never arrives.
const statusLost = 999

func (l *fakeLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.requests = append(l.requests, r)
	l.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+testKey {
		writeProblem(w, 401, "unauthorized", map[string]any{"hint": "custody keys create"})
		return
	}
	if l.before != nil && l.before(w, r) {
		return
	}
	answer := httptest.NewRecorder()
	l.mux().ServeHTTP(answer, r)
	if l.after != nil {
		l.after(r, answer)
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

func (l *fakeLog) mux() *http.ServeMux {
	m := http.NewServeMux()
	m.HandleFunc("POST /v1/events", l.submit)
	m.HandleFunc("GET /v1/events", l.search)
	m.HandleFunc("GET /v1/facets", l.facets)
	m.HandleFunc("GET /v1/events/{seq}", l.show)
	m.HandleFunc("GET /v1/events/{seq}/receipt", l.receipt)
	m.HandleFunc("GET /v1/checkpoint", l.checkpoint)
	m.HandleFunc("GET /v1/consistency", l.consistency)
	m.HandleFunc("GET /v1/log", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 200, map[string]any{"origin": "log.example.com", "keys": []string{l.vkey}, "size": l.len(), "version": "test"})
	})
	m.HandleFunc("GET /v1/tail", l.tail)
	m.HandleFunc("POST /v1/keys", func(w http.ResponseWriter, r *http.Request) {
		var k map[string]any
		json.NewDecoder(r.Body).Decode(&k)
		k["id"], k["secret"], k["created"] = "k1", "cst_k1_secret", time.Now()
		writeJSON(w, 201, k)
	})
	m.HandleFunc("GET /v1/keys", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 200, map[string]any{"keys": []any{map[string]any{"id": "k1", "name": "ci", "scopes": []string{"submit"}}}})
	})
	m.HandleFunc("DELETE /v1/keys/{id}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	return m
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func writeProblem(w http.ResponseWriter, status int, slug string, more map[string]any) {
	p := map[string]any{"type": "/problems/" + slug, "title": slug, "status": status}
	maps.Copy(p, more)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(p)
}

func (l *fakeLog) submit(w http.ResponseWriter, r *http.Request) {
	body, err := inflate(r)
	if err != nil {
		writeProblem(w, 400, "malformed", map[string]any{"detail": err.Error()})
		return
	}
	pieces, batch := [][]byte{body}, false
	switch {
	case r.Header.Get("Content-Type") == "application/x-ndjson":
		pieces, batch = bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n")), true
	case bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")):
		var list []json.RawMessage
		json.Unmarshal(body, &list)
		pieces, batch = nil, true
		for _, one := range list {
			pieces = append(pieces, one)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var fields []event.Fields
	for i, piece := range pieces {
		f, err := event.Parse(bytes.Clone(piece))
		more := map[string]any{}
		if batch {
			more["index"] = i
		}
		var wrong *event.InvalidError
		if errors.As(err, &wrong) {
			more["path"], more["detail"] = wrong.Path, wrong.Reason
			writeProblem(w, 422, "invalid", more)
			return
		}
		if l.refuse != nil {
			if why := l.refuse(f); why != "" {
				more["detail"] = why
				writeProblem(w, 422, "invalid", more)
				return
			}
		}
		if at, ok := l.byID[f.Text("id")]; ok && !same(f, l.records[at]) {
			more["seq"] = at
			writeProblem(w, 409, "conflict", more)
			return
		}
		fields = append(fields, f)
	}
	var answers []map[string]any
	duplicates := 0
	for _, f := range fields {
		a := l.add(f)
		answers = append(answers, a)
		if a["duplicate"] == true {
			duplicates++
		}
	}
	switch {
	case !batch && duplicates == 1:
		writeJSON(w, 200, answers[0])
	case !batch:
		writeJSON(w, 201, answers[0])
	case r.Header.Get("Prefer") == "return=minimal":
		writeJSON(w, 201, map[string]any{
			"accepted": len(answers) - duplicates, "duplicates": duplicates,
			"first": answers[0]["seq"], "last": answers[len(answers)-1]["seq"],
		})
	default:
		writeJSON(w, 201, map[string]any{"accepted": len(answers) - duplicates, "duplicates": duplicates, "events": answers})
	}
}

func inflate(r *http.Request) ([]byte, error) {
	switch r.Header.Get("Content-Encoding") {
	case "zstd":
		z, err := zstd.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		return io.ReadAll(z)
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	}
	return io.ReadAll(r.Body)
}

// same reports whether f is what the record holds, but for what the log added.
func same(f event.Fields, body []byte) bool {
	r, err := event.DecodeRecord(body)
	if err != nil {
		return false
	}
	theirs := slices.DeleteFunc(r.Open(), func(x event.Field) bool {
		return x.Name == "received" || x.Name == "source" || x.Name == "trust"
	})
	return slices.EqualFunc(f, theirs, func(a, b event.Field) bool {
		return a.Name == b.Name && a.Type == b.Type && bytes.Equal(a.Value, b.Value)
	})
}

// add records f. l.mu must be held.
func (l *fakeLog) add(f event.Fields) map[string]any {
	var s event.Secrets
	rand.Read(s.Open[:])
	rand.Read(s.Private[:])
	return l.addWith(f, s, time.Now())
}

// addWith is add without anything random.
func (l *fakeLog) addWith(f event.Fields, s event.Secrets, received time.Time) map[string]any {
	if n, ok := f.Get("source_seq"); ok {
		l.numbers = append(l.numbers, n.Int())
	}
	id := f.Text("id")
	at, duplicate := l.byID[id]
	if !duplicate {
		f = append(slices.Clone(f), event.TimeField("received", received),
			event.StringField("source", "test"), event.StringField("trust", "witnessed"))
		slices.SortFunc(f, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
		body, _ := event.AppendRecord(nil, f, &s)
		entry, err := event.StoredEntry(body)
		if err != nil {
			panic(err)
		}
		at = len(l.records)
		stored, err := tlog.StoredHashes(int64(at), entry, l)
		if err != nil {
			panic(err)
		}
		l.hashes = append(l.hashes, stored...)
		l.records = append(l.records, body)
		l.byID[id] = at
	}
	c, _ := event.StoredCommitment(l.records[at])
	a := map[string]any{"seq": at, "commitment": base64.StdEncoding.EncodeToString(c[:])}
	if duplicate {
		a["duplicate"] = true
	}
	return a
}

// ReadHashes implements [tlog.HashReader]. l.mu must be held.
func (l *fakeLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

// sign returns the checkpoint. l.mu must be held.
func (l *fakeLog) sign() (int64, []byte) {
	n := l.size
	if n < 0 {
		n = int64(len(l.records))
	}
	return n, l.signSize(n)
}

func (l *fakeLog) signSize(n int64) []byte {
	hash, err := tlog.TreeHash(n, l)
	if err != nil {
		panic(err)
	}
	signer, err := note.NewSigner(l.skey)
	if err != nil {
		panic(err)
	}
	msg, err := proof.SignCheckpoint(tlog.Tree{N: n, Hash: hash}, signer)
	if err != nil {
		panic(err)
	}
	return msg
}

func (l *fakeLog) receipt(w http.ResponseWriter, r *http.Request) {
	seq, _ := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	l.mu.Lock()
	defer l.mu.Unlock()
	n, msg := l.sign()
	if seq >= int64(len(l.records)) {
		writeProblem(w, 404, "not-found", nil)
		return
	}
	if seq >= n {
		writeProblem(w, 404, "not-yet", nil)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write(l.receiptText(seq, n, msg, func(*event.Field) bool { return true }))
}

func (l *fakeLog) receiptText(seq, n int64, msg []byte, show func(*event.Field) bool) []byte {
	record, err := event.DecodeRecord(l.records[seq])
	if err != nil {
		panic(err)
	}
	path, err := tlog.ProveRecord(n, seq, l)
	if err != nil {
		panic(err)
	}
	receipt := proof.NewReceipt(proof.Disclose(record, show), proof.Proof{Index: seq, Path: path, Checkpoint: msg})
	text, err := receipt.Format()
	if err != nil {
		panic(err)
	}
	return text
}

func (l *fakeLog) checkpoint(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, msg := l.sign()
	writeJSON(w, 200, map[string]any{"origin": "log.example.com", "size": n, "note": string(msg)})
}

func (l *fakeLog) consistency(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.ParseInt(r.FormValue("from"), 10, 64)
	to, _ := strconv.ParseInt(r.FormValue("to"), 10, 64)
	l.mu.Lock()
	defer l.mu.Unlock()
	if from > to || to > int64(len(l.records)) || from < 1 {
		writeProblem(w, 404, "not-yet", nil)
		return
	}
	path, err := tlog.ProveTree(to, from, l)
	if err != nil {
		panic(err)
	}
	hashes := []string{}
	for _, h := range path {
		hashes = append(hashes, h.String())
	}
	writeJSON(w, 200, map[string]any{"from": from, "to": to, "proof": hashes})
}

// shown returns the event at seq as the API shows it. l.mu must be held.
func (l *fakeLog) shown(seq int) map[string]any {
	record, err := event.DecodeRecord(l.records[seq])
	if err != nil {
		panic(err)
	}
	text, err := json.Marshal(record.Open().Event())
	if err != nil {
		panic(err)
	}
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	d.Decode(&m)
	m["seq"], m["text"], m["class"] = seq, "somebody did something", "project"
	m["commitment"] = base64.StdEncoding.EncodeToString(record.Commitment[:])
	return m
}

func (l *fakeLog) show(w http.ResponseWriter, r *http.Request) {
	seq, _ := strconv.Atoi(r.PathValue("seq"))
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq >= len(l.records) {
		writeProblem(w, 404, "not-found", nil)
		return
	}
	writeJSON(w, 200, l.shown(seq))
}

func (l *fakeLog) search(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	if limit == 0 {
		limit = 50
	}
	at := len(l.records)
	if c := r.FormValue("cursor"); c != "" {
		at, _ = strconv.Atoi(c)
	}
	list := []any{}
	for ; at > 0 && len(list) < limit; at-- {
		list = append(list, l.shown(at-1))
	}
	answer := map[string]any{"events": list, "behind": 0, "complete": true}
	if at > 0 {
		answer["next"] = strconv.Itoa(at)
	}
	writeJSON(w, 200, answer)
}

// facets counts all events by actor.
func (l *fakeLog) facets(w http.ResponseWriter, _ *http.Request) {
	names := make(map[string]int)
	for _, e := range l.events() {
		names[e.Actor.Name]++
	}
	list := []any{}
	for name, n := range names {
		list = append(list, map[string]any{"value": name, "count": n})
	}
	writeJSON(w, 200, map[string]any{"count": l.len(), "complete": true, "behind": 0, "facets": map[string]any{"actor": list}})
}

// tail sends what is there and ends, as a connection that breaks does.
func (l *fakeLog) tail(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, err := strconv.Atoi(r.FormValue("from"))
	if err != nil {
		writeProblem(w, 400, "bad-request", nil)
		return
	}
	fmt.Fprint(w, ": hello\n\n")
	for ; from < len(l.records); from++ {
		data, _ := json.Marshal(l.shown(from))
		fmt.Fprintf(w, "id: %d\nevent: event\ndata: %s\n\n", from, data)
	}
}

func (l *fakeLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records)
}

// events returns what was recorded, in order.
func (l *fakeLog) events() []*custody.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*custody.Event
	for i := range l.records {
		r, _ := event.DecodeRecord(l.records[i])
		list = append(list, r.Open().Event())
	}
	return list
}

// ids returns the IDs of the recorded events, in order.
func (l *fakeLog) ids() []string {
	var ids []string
	for _, e := range l.events() {
		ids = append(ids, e.ID)
	}
	return ids
}

// asked returns how many requests there were for a path that starts so.
func (l *fakeLog) asked(prefix string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, r := range l.requests {
		if strings.HasPrefix(r.URL.Path, prefix) {
			n++
		}
	}
	return n
}

func release(version string) custody.Event {
	return custody.Event{
		Tag:      "project:release:add",
		Actor:    custody.Party{Type: "user", ID: "u1", Name: "alice"},
		Subjects: []custody.Subject{{Type: "version", Name: "demo-pkg", Version: version}},
		Context:  custody.Context{IP: "203.0.113.9"},
	}
}
