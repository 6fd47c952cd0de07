package proxy_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/event"
)

// crash leaves intents open: the log takes them and then hears nothing more.
func crash(t *testing.T, b *bench, paths ...string) {
	t.Helper()
	b.spool.full = true
	for _, path := range paths {
		b.log.setDown(false)
		b.proxy.LogAwaySince(time.Now())
		b.do("PUT", path, "", "x")
	}
	b.stop()
	b.log.setDown(false)
	b.spool.full = false
}

// goingAway is a registry whose every change takes the log away with it.
func goingAway(b **bench) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && !strings.HasSuffix(r.URL.Path, "stays") {
			(*b).log.setDown(true)
		}
	})
}

// TestRestartSettles checks that what a crash left without an end is ended
// exactly once, however often the proxy starts.
func TestRestartSettles(t *testing.T) {
	var b *bench
	b = start(t, goingAway(&b))
	crash(t, b, "/pkg/demo-a", "/pkg/stays", "/pkg/demo-b")
	intents := b.log.all()
	for range 3 {
		b.restart()
		b.ready()
		b.stop()
	}
	var got []string
	for _, e := range b.log.acts() {
		got = append(got, e.Subjects[0].Name+" "+string(e.Outcome))
	}
	slices.Sort(got)
	if want := []string{"demo-a unknown", "demo-b unknown", "stays success"}; !slices.Equal(got, want) {
		t.Fatalf("acts after three restarts = %q, want %q", got, want)
	}

	settled := b.log.acts()
	e := settled[len(settled)-1]
	intent := intents[slices.IndexFunc(intents, func(i *event.Event) bool {
		return i.Tag == "audit:proxy:intent" && i.Context.RequestID == e.Context.RequestID
	})]
	want := &event.Event{
		ID: intent.ID + "-unknown", Tag: "project:release:add", Time: intent.Time, Outcome: event.Unknown,
		Actor: intent.Actor, Credential: intent.Credential, Context: intent.Context,
		Subjects: []event.Subject{{Type: "project", ID: "pkg:toy/" + e.Subjects[0].Name, Name: e.Subjects[0].Name}},
		Metadata: map[string]any{"method": "PUT"},
		Reason:   "The audit proxy stopped before it heard how this ended.",
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("settled event (-want +got):\n%s", diff)
	}
}

// TestChangesWaitForSettling checks that nothing is changed while the end of
// an open intent may still be on its way from the spool.
func TestChangesWaitForSettling(t *testing.T) {
	var b *bench
	b = start(t, goingAway(&b))
	b.do("PUT", "/pkg/demo", "", "x") // its outcome is in the spool
	b.stop()
	b.log.setDown(false)
	b.restart()
	if status, text := b.do("PUT", "/pkg/stays", "", "x"); status != 503 || !strings.Contains(text, "proxy_starting") {
		t.Errorf("a change while starting = %d %s, want 503", status, text)
	}
	if status, _ := b.do("GET", "/file/demo", "", ""); status != 200 {
		t.Errorf("a download while starting = %d, want 200", status)
	}
	b.spool.drain(t, b.log)
	b.ready()
	for _, e := range b.log.acts() {
		if e.Outcome == event.Unknown {
			t.Errorf("an act whose outcome was in the spool was settled as unknown")
		}
	}
}
