package npm_test

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
	"github.com/custody-log/custody/internal/registry/npm"
)

var update = flag.Bool("update", false, "write the golden files")

// A capture is a recorded run of a client. Secrets in it are placeholders.
type capture struct {
	Label     string     `json:"label"`
	Exchanges []recorded `json:"exchanges"`
}

type recorded struct {
	Method       string            `json:"method"`
	URI          string            `json:"uri"`
	Header       map[string]string `json:"req_headers"`
	Body         *body             `json:"req_body"`
	Status       int               `json:"status"`
	AnswerHeader map[string]string `json:"resp_headers"`
	Answer       *body             `json:"resp_body"`
}

type body struct {
	Kind  string          `json:"kind"`
	Value json.RawMessage `json:"value"`
}

// bytes returns the body as it was sent.
func (b *body) bytes() []byte {
	if b == nil {
		return nil
	}
	if b.Kind == "text" {
		var text string
		_ = json.Unmarshal(b.Value, &text) // the fixtures are sound
		return []byte(text)
	}
	return b.Value
}

// A told is what an exchange told, as it stands in the golden files.
type told struct {
	Request   string             `json:"request"`
	Status    int                `json:"status"`
	Class     registry.Class     `json:"class"`
	Intent    string             `json:"intent,omitempty"`
	Before    []string           `json:"before,omitempty"`
	Events    []*event.Event     `json:"events,omitempty"`
	Learned   []registry.Learned `json:"learned,omitempty"`
	Forgotten []string           `json:"forgotten,omitempty"`
}

var placeholder = regexp.MustCompile(`<redacted len=(\d+) prefix=\\*"([^"\\]*)\\*" fp=([0-9a-f]+)>|REDACTED-([0-9a-f]+)|<JWT redacted fp=\w+ claims=\[[^\]]*\]>`)

// revive replaces the placeholders in a capture by secrets of the same length,
// and returns the secrets. What has 128 characters is a token's public ID.
func revive(data string) (revived string, secrets []string) {
	revived = placeholder.ReplaceAllStringFunc(data, func(found string) string {
		m := placeholder.FindStringSubmatch(found)
		if strings.HasPrefix(found, "<JWT") {
			return testJWT
		}
		n, prefix, fp := 92, m[2], m[3]
		if m[4] != "" {
			fp = m[4]
		} else {
			n, _ = strconv.Atoi(m[1])
		}
		if n == 128 {
			return strings.Repeat(fp, 11)[:128]
		}
		if n == 6 {
			digits, _ := strconv.ParseUint(fp, 16, 64)
			secrets = append(secrets, fmt.Sprintf("%06d", digits%1_000_000))
			return secrets[len(secrets)-1]
		}
		secret := prefix + strings.Repeat(fp, 1+n/len(fp))
		secrets = append(secrets, secret[:max(n, len(prefix)+4)])
		return secrets[len(secrets)-1]
	})
	return revived, secrets
}

// testJWT is what a CI system could have issued. Its signature is no secret of
// anybody.
var testJWT = "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(
	`{"iss":"https://token.ci.example","sub":"repo:acme/widgets:ref:refs/heads/main","repository":"acme/widgets",`+
		`"repository_visibility":"public","workflow":"release","workflow_ref":"acme/widgets/release.yml@refs/heads/main","run_id":"42"}`)) + ".c2ln"

// replay lets p see one recorded exchange, in pieces of a number of bytes.
// before answers what the proxy would ask the registry.
func replay(t *testing.T, p *npm.Protocol, r recorded, before map[string][]byte, piece int) *told {
	t.Helper()
	path, query, _ := strings.Cut(r.URI, "?")
	header := make(http.Header)
	for name, value := range r.Header {
		header.Set(name, value)
	}
	out := &told{Request: r.Method + " " + r.URI, Status: r.Status}
	x, err := p.Begin(&registry.Request{Method: r.Method, Path: path, Query: query, Header: header})
	if err != nil {
		t.Fatalf("Begin(%s): %v", out.Request, err)
	}
	if x == nil {
		return out
	}
	out.Class = x.Class()
	out.Intent = x.Act().Tag
	for _, path := range x.Before() {
		out.Before = append(out.Before, path)
		if doc, ok := before[strings.SplitN(path, "?", 2)[0]]; ok {
			feed(x.BeforeBody(path).Write, doc, piece)
		}
	}
	if w := x.RequestBody(); w != nil {
		feed(w.Write, r.Body.bytes(), piece)
	}
	answer := make(http.Header)
	for name, value := range r.AnswerHeader {
		answer.Set(name, value)
	}
	if r.Status != 0 {
		if w := x.Response(r.Status, answer); w != nil {
			feed(w.Write, r.Answer.bytes(), piece)
		}
	}
	result := x.Result()
	out.Events, out.Learned, out.Forgotten = result.Events, result.Learned, result.Forgotten
	return out
}

func feed(write func([]byte) (int, error), data []byte, piece int) {
	for len(data) > 0 {
		n := min(piece, len(data))
		_, _ = write(data[:n]) // writers of this package never fail
		data = data[n:]
	}
}

// replayAll replays a capture from its start.
func replayAll(t *testing.T, exchanges []recorded, piece int) []*told {
	t.Helper()
	p := npm.New(npm.Options{})
	before := make(map[string][]byte)
	var all []*told
	for _, r := range exchanges {
		all = append(all, replay(t, p, r, before, piece))
		path := strings.SplitN(r.URI, "?", 2)[0]
		if r.Method == http.MethodGet && r.Status == http.StatusOK && r.Answer != nil {
			before[path] = r.Answer.bytes()
		}
	}
	return all
}

// Every recorded run gives exactly the events that it is about: an event too
// few is an attack that nobody sees, one too many is noise that hides one.
func TestCaptures(t *testing.T) {
	files, err := filepath.Glob("testdata/captures/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("captures: %d, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			revived, secrets := revive(string(raw))
			var c capture
			if err := json.Unmarshal([]byte(revived), &c); err != nil {
				t.Fatal(err)
			}
			got := replayAll(t, c.Exchanges, 1<<20)
			checkGolden(t, filepath.Base(file), got)
			checkEvents(t, got, append(secrets, "alice@example.com", "carol@example.com"))

			bytewise := replayAll(t, c.Exchanges, 1)
			if diff := cmp.Diff(asJSON(t, got), asJSON(t, bytewise)); diff != "" {
				t.Errorf("byte by byte it tells something else (-whole +bytewise):\n%s", diff)
			}
		})
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data) + "\n"
}

func checkGolden(t *testing.T, name string, got []*told) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	// time.Time has no omitempty: the proxy sets it.
	text := strings.ReplaceAll(asJSON(t, got), `"time": "0001-01-01T00:00:00Z",`, `"time": "",`)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("events differ (-want +got):\n%s", diff)
	}
}

// checkEvents checks that the log would take the events, and that none of the
// secrets is in them.
func checkEvents(t *testing.T, all []*told, secrets []string) {
	t.Helper()
	for _, one := range all {
		for _, e := range one.Events {
			full := *e
			full.ID, full.Time = "1", time.Unix(1_790_000_000, 0).UTC()
			if full.Actor.Type == "" {
				full.Actor.Type = "token"
			}
			if _, err := full.Fields(); err != nil {
				t.Errorf("%s: the log does not take the event: %v", one.Request, err)
			}
			checkCatalogue(t, e)
			text := asJSON(t, e)
			for _, secret := range secrets {
				if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
					t.Errorf("%s: the secret %q is in the event:\n%s", one.Request, secret, text)
				}
			}
		}
	}
}
