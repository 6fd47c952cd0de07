package proxy_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/event"
)

// TestIntentPrecedesForwarding checks the order that makes the log complete: a
// registry must not have heard of a change before its intent is durable, and
// the client must not have the answer before the outcome is.
func TestIntentPrecedesForwarding(t *testing.T) {
	var b *bench
	var before []string
	b = start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			before = b.log.tags()
		}
		w.WriteHeader(http.StatusCreated)
	}))
	b.do("PUT", "/pkg/demo", "t0ken", "x")
	after := b.log.tags()
	if want := []string{"audit:proxy:start success", "audit:proxy:intent unknown"}; !slices.Equal(before, want) {
		t.Errorf("when the registry saw the change the log had %q, want %q", before, want)
	}
	want := append(before, "project:release:add success")
	if !slices.Equal(after, want) {
		t.Errorf("when the client had the answer the log had %q, want %q", after, want)
	}
}

// TestIntentSaysEnough compares an intent whole: it must name the act, and
// must not be part of the project's history.
func TestIntentSaysEnough(t *testing.T) {
	b := start(t, answering(201, ""))
	b.do("PUT", "/pkg/demo", "", "x")
	intent, final := b.log.all()[1], b.log.all()[2]
	if intent.Context.RequestID == "" || intent.Context.RequestID != final.Context.RequestID {
		t.Errorf("request IDs of intent and outcome are %q and %q, want the same", intent.Context.RequestID, final.Context.RequestID)
	}
	delete(intent.Metadata, "run")
	delete(intent.Metadata, "open_since")
	got := event.Event{Tag: intent.Tag, Outcome: intent.Outcome, Actor: intent.Actor, Credential: intent.Credential, Subjects: intent.Subjects, Metadata: intent.Metadata}
	want := event.Event{
		Tag: "audit:proxy:intent", Outcome: event.Unknown,
		Actor: event.Party{Type: "anonymous"}, Credential: event.Credential{Kind: "none"},
		Metadata: map[string]any{
			"method": "PUT", "protocol": "toy", "tag": "project:release:add", "object": "demo",
			"act": map[string]any{
				"metadata": map[string]any{"method": "PUT"},
				"subjects": []any{map[string]any{"type": "project", "id": "pkg:toy/demo", "name": "demo"}},
			},
		},
	}
	if diff := cmp.Diff(plainJSON(t, want), plainJSON(t, got)); diff != "" {
		t.Errorf("intent (-want +got):\n%s", diff)
	}
}

func plainJSON(t *testing.T, v any) (plain any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &plain)
	}
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// TestAnswerLost checks that an act whose answer nobody heard is not called a
// failure: the registry may have done it.
func TestAnswerLost(t *testing.T) {
	b := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	status, _ := b.do("PUT", "/pkg/demo", "", "x")
	got := b.log.acts()
	if status != 502 || len(got) != 1 || got[0].Outcome != event.Unknown || got[0].Reason == "" {
		t.Errorf("answer %d, events %v; want 502 and one act with outcome unknown", status, b.log.tags())
	}
}

// TestRegistryAway checks that an act is called a failure when the registry
// cannot have heard of it.
func TestRegistryAway(t *testing.T) {
	b := start(t, answering(201, ""))
	b.upstream.Close()
	status, _ := b.do("PUT", "/pkg/demo", "", "x")
	got := b.log.acts()
	if status != 502 || len(got) != 1 || got[0].Outcome != event.Failure {
		t.Errorf("answer %d, events %q; want 502 and one failure", status, b.log.tags())
	}
}

// TestChallengeIsNoEvent checks that an intent which comes to nothing is ended
// all the same, or the next run would call it unknown.
func TestChallengeIsNoEvent(t *testing.T) {
	b := start(t, answering(401, ""))
	b.do("POST", "/pkg/demo", "", "x")
	want := []string{"audit:proxy:start success", "audit:proxy:intent unknown", "audit:proxy:void "}
	if got := b.log.tags(); !slices.Equal(got, want) {
		t.Errorf("events = %q, want %q", got, want)
	}
}

// TestOutcomeIsSpooled checks that an outcome survives a log that goes away
// between intent and outcome, and that its loss is noticed when it does not.
func TestOutcomeIsSpooled(t *testing.T) {
	for _, full := range []bool{false, true} {
		var b *bench
		b = start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				b.log.setDown(true)
			}
		}))
		b.spool.full = full
		if status, text := b.do("PUT", "/pkg/demo", "", "x"); status != 200 {
			t.Errorf("answer = %d %s, want the registry's 200", status, text)
		}
		spooled, lost := slices.Contains(b.spool.tags(), "project:release:add success"), b.proxy.Health().Lost
		if spooled == full || (lost == 1) != full {
			t.Errorf("full spool %t: spooled %t, lost %d", full, spooled, lost)
		}
	}
}
