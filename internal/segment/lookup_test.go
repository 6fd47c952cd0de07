package segment_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
)

// Few words, so that events share them and queries find some.
var (
	words = []string{
		"flask", "Flask", "alice", "42", "@scope/pkg", "pkg:npm/%40scope/pkg@1.0", "pkg:pypi/flask@2.0?x=1", "1.0", "naïve", "pkg:pypi/flask",
		"a b", "req_0123456789abcdef", "0123456789abcdef0123456789abcdef", "r-7", "npm/10 node", "100%", `say "hi"`, "x",
	}
	tags = []string{"user:login", "project:release:create", "project:file:add", "org:create"}
)

// derive is what the events below are derived with.
var derive = &query.Derive{
	Severity: func(tag string) string { return map[byte]string{'u': "info", 'p': "high"}[tag[0]] },
	Country:  func(a [16]byte) string { return [...]string{"NL", "CZ", ""}[a[15]%3] },
}

// anEvent draws an event such as can be sent, at some second.
func anEvent(t *rapid.T) event.Fields {
	word := rapid.SampledFrom(words)
	at := start.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "second")) * time.Second)
	f := event.Fields{event.StringField("tag", rapid.SampledFrom(tags).Draw(t, "tag")), event.TimeField("time", at), event.StringField("source", "registry")}
	for _, name := range []string{
		"actor.id", "actor.name", "on_behalf_of.id", "on_behalf_of.name", "credential.id", "credential.name", "context.user_agent",
		"context.request_id", "context.trace_id", "metadata.via", "reason", "changes.0.new", "changes.0.field",
	} {
		if rapid.IntRange(0, 2).Draw(t, name) == 0 {
			f = append(f, event.Field{Name: name, Type: event.String, Value: []byte(word.Draw(t, name)), Private: rapid.Bool().Draw(t, "private")})
		}
	}
	if rapid.Bool().Draw(t, "address") {
		a := [16]byte{10: 0xff, 11: 0xff, 12: 198, 13: 18, 14: 0, 15: rapid.ByteRange(1, 4).Draw(t, "address")}
		f = append(f, event.Field{Name: "context.ip", Type: event.IP, Value: a[:], Private: true})
	}
	if rapid.Bool().Draw(t, "list") {
		f = append(f, event.Field{Name: "metadata.list", Type: event.JSON, Value: fmt.Appendf(nil, `[%q,42,true]`, word.Draw(t, "element"))})
	}
	for n := range rapid.IntRange(0, 4).Draw(t, "subjects") {
		p := fmt.Sprintf("subjects.%d.", n)
		private := rapid.Bool().Draw(t, "private")
		for _, member := range []string{"id", "name", "version", "role"} {
			if rapid.Bool().Draw(t, member) {
				f = append(f, event.Field{Name: p + member, Type: event.String, Value: []byte(word.Draw(t, member)), Private: private})
			}
		}
		f = append(f, event.StringField(p+"type", rapid.SampledFrom([]string{"user", "project", "version", "file", "org", "token", "thing"}).Draw(t, "type")))
	}
	slices.SortFunc(f, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
	return f
}

// aNode draws a part of a query, as text.
func aNode(t *rapid.T, depth int) string {
	if depth > 0 {
		switch rapid.IntRange(0, 4).Draw(t, "node") {
		case 0:
			return "(" + aNode(t, depth-1) + " " + aNode(t, depth-1) + ")"
		case 1:
			return "(" + aNode(t, depth-1) + " OR " + aNode(t, depth-1) + ")"
		case 2:
			return "NOT (" + aNode(t, depth-1) + ")"
		}
	}
	word := rapid.SampledFrom(words).Draw(t, "word")
	quoted := `"` + strings.ReplaceAll(word, `"`, `\"`) + `"`
	stem := strings.Trim(word, "% /@:?=")
	stem = stem[:min(len(stem), rapid.IntRange(1, 4).Draw(t, "stem"))]
	if strings.ContainsAny(stem, " \"ï:") || !utf8.ValidString(stem) {
		stem = "f"
	}
	after := start.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "second")) * time.Second).Format(time.RFC3339)
	kind := rapid.SampledFrom([]string{
		"actor", "on_behalf_of", "user", "project", "org", "token", "client", "version", "request", "metadata.via", "metadata.list", "text",
	}).Draw(t, "kind") + ":"
	if kind == "text:" {
		kind = ""
	}
	return rapid.SampledFrom([]string{
		kind + quoted, kind + quoted, kind + quoted, kind + stem + "*", quoted, stem + "*", "*" + stem + "*",
		"tag:project:*", "tag:user:login", "class:user", "severity:high", "ip:198.18.0.1", "ip:198.18.0.0/30", "198.18.0.2", "country:NL", "outcome:success",
		"source:registry", "after:" + after, "before:" + after, "metadata.list:42", "metadata.list:true", "nothing",
	}).Draw(t, "term")
}

// aQuery draws a query.
func aQuery(t *rapid.T) *query.Query {
	for {
		q, err := query.Parse(aNode(t, 3), start)
		if err == nil {
			return q
		}
	}
}

// bare returns fields without the personal ones.
func bare(f event.Fields) event.Fields {
	return slices.DeleteFunc(slices.Clone(f), func(f event.Field) bool { return f.Private })
}

// TestLookupsFindWhatMatches asks tables and segments for what a look at every
// event gives, of events whose personal fields are hidden too. What an index
// misses nobody ever sees.
func TestLookupsFindWhatMatches(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var list []*event.Record
		var seqs []int64
		tab := segment.NewTable(openKey)
		for i := range rapid.IntRange(1, 25).Draw(rt, "events") {
			list = append(list, recordOf(rt, anEvent(rt), uint64(i), true, nil))
			seqs = append(seqs, int64(i))
			if err := tab.Add(int64(i), list[i]); err != nil {
				rt.Fatal(err)
			}
		}
		tab.SetFetch(func(seq int64) ([]byte, error) { return list[seq].AppendBody(nil), nil })
		s, _, _ := sealed(t, seqs, list)
		for range 8 {
			q := segment.Request{Query: aQuery(rt), Derive: derive}
			q.After, q.Before = q.Query.Span()
			if rapid.Bool().Draw(rt, "hides") {
				q.HidesBefore = start.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "hidden")) * time.Second).UnixMicro()
			}
			if rapid.IntRange(0, 4).Draw(rt, "bounded") == 0 {
				q.Before = min(q.Before, start.Add(time.Duration(rapid.IntRange(-1, 20).Draw(rt, "before"))*time.Second).UnixMicro())
			}
			x, err := tab.Select(q)
			if err != nil {
				rt.Fatal(err)
			}
			checkSelection(rt, "table", x, &q, list)
			if x, err = s.Reader().Select(q); err != nil {
				rt.Fatal(err)
			}
			checkSelection(rt, "segment", x, &q, list)
		}
	})
}

func checkSelection(t *rapid.T, what string, x *segment.Selection, q *segment.Request, list []*event.Record) {
	got := map[int64]bool{}
	w, err := x.Walk(false, segment.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	last := segment.Oldest
	for {
		row, place, ok, err := w.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if place.Compare(last) <= 0 || place.Micros < q.After || place.Micros >= q.Before {
			t.Fatalf("%s, %s: %v comes after %v, wanted are %d to %d", what, q.Query, place, last, q.After, q.Before)
		}
		last = place
		got[place.Seq] = true
		if holds, err := x.Holds(row); err != nil || holds != q.Query.Match(list[place.Seq].Open(), derive) {
			t.Fatalf("%s, %s: record %d holds %t, %v", what, q.Query, place.Seq, holds, err)
		}
	}
	for seq, r := range list {
		f := r.Open()
		at, _ := f.Get("time")
		micros := at.Time().UnixMicro()
		if micros < q.After || micros >= q.Before {
			continue
		}
		hides := micros < q.HidesBefore
		match := q.Query.Match(f, derive) || hides && q.Query.Match(bare(f), derive)
		if match && !got[int64(seq)] || !match && x.Exact() && !hides && got[int64(seq)] {
			t.Fatalf("%s, %s: record %d matches %t, was found %t, exact %t\n%v", what, q.Query, seq, match, got[int64(seq)], x.Exact(), f)
		}
	}
}

// TestOneWhoIsTwo finds events in which the same person, project or token is
// there more than once, in each of the places.
func TestOneWhoIsTwo(t *testing.T) {
	f := event.Fields{
		event.StringField("actor.id", "7"), event.StringField("actor.name", "alice"), event.StringField("context.request_id", "r-7"),
		event.StringField("context.trace_id", "t-7"), event.StringField("credential.id", "tok"),
		event.StringField("on_behalf_of.id", "7"), event.StringField("on_behalf_of.name", "alice"),
		event.StringField("subjects.0.id", "7"), event.StringField("subjects.0.name", "alice"), event.StringField("subjects.0.type", "user"),
		event.StringField("subjects.1.id", "tok"), event.StringField("subjects.1.type", "token"),
		event.StringField("subjects.2.id", "plain"), event.StringField("subjects.2.type", "file"),
		event.StringField("tag", "user:login"), event.TimeField("time", start),
	}
	list := []*event.Record{recordOf(t, f, 1, true, nil)}
	s, _, _ := sealed(t, []int64{0}, list)
	for _, text := range []string{"actor:7", "on_behalf_of:7", "on_behalf_of:alice", "user:alice", "token:tok", "project:plain", "request:r-7", "request:t-7", "r-7"} {
		q, err := query.Parse(text, start)
		if err != nil {
			t.Fatal(err)
		}
		all := segment.Request{Query: q, After: math.MinInt64, Before: math.MaxInt64}
		inTable, err := table(t, list).Select(all)
		if err != nil {
			t.Fatal(err)
		}
		inSegment, err := s.Reader().Select(all)
		if err != nil {
			t.Fatal(err)
		}
		for what, x := range map[string]*segment.Selection{"table": inTable, "segment": inSegment} {
			n := 0
			if err := x.Each(func(uint32) bool { n++; return true }); err != nil || n != 1 {
				t.Errorf("%s, %s: %d rows, %v", what, text, n, err)
			}
		}
	}
	for _, columns := range [][]segment.Column{{segment.Actor}, {segment.OnBehalfOf}, {segment.User}, {segment.Credential, segment.Token}} {
		x, err := s.Reader().Select(segment.Request{Query: new(query.Query), After: math.MinInt64, Before: math.MaxInt64})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := x.Values(columns, []uint32{0}, nil, func(_ string, count int) { n += count }); err != nil || n != 1 {
			t.Errorf("columns %v: counted %d, %v, want 1", columns, n, err)
		}
	}
}

// TestValuesAreCountedOncePerEvent compares counts with those of a look at every
// event: a project and its version in one event are one project.
func TestValuesAreCountedOncePerEvent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var list []*event.Record
		var seqs []int64
		var rows, hidden []uint32
		tab := segment.NewTable(openKey)
		for i := range rapid.IntRange(1, 20).Draw(rt, "events") {
			list = append(list, recordOf(rt, anEvent(rt), uint64(i), true, nil))
		}
		slices.SortStableFunc(list, func(a, b *event.Record) int { return int(timeOf(a) - timeOf(b)) })
		for i, r := range list {
			seqs = append(seqs, int64(i))
			if err := tab.Add(int64(i), r); err != nil {
				rt.Fatal(err)
			}
			if rapid.IntRange(0, 3).Draw(rt, "row") > 0 {
				rows = append(rows, uint32(i))
				if rapid.Bool().Draw(rt, "hidden") {
					hidden = append(hidden, uint32(i))
				}
			}
		}
		s, _, _ := sealed(t, seqs, list)
		all := segment.Request{Query: new(query.Query), After: math.MinInt64, Before: math.MaxInt64}
		inTable, err := tab.Select(all)
		if err != nil {
			rt.Fatal(err)
		}
		inSegment, err := s.Reader().Select(all)
		if err != nil {
			rt.Fatal(err)
		}
		for _, columns := range [][]segment.Column{{segment.Actor}, {segment.OnBehalfOf}, {segment.User}, {segment.Project}, {segment.Org}, {segment.Credential, segment.Token}, {segment.Version}} {
			want := map[string]int{}
			for _, row := range rows {
				f := list[row].Open()
				if slices.Contains(hidden, row) {
					f = bare(f)
				}
				for value := range shownIn(f, columns) {
					want[value]++
				}
			}
			for what, x := range map[string]*segment.Selection{"table": inTable, "segment": inSegment} {
				got := map[string]int{}
				if err := x.Values(columns, rows, hidden, func(value string, n int) { got[value] += n }); err != nil {
					rt.Fatal(err)
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					rt.Fatalf("%s, columns %v: counted %v, want %v", what, columns, got, want)
				}
			}
		}
	})
}

func timeOf(r *event.Record) int64 {
	at, _ := r.Open().Get("time")
	return at.Time().UnixMicro()
}

// shownIn returns the values of columns that an event has, as people see them.
func shownIn(f event.Fields, columns []segment.Column) map[string]bool {
	found := map[string]bool{}
	// An id and the name beside it are one entity, unless one is personal and
	// the other is not; a name stands for both.
	entity := func(id, name string) {
		i, hasID := f.Get(id)
		n, hasName := f.Get(name)
		if hasName {
			found[string(n.Value)] = true
		}
		if hasID && (!hasName || i.Private != n.Private) {
			found[string(i.Value)] = true
		}
	}
	for _, c := range columns {
		switch c {
		case segment.Actor:
			entity("actor.id", "actor.name")
		case segment.OnBehalfOf:
			entity("on_behalf_of.id", "on_behalf_of.name")
		case segment.Credential:
			if id := f.Text("credential.id"); id != "" {
				found[id] = true
			}
		}
		for n := range event.MaxSubjects {
			p := fmt.Sprintf("subjects.%d.", n)
			kind := f.Text(p + "type")
			switch {
			case c == segment.User && kind == "user", c == segment.Org && kind == "org", c == segment.Project && (kind == "project" || kind == "version"):
				entity(p+"id", p+"name")
			case c == segment.Project && kind == "file", c == segment.Token && kind == "token":
				entity(p+"id", "")
			case c == segment.Version:
				entity(p+"version", "")
			}
		}
	}
	return found
}
