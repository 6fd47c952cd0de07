package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func small(t *testing.T, more ...string) *options {
	t.Helper()
	o, err := parseFlags(append([]string{
		"-events", "3000", "-keys", "10", "-cache", "32", "-budget", "3s", "-dir", t.TempDir(),
	}, more...))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestPeers takes peers through all that is measured, with few events. A
// comparison that nobody can run any more would be believed all the same.
func TestPeers(t *testing.T) {
	for _, k := range kinds {
		if k.reads != "" {
			continue // with the peer whose files it reads
		}
		t.Run(k.name, func(t *testing.T) {
			o := optionsFor(t, k)
			chosen, err := choose("^" + regexp.QuoteMeta(k.name) + "$")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := reachable(dir); err != nil {
				t.Fatal(err)
			}
			asked := make(map[string]bool)
			if err := runAll(t.Context(), o, dir, chosen, func(ctx context.Context, s *stage) (*result, error) {
				r, err := runStage(ctx, s)
				if err == nil && isCold(s.Name) && len(r.Cold) != 1 {
					t.Errorf("%s: %s: asked of %d topics, want 1", s.Peer, s.Name, len(r.Cold))
				}
				if err == nil && s.Name == stageAsk {
					asked[s.Peer] = true
					everyTopic(t, r.Warm)
					if s.Peer == k.name && r.Seconds[secondsExport] == 0 {
						t.Error("nothing was exported")
					}
				}
				return r, err
			}); err != nil {
				t.Error(err)
			}
			for _, one := range chosen {
				if !asked[one.name] {
					t.Errorf("%s was asked nothing", one.name)
				}
			}
		})
	}
}

// optionsFor returns options for a small run of a peer, or skips the test where
// there is none.
func optionsFor(t *testing.T, k *kind) *options {
	t.Helper()
	switch {
	case k.name == "custody":
		o := smallCustody(t)
		o.Cold = true // two peers take turns
		return o
	case strings.HasPrefix(k.name, "postgres"):
		needPostgres(t)
	}
	o := small(t)
	o.Cold = k.name == "sqlite" // it is the same for all, and restarts take time
	return o
}

// everyTopic sees that all questions were asked.
func everyTopic(t *testing.T, asked map[topic]spread) {
	t.Helper()
	for _, x := range topics {
		if asked[x.topic].Calls == 0 {
			t.Errorf("nothing was asked about %s", x.topic)
		}
	}
}

// needPostgres skips a test where PostgreSQL is not installed.
func needPostgres(t *testing.T) {
	t.Helper()
	_, err := postgresProgram("initdb")
	if err == nil {
		_, err = postgresAccount()
	}
	if err != nil {
		t.Skip(err)
	}
}

// reachable lets the postgres user reach a directory that testing made for this
// user alone.
func reachable(dir string) error {
	temp := strings.TrimRight(os.TempDir(), "/")
	for at := dir; strings.HasPrefix(at, temp+"/"); at = at[:strings.LastIndexByte(at, '/')] {
		if err := os.Chmod(at, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// What is compared with what all peers answer must itself be right, and a wrong
// answer must fail the run: a fast peer that forgets events is no peer.
func TestWrongAnswers(t *testing.T) {
	right := &answer{numbers: []int64{9, 7, 3}}
	newest := &question{Topic: projectNewest, Value: "demo", Want: wantNumbers(right.numbers)}
	count := &question{Topic: tagCount, Value: "demo", Want: want{
		Count: 5, Days: map[string]int64{"2026-10-31": 5}, Top: []int64{2, 1}, Named: map[string]int64{"a": 2, "b": 1, "c": 1},
	}}
	days := map[string]int64{"2026-10-31": 5}
	for _, c := range []struct {
		name     string
		question *question
		answer   *answer
		right    bool
	}{
		{"right", newest, right, true},
		{"one missing", newest, &answer{numbers: []int64{9, 7}}, false},
		{"one too many", newest, &answer{numbers: []int64{9, 7, 3, 1}}, false},
		{"another order", newest, &answer{numbers: []int64{7, 9, 3}}, false},
		{"another event", newest, &answer{numbers: []int64{9, 7, 2}}, false},
		{"with some of the log's own", newest, &answer{numbers: right.numbers, own: 2}, true},
		{"count", count, &answer{count: 5, days: days, top: []facet{{"a", 2}, {"b", 1}}}, true},
		{"count, either of two with as many", count, &answer{count: 5, days: days, top: []facet{{"a", 2}, {"c", 1}}}, true},
		{"another count", count, &answer{count: 4, days: days, top: []facet{{"a", 2}, {"b", 1}}}, false},
		{"another day", count, &answer{count: 5, days: map[string]int64{"2026-10-30": 5}, top: []facet{{"a", 2}, {"b", 1}}}, false},
		{"a project too few", count, &answer{count: 5, days: days, top: []facet{{"a", 2}}}, false},
		{"another project", count, &answer{count: 5, days: days, top: []facet{{"b", 2}, {"a", 1}}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.question.check(c.answer); (err == nil) != c.right {
				t.Errorf("check says %v; the answer is right: %v", err, c.right)
			}
		})
	}
}

// A peer that loses an event must not get a column of figures.
func TestLostEventFailsTheRun(t *testing.T) {
	k := &kind{name: "loser", open: func(ctx context.Context, e *env) (peer, error) {
		p, err := pebbleWith(false)(ctx, e)
		return loser{p}, err
	}}
	kinds = append(slices.Clone(kinds), k)
	t.Cleanup(func() { kinds = kinds[:len(kinds)-1] })
	err := runAll(t.Context(), small(t), t.TempDir(), []*kind{k}, runStage)
	if err == nil || !strings.Contains(err.Error(), "wrong") {
		t.Errorf("a peer that loses events is measured: %v", err)
	}
}

// A loser keeps no event but the first of a batch.
type loser struct{ peer }

func (l loser) write(ctx context.Context, b *batch) error {
	end := bytes.IndexByte(b.lines, '\n') + 1
	return l.peer.write(ctx, &batch{first: b.first, lines: b.lines[:end]})
}

// The same flags must put the same events and questions to every peer, or two
// runs say nothing about each other.
func TestSamePlan(t *testing.T) {
	o := small(t)
	file := t.TempDir() + "/" + eventsFile
	if err := makeEvents(o, file); err != nil {
		t.Fatal(err)
	}
	var plans [2][]byte
	for i := range plans {
		p, err := newPlan(o, file)
		if err != nil {
			t.Fatal(err)
		}
		out := t.TempDir() + "/" + planFile
		if err := p.save(out); err != nil {
			t.Fatal(err)
		}
		if plans[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
		for _, x := range topics {
			if len(p.Questions[x.topic]) == 0 {
				t.Errorf("there is no question about %s", x.topic)
			}
		}
	}
	if !bytes.Equal(plans[0], plans[1]) {
		t.Error("two plans of the same events differ")
	}
}

// What one flag says must not silently be something else.
func TestFlags(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string // of the error
	}{
		{"none", nil, ""},
		{"ten million", []string{"-events", "10000000"}, ""},
		{"too few", []string{"-events", "5"}, "-events"},
		{"too dense", []string{"-events", "1000", "-span", "10ms"}, "-span"},
		{"no time", []string{"-end", "tomorrow"}, "-end"},
		{"a word", []string{"sqlite"}, "flags only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseFlags(c.args)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("parseFlags(%q) = %v, want one that speaks of %q", c.args, err, c.want)
			}
		})
	}
	if _, err := choose("nothing like it"); err == nil {
		t.Error("a pattern that no peer matches is taken")
	}
	if chosen, err := choose("^(sqlite|pebble)$"); err != nil || len(chosen) != 2 {
		t.Errorf("two peers by name: %d, %v", len(chosen), err)
	}
	for _, only := range []string{"^custody$", "^custody, in process$"} {
		if chosen, err := choose(only); err != nil || len(chosen) != 2 {
			t.Errorf("-only %q: %d, %v; want the program and who reads its files", only, len(chosen), err)
		}
	}
	if _, err := regexp.Compile(small(t).Only); err != nil {
		t.Error(err)
	}
}

// A word must be the same for the peers that cut text themselves and for the
// answers they are held to.
func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                         nil,
		"npm/10.8.2 node/v22":      {"npm", "10", "8", "2", "node", "v22"},
		"flask_api17":              {"flask", "api17"},
		" Größer, als \"erlaubt\"": {"größer", "als", "erlaubt"},
	} {
		var got []string
		eachWord(text, func(word string) { got = append(got, word) })
		if !slices.Equal(got, want) {
			t.Errorf("words of %q are %q, want %q", text, got, want)
		}
	}
}

// Lines must not depend on how they arrive.
func TestLineWriter(t *testing.T) {
	const text = "one\ntwo\n\nthree\n"
	for size := 1; size <= len(text); size++ {
		var got []string
		w := &lineWriter{each: func(line []byte) error {
			got = append(got, string(line))
			return nil
		}}
		for part := range slices.Chunk([]byte(text), size) {
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatalf("Write of %d bytes = %d, %v", len(part), n, err)
			}
		}
		if want := []string{"one", "two", "", "three"}; !slices.Equal(got, want) {
			t.Errorf("in pieces of %d bytes: lines %q, want %q", size, got, want)
		}
	}
	w := &lineWriter{each: func([]byte) error { return errUnable }}
	if _, err := w.Write([]byte("one\n")); !errors.Is(err, errUnable) {
		t.Errorf("Write = %v, want the error of each", err)
	}
}

// A share of the calls is below a quantile: one slow call of a hundred is no p50.
func TestSpread(t *testing.T) {
	var s series
	for i := range 101 {
		s.add(time.Duration(i) * time.Millisecond)
	}
	if got, want := s.spread(), (spread{101, 50 * time.Millisecond, 99 * time.Millisecond}); got != want {
		t.Errorf("spread of 0 to 100 ms = %v, want %v", got, want)
	}
}
