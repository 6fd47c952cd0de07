package custody_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
)

func openBuffer(t testing.TB, fs disk.FS, c *custody.Client, opts ...custody.BufferOption) *custody.Buffer {
	t.Helper()
	b, err := custody.OpenBufferOn(fs, c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// run runs b until stop is called.
func run(t testing.TB, b *custody.Buffer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
}

// drain sends all that is in b.
func drain(t testing.TB, b *custody.Buffer) {
	t.Helper()
	stop := run(t, b)
	defer stop()
	if err := b.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, b *custody.Buffer, id string) {
	t.Helper()
	e := release("1.0.0")
	e.ID = id
	if err := b.Put(&e); err != nil {
		t.Fatal(err)
	}
}

func ids(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("event-%04d", i))
	}
	return list
}

// While the log is away events wait on the disk, and the buffer says how many
// and for how long; then they are sent in order, numbered from 1. Time is the
// bubble's.
func TestBufferWhileTheLogIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog(t)
		var away sync.Mutex
		down := true
		log.before = func(w http.ResponseWriter, _ *http.Request) bool {
			away.Lock()
			defer away.Unlock()
			if down {
				w.WriteHeader(503)
			}
			return down
		}
		b := openBuffer(t, new(disk.Mem), log.client(t))
		defer b.Close()
		stop := run(t, b)
		defer stop()
		started := time.Now()
		want := ids(10)
		for _, id := range want {
			put(t, b, id)
			time.Sleep(time.Minute)
		}
		var e *custody.Error
		if s := b.State(); s.Behind != 10 || s.Age != time.Since(started) || !errors.As(s.Err, &e) || e.Status != 503 || b.Behind() != 10 || s.Bytes == 0 {
			t.Errorf("State = %+v, want 10 events behind, %v old, because of 503", s, time.Since(started))
		}
		if n := log.asked("/"); n > 40 {
			t.Errorf("%d tries in 10 minutes, want waits that grow to 30 s", n)
		}
		away.Lock()
		down = false
		away.Unlock()
		if err := b.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := log.ids(); !slices.Equal(got, want) {
			t.Errorf("the log has %v, want %v", got, want)
		}
		if !slices.Equal(log.numbers, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) {
			t.Errorf("source_seq %v, want 1 to 10", log.numbers)
		}
		if s := b.State(); s.Behind != 0 || s.Age != 0 || s.Err != nil || s.Lost != 0 || s.Refused != 0 {
			t.Errorf("State = %+v, want nothing behind", s)
		}
	})
}

// The count goes on where it was, whatever was removed from the disk, so that
// the log sees no gap and no number twice.
func TestBufferNumbersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog(t)
		fs := new(disk.Mem)
		for range 3 {
			b := openBuffer(t, fs, log.client(t))
			stop := run(t, b)
			for range 4 {
				if _, err := b.Record(t.Context(), release("1.0.0")); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * custody.TidyAfter)
			stop()
			if s := b.State(); s.Bytes != 0 || s.Behind != 0 {
				t.Errorf("State long after all was sent = %+v, want nothing on the disk", s)
			}
			b.Close()
		}
		if !slices.Equal(log.numbers, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}) {
			t.Errorf("source_seq %v, want 1 to 12", log.numbers)
		}
		b := openBuffer(t, fs, log.client(t), custody.WithoutSourceSeq())
		defer b.Close()
		put(t, b, "without")
		drain(t, b)
		if len(log.numbers) != 12 || log.len() != 13 {
			t.Errorf("WithoutSourceSeq: numbers %v", log.numbers)
		}
	})
}

// What waits survives the end of the process: another one sends it.
func TestBufferReopened(t *testing.T) {
	log := newFakeLog(t)
	dir := filepath.Join(t.TempDir(), "buffer")
	b, err := custody.OpenBuffer(dir, log.client(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := custody.OpenBuffer(dir, log.client(t)); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("a second OpenBuffer = %v, want that it is taken", err)
	}
	for _, id := range ids(20) {
		put(t, b, id)
	}
	b.Close()
	if err := b.Put(&custody.Event{Tag: "user:login:success", Actor: custody.Party{Type: "user"}}); !errors.Is(err, custody.ErrClosed) {
		t.Errorf("Put after Close = %v", err)
	}
	b, err = custody.OpenBuffer(dir, log.client(t))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if n := b.Behind(); n != 20 {
		t.Errorf("%d events behind after opening again", n)
	}
	drain(t, b)
	if got := log.ids(); !slices.Equal(got, ids(20)) {
		t.Errorf("the log has %v", got)
	}
}

// What waits is sent in batches of a bounded number, in order.
func TestBufferBatches(t *testing.T) {
	const n = 5 * custody.SendEvents / 2
	log := newFakeLog(t)
	b := openBuffer(t, new(disk.Mem), log.client(t))
	defer b.Close()
	for _, id := range ids(n) {
		put(t, b, id)
	}
	drain(t, b)
	if got := log.ids(); !slices.Equal(got, ids(n)) {
		t.Errorf("the log has %d events, or in another order", len(got))
	}
	if n := log.asked("/v1/events"); n != 3 {
		t.Errorf("%d requests, want 3 batches", n)
	}
}

// One event that the log will never take holds up no other, and is set aside
// with the reason.
func TestBufferSetsAside(t *testing.T) {
	poisoned := map[string]bool{"event-0000": true, "event-0007": true, "event-0008": true, "event-0039": true}
	for _, c := range []struct {
		name   string
		before func(w http.ResponseWriter, r *http.Request) bool
		refuse func(f event.Fields) string
		after  func(r *http.Request, a *httptest.ResponseRecorder)
	}{
		{
			name: "the log says which",
			refuse: func(f event.Fields) string {
				if poisoned[f.Text("id")] {
					return "must be something else"
				}
				return ""
			},
		},
		{
			name: "the log does not say which",
			refuse: func(f event.Fields) string {
				if poisoned[f.Text("id")] {
					return "must be something else"
				}
				return ""
			},
			after: func(_ *http.Request, a *httptest.ResponseRecorder) {
				if a.Code == 422 {
					fresh := httptest.NewRecorder()
					writeProblem(fresh, 409, "conflict", nil)
					*a = *fresh
				}
			},
		},
		{
			name: "something before the log finds them too large",
			before: func(w http.ResponseWriter, r *http.Request) bool {
				body, _ := inflate(r)
				for id := range poisoned {
					if strings.Contains(string(body), id) {
						w.WriteHeader(413)
						return true
					}
				}
				r.Body = http.NoBody
				r.Header.Del("Content-Encoding")
				r.Body = newBody(body)
				return false
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := newFakeLog(t)
			log.before, log.refuse, log.after = c.before, c.refuse, c.after
			fs := new(disk.Mem)
			var heard []string
			b := openBuffer(t, fs, log.client(t), custody.OnRefused(func(r custody.Refused) {
				var e custody.Event
				json.Unmarshal(r.Event, &e)
				heard = append(heard, e.ID)
			}))
			var want, bad []string
			for _, id := range ids(40) {
				put(t, b, id)
				if poisoned[id] {
					bad = append(bad, id)
				} else {
					want = append(want, id)
				}
			}
			drain(t, b)
			if got := log.ids(); !slices.Equal(got, want) {
				t.Errorf("the log has %v, want %v", got, want)
			}
			slices.Sort(heard)
			if !slices.Equal(heard, bad) || b.State().Refused != int64(len(bad)) || b.State().Lost != 0 {
				t.Errorf("refused %v, state %+v, want %v", heard, b.State(), bad)
			}
			b.Close()
			checkRefusedFile(t, fs, bad)
			again := openBuffer(t, fs, log.client(t))
			defer again.Close()
			if s := again.State(); s.Refused != int64(len(bad)) || s.Behind != 0 {
				t.Errorf("State after opening again = %+v", s)
			}
		})
	}
}

func checkRefusedFile(t *testing.T, fs disk.FS, bad []string) {
	t.Helper()
	data, err := disk.ReadFile(fs, "refused.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(data)) {
		var r custody.Refused
		var e custody.Event
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(r.Event, &e); err != nil || r.Reason == "" || r.Status < 400 {
			t.Errorf("refused.ndjson has %s", line)
		}
		kept = append(kept, e.ID)
	}
	slices.Sort(kept)
	if !slices.Equal(kept, bad) {
		t.Errorf("refused.ndjson has %v, want %v", kept, bad)
	}
}

// What only looks like a refusal is not one: events wait until the log is
// itself again.
func TestBufferWaits(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(w http.ResponseWriter)
	}{
		{"the key is revoked", func(w http.ResponseWriter) { writeProblem(w, 401, "unauthorized", nil) }},
		{"the scope is missing", func(w http.ResponseWriter) { writeProblem(w, 403, "forbidden", nil) }},
		{"a gateway dislikes it", func(w http.ResponseWriter) { w.WriteHeader(400) }},
		{"the address is another service's", func(w http.ResponseWriter) { w.WriteHeader(404) }},
		{"the address is another service's that likes all", func(w http.ResponseWriter) { w.Write([]byte(`{"ok":true}`)) }},
		{"the log took another number of events", func(w http.ResponseWriter) { w.Write([]byte(`{"accepted":1}`)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := newFakeLog(t)
				tries := 0
				log.before = func(w http.ResponseWriter, _ *http.Request) bool {
					if tries++; tries > 20 {
						return false
					}
					c.spoil(w)
					return true
				}
				b := openBuffer(t, new(disk.Mem), log.client(t))
				defer b.Close()
				for _, id := range ids(3) {
					put(t, b, id)
				}
				drain(t, b)
				if got := log.ids(); !slices.Equal(got, ids(3)) || b.State().Refused != 0 {
					t.Errorf("the log has %v, state %+v", got, b.State())
				}
			})
		})
	}
}

// A full buffer refuses events and keeps what it has; when the log is back
// there is room again. The files never exceed the bound.
func TestBufferIsBounded(t *testing.T) {
	const bound = 1 << 20
	log := newFakeLog(t)
	mem := new(disk.Mem)
	b := openBuffer(t, mem, log.client(t), custody.WithMaxBytes(bound))
	defer b.Close()
	accepted := 0
	for round := range 3 {
		for ; ; accepted++ {
			e := release("1.0.0")
			e.ID, e.Reason = fmt.Sprintf("event-%04d", accepted), strings.Repeat("x", 2000)
			err := b.Put(&e)
			if errors.Is(err, custody.ErrFull) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if used := mem.Used(); used > bound+100 || used < bound*8/10 {
			t.Fatalf("round %d: a full buffer of %d bytes has %d on disk", round, bound, used)
		}
		drain(t, b)
	}
	if got := log.ids(); !slices.Equal(got, ids(accepted)) || accepted < 1000 {
		t.Errorf("the log has %d events, want the %d that were accepted", len(got), accepted)
	}
}

// An event that cannot be recorded is refused by Put, where the caller can
// still do something.
func TestPutChecks(t *testing.T) {
	log := newFakeLog(t)
	b := openBuffer(t, new(disk.Mem), log.client(t))
	defer b.Close()
	full := release("1.0.0")
	full.Metadata = map[string]any{}
	for i := range 64 {
		full.Metadata[fmt.Sprint("k", i)] = strings.Repeat("x", 1100)
	}
	logs := release("1.0.0")
	logs.Source = "me"
	for name, e := range map[string]custody.Event{"no tag": {Actor: custody.Party{Type: "user"}}, "too large": full, "what the log adds": logs} {
		if err := b.Put(&e); err == nil {
			t.Errorf("Put of an event with %s succeeded", name)
		}
	}
	if n := b.Behind(); n != 0 {
		t.Errorf("%d events were taken", n)
	}
}

// Many callers share one sync of the disk, which takes 1 ms of the bubble's
// time here.
func TestPutsAreGrouped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := new(disk.Mem)
		mem.Fail = func(op, path string) error {
			if op == "sync" && strings.HasSuffix(path, ".spool") {
				time.Sleep(time.Millisecond)
			}
			return nil
		}
		log := newFakeLog(t)
		b := openBuffer(t, mem, log.client(t))
		defer b.Close()
		const callers, each = 32, 10
		started := time.Now()
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range each {
					if _, err := b.Record(t.Context(), release("1.0.0")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if took := time.Since(started); took > 2*each*time.Millisecond {
			t.Errorf("%d events of %d callers took %v, want about %d syncs", callers*each, callers, took, each)
		}
		drain(t, b)
		if log.len() != callers*each {
			t.Errorf("the log has %d events, want %d", log.len(), callers*each)
		}
	})
}

// A Client and a Buffer can stand for each other.
var (
	_ custody.Recorder = (*custody.Client)(nil)
	_ custody.Recorder = (*custody.Buffer)(nil)
)

// The npm proxy spools into a Buffer.
var _ interface {
	Put(e *event.Event) error
	Behind() int
} = (*custody.Buffer)(nil)
