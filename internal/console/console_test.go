package console_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/console"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
)

// An answer is what a browser gets.
type answer struct {
	status int
	header http.Header
	body   string
}

// serve returns a way to fetch from the console of an empty log.
func serve(t *testing.T) (get func(path string) answer) {
	t.Helper()
	fs := new(disk.Mem)
	files, err := journal.OpenFiles(fs)
	if err != nil {
		t.Fatal(err)
	}
	j := journal.New(files)
	keys, err := tree.GenerateKeys("log.example/test")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	dir, err := fs.Sub("tree")
	if err != nil {
		t.Fatal(err)
	}
	tr, err := tree.Open(context.Background(), tree.Config{
		Dir: dir, Head: tree.FileHead(dir), Keys: keys, Records: j, EntryOf: tree.StoredEntry, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &console.Console{Log: log, Tree: tr, Journal: j, Keys: tr.Keys, Version: "v1.2.3"}
	server := httptest.NewServer(c.Handler())
	t.Cleanup(server.Close)
	return func(path string) answer {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer{resp.StatusCode, resp.Header, string(body)}
	}
}

// TestFrontPage checks that the page is complete, loads nothing from elsewhere,
// and that all it names is there.
func TestFrontPage(t *testing.T) {
	get := serve(t)
	front := get("/")
	page := front.body
	for _, want := range []string{"log.example/test", "Nothing yet: the log is empty.", "v1.2.3", "custody verify"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if policy := front.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") {
		t.Errorf("Content-Security-Policy = %q", policy)
	}
	if strings.Contains(page, "<script") {
		t.Error("the page has a script")
	}
	for _, m := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		switch path := m[1]; {
		case !strings.HasPrefix(path, "/"):
			t.Errorf("the page loads or links %s, which is elsewhere", path)
		case strings.HasPrefix(path, "/static/"):
			if got := get(path); got.status != http.StatusOK || !strings.Contains(got.header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s = %d, %q", path, got.status, got.header.Get("Cache-Control"))
			}
		}
	}
}

// TestBudget checks that what a browser loads stays small.
func TestBudget(t *testing.T) {
	const budget = 60 << 10 // 60 KiB of CSS and JavaScript
	get := serve(t)
	version := regexp.MustCompile(`/static/([0-9a-f]+)/`).FindStringSubmatch(get("/").body)[1]
	total := 0
	for _, name := range []string{"style.css", "receipt.js"} {
		total += len(get("/static/" + version + "/" + name).body)
	}
	if total > budget {
		t.Errorf("style and scripts have %d bytes, more than %d", total, budget)
	}
}
