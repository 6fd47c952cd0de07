package npm_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
	"github.com/custody-log/custody/internal/registry/npm"
)

// A talk is one request and its answer.
type talk struct {
	method, path string // path with query
	header       map[string]string
	before       string // the document as it was; empty: the registry has none
	body         string
	status       int // 0: no answer
	answerHeader map[string]string
	answer       string
}

// bearer is the header of somebody who shows a token.
var bearer = map[string]string{"Authorization": "Bearer npm_demotokendemotoken"}

// run lets p see a talk.
func run(t testing.TB, p *npm.Protocol, k talk) registry.Result {
	t.Helper()
	x, err := begin(p, k)
	if err != nil {
		t.Fatalf("Begin(%s %s): %v", k.method, k.path, err)
	}
	if x == nil {
		return registry.Result{}
	}
	return carry(x, k)
}

// begin lets p see the request line and header of a talk.
func begin(p *npm.Protocol, k talk) (registry.Exchange, error) {
	path, query, _ := strings.Cut(k.path, "?")
	header := make(http.Header)
	for name, value := range k.header {
		header.Set(name, value)
	}
	return p.Begin(&registry.Request{Method: k.method, Path: path, Query: query, Header: header})
}

// carry lets x see the rest of a talk.
func carry(x registry.Exchange, k talk) registry.Result {
	for _, path := range x.Before() {
		feed(x.BeforeBody(path).Write, []byte(k.before), 1<<20)
	}
	if w := x.RequestBody(); w != nil {
		feed(w.Write, []byte(k.body), 1<<20)
	}
	if k.status == 0 {
		return x.Result()
	}
	answer := make(http.Header)
	for name, value := range k.answerHeader {
		answer.Set(name, value)
	}
	if w := x.Response(k.status, answer); w != nil {
		feed(w.Write, []byte(k.answer), 1<<20)
	}
	return x.Result()
}

// lines writes events as one line each.
func lines(events []*event.Event) []string {
	var all []string
	for _, e := range events {
		var line strings.Builder
		line.WriteString(e.Tag + " " + string(e.Outcome))
		if e.Actor.Type != "" {
			line.WriteString(" by " + e.Actor.Type + ":" + e.Actor.Name)
		}
		if e.Credential.Kind != "" {
			line.WriteString(" with " + strings.TrimSuffix(e.Credential.Kind+"+"+e.Credential.MFA, "+"))
		}
		for _, s := range e.Subjects {
			line.WriteString(" " + s.Type + "=" + s.Name)
			if s.Version != "" {
				line.WriteString("@" + s.Version)
			}
		}
		if data, err := json.Marshal(e.Metadata); err == nil && len(e.Metadata) > 0 {
			line.WriteString(" " + string(data))
		}
		all = append(all, line.String())
	}
	return all
}

// check runs a talk with a new protocol and compares its events.
func check(t *testing.T, k talk, want ...string) {
	t.Helper()
	got := run(t, npm.New(npm.Options{}), k)
	if diff := cmp.Diff(want, lines(got.Events)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	checkEvents(t, []*told{{Request: k.method + " " + k.path, Events: got.Events}}, []string{
		"npm_demotokendemotoken", "hunter2secret", "739154", "@example.com",
	})
}

// A package is the same however its name is written in a path.
func TestNamesInPaths(t *testing.T) {
	tests := []struct{ name, path, want string }{
		{"without a scope", "/demo-pkg/-/demo-pkg-1.0.0.tgz", "demo-pkg pkg:npm/demo-pkg demo-pkg@1.0.0"},
		{"scope as one word", "/@acme%2fthing/-/thing-1.0.0.tgz", "@acme/thing pkg:npm/%40acme/thing @acme/thing@1.0.0"},
		{"scope in capitals", "/@acme%2Fthing/-/thing-1.0.0.tgz", "@acme/thing pkg:npm/%40acme/thing @acme/thing@1.0.0"},
		{"scope as two words", "/@acme/thing/-/thing-1.0.0.tgz", "@acme/thing pkg:npm/%40acme/thing @acme/thing@1.0.0"},
		{"scope before the file, too", "/@acme/thing/-/@acme/thing-1.0.0.tgz", "@acme/thing pkg:npm/%40acme/thing @acme/thing@1.0.0"},
		{"encoded at sign", "/%40acme%2Fthing/-/thing-1.0.0.tgz", "@acme/thing pkg:npm/%40acme/thing @acme/thing@1.0.0"},
		{"not ASCII", "/caf%C3%A9/-/caf%C3%A9-1.0.0.tgz", "café pkg:npm/caf%C3%A9 café@1.0.0"},
		{"a package called -", "/-/-/--1.0.0.tgz", "- pkg:npm/- -@1.0.0"},
		{"slash at the end", "/demo-pkg/-/demo-pkg-1.0.0.tgz/", "demo-pkg pkg:npm/demo-pkg demo-pkg@1.0.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, npm.New(npm.Options{}), talk{method: "GET", path: tt.path, status: 200})
			if len(r.Events) != 1 {
				t.Fatalf("%d events, want 1", len(r.Events))
			}
			s := r.Events[0].Subjects
			if got := s[0].Name + " " + s[0].ID + " " + s[1].Name + "@" + s[1].Version; got != tt.want {
				t.Errorf("subjects %q, want %q", got, tt.want)
			}
		})
	}
}

// One name in two registries is two packages, where the operator says so.
func TestRepository(t *testing.T) {
	p := npm.New(npm.Options{Repository: "https://npm.example"})
	r := run(t, p, talk{method: "DELETE", path: "/demo-pkg/-rev/1-a", header: bearer, status: 201})
	if got, want := r.Events[0].Subjects[0].ID, "pkg:npm/demo-pkg?repository_url=https:%2F%2Fnpm.example"; got != want || p.Name() != "npm" {
		t.Errorf("ID %q, want %q", got, want)
	}
}

func TestUnsafePaths(t *testing.T) {
	for _, path := range []string{
		"/demo-pkg/%2e%2e/other", "/demo-pkg/../other", "/a//b", `/a\b`, "/a%00", "/%64emo-pkg", "/demo%252dpkg",
		"/a%2fb", "/@a%2fb%2fc", "/@%2fb", "/demo-pkg;x", "/@acme%2fthing;v=1", "/" + strings.Repeat("a", 600),
		"/-/package/demo-pkg/dist-tags/a%2fb", "/-/user/org.couchdb.user:a%2fb",
	} {
		for _, method := range []string{"PUT", "DELETE"} {
			if strings.HasPrefix(path, "/-/user") && method == "DELETE" {
				continue
			}
			_, err := npm.New(npm.Options{}).Begin(&registry.Request{Method: method, Path: path, Header: http.Header{}})
			if _, unsafe := errors.AsType[*registry.PathError](err); !unsafe {
				t.Errorf("%s %s: %v, want a *PathError", method, path, err)
			}
		}
	}
	_, err := npm.New(npm.Options{}).Begin(&registry.Request{Method: "DELETE", Path: "/-/user/token/npm_demotoken/../x"})
	if err == nil || strings.Contains(err.Error(), "npm_demotoken") {
		t.Errorf("a refused path with a token: %v", err)
	}
}

// A request that the registry understands must not pass because it is written
// in another way.
func TestOtherSpellings(t *testing.T) {
	tag := `project:dist_tag:add success project=demo-pkg version=demo-pkg@1.0.0 {"tag":"beta","version":"1.0.0"}`
	tests := []struct {
		name string
		talk talk
		want string
	}{
		{"capitals", talk{method: "PUT", path: "/-/Package/demo-pkg/DIST-TAGS/beta", body: `"1.0.0"`}, tag},
		{"the old place", talk{method: "PUT", path: "/demo-pkg/beta", body: `"1.0.0"`}, tag},
		{"another method", talk{method: "POST", path: "/-/package/demo-pkg/dist-tags/beta", body: `"1.0.0"`}, tag},
		{"many at once", talk{method: "POST", path: "/-/package/demo-pkg/dist-tags", body: `{"beta":"1.0.0"}`}, tag},
		{
			"a revision in capitals",
			talk{method: "DELETE", path: "/demo-pkg/-REV/1-a"},
			`project:delete success project=demo-pkg {"rev":"1-a"}`,
		},
		{
			"without a revision",
			talk{method: "DELETE", path: "/demo-pkg"},
			`project:delete success project=demo-pkg`,
		},
		{
			"the package called -",
			talk{method: "DELETE", path: "/-/-rev/1-a"},
			`project:delete success project=- {"rev":"1-a"}`,
		},
		{
			"something unknown",
			talk{method: "POST", path: "/-/npm/v1/hooks/hook/Zk9-secret"},
			`audit:proxy:unknown_request success {"method":"POST","path":"/-/npm/v1/hooks/hook/*"}`,
		},
		{
			"an unknown method",
			talk{method: "PATCH", path: "/demo-pkg"},
			`audit:proxy:unknown_request success {"method":"PATCH","path":"/demo-pkg"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.talk.header, tt.talk.status, tt.talk.answer = bearer, 201, `{"ok":true}`
			check(t, tt.talk, tt.want)
		})
	}
}

func TestNothingToTell(t *testing.T) {
	tests := []struct {
		name string
		talk talk
	}{
		{"a package's document", talk{method: "GET", path: "/demo-pkg", status: 200, answer: `{"name":"demo-pkg"}`}},
		{"a vulnerability check", talk{method: "POST", path: "/-/npm/v1/security/advisories/bulk", body: `{}`, status: 200}},
		{"an unknown request that was refused", talk{method: "POST", path: "/-/what", status: 404}},
		{"a file that is not there", talk{method: "GET", path: "/demo-pkg/-/demo-pkg-1.0.0.tgz", status: 404}},
		{"a file that the client has", talk{method: "GET", path: "/demo-pkg/-/demo-pkg-1.0.0.tgz", status: 304}},
		{"a file that was not handed out", talk{method: "GET", path: "/demo-pkg/-/demo-pkg-1.0.0.tgz", status: 0}},
		{"the middle of a file", talk{method: "GET", path: "/demo-pkg/-/demo-pkg-1.0.0.tgz", header: map[string]string{"Range": "bytes=100-"}, status: 206}},
		{"asking for a header only", talk{method: "HEAD", path: "/demo-pkg/-/demo-pkg-1.0.0.tgz", status: 200}},
		{"a star", talk{method: "PUT", path: "/demo-pkg", header: bearer, body: `{"_id":"demo-pkg","_rev":"1-a","users":{"alice":true}}`, status: 201}},
		{"a write without any credential", talk{method: "PUT", path: "/demo-pkg", body: publishBody, status: 401, answer: `{"error":"no"}`}},
		{"a write that needs a second factor", talk{method: "PUT", path: "/demo-pkg", header: bearer, body: publishBody, status: 401, answerHeader: map[string]string{"WWW-Authenticate": "ipaddress, OTP"}}},
		{"the same, in the browser", talk{method: "PUT", path: "/demo-pkg", header: bearer, body: publishBody, status: 401, answer: `{"authUrl":"https://r.example/auth/1","doneUrl":"https://r.example/-/v1/done?authId=1"}`}},
		{"the same, in words", talk{method: "PUT", path: "/demo-pkg", header: bearer, body: publishBody, status: 401, answer: `{"error":"You must provide a one-time pass."}`}},
		{"sign-in in the browser that there is not", talk{method: "POST", path: "/-/v1/login", body: `{}`, status: 404}},
		{"a sign-in that needs a second factor", talk{method: "PUT", path: "/-/user/org.couchdb.user:alice", header: bearer, body: loginBody, status: 401, answerHeader: map[string]string{"WWW-Authenticate": "OTP"}}},
		{"a sign-in that goes on with the user's document", talk{method: "PUT", path: "/-/user/org.couchdb.user:alice", body: loginBody, status: 409}},
		{"polling with another method than GET", talk{method: "PUT", path: "/-/v1/done?authId=9", header: bearer, body: `"1.0.0"`, status: 200, answer: `{"token":"otp-token"}`}},
		{"whoami of nobody", talk{method: "GET", path: "/-/whoami", header: bearer, status: 200, answer: `{}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, npm.New(npm.Options{}), tt.talk)
			if len(r.Events)+len(r.Learned)+len(r.Forgotten) > 0 {
				t.Errorf("told %q, learned %v", lines(r.Events), r.Learned)
			}
		})
	}
}

const loginBody = `{"_id":"org.couchdb.user:alice","name":"alice","password":"hunter2secret","type":"user","roles":[]}`

// What a client polls with after it was sent to the browser is the request that
// it was about. It must not be taken for it.
func TestPolling(t *testing.T) {
	p := npm.New(npm.Options{})
	asked := talk{
		method: "PUT", path: "/-/package/demo-pkg/dist-tags/beta", header: bearer, body: `"1.0.0"`, status: 401,
		answer: `{"authUrl":"https://r.example/auth/1","doneUrl":"https://r.example/npm/-/custom/finish?authId=1"}`,
	}
	polls := []talk{
		{method: "PUT", path: "/-/v1/done?authId=1", header: bearer, body: `"1.0.0"`, status: 202, answer: `{}`},
		{method: "PUT", path: "/-/custom/finish?authId=1", header: bearer, body: `"1.0.0"`, status: 200, answer: `{"token":"otp-token"}`},
		{method: "GET", path: "/-/custom/finish?authId=1", header: bearer, status: 200, answer: `{"token":"otp-token"}`},
	}
	for _, k := range append([]talk{asked}, polls...) {
		if r := run(t, p, k); len(r.Events)+len(r.Learned) > 0 {
			t.Errorf("%s %s: told %q, learned %v", k.method, k.path, lines(r.Events), r.Learned)
		}
	}
	again := asked
	again.header = map[string]string{"Authorization": "Bearer x", "Npm-Otp": "otp-token"}
	again.status, again.answer = 201, `{"ok":"package tagged"}`
	if r := run(t, p, again); len(r.Events) != 1 || r.Events[0].Tag != "project:dist_tag:add" {
		t.Errorf("with the token it gives %q", lines(r.Events))
	}
}

// What comes to an end in the browser is a sign-in, even at an address of the
// registry's choice. For a while.
func TestWebLoginElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := npm.New(npm.Options{})
		start := talk{
			method: "POST", path: "/-/v1/login", body: `{}`, status: 200,
			answer: `{"loginUrl":"https://r.example/login","doneUrl":"https://r.example/x/-/finish/7"}`,
		}
		done := talk{method: "GET", path: "/-/finish/7", status: 200, answer: `{"token":"npm_fresh"}`}
		run(t, p, start)
		r := run(t, p, done)
		want := []string{`user:login:success success by user: with session {"auth_method":"web"}`}
		if diff := cmp.Diff(want, lines(r.Events)); diff != "" || len(r.Learned) != 1 || r.Learned[0].Secret != "npm_fresh" {
			t.Errorf("%s\nlearned %v", diff, r.Learned)
		}
		if r := run(t, p, done); len(r.Events) > 0 {
			t.Errorf("the same again is %q", lines(r.Events))
		}
		run(t, p, start)
		time.Sleep(16 * time.Minute)
		if r := run(t, p, done); len(r.Events) > 0 {
			t.Errorf("much later it is %q", lines(r.Events))
		}
	})
}

// How a request ended is what the registry said, not its status alone.
func TestOutcomes(t *testing.T) {
	tag := func(rest string) string { return "project:dist_tag:add " + rest }
	const subjects = `project=demo-pkg version=demo-pkg@1.0.0 `
	tests := []struct {
		name   string
		status int
		header map[string]string
		answer string
		want   string
	}{
		{"yes", 201, bearer, `{"ok":"package tagged"}`, tag("success " + subjects + `{"tag":"beta","version":"1.0.0"}`)},
		{"yes without a word", 204, bearer, ``, tag("success " + subjects + `{"tag":"beta","version":"1.0.0"}`)},
		{"yes in a page", 200, bearer, `<html>`, tag("success " + subjects + `{"tag":"beta","version":"1.0.0"}`)},
		{"no, politely", 200, bearer, `{"error":"not today"}`, tag("failure " + subjects + `{"error":"not today","status":200,"tag":"beta","version":"1.0.0"}`)},
		{"no, in a list", 200, bearer, `{"errors":[{"detail":"not today"}]}`, tag("failure " + subjects + `{"error":"not today","status":200,"tag":"beta","version":"1.0.0"}`)},
		{"no success", 200, bearer, `{"success":false}`, tag("failure " + subjects + `{"status":200,"tag":"beta","version":"1.0.0"}`)},
		{"who are you", 401, bearer, `{"error":"unauthorized"}`, tag("denied " + subjects + `{"error":"unauthorized","status":401,"tag":"beta","version":"1.0.0"}`)},
		{"not you", 403, bearer, `{"error":"not you"}`, tag("denied " + subjects + `{"error":"not you","status":403,"tag":"beta","version":"1.0.0"}`)},
		{"not anybody", 403, nil, ``, tag("denied " + subjects + `{"status":403,"tag":"beta","version":"1.0.0"}`)},
		{"a conflict", 409, bearer, `{"message":"conflict"}`, tag("failure " + subjects + `{"error":"conflict","status":409,"tag":"beta","version":"1.0.0"}`)},
		{"a fault", 502, bearer, `<html>`, tag("failure " + subjects + `{"status":502,"tag":"beta","version":"1.0.0"}`)},
		{"elsewhere", 307, bearer, ``, tag("failure " + subjects + `{"status":307,"tag":"beta","version":"1.0.0"}`)},
		{"no answer", 0, bearer, ``, tag("unknown " + subjects + `{"tag":"beta","version":"1.0.0"}`)},
		{
			"a secret comes back", 403, bearer, `{"error":"npm_demotokendemotoken of alice@example.com is not valid"}`,
			tag("denied " + subjects + `{"error":"[hidden] of [hidden] is not valid","status":403,"tag":"beta","version":"1.0.0"}`),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check(t, talk{
				method: "PUT", path: "/-/package/demo-pkg/dist-tags/beta", header: tt.header, body: `"1.0.0"`,
				status: tt.status, answer: tt.answer,
			}, tt.want)
		})
	}
	t.Run("a second factor that did not do", func(t *testing.T) {
		check(t, talk{
			method: "PUT", path: "/-/package/demo-pkg/dist-tags/beta", body: `"1.0.0"`, status: 401,
			header:       map[string]string{"Authorization": "Bearer x", "Npm-Otp": "739154"},
			answerHeader: map[string]string{"WWW-Authenticate": "OTP"}, answer: `{"error":"739154 is wrong"}`,
		}, tag("denied "+subjects+`{"error":"[hidden] is wrong","status":401,"tag":"beta","version":"1.0.0"}`))
	})
}

// A stage is known by its ID until it is decided on.
func TestStagesAreRemembered(t *testing.T) {
	p := npm.New(npm.Options{})
	stage := func(n int) {
		run(t, p, talk{
			method: "POST", path: "/-/stage/package/demo-pkg", header: bearer, body: publishBody, status: 201,
			answer: fmt.Sprintf(`{"stageId":"id-%d"}`, n),
		})
	}
	approve := func(n int) []string {
		return lines(run(t, p, talk{method: "POST", path: fmt.Sprintf("/-/stage/id-%d/approve", n), header: bearer, status: 200}).Events)
	}
	stage(1)
	want := []string{`project:release:stage_approve success project=demo-pkg version=demo-pkg@1.0.0 {"stage_id":"id-1","version":"1.0.0"}`}
	if diff := cmp.Diff(want, approve(1)); diff != "" {
		t.Error(diff)
	}
	unknown := []string{`project:release:stage_approve success {"stage_id":"id-1"}`}
	if diff := cmp.Diff(unknown, approve(1)); diff != "" {
		t.Errorf("it is remembered after the decision:\n%s", diff)
	}
	for n := range 5000 {
		stage(n)
	}
	if got := approve(1)[0]; strings.Contains(got, "demo-pkg") {
		t.Errorf("more is remembered than the limit: %s", got)
	}
	if got := approve(4999)[0]; !strings.Contains(got, "demo-pkg@1.0.0") {
		t.Errorf("the newest is forgotten: %s", got)
	}
}
