package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/store"
)

// A plain store is one without limits, over a journal that grows.
func plainStore(t *testing.T, n int, set func(*store.Config)) (*store.Store, *partJournal) {
	t.Helper()
	cfg := store.Config{Dir: new(disk.Mem), Log: slog.New(slog.DiscardHandler), Family: familyOf, SealRows: 1 << 20}
	if set != nil {
		set(&cfg)
	}
	s, err := store.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	j := &partJournal{memory: plainJournal(n)}
	s.Connect(store.Parts{Journal: j, Tail: j, Tree: j.memory})
	return s, j
}

// feedTo applies the records before n.
func feedTo(t *testing.T, s *store.Store, j *partJournal, n journal.Seq) {
	t.Helper()
	if err := s.Apply(context.Background(), j.records[s.Cursor():n]); err != nil {
		t.Fatal(err)
	}
}

// sealNow seals what was applied.
func sealNow(t *testing.T, s *store.Store, j *partJournal) {
	t.Helper()
	whole := j.records
	defer func() { j.records = whole }()
	j.records = whole[:s.Cursor()]
	if _, err := s.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestPagesWhileTheStoreMoves turns pages while records arrive, are sealed and
// merged. Who exports page by page must have each event once.
func TestPagesWhileTheStoreMoves(t *testing.T) {
	for _, oldest := range []bool{false, true} {
		t.Run(fmt.Sprintf("oldest %t", oldest), func(t *testing.T) {
			s, j := plainStore(t, 120, nil)
			feedTo(t, s, j, 40)
			sealNow(t, s, j)
			feedTo(t, s, j, 60)
			begun := s.Cursor()
			seen := map[journal.Seq]int{}
			var last time.Time
			r := store.Request{Query: parse(t, ""), Oldest: oldest, Limit: 3}
			for page := 0; ; page++ {
				a, err := s.Search(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range a.Found {
					seen[f.Seq]++
					at := timeOf(f.Record)
					if !last.IsZero() && (oldest && at.Before(last) || !oldest && at.After(last)) {
						t.Fatalf("record %d of %s comes after one of %s", f.Seq, at, last)
					}
					last = at
				}
				if a.Next == nil {
					break
				}
				if r.After, err = store.ParseCursor(a.Next.String()); err != nil {
					t.Fatal(err)
				}
				if s.Cursor() < j.Size() {
					feedTo(t, s, j, min(j.Size(), s.Cursor()+4))
				}
				switch page % 4 {
				case 1:
					sealNow(t, s, j)
				case 3:
					if err := s.Tidy(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			for seq := range begun {
				if seen[seq] != 1 {
					t.Errorf("record %d is on %d pages", seq, seen[seq])
				}
			}
			for seq, n := range seen {
				if n != 1 {
					t.Errorf("record %d is on %d pages", seq, n)
				}
			}
		})
	}
}

// TestCursorsOfOthers lists what is no cursor of a search.
func TestCursorsOfOthers(t *testing.T) {
	s, j := plainStore(t, 10, nil)
	feedTo(t, s, j, 10)
	a, err := s.Search(t.Context(), store.Request{Query: parse(t, ""), Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Search(t.Context(), store.Request{Query: parse(t, ""), Limit: 2, Oldest: true, After: a.Next}); err == nil {
		t.Error("a cursor of the other order was taken")
	}
	for _, text := range []string{"", "A", "AAAA", a.Next.String() + "A", a.Next.String()[1:], a.Next.String() + "=", "!!!!"} {
		if _, err := store.ParseCursor(text); err == nil {
			t.Errorf("%q was taken for a cursor", text)
		}
	}
}

// A clock goes on by a step each time it is asked.
type clock struct {
	mu   sync.Mutex // counting asks from several goroutines
	now  time.Time
	step time.Duration
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.step)
	return c.now
}

// TestTimeIsUp gives searches so little time that they end early, over and over.
// Their cursors must lead to the whole answer all the same, also where there is
// nothing to be found in many segments: or somebody who pages never gets to the
// end.
func TestTimeIsUp(t *testing.T) {
	const n = 200
	s, j := plainStore(t, n, nil)
	c := &clock{now: start}
	s.SetNow(c.time)
	for next := journal.Seq(4); next <= n; next += 4 { // two segments each
		feedTo(t, s, j, next)
		if next <= 180 {
			sealNow(t, s, j)
		}
	}
	for _, text := range []string{"", "actor:alice", "-tag:user:login", "*ali*", "nobody", "actor:nobody", "project:create bob"} {
		for _, oldest := range []bool{false, true} {
			c.step = 0
			var want []journal.Seq
			r := store.Request{Query: parse(t, text), Oldest: oldest, Limit: 1000}
			a, err := s.Search(t.Context(), r)
			if err != nil || !a.Complete || a.Next != nil {
				t.Fatalf("%s: complete %t, next %v, %v", text, a.Complete, a.Next, err)
			}
			for _, f := range a.Found {
				want = append(want, f.Seq)
			}
			c.step, r.Budget = time.Second, time.Millisecond
			var got []journal.Seq
			early := 0
			for pages := 0; ; pages++ {
				a, err := s.Search(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range a.Found {
					got = append(got, f.Seq)
				}
				if !a.Complete {
					early++
				}
				if !a.Complete && a.Next == nil {
					t.Fatalf("%s: an incomplete answer has no cursor", text)
				}
				if r.After = a.Next; r.After == nil {
					break
				}
				if pages > n {
					t.Fatalf("%s, oldest %t: after %d pages there is no end", text, oldest, pages)
				}
			}
			if early == 0 && len(want) > 64 {
				t.Errorf("%s: no answer ended early", text)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, oldest %t: %d events page by page, want %d", text, oldest, len(got), len(want))
			}
		}
	}
	c.step = time.Second
	count, err := s.Count(t.Context(), store.CountRequest{Query: parse(t, "*ali*"), Budget: time.Millisecond, Values: 1})
	if err != nil || count.Complete {
		t.Errorf("a count without time is complete: %t, %v", count.Complete, err)
	}
}

// TestLookupsOfDamage damages the files of a store that is open, and asks.
// Answers without the damaged rows would look complete.
func TestLookupsOfDamage(t *testing.T) {
	dir := new(disk.Mem)
	s, j := plainStore(t, 300, func(c *store.Config) { c.Dir, c.CacheBytes = dir, 1 })
	feedTo(t, s, j, 300)
	sealNow(t, s, j)
	for _, name := range s.Files() {
		if name == "manifest.json" {
			continue
		}
		for offset := range int64(10) {
			dir.Flip(name, 100*offset, 5)
		}
	}
	for _, text := range []string{"", "actor:alice", "tag:user:login"} {
		if a, err := s.Search(t.Context(), store.Request{Query: parse(t, text), Limit: 1000}); err == nil {
			t.Errorf("%s: %d events were found in damaged files", text, len(a.Found))
		}
		n, err := s.Count(t.Context(), store.CountRequest{Query: parse(t, text), Fields: store.Fields(), Values: 10, Interval: store.Day})
		if err == nil {
			t.Errorf("%s: %d events were counted in damaged files", text, n.Events)
		}
	}
	if _, err := s.Read(0, 300); err == nil {
		t.Error("damaged records were read")
	}
}

// count returns how many events match.
func count(t *testing.T, s *store.Store, text string, fields ...string) *store.Count {
	t.Helper()
	n, err := s.Count(t.Context(), store.CountRequest{Query: parse(t, text), Fields: fields, Values: 100, Budget: time.Hour})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return n
}

// TestLimitsWithoutPurge asks at many times, before and after what is past its
// time was removed. Who is asked whether somebody did something must not answer
// by when a job last ran.
func TestLimitsWithoutPurge(t *testing.T) {
	const n = 60
	now := start
	held := func(f event.Fields) bool { return f.Text("id") == "event-8" || f.Text("id") == "event-13" }
	days := []int{0, 2, 10, 11, 12, 13, 99, 101, 103, 400}
	if testing.Short() {
		days = []int{11, 101}
	}
	for _, holds := range []bool{false, true} {
		for _, days := range days {
			t.Run(fmt.Sprintf("day %d, holds %t", days, holds), func(t *testing.T) {
				now = start
				s, j := plainStore(t, n, func(c *store.Config) {
					c.Limit = limitOf
					if holds {
						c.Held = func() func(event.Fields) bool { return held }
					}
				})
				s.SetNow(func() time.Time { return now })
				for next := journal.Seq(10); next <= n-10; next += 10 {
					feedTo(t, s, j, next)
					sealNow(t, s, j)
				}
				feedTo(t, s, j, n)
				now = start.AddDate(0, 0, days).Add(20 * time.Hour)
				before := answers(t, s)
				want := expected(t, j, now, holds, held)
				if before[""] != want {
					t.Errorf("found %s, want %s", before[""], want)
				}
				if _, err := s.Purge(t.Context()); err != nil {
					t.Fatal(err)
				}
				for text, a := range answers(t, s) {
					if a != before[text] {
						t.Errorf("%s: before the purge %s, after it %s", text, before[text], a)
					}
				}
				sealNow(t, s, j)
				if _, err := s.Purge(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := s.Tidy(t.Context()); err != nil {
					t.Fatal(err)
				}
				for text, a := range answers(t, s) {
					if a != before[text] {
						t.Errorf("%s: before the purge %s, at last %s", text, before[text], a)
					}
				}
			})
		}
	}
}

// answers returns what a store says to some questions.
func answers(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, text := range []string{
		"", "actor:alice", "user:alice", "-actor:alice", "alice", "*lic*", "-alice tag:user:*", "NOT (actor:bob OR tag:project:*)",
		"actor:b*", "tag:project:create", "(actor:alice OR tag:project:create) -actor:bob",
	} {
		a, err := s.Search(t.Context(), store.Request{Query: parse(t, text), Limit: 1000})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var said strings.Builder
		for _, f := range a.Found {
			fmt.Fprintf(&said, "%d", f.Seq)
			if f.Record.Fields[0].Erased {
				said.WriteString("-")
			}
			said.WriteString(" ")
			if err := f.Record.Verify(); err != nil {
				t.Errorf("record %d: %v", f.Seq, err)
			}
		}
		all[text] = said.String()
		n := count(t, s, text, "actor", "tag", "class")
		if n.Events != int64(len(a.Found)) {
			t.Errorf("%s: %d events were counted, %d found", text, n.Events, len(a.Found))
		}
		all["count "+text] = fmt.Sprint(n.Events, n.Fields)
	}
	names, err := s.Values(context.Background(), "actor", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	all["values"] = fmt.Sprint(names)
	return all
}

// expected says which events there are at a time, newest first, and which
// without their personal fields.
func expected(t *testing.T, j *partJournal, now time.Time, holds bool, held func(event.Fields) bool) string {
	t.Helper()
	type found struct {
		seq  int
		at   time.Time
		text string
	}
	var list []found
	for i, r := range j.records {
		record, err := event.DecodeRecord(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		f := found{i, timeOf(record), fmt.Sprintf("%d ", i)}
		if !holds || !held(record.Open()) {
			events, personal := limitOf(familyOf(textOf(record, "tag")), now)
			if f.at.Before(events) {
				continue
			}
			if f.at.Before(personal) {
				f.text = fmt.Sprintf("%d- ", i)
			}
		}
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b found) int {
		if c := b.at.Compare(a.at); c != 0 {
			return c
		}
		return b.seq - a.seq
	})
	var all strings.Builder
	for _, f := range list {
		all.WriteString(f.text)
	}
	return all.String()
}

// TestFarTimes asks at the ends of time.
func TestFarTimes(t *testing.T) {
	s, j := plainStore(t, 0, nil)
	for i, micros := range []int64{0, 1, math.MaxInt32, 253402300799999999, 0} {
		j.records = append(j.records, journal.Record{Seq: j.Size(), Body: plainRecord(i, time.UnixMicro(micros), "user:login", "alice")})
	}
	feedTo(t, s, j, 5)
	sealNow(t, s, j)
	a, err := s.Search(t.Context(), store.Request{Query: parse(t, "actor:alice"), Limit: 10})
	if err != nil || len(a.Found) != 5 || a.Found[0].Seq != 3 || a.Found[4].Seq != 0 || a.Found[3].Seq != 4 {
		t.Errorf("found %v, %v", a.Found, err)
	}
	for _, i := range []store.Interval{store.Minute, store.Hour, store.Day, store.Week, store.Month, store.Year, store.Automatic} {
		n, err := s.Count(t.Context(), store.CountRequest{Query: parse(t, ""), Interval: i})
		if err != nil || n.Events != 5 {
			t.Errorf("%s: %+v, %v", i, n, err)
		}
	}
}
