package proxy_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/proxy"
)

// toyRegistry signs anybody in with the password "right" and gives out the
// token "tok-NAME". It tells whose token it is only when it talks.
func toyRegistry(talks bool, asked *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		switch {
		case strings.HasPrefix(r.URL.Path, "/login/") && string(body) == "right":
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, "tok-"+name)
		case strings.HasPrefix(r.URL.Path, "/login/"):
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasPrefix(r.URL.Path, "/mint/"):
			_, _ = io.WriteString(w, "minted-"+name)
		case r.URL.Path == "/-/whoami":
			asked.Add(1)
			if user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer tok-"); ok && talks {
				_, _ = io.WriteString(w, user)
			}
		case strings.HasPrefix(r.Header.Get("Authorization"), "Basic") && !strings.HasSuffix(r.URL.Path, "open"):
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
}

// who is what these tests compare of an event.
type who struct {
	Tag        string
	Outcome    event.Outcome
	Actor      event.Party
	Credential event.Credential
	Claimed    any
}

func lastWho(b *bench) who {
	acts := b.log.acts()
	e := acts[len(acts)-1]
	return who{e.Tag, e.Outcome, e.Actor, e.Credential, e.Metadata["claimed_user"]}
}

// TestWho checks who is said to have acted, for every way in which it can be
// known, and that a claim which the registry refused names nobody.
func TestWho(t *testing.T) {
	var asked atomic.Int64
	b := start(t, toyRegistry(true, &asked))
	fp := func() string {
		acts := b.log.acts()
		return acts[len(acts)-1].Credential.ID
	}
	check := func(name string, want who) {
		t.Helper()
		if diff := cmp.Diff(want, lastWho(b)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	b.do("PUT", "/pkg/demo", "", "x")
	check("nobody", who{"project:release:add", event.Success, event.Party{Type: "anonymous"}, event.Credential{Kind: "none"}, nil})

	b.do("PUT", "/login/alice", "", "wrong")
	check("wrong password", who{"user:login:success", event.Denied, event.Party{Type: "anonymous"}, event.Credential{Kind: "password"}, nil})

	b.do("PUT", "/login/alice", "", "right")
	check("sign-in", who{"user:login:success", event.Success, event.Party{Type: "user", Name: "alice"}, event.Credential{Kind: "password"}, nil})

	before := asked.Load()
	b.do("PUT", "/pkg/demo", "tok-alice", "x")
	check("learned from the sign-in", who{
		"project:release:add", event.Success,
		event.Party{Type: "user", Name: "alice"},
		event.Credential{Kind: "session", ID: fp(), Name: "login"},
		nil,
	})
	if len(fp()) != 32 || asked.Load() != before {
		t.Errorf("fingerprint %q, asked %d times; want 32 digits and no question", fp(), asked.Load()-before)
	}

	b.do("PUT", "/mint/ci", "tok-alice", "")
	b.do("PUT", "/pkg/demo", "minted-ci", "x")
	check("a token that the user made", who{
		"project:release:add", event.Success,
		event.Party{Type: "user", Name: "alice"},
		event.Credential{Kind: "token", ID: fp(), Name: "ci"},
		nil,
	})

	b.do("PUT", "/mint/publisher", "", "")
	b.do("PUT", "/pkg/demo", "minted-publisher", "x")
	check("a trusted publisher", who{
		"project:release:add", event.Success,
		event.Party{Type: "trusted_publisher", ID: "repo:acme/demo", Name: "acme/demo"},
		event.Credential{Kind: "oidc", ID: fp()},
		nil,
	})
	if acts := b.log.acts(); acts[len(acts)-1].OIDC.RunID != "7" {
		t.Errorf("the publisher's claims = %+v, want run 7", acts[len(acts)-1].OIDC)
	}

	b.do("PUT", "/pkg/demo", "tok-bob", "x")
	check("asked the registry", who{"project:release:add", event.Success, event.Party{Type: "user", Name: "bob"}, event.Credential{Kind: "token", ID: fp()}, nil})

	b.do("PUT", "/pkg/demo", "strange", "x")
	check("the registry does not know", who{"project:release:add", event.Success, event.Party{Type: "token", ID: fp()}, event.Credential{Kind: "token", ID: fp()}, nil})
	n := asked.Load()
	b.do("PUT", "/pkg/demo", "strange", "x")
	if asked.Load() != n {
		t.Errorf("the registry was asked again at once about a credential it does not know")
	}

	basic := func(path string) {
		r, err := http.NewRequestWithContext(t.Context(), "PUT", b.door.URL+path, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("carol", "s3cret-passw0rd")
		b.send(r)
	}
	basic("/pkg/demo")
	check("a refused claim", who{"project:release:add", event.Denied, event.Party{Type: "anonymous"}, event.Credential{Kind: "password"}, "carol"})
	basic("/pkg/open")
	check("a confirmed claim", who{"project:release:add", event.Success, event.Party{Type: "user", Name: "carol"}, event.Credential{Kind: "password"}, nil})
}

// TestWhoSurvivesRestart checks that what was learned is kept, under the same
// fingerprint.
func TestWhoSurvivesRestart(t *testing.T) {
	var asked atomic.Int64
	b := start(t, toyRegistry(false, &asked))
	b.do("PUT", "/login/alice", "", "right")
	b.do("PUT", "/pkg/demo", "tok-alice", "x")
	want := lastWho(b)
	for range 2 {
		b.stop()
		b.restart()
		b.ready()
		b.do("PUT", "/pkg/demo", "tok-alice", "x")
		if diff := cmp.Diff(want, lastWho(b)); diff != "" {
			t.Errorf("after a restart (-want +got):\n%s", diff)
		}
	}
	if want.Actor.Name != "alice" || asked.Load() != 0 {
		t.Errorf("actor %+v, asked %d times", want.Actor, asked.Load())
	}
}

// TestFilesAreOurs checks that nobody else on the machine can read the key.
func TestFilesAreOurs(t *testing.T) {
	path := t.TempDir()
	dir, err := disk.Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, answering(200, ""), func(c *proxy.Config) { c.Disk = dir })
	b.stop()
	for _, name := range []string{"fingerprint.key", "identities.jsonl"} {
		info, err := os.Stat(filepath.Join(path, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
}

// TestKeyIsNotReplaced checks that a damaged key is an error: a new one would
// make strangers of all credentials without a word.
func TestKeyIsNotReplaced(t *testing.T) {
	b := start(t, answering(200, ""))
	b.stop()
	if err := disk.ReplaceFile(b.disk, "fingerprint.key", []byte("short\n")); err != nil {
		t.Fatal(err)
	}
	_, err := proxy.Open(b.config())
	if err == nil || !strings.Contains(err.Error(), "fingerprint.key") {
		t.Errorf("Open = %v, want an error that names the file", err)
	}
}
