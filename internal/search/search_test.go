package search_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/search"
	"github.com/custody-log/custody/internal/view"
)

var start = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

// A require is the part of testing.TB that rapid.T offers too.
type require interface {
	Fatalf(format string, args ...any)
}

// A shelf is a journal on a disk in memory, with its index.
type shelf struct {
	t       require
	journal *journal.Journal
	index   *search.Index
	events  []*event.Event // in the order of the journal
	stop    func()
}

func open(t require) *shelf {
	files, err := journal.OpenFiles(new(disk.Mem))
	if err != nil {
		t.Fatalf("OpenFiles: %v", err)
	}
	s := &shelf{t: t, journal: journal.New(files)}
	s.index = search.New(s.journal)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.journal.Run(ctx) }()
	s.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Fatalf("Run: %v", err)
		}
	}
	return s
}

// record returns the record of e.
func record(t require, e *event.Event) []byte {
	var parser event.Parser
	bare := *e
	bare.Source = ""
	if e.Source != "" {
		parser.Added = event.Fields{event.StringField("source", e.Source)}
	}
	data, err := json.Marshal(&bare)
	if err != nil {
		t.Fatalf("Marshal: %v", err)
	}
	fields, err := parser.Parse(data)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	body, _ := event.AppendRecord(nil, fields, new(event.Secrets))
	return body
}

// add appends events and lets the index take them in.
func (s *shelf) add(events ...*event.Event) {
	s.append(events...)
	for s.index.Cursor() < s.journal.Size() {
		records, err := s.journal.Read(s.index.Cursor(), 300)
		if err == nil {
			err = s.index.Apply(context.Background(), records)
		}
		if err != nil {
			s.t.Fatalf("take in records: %v", err)
		}
	}
}

func (s *shelf) append(events ...*event.Event) {
	for chunk := range slices.Chunk(events, 1000) {
		var bodies [][]byte
		for _, e := range chunk {
			bodies = append(bodies, record(s.t, e))
		}
		if _, err := s.journal.Append(context.Background(), bodies...); err != nil {
			s.t.Fatalf("Append: %v", err)
		}
	}
	s.events = append(s.events, events...)
}

// all returns the positions of all events that are found, page by page.
func (s *shelf) all(text string, limit int, between func()) []int {
	var found []int
	var after *search.Cursor
	for {
		a, err := s.index.Search(context.Background(), search.Request{Query: s.parse(text), After: after, Limit: limit})
		if err != nil {
			s.t.Fatalf("Search(%q): %v", text, err)
		}
		if a.Complete && a.Next != nil && len(a.Found) < limit {
			s.t.Fatalf("Search(%q) gives %d events of %d and a cursor", text, len(a.Found), limit)
		}
		for _, f := range a.Found {
			found = append(found, int(f.Seq))
		}
		if a.Next == nil {
			return found
		}
		if after, err = search.ParseCursor(a.Next.String()); err != nil {
			s.t.Fatalf("ParseCursor(%q): %v", a.Next, err)
		}
		between()
	}
}

func (s *shelf) parse(text string) *query.Query {
	q, err := query.Parse(text, start)
	if err != nil {
		s.t.Fatalf("Parse(%q): %v", text, err)
	}
	return q
}

// expect returns the positions of the events that match by the plain reading
// of the query, among the first n, in the order of answers.
func (s *shelf) expect(text string, n int) []int {
	var found []int
	for i, e := range s.events[:n] {
		if plainly(e, text) {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b int) int {
		return cmp.Or(s.events[b].Time.Compare(s.events[a].Time), cmp.Compare(b, a))
	})
	return found
}

// plainly says whether e matches a query, by looking at all of e. It knows the
// terms that randomQuery makes.
func plainly(e *event.Event, text string) bool {
	for term := range strings.FieldsSeq(text) {
		kind, value, ok := strings.Cut(term, ":")
		if !ok {
			kind, value = "text", term
		}
		if !plainTerm(e, kind, value) {
			return false
		}
	}
	return true
}

func plainTerm(e *event.Event, kind, value string) bool {
	switch kind {
	case "tag":
		prefix, isPrefix := strings.CutSuffix(value, "*")
		return e.Tag == value || isPrefix && strings.HasPrefix(e.Tag, prefix)
	case "actor":
		return e.Actor.ID == value || e.Actor.Name == value
	case "project":
		return slices.ContainsFunc(e.Subjects, func(s event.Subject) bool {
			if s.Type == "user" {
				return false
			}
			bare, _, _ := strings.Cut(s.ID, "@")
			return s.Name == value || s.ID == value || bare == value || bare == "pkg:npm/"+value
		})
	case "ip":
		if e.Context.IP == "" {
			return false
		}
		ip := netip.MustParseAddr(e.Context.IP)
		if p, err := netip.ParsePrefix(value); err == nil {
			return p.Contains(ip)
		}
		return ip == netip.MustParseAddr(value)
	case "token":
		return e.Credential.ID == value
	case "source":
		return e.Source == value
	case "outcome":
		return string(e.Outcome) == value
	case "after", "before":
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			panic(err)
		}
		return (kind == "before") == e.Time.Before(at)
	}
	return strings.Contains(strings.ToLower(e.Reason), strings.ToLower(value)) ||
		strings.Contains(strings.ToLower(e.Tag), strings.ToLower(value))
}

// A draw picks one of n.
type draw func(n int) int

func pick[T any](d draw, list ...T) T { return list[d(len(list))] }

// randomEvent returns one of not very many events, so that queries find some.
func randomEvent(d draw, i int) *event.Event {
	name := pick(d, "left-pad", "right-pad", "@demo/pkg")
	e := &event.Event{
		ID:       fmt.Sprint(i),
		Tag:      pick(d, "project:release:add", "project:release:yank", "project:create", "user:login:success"),
		Time:     start.Add(time.Duration(d(100)) * time.Minute),
		Outcome:  pick(d, event.Success, event.Failure, event.Denied),
		Actor:    event.Party{Type: "user", ID: pick(d, "", "u1", "u2"), Name: pick(d, "alice", "bob", "u1")},
		Subjects: []event.Subject{{Type: pick(d, "project", "version", "user"), ID: pick(d, "", "pkg:npm/"+name, "pkg:npm/left-pad@1.0"), Name: pick(d, "", name)}},
		Source:   pick(d, "", "registry", "proxy"),
		Reason:   pick(d, "", "Because of THIS", "that", "ÜBER this"),
	}
	e.Credential.ID = pick(d, "", "t1", "t2")
	e.Context.IP = pick(d, "", "203.0.113.9", "203.0.113.77", "198.51.100.1", "2001:db8::1", "2001:db8:1::1")
	if strings.HasPrefix(e.Subjects[0].Name, "@") || strings.Contains(e.Subjects[0].ID, "@demo") {
		e.Subjects[0].ID = "" // the plain reading knows no scopes
	}
	return e
}

func randomQuery(d draw) string {
	var terms []string
	for range d(4) {
		terms = append(terms, pick(d,
			"tag:project:release:add", "tag:project:release:*", "tag:project:*", "tag:*", "tag:user:*", "tag:org:*",
			"actor:alice", "actor:u1", "actor:nobody", "project:left-pad", "project:pkg:npm/left-pad", "project:@demo/pkg",
			"project:pkg:npm/left-pad@1.0", "project:pad", "ip:203.0.113.9", "ip:203.0.113.0/24", "ip:0.0.0.0/1", "ip:2001:db8::/47",
			"ip:2001:db8::/32", "token:t1", "token:t3", "source:registry", "source:proxy", "outcome:denied", "outcome:success",
			"after:"+start.Add(time.Duration(d(100))*time.Minute).Format(time.RFC3339),
			"before:"+start.Add(time.Duration(d(100))*time.Minute).Format(time.RFC3339),
			"this", "THAT", "über", "Release", "nothing",
		))
	}
	return strings.Join(terms, " ")
}

// TestSearch compares answers with those of looking at every event, and lets
// events arrive while pages are turned: what was there at the start is found
// once each, in order.
func TestSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }
		s := open(t)
		defer s.stop()
		more := func() {
			for range d(5) {
				s.add(randomEvent(d, len(s.events)))
			}
		}
		for range 5 {
			more()
		}
		text := randomQuery(d)
		there := len(s.events)
		want := s.expect(text, there)
		all := s.all(text, 1+d(4), more)
		if !slices.Equal(all, s.distinctInOrder(all)) {
			t.Fatalf("%q gives %v: repeated, or out of order", text, all)
		}
		old := slices.DeleteFunc(all, func(seq int) bool { return seq >= there })
		if diff := gocmp.Diff(want, old, nilIsEmpty); diff != "" {
			t.Fatalf("%q (-by looking at all +found):\n%s", text, diff)
		}
	})
}

// nilIsEmpty makes no difference between no list and a list of none.
var nilIsEmpty = gocmp.Transformer("len", func(s []int) []int { return append([]int{}, s...) })

// distinctInOrder returns positions without repetitions in the order of answers.
func (s *shelf) distinctInOrder(seqs []int) []int {
	list := slices.Clone(seqs)
	slices.Sort(list)
	list = slices.Compact(list)
	slices.SortStableFunc(list, func(a, b int) int {
		return cmp.Or(s.events[b].Time.Compare(s.events[a].Time), cmp.Compare(b, a))
	})
	if list == nil {
		return seqs
	}
	return list
}

// TestManyBlocks is [TestSearch] over many blocks, with times in any relation
// to the order of the journal.
func TestManyBlocks(t *testing.T) {
	const block = 4096
	for _, c := range []struct {
		name   string
		blocks int
		at     func(i int) int // when event i happened
	}{
		{"as they happened", 11, func(i int) int { return i }},
		{"backwards", 3, func(i int) int { return -i }},
		{"in any order", 3, func(i int) int { return i * 7919 % 12289 }},
		{"in any order, many at one time", 3, func(i int) int { return i * 7919 % 12289 / 500 }},
		{"all at once", 3, func(int) int { return 0 }},
		{"blocks in another order", 3, func(i int) int { return i%block + []int{2, 0, 1, 3}[i/block]*block }},
	} {
		t.Run(c.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			s := open(t)
			defer s.stop()
			var events []*event.Event
			for i := range c.blocks*block + 17 {
				e := randomEvent(random.IntN, i)
				e.Time = start.Add(time.Duration(c.at(i)) * 10 * time.Millisecond)
				if i%3 > 0 { // many addresses, of which ranges are made
					e.Context.IP = netip.AddrFrom4([4]byte{byte(random.IntN(64)), 0, byte(random.IntN(256)), 1}).String()
				}
				events = append(events, e)
			}
			s.add(events...)
			queries := []string{"", "ip:7.0.0.0/8", "ip:0.0.0.0/2 token:t2 actor:bob source:proxy project:@demo/pkg"}
			for range 60 / c.blocks {
				queries = append(queries, randomQuery(random.IntN))
			}
			for _, text := range queries {
				if diff := gocmp.Diff(s.expect(text, len(events)), s.all(text, 1000, func() {}), nilIsEmpty); diff != "" {
					t.Fatalf("%q (-by looking at all +found):\n%.2000s", text, diff)
				}
			}
		})
	}
}

// TestReadsOnlyMatches checks that the index alone decides all but text: a
// search by name that read the whole journal would be right, and of no use.
func TestReadsOnlyMatches(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	s := open(t)
	defer s.stop()
	for i := range 5000 {
		s.append(randomEvent(random.IntN, i))
	}
	s.add()
	for range 200 {
		text := randomQuery(random.IntN)
		q := s.parse(text)
		if slices.ContainsFunc(q.Terms(), func(t *query.Term) bool { return t.Kind == query.Text }) {
			continue
		}
		a, err := s.index.Search(t.Context(), search.Request{Query: q, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if a.Read > len(a.Found)+1 {
			t.Errorf("%q read %d records to find %d events", text, a.Read, len(a.Found))
		}
	}
}

// TestLimits checks that a search that finds too little in too much says so,
// and finds the rest when it goes on.
func TestLimits(t *testing.T) {
	s := open(t)
	defer s.stop()
	random := rand.New(rand.NewPCG(5, 6))
	var events []*event.Event
	for i := range search.MaxRecordsRead + 5000 {
		e := randomEvent(random.IntN, i)
		e.Time = start.Add(time.Duration(i) * time.Millisecond)
		e.Reason = ""
		events = append(events, e)
	}
	events[10].Reason = "the one that is sought"
	s.add(events...)
	a, err := s.index.Search(t.Context(), search.Request{Query: s.parse("sought"), Limit: 5})
	if err != nil {
		t.Fatal(err)
	}
	if a.Complete || len(a.Found) != 0 || a.Next == nil || a.Read != search.MaxRecordsRead {
		t.Fatalf("first answer: complete %t, %d found, next %v, %d read; want nothing yet after %d", a.Complete, len(a.Found), a.Next, a.Read, search.MaxRecordsRead)
	}
	a, err = s.index.Search(t.Context(), search.Request{Query: s.parse("sought"), Limit: 5, After: a.Next})
	if err != nil {
		t.Fatal(err)
	}
	if !a.Complete || len(a.Found) != 1 || a.Found[0].Seq != 10 || a.Next != nil || a.Read != 5000 {
		t.Errorf("second answer: complete %t, found %v, next %v, %d read; want event 10 and the end", a.Complete, a.Found, a.Next, a.Read)
	}
}

// TestBytesLimit is [TestLimits] for large records.
func TestBytesLimit(t *testing.T) {
	s := open(t)
	defer s.stop()
	var events []*event.Event
	for i := range 1000 {
		e := randomEvent(func(int) int { return 0 }, i)
		e.Metadata = map[string]any{"a": strings.Repeat("x", 15<<10), "b": strings.Repeat("y", 15<<10), "c": strings.Repeat("z", 15<<10)}
		events = append(events, e)
	}
	for chunk := range slices.Chunk(events, 100) {
		s.add(chunk...)
	}
	a, err := s.index.Search(t.Context(), search.Request{Query: s.parse("sought"), Limit: 5})
	if err != nil {
		t.Fatal(err)
	}
	if size := a.Read * 45 << 10; a.Complete || a.Next == nil || size < search.MaxBytesRead/2 || size > 2*search.MaxBytesRead {
		t.Errorf("complete %t, next %v, %d records of 45 KiB read; want to stop near %d bytes", a.Complete, a.Next, a.Read, search.MaxBytesRead)
	}
}

// TestFindable checks that an event is found within a second of being durable.
func TestFindable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- view.Follow(ctx, slog.New(slog.DiscardHandler), s.journal, s.index) }()
		random := rand.New(rand.NewPCG(7, 8))
		for i := range 50 {
			e := randomEvent(random.IntN, i)
			e.Actor.Name = fmt.Sprint("user-", i)
			s.append(e)
			time.Sleep(time.Second)
			if found := s.all("actor:"+e.Actor.Name, 10, func() {}); !slices.Equal(found, []int{i}) {
				t.Fatalf("a second after event %d, %v are found", i, found)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Follow: %v", err)
		}
		s.stop()
	})
}

// TestCursor checks that only what was given out is taken as a cursor.
func TestCursor(t *testing.T) {
	for _, text := range []string{"", "x", "AAAA", strings.Repeat("A", 23), strings.Repeat("_", 23), "!"} {
		if c, err := search.ParseCursor(text); err == nil {
			t.Errorf("ParseCursor(%q) = %v, want an error", text, c)
		}
	}
}
