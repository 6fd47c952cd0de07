package dossier_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
)

// The lists of a person's page are made of few searches. However many events there
// are, and whichever come first, each has what a search for it alone finds.
func TestListsAreWhatTheirSearchesFind(t *testing.T) {
	for name, counts := range map[string][3]int{ // sign-ins, releases and changes of roles, the newest first
		"few of each":    {20, 30, 10},
		"many sign-ins":  {450, 30, 10},
		"many releases":  {90, 1300, 10},
		"as many as fit": {101, 288, 10},
		"all":            {600, 600, 1100},
	} {
		t.Run(name, func(t *testing.T) {
			b := incident(t)
			var lines strings.Builder
			at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
			for kind, n := range counts {
				for i := range n {
					at = at.Add(-time.Second)
					tag := []string{"user:login:success", "project:release:add", "project:role:add"}[kind]
					fmt.Fprintf(&lines, `{"id":"k-%d-%d","tag":%q,"time":%q,"actor":{"type":"user","id":"user-alice","name":"alice"},"credential":{"kind":"token","id":"t-%d"},"subjects":[{"type":"project","id":"pkg:npm/demo-http","name":"demo-http"},{"type":"user","id":"user-alice","name":"alice"}],"metadata":{"role":"maintainer"}}`+"\n",
						kind, i, tag, at.Format(time.RFC3339), i%3)
				}
			}
			b.record(lines.String())
			for _, as := range []*reader.Reader{alice, admin, program} {
				u := user(t, b, as, "user-alice")
				var signIns []dossier.Act
				for _, s := range u.SignIns.List {
					signIns = append(signIns, s.Act)
				}
				checkList(t, b, as, "the sign-ins", &u.SignIns.Extent, seqsOf(signIns), dossier.SignInEvents)
				checkList(t, b, as, "the keys", &u.Keys.Extent, seqsOf(u.Keys.List), dossier.ListEvents)
				checkList(t, b, as, "the factors", &u.Factors.Extent, seqsOf(u.Factors.Changes), dossier.ListEvents)
				var history []journal.Seq
				for _, e := range u.History.Events {
					history = append(history, e.Seq)
				}
				checkList(t, b, as, "the history", &u.History.Extent, history, dossier.PageEvents)
				if want := min(int64(counts[0]+counts[1]+counts[2]), dossier.ListEvents); u.Tokens.Used.Events < want {
					t.Errorf("%d acts were looked at for tokens, want %d at least", u.Tokens.Used.Events, want)
				}
			}
		})
	}
}

func seqsOf(list []dossier.Act) (seqs []journal.Seq) {
	for i := range list {
		seqs = append(seqs, list[i].Seq)
	}
	return seqs
}

// checkList compares a list with what its own query finds.
func checkList(t *testing.T, b *bench, as *reader.Reader, name string, x *dossier.Extent, got []journal.Seq, limit int) {
	t.Helper()
	q, err := query.Parse(x.Query, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Search(t.Context(), as, reading.Request{Query: q, Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	var want []journal.Seq
	for _, e := range a.Events {
		want = append(want, e.Seq)
	}
	next := ""
	if a.Next != nil {
		next = a.Next.String()
	}
	if !slices.Equal(got, want) || x.Next != next || x.Size != len(want) {
		t.Errorf("%s as %+v: %d events and next %q, want %d and %q", name, as, len(got), x.Next, len(want), next)
	}
	if next != "" && !x.Oldest.Equal(a.Events[len(want)-1].Time()) {
		t.Errorf("%s as %+v: the oldest is of %v", name, as, x.Oldest)
	}
}
