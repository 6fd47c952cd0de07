package cli_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/cli"
)

// An exportLog answers exports of n events in pages of 1,000, whose cursors are
// numbers.
type exportLog struct {
	*httptest.Server

	lines []string     // of the events
	cuts  atomic.Int64 // how often an answer breaks off after the next page but one
	cut   func()       // what is done then, besides
	asks  atomic.Int64
}

func newExportLog(t *testing.T, n int) *exportLog {
	l := &exportLog{lines: make([]string, n)}
	for i := range l.lines {
		l.lines[i] = fmt.Sprintf(`{"seq":%d,"severity":"info","text":"t","record":%q}`+"\n", i, record(t, i))
	}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/log" {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"origin":"log.example/test","size":1}`)
			return
		}
		l.asks.Add(1)
		l.export(w, r)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *exportLog) export(w http.ResponseWriter, r *http.Request) {
	first := 0
	if c := r.URL.Query().Get("cursor"); c != "" {
		first, _ = strconv.Atoi(c)
	}
	breaks := l.cuts.Add(-1) >= 0
	for i := first; i < len(l.lines); i++ {
		io.WriteString(w, l.lines[i])
		if (i+1)%1000 == 0 {
			fmt.Fprintf(w, `{"cursor":"%d"}`+"\n", i+1)
			http.NewResponseController(w).Flush()
		}
		if breaks && i == first+len(l.lines)/2+1500 {
			if l.cut != nil {
				l.cut()
			}
			panic(http.ErrAbortHandler)
		}
	}
	io.WriteString(w, `{"end":{"rows":1,"behind":0,"origin":"log.example/test","checkpoint":""}}`+"\n")
}

// record returns the record of event i in base64.
func record(t *testing.T, i int) string {
	at := time.Unix(int64(i), 0).UTC()
	body, _ := event.AppendRecord(nil, event.Fields{
		event.StringField("actor.type", "user"), event.StringField("id", strconv.Itoa(i)), event.StringField("tag", "user:login:success"), event.TimeField("time", at),
	}, new(event.Secrets))
	if _, err := event.DecodeRecord(body); err != nil {
		t.Error(err)
	}
	return base64.StdEncoding.EncodeToString(body)
}

// do runs a command line.
func (l *exportLog) do(ctx context.Context, args ...string) (exit int, stderr string) {
	var out, talk strings.Builder
	env := &cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk, Version: "test", Getenv: func(name string) string {
		return map[string]string{"CUSTODY_URL": l.URL, "CUSTODY_KEY": "cst_x"}[name]
	}}
	return cli.Run(ctx, env, args), talk.String()
}

// An export that takes an hour will be interrupted: by a lost connection, which
// must cost nothing, and by whoever started it, who goes on later. Nothing may be
// missing or there twice.
func TestExportGoesOn(t *testing.T) {
	n := 110_000 // more than what is not durable yet
	if testing.Short() {
		n = 20_000
	}
	l := newExportLog(t, n)
	for _, format := range []string{"ndjson", "csv"} {
		dir := t.TempDir()
		l.cut = nil
		if exit, stderr := l.do(t.Context(), "export", "-o", filepath.Join(dir, "whole."+format)); exit != 0 {
			t.Fatalf("%d %s", exit, stderr)
		}
		want := read(t, dir, "whole."+format)

		l.cuts.Store(1)
		l.asks.Store(0)
		if exit, stderr := l.do(t.Context(), "export", "-o", filepath.Join(dir, "lost."+format)); exit != 0 || l.asks.Load() != 2 {
			t.Fatalf("%d after %d connections: %s", exit, l.asks.Load(), stderr)
		}
		if read(t, dir, "lost."+format) != want {
			t.Errorf("%s: after a lost connection the file is another", format)
		}

		ctx, interrupt := context.WithCancel(t.Context())
		l.cut = interrupt
		l.cuts.Store(1)
		name := filepath.Join(dir, "later."+format)
		if exit, stderr := l.do(ctx, "export", "-o", name); exit != 1 || !strings.Contains(stderr, "export -resume "+filepath.Join(dir, "later")) {
			t.Fatalf("interrupted: %d %s", exit, stderr)
		}
		if exit, stderr := l.do(t.Context(), "export", "-o", name); exit != 1 || !strings.Contains(stderr, "resume it") {
			t.Errorf("to begin over it: %d %s", exit, stderr)
		}
		if exit, stderr := l.do(t.Context(), "export", "-resume", name); exit != 0 {
			t.Fatalf("resumed: %d %s", exit, stderr)
		}
		if read(t, dir, "later."+format) != want {
			t.Errorf("%s: after an interruption the file is another", format)
		}
		if exit, stderr := l.do(t.Context(), "verify", name+".manifest.json"); exit != 0 {
			t.Errorf("verify = %d %s", exit, stderr)
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A log of another name is another log: its events do not belong into the files.
func TestExportOfAnotherLog(t *testing.T) {
	dir := t.TempDir()
	l := newExportLog(t, 4000)
	ctx, interrupt := context.WithCancel(t.Context())
	l.cut = interrupt
	l.cuts.Store(1)
	name := filepath.Join(dir, "x.csv")
	if exit, _ := l.do(ctx, "export", "-o", name); exit != 1 {
		t.Fatal(exit)
	}
	path := name + ".progress"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), "log.example/test", "log.example/else", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if exit, stderr := l.do(t.Context(), "export", "-resume", name); exit != 2 || !strings.Contains(stderr, "is of the log log.example/else") {
		t.Errorf("resumed: %d %s", exit, stderr)
	}
}

// A question about the last week must stay the same question when the export is
// gone on with tomorrow, and in its manifest.
func TestExportPinsTimes(t *testing.T) {
	dir := t.TempDir()
	l := newExportLog(t, 3)
	if exit, stderr := l.do(t.Context(), "export", "-o", filepath.Join(dir, "x"), "(after:-7d -before:-1h) OR before:2026-01-01"); exit != 0 {
		t.Fatal(exit, stderr)
	}
	m := read(t, dir, "x.ndjson.manifest.json")
	if strings.Contains(m, "-7d") || strings.Contains(m, "-1h") || !strings.Contains(m, "before:2026-01-01") || strings.Count(m, "after:") != 1 {
		t.Errorf("the manifest says %s", m)
	}
}
