package interop_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/proof"
)

// records are what the journal would hold.
type records [][]byte

func (r records) Size() journal.Seq { return journal.Seq(len(r)) }

func (r records) Read(from journal.Seq, limit int) (list []journal.Record, _ error) {
	for seq := from; seq < r.Size() && len(list) < limit; seq++ {
		list = append(list, journal.Record{Seq: seq, Body: r[seq]})
	}
	return list, nil
}

// A custodyLog is a log made by Custody, and what serves it.
type custodyLog struct {
	t    *testing.T
	keys *tree.Keys
	list records
	tree *tree.Tree

	url string // of the log as it is

	mu     sync.Mutex
	damage map[string]int // the byte of an answer that is changed, by path
}

const logRecords = 700 // two full tiles and a partial one

// newLog returns a log of n events, all covered by a checkpoint.
func newLog(t *testing.T, n int, witnessed bool) *custodyLog {
	t.Helper()
	keys, err := tree.GenerateKeys("log.example/interop")
	if err != nil {
		t.Fatal(err)
	}
	return newLogWith(t, keys, n, witnessed)
}

func newLogWith(t *testing.T, keys *tree.Keys, n int, witnessed bool) *custodyLog {
	t.Helper()
	l := &custodyLog{t: t, keys: keys, damage: make(map[string]int)}
	for range n {
		l.list = append(l.list, record(t, len(l.list)))
	}
	dir, err := disk.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l.tree, err = tree.Open(t.Context(), tree.Config{
		Dir: dir, Head: tree.FileHead(dir), Keys: keys, Records: l.list,
		EntryOf: tree.StoredEntry, Log: slog.New(slog.DiscardHandler), Witnessed: witnessed,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.tree.Run(ctx) }()
	server := httptest.NewServer(l)
	t.Cleanup(func() {
		server.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("tree: %v", err)
		}
		if err := l.tree.Close(); err != nil {
			t.Errorf("tree: %v", err)
		}
	})
	l.url = server.URL
	l.grow(0)
	return l
}

// record returns the record of an event.
func record(t *testing.T, i int) []byte {
	t.Helper()
	fields, err := event.Parse(fmt.Appendf(nil, `{
		"id": "event-%d", "tag": "project:release:add", "time": "2026-01-02T03:04:05Z",
		"actor": {"type": "user", "id": "7", "name": "alice"},
		"subjects": [{"type": "project", "id": "9", "name": "demo-pkg"}],
		"context": {"ip": "203.0.113.9"}
	}`, i))
	if err != nil {
		t.Fatal(err)
	}
	var secrets event.Secrets
	for _, secret := range []*[event.SecretBytes]byte{&secrets.Open, &secrets.Private} {
		if _, err := rand.Read(secret[:]); err != nil {
			t.Fatal(err)
		}
	}
	body, _ := event.AppendRecord(nil, fields, &secrets)
	return body
}

// grow adds n events and waits until a checkpoint covers them.
func (l *custodyLog) grow(n int) {
	l.t.Helper()
	for range n {
		l.list = append(l.list, record(l.t, len(l.list)))
	}
	if some, _ := l.list.Read(l.tree.Cursor(), len(l.list)); len(some) > 0 {
		if err := l.tree.Apply(l.t.Context(), some); err != nil {
			l.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	if err := l.tree.WaitFor(ctx, l.list.Size()-1); err != nil {
		l.t.Fatal(err)
	}
}

// vkey returns the log's public key.
func (l *custodyLog) vkey() string { return l.keys.Verifiers()[0] }

// receipt returns the receipt of an event in which half of the fields are open.
func (l *custodyLog) receipt(seq journal.Seq) []byte {
	l.t.Helper()
	r, err := event.DecodeRecord(l.list[seq])
	if err != nil {
		l.t.Fatal(err)
	}
	p, err := l.tree.Prove(seq)
	if err != nil {
		l.t.Fatal(err)
	}
	show := func(f *event.Field) bool { return len(f.Name)%2 == 0 }
	text, err := proof.NewReceipt(proof.Disclose(r, show), *p).Format()
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

// harm makes the byte at offset of what is served at path wrong, and nothing
// else. A negative offset counts from the end.
func (l *custodyLog) harm(path string, offset int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.damage)
	if path != "" {
		l.damage[path] = offset
	}
}

// ServeHTTP serves the log, with the harm done to it.
func (l *custodyLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	recorder := httptest.NewRecorder()
	l.tree.Handler().ServeHTTP(recorder, r)
	body := recorder.Body.Bytes()
	l.mu.Lock()
	offset, harmed := l.damage[r.URL.Path]
	l.mu.Unlock()
	if harmed && recorder.Code == http.StatusOK {
		body = bytes.Clone(body)
		if offset < 0 {
			offset += len(body)
		}
		body[offset] ^= 1
	}
	maps.Copy(w.Header(), recorder.Header())
	w.WriteHeader(recorder.Code)
	_, _ = w.Write(body) // the judge may have gone
}

// harms are single bytes of the log, one of every kind of thing that is served.
var harms = []struct {
	name   string
	path   string
	offset int
}{
	{"first byte of a full tile", "/tile/0/000", 0},
	{"last byte of a full tile", "/tile/0/001", -1},
	{"partial tile", "/tile/0/002.p/188", 500},
	{"tile of level 1", "/tile/1/000.p/2", 40},
	{"first entry", "/tile/entries/000", 5},
	{"length of an entry", "/tile/entries/001", 35},
	{"last byte of the last bundle", "/tile/entries/002.p/188", -1},
	{"origin of the checkpoint", "/checkpoint", 0},
	{"size of the checkpoint", "/checkpoint", len("log.example/interop\n")},
	{"root of the checkpoint", "/checkpoint", len("log.example/interop\n700\n") + 3},
	{"signature of the checkpoint", "/checkpoint", -10},
}
