package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/query"
	readers "github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
)

// parsed returns text as a query.
func parsed(t testing.TB, text string) *query.Query {
	t.Helper()
	q, err := query.Parse(text, time.Now())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return q
}

// Of a scan the public is told the verdict, and not of what. Who may ask for one
// project must not learn the names of others by guessing how they begin.
func TestPartOfAnEventDoesNotSpellItsProjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		b.keyFor("public", auth.Reading{As: auth.AsPublic})
		b.submit(`{"id":"s-1","tag":"project:release:scan_result","time":"2026-03-31T00:20:00Z","actor":{"type":"service","id":"scanner"},
			"subjects":[{"type":"project","id":"pkg:npm/demo-one","name":"demo-one"},{"type":"project","id":"pkg:npm/embargoed","name":"embargoed"}],
			"metadata":{"verdict":"fine"}}`)
		b.settled()
		for q, want := range map[string]int{
			"project:demo-one":                                       1,
			"project:pkg:npm/demo-one":                               1,
			"project:demo-one project:pkg:npm/demo-one":              1,
			"project:demo-one -project:demo-two":                     1,
			"project:demo-one project:emb*":                          0,
			"project:demo-one project:pkg:npm/emb*":                  0,
			"project:demo-one -project:emb*":                         1,
			"project:demo-one *barg*":                                0,
			"project:demo-one embargoed":                             0,
			"project:demo-one (project:nothing* OR project:embar*)":  0,
			"project:demo-one -(project:nothing* OR project:embar*)": 1,
		} {
			if got := b.eventsAs("public", q); len(got) != want {
				t.Errorf("%s finds %d events for the public, want %d", q, len(got), want)
			}
			var n struct{ Count int }
			if b.as("public", "/v1/count?q="+strings.NewReplacer(" ", "+", "*", "%2A").Replace(q), &n); n.Count != want {
				t.Errorf("%s counts %d events for the public, want %d", q, n.Count, want)
			}
		}
	})
}

// Who follows the log gets what a search finds: somebody who has a part in a few
// events is not sent all that anybody may see, and neither is it theirs if another
// person has their ID for a name.
func TestFollowingShowsWhatASearchFinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		add := func(id, actor, name, project string) {
			b.submit(fmt.Sprintf(`{"id":%q,"tag":"project:release:add","time":"2026-03-31T00:20:00Z","actor":{"type":"user","id":%q,"name":%q},
				"subjects":[{"type":"project","id":%q}]}`, id, actor, name, project))
		}
		add("own", "u-1", "alice", "pkg:npm/demo-one")
		add("other", "u-2", "bob", "pkg:npm/demo-two")
		add("namesake", "u-3", "u-1", "pkg:npm/demo-three")
		b.settled()
		for _, one := range []struct {
			as    readers.Reader
			query string
			want  int
		}{
			{readers.Reader{Self: "u-1"}, "", 1},
			{readers.Reader{Self: "u-1"}, "tag:project:*", 1},
			{readers.Reader{Self: "u-1"}, "project:pkg:npm/demo-two", 1},
			{readers.Reader{Self: "u-1"}, "project:pkg:npm/demo-three", 1},
			{readers.Reader{Projects: []readers.Ref{{Type: "project", ID: "pkg:npm/demo-two"}}}, "", 1},
			{readers.Reader{Staff: catalogue.Admin}, "", 3},
			{readers.Reader{}, "project:pkg:npm/demo-two", 1},
		} {
			q := parsed(t, one.query)
			found, err := b.room.Search(t.Context(), &one.as, reading.Request{Query: q, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			followed, _, err := b.room.Follow(&one.as, q, 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			count, err := b.room.Count(t.Context(), &one.as, store.CountRequest{Query: q})
			if err != nil {
				t.Fatal(err)
			}
			if len(found.Events) != one.want || len(followed) != one.want || count.Events != int64(one.want) {
				t.Errorf("%q as %+v: %d found, %d followed, %d counted, want %d", one.query, one.as, len(found.Events), len(followed), count.Events, one.want)
			}
		}
	})
}

// However often something hidden would match, an answer without events says
// nowhere how far into the log these are. A search that can be made to end at any
// of them spells them out.
func TestAnAnswerCutShortDoesNotPointAtWhatIsHidden(t *testing.T) {
	b := open(t, new(disk.Mem))
	const n = 5000 // more than a search whose time is up looks at
	for from := 0; from < n; from += 1000 {
		var batch strings.Builder
		for i := from; i < from+1000; i++ {
			fmt.Fprintf(&batch, `{"id":"e-%d","tag":"user:login:failure","time":"2026-03-31T%02d:%02d:%02dZ","actor":{"type":"anonymous"},"context":{"ip":"203.0.113.9","user_agent":"secretive/1.0 (hushhush)"},"metadata":{"claimed_user":"hidden-name"}}`+"\n",
				i, i/3600, i/60%60, i%60)
		}
		if w := b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: lines, body: batch.String()}); w.Code >= 300 {
			t.Fatalf("submit = %d %.300s", w.Code, w.Body)
		}
	}
	for b.index.Cursor() < b.journal.Size() {
		time.Sleep(time.Millisecond)
	}
	admin := &readers.Reader{Staff: catalogue.Admin}
	for _, text := range []string{"203.0.113.9", "hushhush", "metadata.claimed_user:hidden-name", "*ushhus*"} {
		q := parsed(t, text)
		a, err := b.room.Search(t.Context(), admin, reading.Request{Query: q, Limit: 1, Budget: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Events) != 0 || a.Next != nil || a.Looked != 0 {
			t.Errorf("%s: %d events, next %v, looked at %d, of what is masked: want none, and nowhere", text, len(a.Events), a.Next, a.Looked)
		}
	}
}

// Each person that a query asks for is concerned when somebody looks at what it
// finds, however it is put.
func TestALookConcernsAllWhomTheQueryNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		b.keyFor("admin key", auth.Reading{As: auth.AsAdmin})
		b.keyFor("auditor key", auth.Reading{As: auth.AsAuditor})
		b.submit(login("l-1", "alice"))
		b.settled()
		for text, want := range map[string][]string{
			"(user:alice OR actor:bob)":              {"alice", "bob"},
			"tag:user:* (user:carol on_behalf_of:x)": {"carol", "x"},
			"-(-user:dave)":                          {"dave"},
			"user:erin -user:frank":                  {"erin"},
		} {
			admin := &readers.Reader{Staff: catalogue.Admin}
			admin.By.Type, admin.By.ID = "admin", "root"
			if _, err := b.room.Reveal(t.Context(), admin, reading.Look{Reason: "case 17", Query: parsed(t, text)}); err != nil {
				t.Fatal(err)
			}
			b.settled()
			list := b.eventsAs("auditor key", "tag:audit:reveal_pii")
			var got []string
			for _, s := range list[0].Subjects {
				got = append(got, s.ID)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("a look at %s concerns %q, want %q", text, got, want)
			}
			time.Sleep(time.Second) // the next is newer
		}
	})
}
