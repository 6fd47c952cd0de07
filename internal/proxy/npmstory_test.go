package proxy_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/internal/proxy"
	"github.com/custody-log/custody/internal/registry/npm"
)

// A step is one command of a real npm and exactly what the log says of it.
type step struct {
	name    string
	who     *person
	args    []string
	instead func()   // what a program that is not npm does
	answers []string // to its questions
	dir     string
	before  func() []string // prepares the home, and returns more arguments
	status  int
	says    string // part of what npm prints
	events  []string
}

// TestRealNPM lets a real npm do to a real registry what people do, and
// compares what the log says of it, whole.
func TestRealNPM(t *testing.T) {
	upstream := verdaccio(t)
	b := start(t, answering(500, ""), func(c *proxy.Config) {
		c.Upstream.Host = strings.TrimPrefix(upstream, "http://")
		c.Protocol = npm.New(npm.Options{Repository: "https://registry.test"})
		c.AddressMembers = []string{"tarball", "loginUrl", "doneUrl", "authUrl"}
	})
	alice, bob := newPerson(t, b.door.URL), newPerson(t, b.door.URL)
	alice.release("1.0.0")
	bob.write("other/package.json", `{ "name": "other", "version": "1.0.0" }`)
	tell := &telling{t: t, words: make(map[string]string)}
	for _, s := range slices.Concat(accounts(t, b, alice), releases(t, b, alice), departures(alice, bob)) {
		had := len(b.log.acts())
		s.run(t)
		var got []string
		for _, e := range b.log.wait(t, had+len(s.events))[had:] {
			if id := e.Credential.ID; id != "" && tell.words[id] == "" {
				tell.words[id] = "token-" + string(rune('A'+len(tell.words)))
			}
			got = append(got, tell.line(e))
		}
		if diff := cmp.Diff(s.events, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.name, diff)
			t.Logf("%s\n%s", s.name, strings.Join(got, "\n"))
		}
	}
	checkIntents(t, b)
}

// run does what the step says.
func (s *step) run(t *testing.T) {
	t.Helper()
	if s.instead != nil {
		s.instead()
		return
	}
	args := s.args
	if s.before != nil {
		args = append(args[:len(args):len(args)], s.before()...)
	}
	dir := s.dir
	if dir == "" {
		dir = "demo-pkg"
	}
	status, said := s.who.npm(dir, s.answers, args...)
	if status != s.status || !strings.Contains(said, s.says) {
		t.Errorf("%s: npm ended with %d, want %d and %q; it said:\n%s", s.name, status, s.status, s.says, said)
	}
}

// checkIntents checks that every change had an intent, durable before it, and
// every intent an end.
func checkIntents(t *testing.T, b *bench) {
	t.Helper()
	open := make(map[string]string)
	intents := 0
	for _, e := range b.log.all() {
		id := e.Context.RequestID
		switch {
		case e.Tag == "audit:proxy:intent":
			open[id], intents = e.Metadata["tag"].(string), intents+1
		case open[id] != "":
			open[id] = "ended"
		}
	}
	for id, tag := range open {
		if tag != "ended" {
			t.Errorf("the intent of %s (request %s) has no end", tag, id)
		}
	}
	if intents == 0 {
		t.Error("there are no intents")
	}
}

// ask sends JSON to the registry as programs do that are not npm.
func ask(b *bench, token, method, path, body string) (int, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.door.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "npm/6 or a program like it")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return b.send(r)
}

// accounts is what alice does about herself and her tokens.
func accounts(t *testing.T, b *bench, alice *person) []step {
	var key string // of the token that is revoked
	return []step{
		{
			name: "adduser", who: alice, args: []string{"adduser", "--auth-type=legacy"}, answers: []string{"alice", "alice-pass", "alice@example.test"},
			events: []string{"user:account:create success | user alice | password | user:alice | method=password"},
		},
		{name: "whoami", who: alice, args: []string{"whoami"}, says: "alice"},
		{
			name: "login", who: alice, args: []string{"login", "--auth-type=legacy"}, answers: []string{"alice", "alice-pass"},
			events: []string{"user:login:success success | user alice | password | user:alice | auth_method=password"},
		},
		{
			name: "login with a wrong password", who: alice, args: []string{"login", "--auth-type=legacy"}, answers: []string{"alice", "wrong-pass"}, status: 1,
			events: []string{"user:login:failure failure | anonymous  | password | user:alice | attempted_username=alice auth_method=password error=bad username/password, access denied reason=invalid_password status=401"},
		},
		{
			name: "token create", who: alice, args: []string{"token", "create", "--name=ci", "--packages-all", "--packages-and-scopes-permission=read-write", "--expires=30"}, answers: []string{"alice-pass"}, status: 1, says: "422",
			events: []string{
				`user:token:create failure | user alice | session token-A | | error=the parameters are not valid expires_days=30 kind=granular name=ci packages_all=true permissions=["packages:read-write"] status=422`,
			},
		},
		{
			name: "token create as an older npm does it",
			instead: func() {
				status, text := ask(b, alice.token(), "POST", "/-/npm/v1/tokens", `{"password":"alice-pass","readonly":false,"cidr_whitelist":["127.0.0.0/8"]}`)
				var said struct{ Key, Token string }
				if err := json.Unmarshal([]byte(text), &said); status >= 300 || err != nil {
					t.Errorf("token create = %d %s", status, text)
				}
				key = said.Key
			},
			events: []string{
				`user:token:create success | user alice | session token-A | token:KEY | cidr=["127.0.0.0/8"] token_id=KEY`,
			},
		},
		{
			name: "token list", who: alice, args: []string{"token", "list"},
			events: []string{
				`user:token:list success | user alice | session token-A`,
			},
		},
		{
			name: "token revoke", who: alice, args: []string{"token", "revoke"}, before: func() []string { return []string{key} },
			events: []string{
				`user:token:list success | user alice | session token-A`,
				`user:token:revoke success | user alice | session token-A | token:KEY | reason=user token_id=KEY`,
			},
		},
	}
}

// releases is what alice publishes, and what she changes about it.
func releases(t *testing.T, b *bench, alice *person) []step {
	return []step{
		{
			name: "publish", who: alice, args: []string{"publish"},
			events: []string{
				`project:release:add success | user alice | session token-A | project:demo-pkg version:demo-pkg@1.0.0 | attested=false bytes=139 dist_tag=latest has_install_script=false integrity=SHA512 shasum=SHA1 version=1.0.0`,
			},
		},
		{name: "publish an existing version", who: alice, args: []string{"publish"}, status: 1, says: "previously published"},
		{
			name: "publish an existing version all the same",
			instead: func() {
				status, text := ask(b, alice.token(), "PUT", "/demo-pkg", `{"_id":"demo-pkg","name":"demo-pkg","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"demo-pkg","version":"1.0.0","dist":{"shasum":"0000000000000000000000000000000000000000","tarball":"`+b.door.URL+`/demo-pkg/-/demo-pkg-1.0.0.tgz"}}},"_attachments":{"demo-pkg-1.0.0.tgz":{"content_type":"application/octet-stream","data":"AAAA","length":3}}}`)
				if status != http.StatusConflict {
					t.Errorf("a second publish of one version = %d %s, want 409", status, text)
				}
			},
			events: []string{
				`project:release:denied failure | user alice | session token-A | project:demo-pkg version:demo-pkg@1.0.0 | attested=false bytes=3 derived=true dist_tag=latest error=this package is already present has_install_script=false previous_version=1.0.0 reason=version_exists replaces=true rev=REV shasum=SHA1 status=409 version=1.0.0`,
			},
		},
		{
			name: "publish a second version", who: alice, args: []string{"publish", "--tag=next"}, before: func() []string { alice.release("1.1.0"); return nil },
			events: []string{
				`project:release:add success | user alice | session token-A | project:demo-pkg version:demo-pkg@1.1.0 | attested=false bytes=139 derived=true dist_tag=next has_install_script=false integrity=SHA512 rev=REV shasum=SHA1 version=1.1.0`,
			},
		},
		{
			name: "deprecate", who: alice, args: []string{"deprecate", "demo-pkg@1.0.0", "use 1.1.0"},
			events: []string{
				`project:release:deprecate success | user alice | session token-A | project:demo-pkg version:demo-pkg@1.0.0 | derived=true message=use 1.1.0 rev=REV version_range=1.0.0`,
			},
		},
		{
			name: "undeprecate", who: alice, args: []string{"deprecate", "demo-pkg@1.0.0", ""},
			events: []string{
				`project:release:undeprecate success | user alice | session token-A | project:demo-pkg version:demo-pkg@1.0.0 | derived=true rev=REV version_range=1.0.0`,
			},
		},
		{
			name: "dist-tag add", who: alice, args: []string{"dist-tag", "add", "demo-pkg@1.0.0", "stable"},
			events: []string{
				`project:dist_tag:add success | user alice | session token-A | project:demo-pkg version:demo-pkg@1.0.0 | derived=true tag=stable version=1.0.0`,
			},
		},
		{
			name: "dist-tag rm", who: alice, args: []string{"dist-tag", "rm", "demo-pkg", "stable"},
			events: []string{
				`project:dist_tag:remove success | user alice | session token-A | project:demo-pkg version:demo-pkg@1.0.0 | derived=true tag=stable version=1.0.0`,
			},
		},
	}
}

// departures is what bob gets while it is there, and alice takes away again.
func departures(alice, bob *person) []step {
	return []step{
		{
			name: "a second user", who: bob, dir: "other", args: []string{"adduser", "--auth-type=legacy"}, answers: []string{"bob", "bob-pass", "bob@example.test"},
			events: []string{
				`user:account:create success | user bob | password | user:bob | method=password`,
			},
		},
		{
			name: "owner add", who: alice, args: []string{"owner", "add", "bob", "demo-pkg"}, status: 1, says: "422",
			events: []string{
				`project:role:add failure | user alice | session token-A | project:demo-pkg | derived=true error=bad incoming package data rev=REV role=owner status=422 undetermined=true`,
			},
		},
		{
			name: "install", who: bob, dir: "other", args: []string{"install", "demo-pkg"},
			events: []string{
				`project:file:download success | user bob | session token-B | project:demo-pkg version:demo-pkg@1.0.0 | filename=demo-pkg-1.0.0.tgz version=1.0.0`,
			},
		},
		{name: "install again", who: bob, dir: "other", args: []string{"install", "demo-pkg"}},
		{
			name: "unpublish one version", who: alice, args: []string{"unpublish", "demo-pkg@1.0.0"},
			events: []string{
				`project:release:remove success | user alice | session token-A | project:demo-pkg version:demo-pkg@1.0.0 | derived=true rev=REV tags=["latest"] version=1.0.0`,
			},
		},
		{
			name: "unpublish all", who: alice, args: []string{"unpublish", "--force", "demo-pkg"},
			events: []string{
				`project:delete success | user alice | session token-A | project:demo-pkg | derived=true releases_count=1 rev=REV`,
			},
		},
		{
			name: "logout", who: alice, args: []string{"logout"},
			events: []string{
				`user:logout success | user alice | session token-A | | accepted=true kind=user`,
			},
		},
	}
}
