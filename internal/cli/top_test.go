package cli_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/cli"
)

// run runs a command line against a log that gives the same answer to all.
func run(t *testing.T, status int, answer string, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	log := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if status >= http.StatusBadRequest {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	defer log.Close()
	var out, talk strings.Builder
	env := &cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk, Getenv: func(name string) string {
		return map[string]string{"CUSTODY_URL": log.URL, "CUSTODY_KEY": "cst_x"}[name]
	}}
	return cli.Run(t.Context(), env, args), out.String(), talk.String()
}

// A count of a part of the events that looks like one of all would be believed.
func TestPartialCount(t *testing.T) {
	sum := `"count":7,"complete":false,"behind":0`
	for _, c := range []struct{ command, answer, stdout string }{
		{"top actor", `{` + sum + `,"facets":{"actor":[{"value":"alice","count":7}]}}`, "alice"},
		{"histogram", `{` + sum + `,"interval":"day","buckets":[{"time":"2026-03-01T00:00:00Z","count":7}]}`, "2026-03-01"},
		{"top actor -json", `{` + sum + `,"facets":{"actor":[{"value":"alice","count":7}]}}`, `"complete":false`},
	} {
		exit, stdout, stderr := run(t, http.StatusOK, c.answer, strings.Fields(c.command)...)
		if exit != 1 || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, "only a part of the events was counted") {
			t.Errorf("custody %s = %d\n%s%s, want what was counted, status 1 and why", c.command, exit, stdout, stderr)
		}
	}
}

// What strangers wrote into events must not move the cursor of whoever counts them.
func TestTopPrintsNoControls(t *testing.T) {
	answer := `{"count":1,"complete":true,"behind":3,"facets":{"client":[{"value":"npm\u001b[2J","count":1}]}}`
	exit, stdout, stderr := run(t, http.StatusOK, answer, "top", "client")
	if exit != 0 || strings.ContainsRune(stdout, '\x1b') || !strings.Contains(stderr, "3 events behind the log") {
		t.Errorf("custody top = %d %q %q", exit, stdout, stderr)
	}
}

// A damaged file is named at once, and not asked for again and again.
func TestDamagedIsSaid(t *testing.T) {
	problem := `{"type":"/problems/damaged","title":"A file of the log is damaged","status":500,"detail":"store/7.seg: page 0","hint":"custody fsck"}`
	for _, command := range []string{"search x", "top tag", "histogram"} {
		exit, stdout, stderr := run(t, http.StatusInternalServerError, problem, strings.Fields(command)...)
		if exit != 1 || stdout != "" || !strings.Contains(stderr, "store/7.seg") || !strings.Contains(stderr, "hint: custody fsck") || strings.Contains(stderr, "gave up") {
			t.Errorf("custody %s = %d %q %q, want the file and a hint", command, exit, stdout, stderr)
		}
	}
}

// Scripts tell by the exit status that they asked wrongly, not that the log is ill.
func TestWrongQueryStatus(t *testing.T) {
	problem := `{"type":"/problems/bad-query","title":"The query cannot be understood","status":400,"detail":"column 5: expected a value","column":5}`
	if exit, _, stderr := run(t, http.StatusBadRequest, problem, "top", "tag", "tag:"); exit != 2 || !strings.Contains(stderr, "column 5") {
		t.Errorf("custody top with a wrong query = %d %q, want 2 and the column", exit, stderr)
	}
}

// A log of another program must not make bars of nothing, or run for ever.
func TestStrangeHistograms(t *testing.T) {
	bucket := func(interval string, times ...string) string {
		var list []string
		for _, at := range times {
			list = append(list, fmt.Sprintf(`{"time":%q,"count":1}`, at))
		}
		return fmt.Sprintf(`{"count":1,"complete":true,"behind":0,"interval":%q,"buckets":[%s]}`, interval, strings.Join(list, ","))
	}
	for _, c := range []struct {
		name, answer string
		exit, lines  int
	}{
		{"another interval", bucket("decade", "2026-01-01T00:00:00Z"), 1, 0},
		{"a thousand years of minutes", bucket("minute", "1026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), 0, 3},
		{"months", bucket("month", "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z"), 0, 4},
		{"weeks", bucket("week", "2026-03-02T00:00:00Z", "2026-03-23T00:00:00Z"), 0, 4},
		{"backwards", bucket("hour", "2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"), 0, 2},
		{"not a log", `{"status":"ok"}`, 1, 0},
	} {
		exit, stdout, stderr := run(t, http.StatusOK, c.answer, "histogram")
		if exit != c.exit || strings.Count(stdout, "\n") != c.lines {
			t.Errorf("%s: status %d, %q, %q; want %d and %d lines", c.name, exit, stdout, stderr, c.exit, c.lines)
		}
	}
}
