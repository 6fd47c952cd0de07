package console_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/retain"
)

// stated are the facts of a log.
type stated dossier.Facts

func (s stated) Facts(context.Context) (dossier.Facts, error) { return dossier.Facts(s), nil }

// onLog returns b with the page about the log, of which facts says the rest.
func (b *bench) onLog(facts dossier.Facts) *bench {
	facts.Origin, facts.Size = "custody.test/log", b.journal.Size()
	on := *b
	on.handler = b.beside("/log", b.console.LogHandler(stated(facts)))
	return &on
}

// beside returns the console with another handler for what is at or below path.
func (b *bench) beside(path string, h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(path, h)
	mux.Handle("/", b.handler)
	return mux
}

// What the log says about itself tells who is under investigation and who asked to
// be forgotten. The public gets what is signed, and nothing else.
func TestLogPageForEachReader(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		if _, err := b.desk.Record(t.Context(), intake.OwnSource, &event.Event{
			Tag: "audit:reveal_pii", Actor: event.Party{Type: "admin", ID: "admin-7", Name: "registry security"},
			Subjects: []event.Subject{{Type: "user", ID: "user-alice", Name: "alice"}}, Metadata: map[string]any{"subject": "alice", "reason": "case 17"},
		}); err != nil {
			t.Fatal(err)
		}
		b.settled()
		on := b.onLog(dossier.Facts{
			Witnesses: []dossier.Witness{{Name: "witness.test/one", Size: 3}, {Name: "witness.test/two", Error: "does not answer"}},
			Sources:   []intake.SourceState{{Name: "npm-proxy", LastSeen: time.Now(), LastSeq: 41, Missing: 3, Silent: true}},
			Views:     []dossier.View{{Name: "store", Cursor: 40, Lag: 7}},
			Trouble:   []string{"a <b>disk</b> is full"},
			Policies:  []retain.Policy{{Class: "user-auth", Period: retain.Period{Keep: 90, KeepPersonal: 30}, From: retain.FromConfig}},
			Holds:     []retain.Hold{{ID: "hold-1", Query: "user:mallory", Case: "2026-17", By: "admin-9", Reason: "mallory is suspected"}},
			Erasures:  []retain.Erasure{{ID: "erasure-1", Pseudonym: "erased-5f", State: retain.Pending, Person: &retain.Person{Type: "user", Name: "oscar"}, By: "admin-9"}},
		})
		signed := []string{"custody.test/log", fmt.Sprintf("%d events", sampled+1), "witness.test/one", "cosigns", "does not answer", "Checkpoint"}
		secret := []string{"npm-proxy", "hold-1", "2026-17", "mallory", "erasure-1", "oscar", "admin-9", "user-auth", "disk", "case 17", "admin-7"}
		for _, c := range []struct {
			who         string
			says, keeps []string
		}{
			{"", []string{"You see what is public of the log."}, secret},
			{"alice", []string{"You see what is public of the log."}, secret},
			{"admin", []string{
				"npm-proxy", "silent", "3", "7 events behind", "user-auth", "90d", "30d", "a <b>disk</b> is full", "Holds and erasures are shown to those who audit.",
			}, []string{"hold-1", "mallory", "erasure-1", "oscar", "<b>disk"}},
			{"auditor", []string{"hold-1", "2026-17", "masked", "erasure-1", "erased-5f", "not yet", "registry security", "Who looked at what"}, []string{"mallory", "oscar", "admin-9"}},
		} {
			page := on.as(c.who).page("/log", http.StatusOK)
			t.Logf("%q sees the log", c.who)
			says(t, page, append(signed, c.says...)...)
			keeps(t, afterHeader(page), c.keeps...)
			wellFormed(t, "/log", page)
		}
	})
}

// An empty log, in which there is nothing of anything, says so in each place.
func TestLogPageOfNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		on := b.onLog(dossier.Facts{})
		says(t, on.as("").page("/log", http.StatusOK), "0 events: the log is empty", "No witness cosigns this log's checkpoints")
		says(t, on.as("auditor").page("/log", http.StatusOK),
			"No source has been heard yet.", "There are no views.", "Nothing is dropped: no class has a time.", "No hold is in force.",
			"Nobody was erased, or asked to be.", "No looks that you may see.", "Nothing that you may see.")
	})
}
