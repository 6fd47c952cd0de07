package api_test

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/store"
)

// A tally is an answer that counts.
type tally struct {
	Count    int
	Complete bool
	Behind   int
	Facets   map[string][]struct {
		Value string
		Count int
	}
	Interval string
	Buckets  []struct {
		Time  string
		Count int
	}
}

// String returns what was counted, shortly.
func (x *tally) String() string {
	var s strings.Builder
	fmt.Fprint(&s, x.Count)
	for _, field := range slices.Sorted(maps.Keys(x.Facets)) {
		s.WriteString(" " + field + "[")
		for i, v := range x.Facets[field] {
			fmt.Fprint(&s, strings.Repeat(" ", min(i, 1)), v.Value, "=", v.Count)
		}
		s.WriteString("]")
	}
	if x.Interval != "" {
		s.WriteString(" " + x.Interval + "[")
		for i, b := range x.Buckets {
			fmt.Fprint(&s, strings.Repeat(" ", min(i, 1)), strings.TrimSuffix(strings.TrimSuffix(b.Time, ":00Z"), "T00:00"), "=", b.Count)
		}
		s.WriteString("]")
	}
	return s.String()
}

// Whoever investigates decides by these numbers what to look at next.
func TestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		b.submit(published)
		b.submit(login("l-1", "bob"))
		for i := range 3 {
			b.submit(numbered(60*i, "carol"))
		}
		b.settled()
		check := func() {
			t.Helper()
			for _, c := range []struct{ path, want string }{
				{"count", "5"},
				{"count?q=carol+OR+bob", "4"},
				{"count?q=project:demo-pkg&before=2026-04-01", "1"},
				{"count?after=2026-04-01T00:01:00Z", "2"},
				{"count?q=actor:nobody", "0"},
				{"facets?field=actor", "5 actor[carol=3 alice=1 bob=1]"},
				{"facets?field=actor&limit=1", "5 actor[carol=3]"},
				{"facets?q=-carol&field=tag&field=project", "2 project[demo-pkg=1] tag[project:release:add=1 user:login:success=1]"},
				{"facets?q=actor:nobody&field=tag&interval=day", "0 tag[] day[]"},
				{"facets?field=severity&interval=day&after=2026-04-01", "3 severity[warn=3] day[2026-04-01=3]"},
				{"facets?field=country", "5 country[]"},
				{"histogram?interval=day", "5 day[2026-03-31=2 2026-04-01=3]"},
				{"histogram?interval=month&q=carol", "3 month[2026-04-01=3]"},
				{"histogram?q=carol+after:2026-04-01", "3 minute[2026-04-01=1 2026-04-01T00:01=1 2026-04-01T00:02=1]"},
				{"histogram", "5 hour[2026-03-31=2 2026-04-01=3]"},
				{"histogram?q=actor:nobody&interval=week", "0 week[]"},
			} {
				var got tally
				b.get("/v1/"+c.path, &got)
				if got.String() != c.want || !got.Complete || got.Behind != 0 {
					t.Errorf("%s counts %s, complete %t, behind %d; want %s", c.path, &got, got.Complete, got.Behind, c.want)
				}
			}
		}
		check()
		b.seal()
		check() // the same, wherever the events are
		b.stop()
	})
}

// TestValues checks what is offered to who types.
func TestValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		b.submit(published)
		for i, name := range []string{"bob", "barbara", "carol", "bob"} {
			b.submit(numbered(i, name))
		}
		b.settled()
		for path, want := range map[string]string{
			"field=actor":               "alice barbara bob carol",
			"field=actor&prefix=b":      "barbara bob",
			"field=actor&prefix=z":      "",
			"field=tag&prefix=project:": "project:release:add",
			"field=client":              "npm",
		} {
			var got struct{ Values []string }
			b.get("/v1/values?"+path, &got)
			if strings.Join(got.Values, " ") != want {
				t.Errorf("values of %s are %q, want %s", path, got.Values, want)
			}
		}
		var got struct{ Values []string }
		if b.get("/v1/values?field=actor&prefix=b&limit=1", &got); len(got.Values) != 1 || got.Values[0][0] != 'b' {
			t.Errorf("one value with b is %q", got.Values)
		}
		b.stop()
	})
}

// What is asked wrongly is refused with what would have been right: a number
// that answers another question is worse than none.
func TestCountRefusals(t *testing.T) {
	b := open(t, new(disk.Mem))
	var many strings.Builder
	for _, field := range store.Fields()[:store.MaxFields+1] {
		many.WriteString("&field=" + field)
	}
	for _, c := range []struct{ path, slug, says string }{
		{"count?q=tag:", "bad-query", "column 5"},
		{"count?limit=1", "bad-request", "no parameter"},
		{"count?budget=0s", "bad-request", "at most 30s"},
		{"count?budget=31s", "bad-request", "at most 30s"},
		{"count?budget=soon", "bad-request", "at most 30s"},
		{"count?q=a&q=b", "bad-request", "2 times"},
		{"count?after=yesterday", "bad-request", "after"},
		{"facets", "bad-request", "actor_type, class"},
		{"facets?field=colour", "bad-request", "actor_type, class"},
		{"facets?field=", "bad-request", "actor_type, class"},
		{"facets?field=tag&field=tag", "bad-request", "twice"},
		{"facets?" + many.String()[1:], "bad-request", "16 fields"},
		{"facets?field=tag&limit=1001", "bad-request", "1000 values of each field"},
		{"facets?field=tag&limit=0", "bad-request", "from 1 to 1000"},
		{"facets?field=tag&interval=fortnight", "bad-request", "auto, minute"},
		{"facets?field=tag&interval=", "bad-request", "auto, minute"},
		{"histogram?interval=Day", "bad-request", "auto, minute"},
		{"histogram?field=tag", "bad-request", "no parameter"},
		{"histogram?q=%zz", "bad-request", "malformed"},
		{"facets?field=%zz", "bad-request", "malformed"},
		{"values", "bad-request", "actor_type, class"},
		{"values?field=colour", "bad-request", "actor_type, class"},
		{"values?field=tag&limit=1001", "bad-request", "1000 values"},
		{"values?field=tag&q=x", "bad-request", "no parameter"},
		{"events?budget=1h", "bad-request", "at most 30s"},
		{"events?order=random", "bad-request", "newest or oldest"},
		{"events?limit=1001", "bad-request", "1000 events"},
	} {
		w := b.do(call{method: "GET", path: "/v1/" + c.path, scope: auth.Read})
		if got := decode[problem](t, w); w.Code != 400 || got.Type != "/problems/"+c.slug || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%.50q = %d %s, want 400 %s that says %q", c.path, w.Code, w.Body, c.slug, c.says)
		}
	}
}

// seal puts all events into segments, and waits until they are.
func (b *bench) seal() {
	b.t.Helper()
	if _, err := b.index.Seal(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if b.index.Sealed() != b.journal.Size() {
		b.t.Fatalf("%d of %d records are sealed", b.index.Sealed(), b.journal.Size())
	}
}

// taken waits until the store has taken in every record, outside of synctest.
func (b *bench) taken() {
	b.t.Helper()
	for b.index.Cursor() < b.journal.Size() {
		select {
		case <-time.After(time.Millisecond):
		case <-b.t.Context().Done():
			b.t.Fatal(b.t.Context().Err())
		}
	}
}

// An answer whose time is up says so; and pages that end early still show
// every event once.
func TestBudget(t *testing.T) {
	b := open(t, new(disk.Mem))
	var batch strings.Builder
	want := make([]string, 300)
	for i := range want {
		batch.WriteString(numbered(i, "alice") + "\n")
		want[i] = fmt.Sprint("n-", i)
	}
	b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: lines, body: batch.String()})
	b.taken()
	b.seal()
	for _, path := range []string{"count?", "histogram?interval=day&", "facets?field=tag&"} {
		var got tally
		if b.get("/v1/"+path+"budget=1ns", &got); got.Complete || got.Count != 0 {
			t.Errorf("%s in no time = %+v, want one that is not complete", path, got)
		}
		if b.get("/v1/"+path+"budget=30s", &got); !got.Complete || got.Count != 300 {
			t.Errorf("%s = %+v, want 300 events", path, got)
		}
	}
	var got []string
	early := 0
	for next := ""; ; {
		var p page
		b.get("/v1/events?order=oldest&limit=1000&budget=1ns&q=*lic*"+next, &p)
		for _, e := range p.Events {
			got = append(got, e.ID)
		}
		if p.Next == "" {
			break
		}
		if !p.Complete {
			early++
		}
		next = "&cursor=" + url.QueryEscape(p.Next)
	}
	if diff := cmp.Diff(want, got); diff != "" || early < 2 {
		t.Errorf("%d pages ended early, events (-there +shown):\n%s", early, diff)
	}
}

// An answer with a bucket for each minute of years helps nobody, and costs.
func TestTooManyBuckets(t *testing.T) {
	b := open(t, new(disk.Mem))
	var batch strings.Builder
	for i := range store.MaxBuckets + 1 {
		batch.WriteString(numbered(60*i, "alice") + "\n")
	}
	b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: lines, body: batch.String()})
	b.taken()
	w := b.do(call{method: "GET", path: "/v1/histogram?interval=minute", scope: auth.Read})
	if got := decode[problem](t, w); w.Code != 400 || got.Limit != "5000 buckets" || !strings.Contains(got.Detail, "5001") {
		t.Errorf("a bucket too many = %d %s, want 400 with the limit", w.Code, w.Body)
	}
	var got tally
	if b.get("/v1/histogram?interval=minute&q=before:2026-04-02", &got); len(got.Buckets) != 24*60 {
		t.Errorf("a day has %d minutes", len(got.Buckets))
	}
}

// TestLooked checks that a search says what it had to compare one by one, and
// that a cursor is of one order.
func TestLooked(t *testing.T) {
	b := open(t, new(disk.Mem))
	for i := range 5 {
		b.submit(numbered(i, "alice"))
	}
	b.taken()
	b.seal()
	var p struct {
		Looked int
		Next   string
	}
	if b.get("/v1/events?q=*lic*&limit=2", &p); p.Looked == 0 {
		t.Error("a search within words looked at nothing")
	}
	if w := b.do(call{method: "GET", path: "/v1/events?order=oldest&cursor=" + p.Next, scope: auth.Read}); w.Code != 400 {
		t.Errorf("a cursor in the other order = %d %s, want 400", w.Code, w.Body)
	}
	if b.get("/v1/events?q=actor:alice", &p); p.Looked != 0 {
		t.Errorf("a search by actor compared %d events one by one", p.Looked)
	}
}

// damagedPaths are answers that read all kinds of places of the files.
var damagedPaths = []string{
	"events?limit=1000", "events?q=word7&order=oldest", "count?q=carol7", "facets?field=actor&field=tag&interval=hour",
	"facets?field=project&q=-carol7", "histogram?interval=minute&q=*ord7*", "values?field=actor&limit=1000",
}

// A damaged file is named to whoever asks for what is in it: an answer without
// that would look like the whole. Each page of each file is damaged in turn.
func TestDamagedStore(t *testing.T) {
	fs := new(disk.Mem)
	b := open(t, fs)
	var batch strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&batch, `{"id":"n-%d","tag":"project:release:add","time":"2026-04-01T00:%02d:00Z","actor":{"type":"user","name":"carol%d"},`+
			`"subjects":[{"type":"project","name":"demo-%d"}],"reason":"word%d and %d","context":{"ip":"10.0.%d.%d"}}`+"\n", i, i%60, i%50, i%300, i%100, i*i, i%7, i%251)
	}
	if w := b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: lines, body: batch.String()}); w.Code != 201 {
		t.Fatalf("submit = %d %s", w.Code, w.Body)
	}
	b.taken()
	b.seal()
	whole := make(map[string]string)
	for _, path := range damagedPaths {
		whole[path] = b.do(call{method: "GET", path: "/v1/" + path, scope: auth.Read}).Body.String()
	}
	b.stop()
	names, err := sub(t, fs, "store").List()
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for _, name := range names {
		if strings.HasSuffix(name, ".json") {
			continue
		}
		for at := int64(100); at < b.size(name); at += 4 << 10 {
			fs.Flip("store/"+name, at, 3)
			damaged += b.askDamaged(name, whole)
			fs.Flip("store/"+name, at, 3)
		}
	}
	if damaged < len(damagedPaths) {
		t.Errorf("damage was in the way of %d answers, want some", damaged)
	}
}

// size returns how many bytes a file of the store has.
func (b *bench) size(name string) int64 {
	b.t.Helper()
	file, err := sub(b.t, b.fs, "store").OpenRead(name)
	if err != nil {
		b.t.Fatal(err)
	}
	size, err := file.Size()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.t.Fatal(err)
	}
	return size
}

// askDamaged opens the store anew and returns how many answers it refuses. The
// others must be whole.
func (b *bench) askDamaged(name string, whole map[string]string) (refused int) {
	b.t.Helper()
	again, err := store.Open(store.Config{Dir: sub(b.t, b.fs, "store"), Log: b.api.Log, Family: b.api.Catalogue.RetentionOf, Derive: b.index.Derive()})
	if err != nil {
		if !strings.Contains(err.Error(), name) {
			b.t.Errorf("Open with damage in %s = %v, want its name", name, err)
		}
		return 0
	}
	again.Connect(store.Parts{Journal: b.journal, Tree: b.tree})
	defer func() {
		if err := again.Close(); err != nil {
			b.t.Error(err)
		}
	}()
	b.api.Store, b.room.Store = again, again
	for path, want := range whole {
		w := b.do(call{method: "GET", path: "/v1/" + path, scope: auth.Read})
		if w.Code == 200 && w.Body.String() == want {
			continue
		}
		refused++
		got := decode[problem](b.t, w)
		if w.Code != 500 || got.Type != "/problems/damaged" || !strings.Contains(got.Detail, "store/"+name+":") || !strings.Contains(w.Body.String(), "custody fsck") {
			b.t.Errorf("%s with damage in %s = %d %.300s, want all, or 500 with the name of the file", path, name, w.Code, w.Body)
		}
	}
	return refused
}

// The document says what can be counted by; who writes a client relies on it.
func TestDocumentedFields(t *testing.T) {
	schema, _ := theDocument.at("components", "schemas", "Field")
	var documented []string
	for _, name := range schema["enum"].([]any) {
		documented = append(documented, name.(string))
	}
	if diff := cmp.Diff(store.Fields(), documented); diff != "" {
		t.Errorf("fields (-there +documented):\n%s", diff)
	}
}

// TestCountBehind checks that a count says what it could not count yet.
func TestCountBehind(t *testing.T) {
	fs := new(disk.Mem)
	full := open(t, fs)
	for i := range 3 {
		full.submit(numbered(i, "alice"))
	}
	full.stop()
	late := open(t, fs)
	late.stop() // before its index could take in anything, or after
	var got tally
	late.get("/v1/count", &got)
	if taken := late.index.Cursor(); journal.Seq(got.Count) != taken || journal.Seq(got.Behind) != 3-taken {
		t.Errorf("count is %d and behind %d, with %d of 3 taken in", got.Count, got.Behind, taken)
	}
}
