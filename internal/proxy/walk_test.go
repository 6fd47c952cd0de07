package proxy_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/proxy"
)

// A walked log counts how far its history was read.
type walked struct {
	*memoryLog
	steps int
}

func (w *walked) History(ctx context.Context) iter.Seq2[*event.Event, error] {
	return func(yield func(*event.Event, error) bool) {
		for e, err := range w.memoryLog.History(ctx) {
			w.steps++
			if !yield(e, err) {
				return
			}
		}
	}
}

// past returns an event of an earlier run, some minutes ago. An intent says
// since when the oldest intent that was open then had been open.
func past(tag, request string, ago, openSince int) *event.Event {
	now := time.Now().UTC()
	e := &event.Event{
		ID: event.NewID(), Tag: tag, Time: now.Add(-time.Duration(ago) * time.Minute), Outcome: event.Success,
		Actor: event.Party{Type: "anonymous"}, Context: event.Context{RequestID: request},
	}
	if tag == "audit:proxy:intent" {
		e.Metadata = map[string]any{
			"tag": "project:release:add", "run": "earlier", "act": map[string]any{},
			"open_since": now.Add(-time.Duration(openSince) * time.Minute).Format(time.RFC3339Nano),
		}
	}
	return e
}

// TestIntentSaysSinceWhen checks what settling relies on: an intent tells when
// the oldest one began whose end is not in the log.
func TestIntentSaysSinceWhen(t *testing.T) {
	here, proceed := make(chan struct{}), make(chan struct{})
	var b *bench
	b = start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodPut:
		case r.URL.Path == "/pkg/long":
			close(here)
			<-proceed
		case r.URL.Path == "/pkg/lost":
			b.log.setDown(true)
		}
	}))
	b.spool.full = true
	since := func() string {
		all := b.log.all()
		for _, e := range slices.Backward(all) {
			if e.Tag == "audit:proxy:intent" {
				return e.Metadata["open_since"].(string)
			}
		}
		return ""
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.do("PUT", "/pkg/long", "", "x")
	}()
	<-here
	long := since()
	b.do("PUT", "/pkg/short", "", "x")
	if got := since(); got != long {
		t.Errorf("beside an open intent since %s, the next says %s", long, got)
	}
	close(proceed)
	<-done
	b.do("PUT", "/pkg/lost", "", "x")
	lost := since()
	if lost == long {
		t.Errorf("after the long one had ended the next says %s still", lost)
	}
	b.log.setDown(false)
	b.proxy.LogAwaySince(time.Now())
	b.do("PUT", "/pkg/short", "", "x")
	if got := since(); got != lost {
		t.Errorf("after an outcome was lost the next intent says %s, want %s still", got, lost)
	}
}

// TestSettlingWalksFarEnoughAndNoFurther checks both halves: an open intent is
// found behind any number of ended ones, and a long history is not read to its
// beginning when it cannot hold one.
func TestSettlingWalksFarEnoughAndNoFurther(t *testing.T) {
	const intent, final = "audit:proxy:intent", "project:release:add"
	reads := func(n, ago int) (list []*event.Event) {
		for i := range n {
			list = append(list, past("project:file:download", fmt.Sprintf("read-%d-%d", ago, i), ago, 0))
		}
		return list
	}
	tests := []struct {
		name    string
		history []*event.Event
		settled []string // request IDs
		steps   int      // at most
	}{
		{
			name: "an old open intent behind many that ended",
			history: slices.Concat(
				reads(10, 300), []*event.Event{past(intent, "open", 200, 200)},
				[]*event.Event{past(intent, "a", 100, 200), past(final, "a", 100, 0)}, reads(10, 90),
				[]*event.Event{past(intent, "b", 50, 200), past(final, "b", 50, 0)}, reads(10, 40),
			),
			settled: []string{"open"}, steps: 35 + 10,
		},
		{
			name: "nothing was open when the last intent was made",
			history: slices.Concat(
				reads(1000, 300), []*event.Event{past(intent, "a", 200, 200), past(final, "a", 200, 0)}, reads(10, 150),
				[]*event.Event{past(intent, "b", 100, 100), past(final, "b", 100, 0)}, reads(10, 90),
			),
			steps: 25,
		},
		{
			name: "an intent from the spool is late and says nothing about order",
			history: slices.Concat(
				[]*event.Event{past(intent, "open", 200, 200), late(past(intent, "late", 300, 300)), past(final, "late", 300, 0)},
				[]*event.Event{past(intent, "b", 100, 200), past(final, "b", 100, 0)},
			),
			settled: []string{"open"}, steps: 6,
		},
		{
			name: "a run that started ended what was before it",
			history: slices.Concat(
				reads(100, 300), []*event.Event{past(intent, "old", 200, 200), past("audit:proxy:start", "", 150, 0), past(intent, "open", 100, 100)},
			),
			settled: []string{"open"}, steps: 2,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			log := &walked{memoryLog: newMemoryLog()}
			if err := log.Record(t.Context(), test.history...); err != nil {
				t.Fatal(err)
			}
			had := len(log.all())
			b := newBench(t, log.memoryLog, answering(200, ""))
			b.restart(func(c *proxy.Config) { c.Recorder = log })
			b.ready()
			var settled []string
			for _, e := range log.all()[had:] {
				if e.Tag != "audit:proxy:start" {
					settled = append(settled, e.Context.RequestID)
				}
			}
			if !slices.Equal(settled, test.settled) {
				t.Errorf("settled %q, want %q", settled, test.settled)
			}
			if log.steps > test.steps {
				t.Errorf("read %d of %d events, want at most %d", log.steps, had, test.steps)
			}
		})
	}
}

func late(e *event.Event) *event.Event {
	e.Metadata["late"] = true
	return e
}
