package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/cli"
)

// ask runs a command line against a log that gives the same answer to all, and
// returns what the log was asked last.
func ask(t *testing.T, answer string, args ...string) (asked, body, stdout, stderr string) {
	t.Helper()
	log := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked, body = r.Method+" "+r.URL.Path, string(data)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
	}))
	defer log.Close()
	var out, talk strings.Builder
	env := &cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk, Getenv: func(name string) string {
		return map[string]string{"CUSTODY_URL": log.URL, "CUSTODY_KEY": "cst_x"}[name]
	}}
	if exit := cli.Run(t.Context(), env, args); exit != 0 {
		t.Errorf("custody %s = %d\n%s%s", strings.Join(args, " "), exit, &out, &talk)
	}
	return asked, body, out.String(), talk.String()
}

// A key that reads as more than was asked for shows what it must not.
func TestKeysCreateReads(t *testing.T) {
	answer := `{"id":"k1","name":"audit","source":"audit","scopes":["read"],"reads":["auditor","org:a,b"],"created":"2026-03-31T00:20:00Z","secret":"cst_k1_s"}`
	for _, c := range []struct {
		flags []string
		want  string // "reads" in the request
	}{
		{nil, `null`},
		{[]string{"-reads", "auditor", "-reads", "org:a,b"}, `["auditor","org:a,b"]`},
	} {
		args := append([]string{"keys", "create", "-scopes", "read"}, c.flags...)
		asked, body, stdout, stderr := ask(t, answer, append(args, "audit")...)
		var wanted map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &wanted); err != nil {
			t.Fatal(err)
		}
		reads := "null"
		if wanted["reads"] != nil {
			reads = string(wanted["reads"])
		}
		if asked != "POST /v1/keys" || reads != c.want {
			t.Errorf("%v asked %s %s, want reads %s", args, asked, body, c.want)
		}
		if stdout != "cst_k1_s\n" || !strings.Contains(stderr, "may read as auditor,org:a,b;") {
			t.Errorf("%v said %q %q", args, stdout, stderr)
		}
	}
}

// Who looks at the keys sees which of them read what.
func TestKeysListShowsReaders(t *testing.T) {
	answer := `{"keys":[{"id":"k1","name":"ci","source":"ci","scopes":["submit"],"created":"2026-03-31T00:20:00Z"},
		{"id":"k2","name":"for \u001b[2J bob","source":"b","scopes":["read"],"reads":["user:u1"],"created":"2026-03-31T00:20:00Z"}]}`
	_, _, stdout, _ := ask(t, answer, "keys", "list")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 2 || strings.Contains(lines[0], " as ") || !strings.Contains(lines[1], "read as user:u1") || strings.ContainsRune(stdout, '\x1b') {
		t.Errorf("keys list said\n%q", stdout)
	}
}

// The link is the answer, and nothing else is: it is given to other programs.
func TestSigninLink(t *testing.T) {
	asked, _, stdout, stderr := ask(t, `{"url":"https://log.example/signin/abc","expires":"2026-03-31T00:35:00Z"}`, "signin-link")
	if asked != "POST /v1/signin/link" || stdout != "https://log.example/signin/abc\n" || !strings.Contains(stderr, "2026-03-31T00:35:00Z") {
		t.Errorf("signin-link asked %s and said %q %q", asked, stdout, stderr)
	}
	exit, stdout, stderr := run(t, http.StatusNotFound, `{"type":"/problems/no-console","title":"There is no console to sign in to","status":404}`, "signin-link")
	if exit != 1 || stdout != "" || !strings.Contains(stderr, "no console") {
		t.Errorf("signin-link without a console = %d %q %q", exit, stdout, stderr)
	}
}
