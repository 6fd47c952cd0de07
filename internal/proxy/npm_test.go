package proxy_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
)

// e2e is where Verdaccio is installed.
const e2e = "../../e2e"

// verdaccio starts a real registry on a fresh directory and returns its
// address.
func verdaccio(t *testing.T) string {
	t.Helper()
	program := filepath.Join(e2e, "node_modules/verdaccio/bin/verdaccio")
	for _, need := range []string{"node", "npm", program} {
		if _, err := exec.LookPath(need); err == nil || need == program && exists(need) {
			continue
		}
		missing(t, need)
	}
	dir := t.TempDir()
	config, err := os.ReadFile(filepath.Join(e2e, "verdaccio.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") // Verdaccio does not say which port it took
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	said := new(syncBuffer)
	cmd := exec.Command("node", program, "--config", filepath.Join(dir, "config.yaml"), "--listen", addr)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get("http://" + addr + "/-/ping")
		if err == nil {
			_ = res.Body.Close()
			return "http://" + addr
		}
		if time.Now().After(end) {
			t.Fatalf("verdaccio does not answer: %v\n%s", err, said)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// missing skips the test, except where everything must be there.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: install Node.js and run npm ci in e2e", what)
	}
	t.Skipf("%s is missing: install Node.js and run npm ci in e2e", what)
}

// A person is somebody who uses npm: a home with settings, and a package.
type person struct {
	t        *testing.T
	home     string
	registry string
}

func newPerson(t *testing.T, registry string) *person {
	t.Helper()
	p := &person{t: t, home: t.TempDir(), registry: registry}
	p.write("user.npmrc", "registry="+registry+"/\n")
	return p
}

func (p *person) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.home, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// release makes version the one that is published next.
func (p *person) release(version string) {
	p.write("demo-pkg/package.json", fmt.Sprintf(`{ "name": "demo-pkg", "version": %q }`, version))
}

// token returns the secret that npm keeps for the registry.
func (p *person) token() string {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.home, "user.npmrc"))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "_authToken=")
	token, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(token, `"`)
}

// An asker answers each question that npm asks: npm reads one line for each,
// and drops what came before it.
type asker struct {
	mu      sync.Mutex
	out     bytes.Buffer
	seen    int
	in      io.Writer
	answers []string
}

func (a *asker) Write(data []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.out.Write(data)
	if bytes.HasSuffix(a.out.Bytes()[a.seen:], []byte(": ")) && len(a.answers) > 0 {
		a.seen = a.out.Len()
		_, _ = io.WriteString(a.in, a.answers[0]+"\n")
		a.answers = a.answers[1:]
	}
	return len(data), nil
}

// npm runs npm in the directory and returns its exit status and what it said.
func (p *person) npm(dir string, answers []string, args ...string) (int, string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", args...)
	cmd.Dir = filepath.Join(p.home, dir)
	cmd.Env = append(os.Environ(),
		"HOME="+p.home, "NO_PROXY=127.0.0.1",
		"npm_config_userconfig="+filepath.Join(p.home, "user.npmrc"),
		"npm_config_globalconfig="+filepath.Join(p.home, "global.npmrc"),
		"npm_config_cache="+filepath.Join(p.home, "cache"),
		"npm_config_update_notifier=false", "npm_config_fund=false", "npm_config_audit=false",
	)
	in, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	ask := &asker{in: in, answers: answers}
	cmd.Stdout, cmd.Stderr = ask, ask
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("npm %q: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), ask.out.String()
}

// A telling turns events into lines that say all about them but what differs
// from run to run: IDs and times are left out, and each credential and each
// digest is a word of its own.
type telling struct {
	t     *testing.T
	words map[string]string
}

func (l *telling) line(e *event.Event) string {
	l.t.Helper()
	if e.ID == "" || e.Time.IsZero() || e.Context.IP != "127.0.0.1" || e.Context.RequestID == "" || !strings.HasPrefix(e.Context.UserAgent, "npm/") {
		l.t.Errorf("%s: id %q, time %v, context %+v", e.Tag, e.ID, e.Time, e.Context)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s | %s %s", e.Tag, e.Outcome, e.Actor.Type, cmp.Or(e.Actor.Name, l.word(e.Actor.ID)))
	c := e.Credential
	fmt.Fprintf(&b, " | %s", strings.Join(slices.DeleteFunc([]string{c.Kind, l.word(c.ID), c.Name, c.MFA, c.Session}, func(s string) bool { return s == "" }), " "))
	b.WriteString(" |")
	for _, s := range e.Subjects {
		fmt.Fprintf(&b, " %s:%s", s.Type, cmp.Or(s.Name, l.word(s.ID)))
		if s.Version != "" {
			b.WriteString("@" + s.Version)
		}
		if s.Role != "" {
			b.WriteString("(" + s.Role + ")")
		}
	}
	b.WriteString(" |")
	for _, name := range slices.Sorted(maps.Keys(e.Metadata)) {
		value, err := json.Marshal(e.Metadata[name])
		if err != nil {
			l.t.Fatal(err)
		}
		text := strings.Trim(string(value), `"`)
		fmt.Fprintf(&b, " %s=%s", name, l.word(text))
	}
	for _, c := range e.Changes {
		fmt.Fprintf(&b, " [%s %v -> %v]", c.Field, c.Old, c.New)
	}
	if e.Reason != "" {
		b.WriteString(" because " + e.Reason)
	}
	return strings.TrimRight(b.String(), " |")
}

func (l *telling) word(text string) string {
	if w, ok := l.words[text]; ok {
		return w
	}
	for _, kind := range []struct {
		word string
		like *regexp.Regexp
	}{{"SHA512", sha512Text}, {"SHA1", sha1Text}, {"REV", revText}, {"KEY", keyText}} {
		if kind.like.MatchString(text) {
			return kind.word
		}
	}
	return text
}

// What differs from run to run.
var (
	sha512Text = regexp.MustCompile(`^sha512-[A-Za-z0-9+/]+=*$`)
	sha1Text   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	revText    = regexp.MustCompile(`^[0-9]+-[0-9a-f]{16}$`)
	keyText    = regexp.MustCompile(`^[0-9a-f]{32,128}$`)
)
