package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/internal/api"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/keeper"
)

// openKept is open with a keeper, whose work is done.
func openKept(t *testing.T) *bench {
	t.Helper()
	fs := new(disk.Mem)
	var k *keeper.Keeper
	b := open(t, fs, func(a *api.API) {
		var err error
		k, err = keeper.Open(keeper.Config{Dir: sub(t, fs, "retain"), Catalogue: a.Catalogue, Derive: a.Store.Derive(), Log: a.Log})
		if err != nil {
			t.Fatal(err)
		}
		a.Journal.SetPast(a.Store)
		k.Connect(keeper.Parts{Journal: a.Journal, Store: a.Store, Desk: a.Desk})
		a.Keeper = k
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b
}

// Who decides how long what is kept gets answers that the document foresees, and
// a wish that nobody may have changes nothing.
func TestKeeping(t *testing.T) {
	b := openKept(t)
	b.submit(published)
	must := func(want int, method, path, body string) []byte {
		t.Helper()
		c := call{method: method, path: path, scope: auth.Admin, body: body}
		if body != "" {
			c.header = jsonBody
		}
		w := b.do(c)
		if w.Code != want {
			t.Fatalf("%s %s %s = %d %s, want %d", method, path, body, w.Code, w.Body, want)
		}
		return w.Body.Bytes()
	}
	must(200, "GET", "/v1/retention", "")
	must(200, "PUT", "/v1/retention/user-auth", `{"keep":"30d"}`)
	must(400, "PUT", "/v1/retention/user-auth", `{}`)
	must(400, "PUT", "/v1/retention/meta", `{"keep":"1d"}`)
	must(404, "PUT", "/v1/retention/none", `{"keep":"1d"}`)
	must(200, "DELETE", "/v1/retention/user-auth", "")
	must(200, "POST", "/v1/retention/purge", "")

	must(400, "POST", "/v1/holds", `{"query":"colour:red"}`)
	must(400, "POST", "/v1/holds", `{"account":{"names":"alice"}}`)
	must(201, "POST", "/v1/holds", `{"account":{"id":"u9"},"until":"2999-01-01T00:00:00Z"}`)
	var hold struct{ ID string }
	if err := json.Unmarshal(must(201, "POST", "/v1/holds", `{"query":"request:r1","case":"C-1","reason":"asked for"}`), &hold); err != nil {
		t.Fatal(err)
	}
	must(200, "GET", "/v1/holds", "")
	must(200, "GET", "/v1/holds/"+hold.ID, "")
	must(404, "GET", "/v1/holds/none", "")

	subject := `"subject":{"type":"user","id":"u-1041","name":"alice"}`
	must(400, "POST", "/v1/erasures", `{}`)
	must(400, "POST", "/v1/erasures", `{"subject":{"type":"service","id":"s1"}}`)
	estimate := string(must(200, "POST", "/v1/erasures", `{`+subject+`,"dry_run":true}`))
	if !strings.Contains(estimate, `"held":1`) {
		t.Errorf("dry run = %s, want one event that is held", estimate)
	}
	report := string(must(200, "GET", "/v1/access?id=u-1041&name=alice", ""))
	if !strings.Contains(report, `"actor.name":"alice"`) || !strings.Contains(report, hold.ID) || !strings.Contains(report, `{"end":`) {
		t.Errorf("access report = %s", report)
	}
	must(400, "GET", "/v1/access", "")

	must(200, "POST", "/v1/holds/"+hold.ID+"/lift", `{"reason":"over"}`)
	must(400, "POST", "/v1/holds/"+hold.ID+"/lift", `{}`)
	var erasure struct{ ID, State, Pseudonym string }
	if err := json.Unmarshal(must(202, "POST", "/v1/erasures", `{`+subject+`,"reason":"asked for"}`), &erasure); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); erasure.State != "done"; {
		if time.Now().After(deadline) {
			t.Fatalf("erasure %s is %s", erasure.ID, erasure.State)
		}
		if err := json.Unmarshal(must(200, "GET", "/v1/erasures/"+erasure.ID, ""), &erasure); err != nil {
			t.Fatal(err)
		}
	}
	must(200, "GET", "/v1/erasures", "")
	must(400, "POST", "/v1/erasures/"+erasure.ID+"/deny", `{"ground":"none"}`)

	// The person is gone, and whoever reads can still tell that it was one.
	event := string(must(200, "GET", "/v1/events/0", ""))
	if strings.Contains(event, "alice") || !strings.Contains(event, `"erased":["actor.id","actor.name"`) || !strings.Contains(event, erasure.Pseudonym) {
		t.Errorf("the event = %s", event)
	}
	var found struct{ Events []struct{ Seq int } }
	b.get("/v1/events?q=actor:"+erasure.Pseudonym+"+project:demo-pkg", &found)
	if len(found.Events) != 1 || found.Events[0].Seq != 0 {
		t.Errorf("a search for the pseudonym found %v, want event 0", found.Events)
	}
	b.get("/v1/events?q=actor:"+erasure.Pseudonym+"+project:other", &found)
	if len(found.Events) != 0 {
		t.Errorf("a search for the pseudonym elsewhere found %v", found.Events)
	}
	if w := b.do(call{method: http.MethodGet, path: "/v1/holds", scope: auth.Read}); w.Code != http.StatusForbidden {
		t.Errorf("holds with a key that reads = %d, want 403", w.Code)
	}
}
