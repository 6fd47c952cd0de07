package custody_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/event"
)

// An event is recorded in one call, with what it left out filled in. Over a
// real connection, as programs do it.
func TestRecord(t *testing.T) {
	log := newFakeLog(t)
	server := httptest.NewServer(log)
	defer server.Close()
	client, err := custody.New(server.URL+"/", testKey)
	if err != nil {
		t.Fatal(err)
	}
	ack, err := client.Record(t.Context(), release("1.0.0"))
	if err != nil || ack.Seq != 0 || ack.ID == "" || ack.Duplicate || ack.Commitment == (custody.Commitment{}) {
		t.Fatalf("Record = %+v, %v, want a new event at 0", ack, err)
	}
	found, err := client.Event(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if found.ID != ack.ID || found.Outcome != custody.Success || time.Since(found.Time) > time.Minute || found.Commitment != ack.Commitment {
		t.Errorf("recorded %+v, want the ID of the ack, outcome success, the time of now", found)
	}
}

// Nothing that goes wrong on the way makes an event be recorded twice, or be
// acknowledged when it is not there. Time is the bubble's.
func TestRecordTriesAgain(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(w http.ResponseWriter) // the first three answers
		after bool                        // the log had recorded the event by then
	}{
		{"the log starts", func(w http.ResponseWriter) { w.WriteHeader(503) }, false},
		{"the log fails", func(w http.ResponseWriter) { writeProblem(w, 500, "internal", nil) }, false},
		{"too many requests", func(w http.ResponseWriter) { w.Header().Set("Retry-After", "3"); w.WriteHeader(429) }, false},
		{"the connection is lost", func(w http.ResponseWriter) { w.WriteHeader(statusLost) }, false},
		{"the answer is lost", func(w http.ResponseWriter) { w.WriteHeader(statusLost) }, true},
		{"a gateway times out", func(w http.ResponseWriter) { w.WriteHeader(504) }, true},
		{"a page that says 200 to everything", func(w http.ResponseWriter) { w.Write([]byte("<html>Welcome")) }, false},
		{"an empty object", func(w http.ResponseWriter) { w.Write([]byte("{}")) }, false},
		{"an ack without commitment", func(w http.ResponseWriter) { w.Write([]byte(`{"seq":0}`)) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := newFakeLog(t)
				client := log.client(t)
				tries := 0
				log.before = func(w http.ResponseWriter, r *http.Request) bool {
					if tries++; tries > 3 {
						return false
					}
					if c.after {
						log.mux().ServeHTTP(httptest.NewRecorder(), r)
					}
					c.spoil(w)
					return true
				}
				started := time.Now()
				ack, err := client.Record(t.Context(), release("1.0.0"))
				if err != nil || ack.Seq != 0 || ack.Duplicate != c.after || log.len() != 1 {
					t.Errorf("Record = %+v, %v with %d events in the log, want one event", ack, err, log.len())
				}
				if took := time.Since(started); took < 3*50*time.Millisecond || took > 10*time.Second {
					t.Errorf("four tries took %v", took)
				}
			})
		})
	}
}

// A call ends when its context does, or when the client's patience is over.
func TestRecordEnds(t *testing.T) {
	away := func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true }
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog(t)
		log.before = away
		started := time.Now()
		_, err := log.client(t).Record(t.Context(), release("1.0.0"))
		var e *custody.Error
		if took := time.Since(started); !errors.As(err, &e) || e.Status != 503 || took > custody.DefaultPatience || took < custody.DefaultPatience/2 {
			t.Errorf("Record with the log away = %v after %v, want the log's 503 within %v", err, took, custody.DefaultPatience)
		}
		if n := log.asked("/"); n < 8 || n > 30 {
			t.Errorf("%d tries in 30 s, want waits that grow to 5 s", n)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started = time.Now()
		_, err = log.client(t).Record(ctx, release("1.0.0"))
		if took := time.Since(started); !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || took != time.Second {
			t.Errorf("Record with 1 s = %v after %v, want the deadline and the log's last answer", err, took)
		}

		before := log.asked("/")
		if _, err = log.client(t, custody.WithPatience(0)).Record(t.Context(), release("1.0.0")); err == nil || log.asked("/") != before+1 {
			t.Errorf("without patience: %v after %d tries, want one", err, log.asked("/")-before)
		}
	})
}

// What trying again cannot mend is not tried again.
func TestRecordRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		want   string
	}{
		{"revoked key", func(w http.ResponseWriter) {
			writeProblem(w, 401, "unauthorized", map[string]any{"title": "Unknown key"})
		}, "Unknown key (status 401)"},
		{"the log knows more", func(w http.ResponseWriter) {
			writeProblem(w, 422, "invalid", map[string]any{"title": "Invalid event", "path": "metadata.colour", "detail": "must be a colour"})
		}, "Invalid event: must be a colour, metadata.colour (status 422)"},
		{"limit", func(w http.ResponseWriter) {
			writeProblem(w, 413, "too-large", map[string]any{"title": "Too large", "limit": "event of at most 65536 bytes"})
		}, "Too large, the limit is event of at most 65536 bytes (status 413)"},
		{"moved", func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://elsewhere.example.com/v1/events")
			w.WriteHeader(301)
		}, "Moved Permanently: the log is said to be at https://elsewhere.example.com/v1/events (status 301)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := newFakeLog(t)
			log.before = func(w http.ResponseWriter, _ *http.Request) bool { c.answer(w); return true }
			_, err := log.client(t).Record(t.Context(), release("1.0.0"))
			var e *custody.Error
			if !errors.As(err, &e) || e.Error() != c.want || log.asked("/") != 1 {
				t.Errorf("Record = %v after %d requests, want %q after one", err, log.asked("/"), c.want)
			}
		})
	}
}

// What cannot be an event is found out before it is sent.
func TestRecordChecksFirst(t *testing.T) {
	log := newFakeLog(t)
	client := log.client(t)
	e := release("1.0.0")
	e.Actor.Type = "wizard"
	_, err := client.Record(t.Context(), e)
	var wrong *event.InvalidError
	if !errors.As(err, &wrong) || wrong.Path != "actor.type" {
		t.Errorf("Record = %v, want an error about actor.type", err)
	}
	_, err = client.RecordAll(t.Context(), []custody.Event{release("1.0.0"), e})
	if !errors.As(err, &wrong) || wrong.Index != 1 {
		t.Errorf("RecordAll = %v, want an error about event 1", err)
	}
	if _, err = client.RecordAll(t.Context(), make([]custody.Event, event.MaxBatchEvents+1)); err == nil {
		t.Error("RecordAll of too many events succeeded")
	}
	if log.asked("/") != 0 {
		t.Errorf("%d requests were made", log.asked("/"))
	}
}

// A batch is recorded whole, compressed when that is worth it, and can be
// recorded again.
func TestRecordAll(t *testing.T) {
	log := newFakeLog(t)
	client := log.client(t)
	events := make([]custody.Event, 100)
	for i := range events {
		events[i] = release("1.0.0")
	}
	for round, duplicate := range []bool{false, true} {
		acks, err := client.RecordAll(t.Context(), events)
		if err != nil || len(acks) != len(events) || log.len() != len(events) {
			t.Fatalf("round %d: %d acks, %v, %d in the log", round, len(acks), err, log.len())
		}
		for i, a := range acks {
			if a.ID != events[i].ID || a.Seq != int64(i) || a.Duplicate != duplicate {
				t.Fatalf("round %d: ack %d = %+v", round, i, a)
			}
		}
	}
	if got := log.requests[0].Header.Get("Content-Encoding"); got != "zstd" {
		t.Errorf("100 events were sent with encoding %q, want zstd", got)
	}
	events[7].Reason = "other content under the same ID"
	_, err := client.RecordAll(t.Context(), events)
	var e *custody.Error
	if !errors.As(err, &e) || e.Status != 409 || e.Index != 7 || e.Seq != 7 {
		t.Errorf("RecordAll of a changed event = %v, want a conflict at 7", err)
	}
}

// What is JSON already is passed on as it is.
func TestSubmitJSON(t *testing.T) {
	log := newFakeLog(t)
	client := log.client(t)
	one := `{"id":"a","tag":"user:login:success","time":"2026-11-02T12:30:00Z","actor":{"type":"user","name":"alice"}}`
	two := strings.Replace(one, `"a"`, `"b"`, 1)
	for _, c := range []struct {
		name, data string
		ndjson     bool
		seqs       []int64
	}{
		{"one", one, false, []int64{0}},
		{"an array", "\n[" + one + "," + two + "]", false, []int64{0, 1}},
		{"lines", one + "\n" + two + "\n", true, []int64{0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			acks, raw, err := client.SubmitJSON(t.Context(), []byte(c.data), c.ndjson, custody.Imported())
			if err != nil || len(acks) != len(c.seqs) || len(raw) == 0 {
				t.Fatalf("SubmitJSON = %v, %s, %v", acks, raw, err)
			}
			for i, seq := range c.seqs {
				if acks[i].Seq != seq {
					t.Errorf("ack %d at %d, want %d", i, acks[i].Seq, seq)
				}
			}
		})
	}
	if q := log.requests[0].URL.RawQuery; q != "trust=imported" {
		t.Errorf("query %q, want trust=imported", q)
	}
}

// A wrong address or key is found out when the client is made.
func TestNewRefuses(t *testing.T) {
	for _, c := range []struct{ name, address, key string }{
		{"no scheme", "log.example.com", testKey},
		{"another scheme", "ftp://log.example.com", testKey},
		{"a password in the address", "https://a:b@log.example.com", testKey},
		{"a query", "https://log.example.com/?x", testKey},
		{"a key with its line end", "https://log.example.com", testKey + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := custody.New(c.address, c.key); err == nil || strings.Contains(err.Error(), testKey) {
				t.Errorf("New = %v, want an error that does not repeat the key", err)
			}
		})
	}
}

// The log's own words reach the caller.
func TestErrorHint(t *testing.T) {
	log := newFakeLog(t)
	client, err := custody.New("http://log.example.com", "cst_wrong", custody.WithHTTPClient(&http.Client{Transport: inProcess{log}}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Info(t.Context())
	var e *custody.Error
	if !errors.As(err, &e) || e.Status != 401 || e.Hint != "custody keys create" || e.Index != -1 || e.Type != "/problems/unauthorized" {
		t.Errorf("Info with a wrong key = %#v, want the log's hint", err)
	}
}
