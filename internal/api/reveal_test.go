package api_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
)

// keyFor makes a key that reads as somebody, and calls it so.
func (b *bench) keyFor(name string, reads ...auth.Reading) {
	b.t.Helper()
	_, secret, err := b.api.Keys.Create(name, "reading", []string{auth.Read}, reads...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.keys[name] = secret
}

// A seen is what these tests look at of an event.
type seen struct {
	Seq     int64
	Tag     string
	Actor   struct{ ID string }
	Context struct{ IP string }
	Masked  []string
	Partial string
	Text    string

	Subjects []struct{ Type, ID string }
	Metadata map[string]any
}

// as reads path as somebody, which must succeed.
func (b *bench) as(name, path string, v any) {
	b.t.Helper()
	w := b.do(call{method: "GET", path: path, scope: name})
	if w.Code != 200 {
		b.t.Fatalf("GET %s as %s = %d %s", path, name, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) eventsAs(name, q string) []seen {
	b.t.Helper()
	var p struct{ Events []seen }
	b.as(name, "/v1/events?limit=1000&q="+url.QueryEscape(q), &p)
	return p.Events
}

// An administrator sees addresses when they say why, and the person whose they are
// is shown that, after the delay. Who looks in secret looks for fun.
func TestLookIsOnRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		b.room.RevealDelay = time.Hour
		b.keyFor("admin key", auth.Reading{As: auth.AsAdmin})
		b.keyFor("auditor key", auth.Reading{As: auth.AsAuditor})
		b.keyFor("alice", auth.Reading{As: auth.AsUser, ID: "u-1041"})
		b.submit(published)
		b.settled()

		var e seen
		if b.as("admin key", "/v1/events/0", &e); e.Context.IP != "" || !slices.Contains(e.Masked, "context.ip") || e.Actor.ID != "u-1041" {
			t.Errorf("an administrator sees %+v, want the actor, and the address masked", e)
		}
		if b.as("admin key", "/v1/events/0?reason=case+17", &e); e.Context.IP != "203.0.113.9" {
			t.Errorf("with a reason an administrator sees %+v, want the address", e)
		}
		b.as("admin key", "/v1/facets?field=ip&q=actor:alice&reason=case+18", new(any))
		b.settled()
		looks := b.eventsAs("auditor key", "tag:audit:reveal_pii")
		if len(looks) != 2 {
			t.Fatalf("%d looks are on record, want 2", len(looks))
		}
		for i, reason := range []string{"case 18", "case 17"} {
			l := looks[i]
			if l.Metadata["reason"] != reason || len(l.Subjects) != 1 || l.Subjects[0].ID != "u-1041" {
				t.Errorf("look %d is recorded as %+v, want it about u-1041 for %s", i, l, reason)
			}
		}
		if fields := fmt.Sprint(looks[1].Metadata["fields"]); !strings.Contains(fields, "context.ip") {
			t.Errorf("the look says %s, want what was shown", fields)
		}
		if n := len(b.eventsAs("admin key", "tag:audit:reveal_pii")); n != 0 {
			t.Errorf("an administrator sees %d looks, want none", n)
		}
		if n := len(b.eventsAs("alice", "tag:audit:*")); n != 0 {
			t.Errorf("the person sees %d looks before the delay is over", n)
		}
		time.Sleep(time.Hour)
		told := b.eventsAs("alice", "tag:audit:*")
		if len(told) != 2 || told[0].Partial != "notice" || told[0].Metadata["reason"] != "case 18" || told[0].Actor.ID != "" {
			t.Errorf("the person sees %+v, want that somebody looked twice, and why", told)
		}
	})
}

// A reason that says nothing opens nothing, nor does one of who is no staff; and a
// key that sees everything needs none.
func TestReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		b.keyFor("auditor key", auth.Reading{As: auth.AsAuditor})
		b.keyFor("alice", auth.Reading{As: auth.AsUser, ID: "u-1041"})
		b.keyFor("bob", auth.Reading{As: auth.AsUser, ID: "u-2"})
		b.submit(published)
		b.settled()
		for _, c := range []struct {
			name, as, path string
			want           int
		}{
			{"blank", "auditor key", "/v1/events/0?reason=+++", 400},
			{"empty", "auditor key", "/v1/events?reason=", 400},
			{"too long", "auditor key", "/v1/count?reason=" + strings.Repeat("x", 501), 400},
			{"more than a line", "auditor key", "/v1/export?reason=a%0Ab", 400},
			{"of no event", "auditor key", "/v1/events/7?reason=case+17", 404},
			{"of a person", "alice", "/v1/events/0?reason=case+17", 403},
			{"of a person about another", "bob", "/v1/events?reason=case+17", 403},
			{"of who sees everything", auth.Read, "/v1/events/0?reason=case+17", 200},
		} {
			if w := b.do(call{method: "GET", path: c.path, scope: c.as}); w.Code != c.want {
				t.Errorf("a reason %s = %d %s, want %d", c.name, w.Code, w.Body, c.want)
			}
		}
		b.settled()
		if looks := b.eventsAs("auditor key", "tag:audit:reveal_pii"); len(looks) != 0 {
			t.Errorf("%d looks are on record, want none: nobody was shown anything", len(looks))
		}
	})
}

// A search that is cut short as early as it goes must find all, page by page, also
// for who does not see everything; and where a page ends must not be where
// something hidden is.
func TestCutShort(t *testing.T) {
	b := open(t, new(disk.Mem))
	b.keyFor("alice", auth.Reading{As: auth.AsUser, ID: "u-1"})
	var batch strings.Builder
	for i := range 9000 { // of which every fourth is hers, though all have her ID as a name
		reason := "often"
		if i%300 == 0 {
			reason = "rarely"
		}
		fmt.Fprintf(&batch, `{"id":"n-%d","tag":"user:login:success","time":"2026-04-01T%02d:%02d:00Z","actor":{"type":"user","id":"u-%d","name":"u-1"},"reason":%q}`+"\n",
			i, i/60%24, i%60, 1+i%4, reason)
	}
	if w := b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: lines, body: batch.String()}); w.Code != 201 {
		t.Fatalf("submit = %d %s", w.Code, w.Body)
	}
	b.taken()
	found, cut, cursor := make(map[int64]bool), 0, ""
	for range 100 {
		var p struct {
			Events   []seen
			Next     string
			Complete bool
		}
		b.as("alice", "/v1/events?limit=1000&budget=1ns&q=rarely"+cursor, &p)
		for _, e := range p.Events {
			if found[e.Seq] {
				t.Errorf("event %d came twice", e.Seq)
			}
			found[e.Seq] = true
		}
		if p.Next == "" {
			break
		}
		cut++
		place, err := base64.RawURLEncoding.DecodeString(p.Next)
		if err != nil || p.Complete {
			t.Fatalf("a page that ends early is complete: %t, %v", p.Complete, err)
		}
		if seq := binary.BigEndian.Uint64(place[9:]); seq%4 != 0 {
			t.Errorf("a page ends at event %d, which is not for her", seq)
		}
		cursor = "&cursor=" + p.Next
	}
	if cut == 0 || len(found) != 30 {
		t.Errorf("%d events in %d pages that ended early, want 30 and some", len(found), cut)
	}
}
