package differ

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

var (
	seed    = flag.Uint64("seed", 0, "of events and queries; 0 for another each time")
	queries = flag.Int("queries", 320, "how many")
)

// A log is a journal in memory, and its commitments.
type log []journal.Record

func (l log) Size() journal.Seq { return journal.Seq(len(l)) }

func (l log) Read(from journal.Seq, limit int) ([]journal.Record, error) {
	return l[min(from, l.Size()):min(from+journal.Seq(limit), l.Size())], nil
}

func (l log) Commitments(from journal.Seq, n int, dst []event.Commitment) ([]event.Commitment, error) {
	for _, r := range l[from : from+journal.Seq(n)] {
		c, err := event.StoredCommitment(r.Body)
		if err != nil {
			return nil, err
		}
		dst = append(dst, c)
	}
	return dst, nil
}

// filled returns a store of events, some of them sealed, some merged, some in
// memory.
func filled(t *testing.T, list [][]byte, c *catalogue.Catalogue) *store.Store {
	t.Helper()
	s, err := store.Open(store.Config{
		Dir: new(disk.Mem), Log: slog.New(slog.DiscardHandler), SealRows: len(list) / 11,
		Family: func(tag string) string { return c.RetentionOf(tag) },
		Derive: &query.Derive{Severity: func(tag string) string { return string(c.SeverityOf(tag)) }, Country: countryOf},
	})
	if err != nil {
		t.Fatal(err)
	}
	all := recorded(t, list, s.OpenKey())
	s.Connect(store.Parts{Journal: all, Tree: all})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Error(err)
		}
	})
	for s.Cursor() < all.Size() {
		some, _ := all.Read(s.Cursor(), 100)
		if err := s.Apply(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// recorded returns the records of events, of which about half of what says
// something about people is personal.
func recorded(t *testing.T, list [][]byte, key [16]byte) log {
	t.Helper()
	var all log
	var p event.Parser
	p.Added = []event.Field{event.StringField("source", "registry"), event.StringField("trust", "witnessed")}
	for i, data := range list {
		f, err := p.Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		for k := range f {
			top, rest, _ := strings.Cut(f[k].Name, ".")
			switch top {
			case "actor", "on_behalf_of", "credential":
				f[k].Private = rest != "type" && rest != "kind" && rest != "mfa" && i%3 > 0
			case "context", "reason", "metadata", "changes":
				f[k].Private = rest != "origin" && i%4 > 1
			case "subjects":
				f[k].Private = !strings.HasSuffix(rest, ".type") && f.Text("subjects."+rest[:strings.IndexByte(rest, '.')]+".type") == "user"
			}
		}
		secrets := event.Secrets{Open: event.OpenSecret(&key, "registry", f.Text("id"))}
		binary.LittleEndian.PutUint64(secrets.Private[:], uint64(i)+1)
		body, _ := event.AppendRecord(nil, f, &secrets)
		all = append(all, journal.Record{Seq: journal.Seq(i), Body: body})
	}
	return all
}

// TestAgainstSQLite compares answers, their order, counts, facets and
// histograms.
func TestAgainstSQLite(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 1))
	n := 3000
	if testing.Short() {
		n, *queries = 1000, min(*queries, 120)
	}
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	list := events(t, c, random, n)
	d := &drawing{newTables(t, list, c), random}
	s := filled(t, list, c)
	asked, found, refused := 0, 0, 0
	for asked < *queries {
		cond := d.node(random.IntN(4))
		q, err := query.Parse(cond.text, start)
		if err != nil {
			if refused++; refused > *queries {
				t.Fatalf("%s: %v", cond.text, err)
			}
			continue
		}
		asked++
		found += compare(t, s, d, q, cond, asked)
		if t.Failed() && random.IntN(5) == 0 { // a few are enough
			break
		}
	}
	t.Logf("%d queries over %d events found %d in the mean; %d were refused", asked, n, found/asked, refused)
}

// compare asks both for one condition and returns how many events they found.
func compare(t *testing.T, s *store.Store, d *drawing, q *query.Query, cond condition, number int) int {
	t.Helper()
	oldest := number%2 == 0
	order := "micros DESC, seq DESC"
	if oldest {
		order = "micros, seq"
	}
	d.do(t, "DELETE FROM hits")
	d.do(t, "INSERT INTO hits SELECT seq FROM events e WHERE "+cond.sql, cond.args...)
	want := strings.Join(d.ask(t, "SELECT seq FROM hits JOIN events USING (seq) ORDER BY "+order), " ")
	var seqs []string
	for r := (store.Request{Query: q, Oldest: oldest, Limit: 1 + d.IntN(store.MaxFound), Budget: time.Minute}); ; {
		a, err := s.Search(t.Context(), r)
		if err != nil {
			t.Fatalf("%s: %v", cond, err)
		}
		for _, f := range a.Found {
			seqs = append(seqs, fmt.Sprint(f.Seq))
		}
		if r.After = a.Next; r.After == nil {
			break
		}
	}
	if got := strings.Join(seqs, " "); got != want {
		t.Errorf("%s\nfound %.300s\nwant  %.300s", cond, got, want)
		return len(seqs)
	}
	compareCounts(t, s, d, q, cond, len(seqs))
	return len(seqs)
}

// lengths are how SQLite finds the beginning of an interval.
var lengths = map[store.Interval]string{
	store.Minute: "micros/60000000*60", store.Hour: "micros/3600000000*3600", store.Day: "micros/86400000000*86400",
	store.Week:  "unixepoch(micros/1000000, 'unixepoch', 'start of day', '-' || ((strftime('%w', micros/1000000, 'unixepoch') + 6) % 7) || ' days')",
	store.Month: "unixepoch(micros/1000000, 'unixepoch', 'start of month')",
	store.Year:  "unixepoch(micros/1000000, 'unixepoch', 'start of year')",
}

func compareCounts(t *testing.T, s *store.Store, d *drawing, q *query.Query, cond condition, events int) {
	t.Helper()
	intervals := []store.Interval{store.Minute, store.Hour, store.Day, store.Week, store.Month, store.Year}
	r := store.CountRequest{Query: q, Values: 1 + d.IntN(store.MaxValues), Interval: intervals[d.IntN(len(intervals))], Budget: time.Minute}
	all := store.Fields()
	for range 5 {
		if name := one(all, d.Rand); !slices.Contains(r.Fields, name) {
			r.Fields = append(r.Fields, name)
		}
	}
	n, err := s.Count(t.Context(), r)
	if err != nil {
		t.Fatalf("%s: %v", cond, err)
	}
	if n.Events != int64(events) || !n.Complete {
		t.Errorf("%s\ncounted %d of %d, complete %t", cond, n.Events, events, n.Complete)
	}
	for _, name := range r.Fields {
		var got []string
		for _, v := range n.Fields[name] {
			got = append(got, fmt.Sprintf("%d %s", v.Count, v.Value))
		}
		want := d.ask(t, "SELECT count(*) || ' ' || CAST(value AS TEXT) FROM facets JOIN hits USING (seq) WHERE field = ? "+
			"GROUP BY value ORDER BY count(*) DESC, value LIMIT ?", name, r.Values)
		if !slices.Equal(got, want) {
			t.Errorf("%s\n%s counted %.300q\nwant %.300q", cond, name, got, want)
		}
	}
	var got []string
	for _, b := range n.Buckets {
		got = append(got, fmt.Sprintf("%d %d", b.Time.Unix(), b.Count))
	}
	at := lengths[r.Interval]
	want := d.ask(t, "SELECT ("+at+") || ' ' || count(*) FROM hits JOIN events USING (seq) GROUP BY "+at+" ORDER BY "+at)
	if !slices.Equal(got, want) {
		t.Errorf("%s\nby %s counted %.300q\nwant %.300q", cond, r.Interval, got, want)
	}
}

func (d *drawing) do(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := d.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// ask returns the only column of an answer as texts.
func (d *drawing) ask(t *testing.T, statement string, args ...any) (list []string) {
	t.Helper()
	answer, err := d.QueryContext(t.Context(), statement, args...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer func() { _ = answer.Close() }()
	for answer.Next() {
		var s string
		if err := answer.Scan(&s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	if err := answer.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}
