package gen_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/gen"
)

var start = time.Date(2026, 11, 2, 12, 30, 0, 0, time.UTC)

func load(t testing.TB) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A figure that changes because other events were measured says nothing.
func TestSameSeedSameEvents(t *testing.T) {
	c := load(t)
	one, two, other := gen.New(c, 7, start), gen.New(c, 7, start), gen.New(c, 8, start)
	for i := range 1000 {
		a, b, o := one.Append(nil), two.Append(nil), other.Append(nil)
		if !bytes.Equal(a, b) {
			t.Fatalf("event %d of the same seed is %s and %s", i, a, b)
		}
		if bytes.Equal(a, o) {
			t.Fatalf("event %d is the same for two seeds", i)
		}
	}
}

// The log must take what is made here, or a benchmark measures refusals.
func TestEventsAreValid(t *testing.T) {
	c := load(t)
	g := gen.New(c, 1, start)
	ids := make(map[string]bool, 40_000)
	tags := make(map[string]int)
	size, fields := 0, 0
	const n = 40_000
	for range n {
		data := g.Append(nil)
		f, err := event.Parse(data)
		if err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		tag := f.Text("tag")
		tags[tag]++
		for i := range f {
			if key, ok := bytes.CutPrefix([]byte(f[i].Name), []byte("metadata.")); ok {
				if err := c.CheckMetadata(tag, string(key), catalogue.Kind(f[i].Type)); err != nil {
					t.Fatalf("%v in %s", err, data)
				}
			}
		}
		if id := f.Text("id"); ids[id] || id != gen.ID(data) {
			t.Fatalf("ID %s is there twice, or not the one that gen.ID returns, %s", id, gen.ID(data))
		}
		ids[f.Text("id")] = true
		size += len(data)
		fields += len(f)
	}
	if mean := size / n; mean < 450 || mean > 550 {
		t.Errorf("an event has %d bytes on average, want about 500", mean)
	}
	if mean := fields / n; mean < 14 || mean > 24 {
		t.Errorf("an event has %d fields on average, want about 18", mean)
	}
	if len(tags) < 220 {
		t.Errorf("%d types of events in %d events, want nearly all that a registry may send", len(tags), n)
	}
}

// A tag that the catalogue does not have would never be made.
func TestFrequentTagsAreInTheCatalogue(t *testing.T) {
	c := load(t)
	for tag := range gen.Frequent {
		if _, ok := c.Lookup(tag); !ok {
			t.Errorf("%s is not in the catalogue", tag)
		}
	}
}

// Renumbered events must be new to the log, and otherwise the same.
func TestRenumber(t *testing.T) {
	c := load(t)
	data := gen.New(c, 3, start).Append(nil)
	before := bytes.Clone(data)
	seen := map[string]bool{gen.ID(data): true}
	for _, n := range []uint64{1, 15, 16, 1 << 32, 1<<48 - 1} {
		gen.Renumber(data, n)
		if seen[gen.ID(data)] {
			t.Errorf("number %d gives the ID %s again", n, gen.ID(data))
		}
		seen[gen.ID(data)] = true
		if _, err := event.Parse(data); err != nil {
			t.Errorf("event with number %d: %v", n, err)
		}
	}
	gen.Renumber(data, 0)
	if !bytes.Equal(data, before) {
		t.Errorf("the first event numbered 0 is %s, was %s", data, before)
	}
}

// Searches are only as hard as the popular are popular.
func TestFewAreInMost(t *testing.T) {
	g := gen.New(load(t), 1, start)
	users := make(map[string]int)
	const n = 20_000
	for range n {
		f, err := event.Parse(g.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		users[f.Text("actor.id")]++
	}
	most := 0
	for id, count := range users {
		if id != "" {
			most = max(most, count)
		}
	}
	if most < n/400 || len(users) < n/20 {
		t.Errorf("the busiest of %d users did %d of %d things", len(users), most, n)
	}
}

// Retention and the newest events of a project are measured over a year of
// events, in the order in which they happened.
func TestSpread(t *testing.T) {
	c := load(t)
	const n, span = 1000, 365 * 24 * time.Hour
	spread, dense := gen.Spread(c, 7, start, span, n), gen.New(c, 7, start)
	var first, last time.Time
	for i := range n {
		f, err := event.Parse(spread.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		at, _ := f.Get("time")
		if i == 0 {
			first = at.Time()
		} else if !at.Time().After(last) {
			t.Fatalf("event %d is of %s, after one of %s", i, at.Time(), last)
		}
		last = at.Time()
		other, err := event.Parse(dense.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if f.Text("tag") != other.Text("tag") || f.Text("actor.id") != other.Text("actor.id") {
			t.Fatalf("event %d differs from that of New in more than its time", i)
		}
	}
	if want := start.Add(span - span/n).Truncate(time.Millisecond); !first.Equal(start) || !last.Equal(want) {
		t.Errorf("events from %s to %s, want %s to %s", first, last, start, want)
	}
}

func BenchmarkAppend(b *testing.B) {
	g := gen.New(load(b), 1, start)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = g.Append(dst[:0])
	}
}

func BenchmarkRenumber(b *testing.B) {
	data := gen.New(load(b), 1, start).Append(nil)
	n := uint64(0)
	for b.Loop() {
		n++
		gen.Renumber(data, n)
	}
}
