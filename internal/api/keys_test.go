package api_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/proof"
)

// TestKeys makes a key, uses it, and revokes it; each change is an event that
// names who did it and to which key, and repeats no secret.
func TestKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		w := b.do(call{method: "POST", path: "/v1/keys", scope: auth.Admin, header: jsonBody, body: `{"name":"ci","source":"ci-1","scopes":["submit"]}`})
		made := decode[struct{ ID, Name, Source, Secret string }](t, w)
		if w.Code != 201 || made.Name != "ci" || !strings.HasPrefix(made.Secret, "cst_"+made.ID+"_") || w.Header().Get("Location") != "/v1/keys/"+made.ID {
			t.Fatalf("create = %d %s", w.Code, w.Body)
		}
		b.keys["ci"] = made.Secret
		if w := b.do(call{method: "POST", path: "/v1/events", scope: "ci", header: jsonBody, body: published}); w.Code != 201 {
			t.Errorf("submission with the new key = %d %s", w.Code, w.Body)
		}
		if w := b.do(call{method: "GET", path: "/v1/keys/" + made.ID, scope: auth.Admin}); w.Code != 200 || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("show = %d %s", w.Code, w.Body)
		}
		list := b.do(call{method: "GET", path: "/v1/keys", scope: auth.Admin})
		if n := len(decode[struct{ Keys []auth.Key }](t, list).Keys); n != 4 || strings.Contains(list.Body.String(), made.Secret) {
			t.Errorf("list = %s, want 4 keys and no secret", list.Body)
		}
		if w := b.do(call{method: "DELETE", path: "/v1/keys/" + made.ID, scope: auth.Admin}); w.Code != 200 {
			t.Errorf("revoke = %d %s", w.Code, w.Body)
		}
		if w := b.do(call{method: "POST", path: "/v1/events", scope: "ci", header: jsonBody, body: published}); w.Code != 401 {
			t.Errorf("submission with the revoked key = %d %s, want 401", w.Code, w.Body)
		}
		if w := b.do(call{method: "DELETE", path: "/v1/keys/" + made.ID, scope: auth.Admin}); w.Code != 404 {
			t.Errorf("revoke again = %d %s, want 404", w.Code, w.Body)
		}
		b.settled()
		var p page
		b.get("/v1/events?q=source:custody+"+made.ID, &p)
		if len(p.Events) != 2 || p.Events[0].Tag != "audit:api_key:revoke" || p.Events[1].Tag != "audit:api_key:create" || !strings.Contains(p.Events[1].Text, "the admin key") {
			t.Errorf("the events of it are %+v", p.Events)
		}
		if b.get("/v1/events?q="+made.Secret[17:], &p); len(p.Events) != 0 {
			t.Errorf("the secret is in %+v", p.Events)
		}
		b.stop()
	})
}

// TestKeyRefusals checks what no key is made of, and that the last
// administrator stays. None of it leaves an event.
func TestKeyRefusals(t *testing.T) {
	b := open(t, new(disk.Mem))
	for _, c := range []struct {
		name, body string
		status     int
		slug       string
	}{
		{"junk", "junk", 400, "bad-request"},
		{"unknown member", `{"name":"a","source":"b","scopes":["read"],"secret":"x"}`, 400, "bad-request"},
		{"two", `{"name":"a","source":"b","scopes":["read"]}{}`, 400, "bad-request"},
		{"no name", `{"source":"b","scopes":["read"]}`, 422, "invalid-key"},
		{"no scope", `{"name":"a","source":"b","scopes":[]}`, 422, "invalid-key"},
		{"unknown scope", `{"name":"a","source":"b","scopes":["all"]}`, 422, "invalid-key"},
		{"source with a space", `{"name":"a","source":"b c","scopes":["read"]}`, 422, "invalid-key"},
		{"the log's own source", `{"name":"a","source":"custody","scopes":["submit"]}`, 422, "invalid-key"},
		{"unknown reader", `{"name":"a","source":"b","scopes":["read"],"reads":["audit"]}`, 422, "invalid-key"},
		{"no reader", `{"name":"a","source":"b","scopes":["read"],"reads":[]}`, 422, "invalid-key"},
		{"everybody", `{"name":"a","source":"b","scopes":["read"],"reads":["everything","auditor"]}`, 422, "invalid-key"},
		{"a package URL for a project", `{"name":"a","source":"b","scopes":["read"],"reads":["project:pkg:npm/demo-pkg"]}`, 422, "invalid-key"},
		{"a reader who may not read", `{"name":"a","source":"b","scopes":["submit"],"reads":["auditor"]}`, 422, "invalid-key"},
		{"one reader, not a list", `{"name":"a","source":"b","scopes":["read"],"reads":"auditor"}`, 400, "bad-request"},
		{"too long", `{"name":"` + strings.Repeat("a", 20000) + `"}`, 413, "too-large"},
	} {
		w := b.do(call{method: "POST", path: "/v1/keys", scope: auth.Admin, header: jsonBody, body: c.body})
		if p := decode[problem](t, w); w.Code != c.status || p.Type != "/problems/"+c.slug {
			t.Errorf("%s: %d %s, want %d %s", c.name, w.Code, w.Body, c.status, c.slug)
		}
	}
	if w := b.do(call{method: "POST", path: "/v1/keys", scope: auth.Admin, body: "{}"}); w.Code != 415 {
		t.Errorf("no content type = %d %s, want 415", w.Code, w.Body)
	}
	last, err := b.api.Keys.Check(b.keys[auth.Admin])
	if err != nil {
		t.Fatal(err)
	}
	w := b.do(call{method: "DELETE", path: "/v1/keys/" + last.ID, scope: auth.Admin})
	if p := decode[problem](t, w); w.Code != 409 || p.Type != "/problems/last-key" {
		t.Errorf("revoke the last administrator = %d %s, want 409", w.Code, w.Body)
	}
	if n := b.journal.Size(); n != 0 || len(b.api.Keys.List()) != 3 {
		t.Errorf("%d records and %d keys, want none and 3", n, len(b.api.Keys.List()))
	}
}

// TestReaderKeys makes keys that read as somebody in particular: what they read as
// is in the answers and on record.
func TestReaderKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		defer b.stop()
		for _, c := range []struct{ members, want string }{
			{`"scopes":["read"],"reads":["user:u-1041","project:project:pkg:npm/demo-pkg"]`, `"reads":["user:u-1041","project:project:pkg:npm/demo-pkg"]`},
			{`"scopes":["read"],"reads":["auditor"]`, `"reads":["auditor"]`},
			{`"scopes":["read"]`, `"reads":["everything"]`},
		} {
			w := b.do(call{method: "POST", path: "/v1/keys", scope: auth.Admin, header: jsonBody, body: `{"name":"a","source":"b",` + c.members + `}`})
			made := decode[struct{ ID string }](t, w)
			if w.Code != 201 || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("create with %s = %d %s, want %s", c.members, w.Code, w.Body, c.want)
			}
			for _, path := range []string{"/v1/keys", "/v1/keys/" + made.ID} {
				if w := b.do(call{method: "GET", path: path, scope: auth.Admin}); !strings.Contains(w.Body.String(), c.want) {
					t.Errorf("%s = %s, want %s in it", path, w.Body, c.want)
				}
			}
			b.settled()
			w = b.do(call{method: "GET", path: "/v1/events?q=tag:audit:api_key:create+" + made.ID, scope: auth.Read})
			if !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("the event of it is %s, want %s in it", w.Body, c.want)
			}
		}
	})
}

// TestUnrecordedKey checks that a key whose making cannot be recorded is not
// made: nobody could tell later where it came from.
func TestUnrecordedKey(t *testing.T) {
	fs, broken := unsyncable()
	b := open(t, fs)
	broken.Store(true)
	w := b.do(call{method: "POST", path: "/v1/keys", scope: auth.Admin, header: jsonBody, body: `{"name":"ci","source":"ci-1","scopes":["admin"]}`})
	if w.Code != 503 || strings.Contains(w.Body.String(), "cst_") || len(b.api.Keys.List()) != 3 {
		t.Errorf("create without a journal = %d %s, %d keys; want 503 and 3 keys", w.Code, w.Body, len(b.api.Keys.List()))
	}
}

// TestSigningKeys rotates and retires: checkpoints carry the right signatures,
// the keys survive a restart, each change is an event.
func TestSigningKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		b := open(t, fs)
		first := b.tree.Keys().Verifiers()[0]
		post := func(what, body string) (int, struct {
			Type          string
			Keys, Retired []string
		},
		) {
			w := b.do(call{method: "POST", path: "/v1/log/keys/" + what, scope: auth.Admin, header: jsonBody, body: body})
			return w.Code, decode[struct {
				Type          string
				Keys, Retired []string
			}](t, w)
		}
		signers := func() int {
			b.submit(login("s-"+time.Now().String(), "alice"))
			b.settled()
			policy, err := b.tree.Keys().Policy()
			if err != nil {
				t.Fatal(err)
			}
			c, err := policy.Check(b.tree.Latest().Message)
			if err != nil {
				t.Fatal(err)
			}
			return len(c.Signers)
		}
		if status, p := post("retire", `{"key":"`+first+`"}`); status != 409 || p.Type != "/problems/last-key" {
			t.Errorf("retire the only key = %d %+v, want 409", status, p)
		}
		status, now := post("rotate", "")
		if status != 200 || len(now.Keys) != 2 || now.Keys[1] != first {
			t.Fatalf("rotate = %d %+v, want a new key before the old", status, now)
		}
		if n := signers(); n != 2 {
			t.Errorf("%d keys sign, want both", n)
		}
		if status, p := post("retire", `{"key":"custody.test/log+00000000+AAAA"}`); status != 404 {
			t.Errorf("retire another key = %d %+v, want 404", status, p)
		}
		if status, after := post("retire", `{"key":"`+first+`"}`); status != 200 || len(after.Keys) != 1 || after.Retired[0] != first {
			t.Errorf("retire = %d %+v", status, after)
		}
		if n := signers(); n != 1 {
			t.Errorf("%d keys sign, want the new one", n)
		}
		if policy, err := proof.KeyPolicy(first); err != nil {
			t.Error(err)
		} else if _, err := policy.Check(b.tree.Latest().Message); err == nil {
			t.Error("the retired key still signs")
		}
		var p page
		if b.get("/v1/events?q=tag:audit:key:rotate", &p); len(p.Events) != 2 || !strings.Contains(p.Events[0].Text, now.Keys[0]) {
			t.Errorf("the events of it are %+v", p.Events)
		}
		for i := 1; i < tree.MaxKeys; i++ {
			post("rotate", "")
		}
		if status, p := post("rotate", ""); status != 409 || p.Type != "/problems/too-many-keys" {
			t.Errorf("one key too many = %d %+v, want 409", status, p)
		}
		b.stop()
		again := open(t, fs.Crash(func(int) int { return 0 }))
		if keys := again.tree.Keys(); len(keys.Verifiers()) != tree.MaxKeys || keys.Retired()[0] != first {
			t.Errorf("after a restart %d keys sign and %v are retired", len(keys.Verifiers()), keys.Retired())
		}
		again.stop()
	})
}
