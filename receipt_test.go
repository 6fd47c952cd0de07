package custody_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/proof"
)

// RecordAndProve returns evidence that anybody can check later with the log's
// public key alone.
func TestRecordAndProve(t *testing.T) {
	log := newFakeLog(t)
	client := log.client(t, custody.WithLogKey(log.vkey))
	for i := range 5 {
		e := release("1.0.0")
		e.Metadata = map[string]any{"size": 1234, "yanked": false, "files": []string{"a", "b"}}
		ack, r, err := client.RecordAndProve(t.Context(), e)
		if err != nil || r.Seq != int64(i) || ack.Seq != int64(i) || r.Commitment != ack.Commitment || r.Fields.Text("actor.name") != "alice" {
			t.Fatalf("RecordAndProve = %+v, %v", ack, err)
		}
		policy, err := proof.ParsePolicy([]byte(log.vkey + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := proof.ParseReceipt(r.Text)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := kept.Verify(policy); err != nil || v.Seq != int64(i) {
			t.Errorf("the kept receipt verifies as %+v, %v", v, err)
		}
	}
}

// Fields that the log does not show to this reader cannot be compared, and are
// no reason to refuse the receipt.
func TestReceiptWithHiddenFields(t *testing.T) {
	log := newFakeLog(t)
	client := log.client(t, custody.WithLogKey(log.vkey))
	log.after = func(r *http.Request, answer *httptest.ResponseRecorder) {
		if strings.HasSuffix(r.URL.Path, "/receipt") {
			replaceBody(answer, log.proves(0, func(f *event.Field) bool { return f.Name != "context.ip" }))
		}
	}
	_, r, err := client.RecordAndProve(t.Context(), release("1.0.0"))
	if err != nil || r.Hidden != 1 {
		t.Errorf("RecordAndProve with a hidden address: %v", err)
	}
}

// proves returns the receipt of the event at seq, for the newest checkpoint.
func (l *fakeLog) proves(seq int64, show func(*event.Field) bool) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, msg := l.sign()
	return l.receiptText(seq, n, msg, show)
}

func replaceBody(answer *httptest.ResponseRecorder, body []byte) {
	answer.Body = bytes.NewBuffer(body)
}

func everything(*event.Field) bool { return true }

// No receipt reaches the caller that does not prove exactly what was asked.
func TestForgedReceipts(t *testing.T) {
	other := newFakeLog(t) // another log, with the same name and another key
	for _, c := range []struct {
		name  string
		forge func(l *fakeLog, answer *httptest.ResponseRecorder)
		want  string
	}{
		{"of another event", func(l *fakeLog, a *httptest.ResponseRecorder) {
			replaceBody(a, l.proves(0, everything))
		}, "the receipt of event 0"},
		{"one value changed", func(_ *fakeLog, a *httptest.ResponseRecorder) {
			replaceBody(a, changeExtra(a.Body.Bytes(), "alice", "mallo"))
		}, "entry is not record 1"},
		{"one hash changed", func(_ *fakeLog, a *httptest.ResponseRecorder) {
			lines := bytes.Split(a.Body.Bytes(), []byte("\n"))
			lines[3][0] ^= 1
			replaceBody(a, bytes.Join(lines, []byte("\n")))
		}, ""},
		{"signed by another log", func(_ *fakeLog, a *httptest.ResponseRecorder) {
			replaceBody(a, other.proves(1, everything))
		}, "none of which the policy knows"},
		{"a page", func(_ *fakeLog, a *httptest.ResponseRecorder) {
			replaceBody(a, []byte("<html>Welcome"))
		}, "does not start with"},
		{"nothing", func(_ *fakeLog, a *httptest.ResponseRecorder) { replaceBody(a, nil) }, "does not start with"},
		{"the event hidden altogether", func(l *fakeLog, a *httptest.ResponseRecorder) {
			replaceBody(a, l.proves(1, func(*event.Field) bool { return false }))
		}, "it does not show id"},
		{"longer than any receipt", func(_ *fakeLog, a *httptest.ResponseRecorder) {
			replaceBody(a, append(a.Body.Bytes(), make([]byte, proof.MaxProofBytes)...))
		}, "longer than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := newFakeLog(t)
			client := log.client(t, custody.WithLogKey(log.vkey), custody.WithPatience(0))
			for _, l := range []*fakeLog{log, other} {
				if _, err := l.client(t).RecordAll(t.Context(), []custody.Event{release("0.1.0"), release("0.2.0")}); err != nil {
					t.Fatal(err)
				}
			}
			log.byID, log.records, log.hashes = map[string]int{}, nil, nil
			record(t, client, release("0.9.0"))
			log.after = func(r *http.Request, answer *httptest.ResponseRecorder) {
				if strings.HasSuffix(r.URL.Path, "/receipt") && answer.Code == 200 {
					c.forge(log, answer)
				}
			}
			ack, r, err := client.RecordAndProve(t.Context(), release("1.0.0"))
			if err == nil || r != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("RecordAndProve = %v, want an error with %q", err, c.want)
			}
			if ack.Seq != 1 {
				t.Errorf("the ack is %+v, want 1: the event was recorded", ack)
			}
		})
	}
}

func record(t *testing.T, c *custody.Client, e custody.Event) custody.Ack {
	t.Helper()
	ack, err := c.Record(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return ack
}

// changeExtra replaces bytes in the disclosure that a receipt carries.
func changeExtra(text []byte, old, changed string) []byte {
	lines := strings.SplitN(string(text), "\n", 3)
	extra, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil || !bytes.Contains(extra, []byte(old)) {
		panic("nothing to change")
	}
	extra = bytes.ReplaceAll(extra, []byte(old), []byte(changed))
	lines[1] = "extra " + base64.StdEncoding.EncodeToString(extra)
	return []byte(strings.Join(lines, "\n"))
}

// A log that records something else than it was sent is found out, although
// everything it says is truly in its tree and signed.
func TestLogThatChangesEvents(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(f event.Fields) event.Fields
		want   string
	}{
		{"another value", func(f event.Fields) event.Fields {
			for i := range f {
				if f[i].Name == "actor.name" {
					f[i].Value = []byte("mallory")
				}
			}
			return f
		}, "another actor.name"},
		{"a field less", func(f event.Fields) event.Fields {
			out := event.Fields{}
			for _, x := range f {
				if x.Name != "context.ip" {
					out = append(out, x)
				}
			}
			return out
		}, "1 of the fields"},
		{"a field more", func(f event.Fields) event.Fields { return append(f, event.StringField("zebra", "x")) }, "a zebra that was not sent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := newFakeLog(t)
			log.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				body, _ := inflate(r)
				f, err := event.Parse(body)
				if err != nil {
					t.Fatal(err)
				}
				log.mu.Lock()
				defer log.mu.Unlock()
				writeJSON(w, 201, log.add(c.change(append(event.Fields(nil), f...))))
				return true
			}
			client := log.client(t, custody.WithLogKey(log.vkey))
			if _, r, err := client.RecordAndProve(t.Context(), release("1.0.0")); r != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("RecordAndProve = %v, want an error with %q", err, c.want)
			}
		})
	}
}

// A log that acknowledged one commitment cannot prove another, although both
// are to the same fields.
func TestLogThatAcknowledgesAnother(t *testing.T) {
	log := newFakeLog(t)
	log.after = func(r *http.Request, answer *httptest.ResponseRecorder) {
		if r.Method == http.MethodPost {
			var a map[string]any
			json.Unmarshal(answer.Body.Bytes(), &a)
			a["commitment"] = base64.StdEncoding.EncodeToString(make([]byte, 32))
			text, _ := json.Marshal(a)
			replaceBody(answer, text)
		}
	}
	client := log.client(t, custody.WithLogKey(log.vkey))
	if _, r, err := client.RecordAndProve(t.Context(), release("1.0.0")); r != nil || err == nil || !strings.Contains(err.Error(), "another commitment") {
		t.Errorf("RecordAndProve = %v, want an error about the commitment", err)
	}
}

// A receipt is waited for until a checkpoint covers the event, or patience or
// context end. Time is the bubble's.
func TestReceiptNotYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog(t)
		client := log.client(t, custody.WithLogKey(log.vkey))
		log.size = 0
		time.AfterFunc(3*time.Second, func() {
			log.mu.Lock()
			defer log.mu.Unlock()
			log.size = -1
		})
		started := time.Now()
		_, r, err := client.RecordAndProve(t.Context(), release("1.0.0"))
		if took := time.Since(started); err != nil || r.Seq != 0 || took < 3*time.Second || took > 9*time.Second {
			t.Errorf("RecordAndProve = %v after %v, want a receipt soon after 3 s", err, took)
		}

		log.size = 1
		ack := record(t, client, release("1.1.0"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := client.Receipt(ctx, ack.Seq); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not-yet") {
			t.Errorf("Receipt = %v, want the deadline, and the log's answer", err)
		}
		started = time.Now()
		if _, err := client.Receipt(t.Context(), ack.Seq); err == nil || time.Since(started) > custody.DefaultPatience {
			t.Errorf("Receipt = %v after %v, want an error after %v", err, time.Since(started), custody.DefaultPatience)
		}
	})
}

// Without the log's key nothing can be proved, and the error says how to get
// it, before anything is recorded.
func TestNoKey(t *testing.T) {
	log := newFakeLog(t)
	client := log.client(t)
	_, _, err := client.RecordAndProve(t.Context(), release("1.0.0"))
	_, err2 := client.Receipt(t.Context(), 0)
	_, _, err3 := client.Checkpoint(t.Context())
	for _, err := range []error{err, err2, err3} {
		if !errors.Is(err, custody.ErrNoKey) || !strings.Contains(err.Error(), "WithLogKey") {
			t.Errorf("error %v, want ErrNoKey", err)
		}
	}
	if log.len() != 0 {
		t.Error("an event was recorded")
	}
}

// A log that once showed a checkpoint cannot go back on it.
func TestForks(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(l *fakeLog) // what the log does after it showed 8 events
		fork bool
	}{
		{"it grows", func(l *fakeLog) { l.grow(5, "n") }, false},
		{"it stays", func(*fakeLog) {}, false},
		{"it is slow to sign", func(l *fakeLog) { l.grow(2, "n"); l.size = 5 }, false},
		{"it lost its last events", func(l *fakeLog) { l.reset(); l.grow(7, "a") }, true},
		{"it lost events and got others", func(l *fakeLog) { l.reset(); l.grow(7, "a"); l.grow(4, "b") }, true},
		{"it is of the same size and other events", func(l *fakeLog) { l.reset(); l.grow(7, "a"); l.grow(1, "b") }, true},
		{"it began anew", func(l *fakeLog) { l.reset() }, true},
	} {
		for _, again := range []bool{false, true} {
			name := c.name
			if again {
				name += ", and the client too"
			}
			t.Run(name, func(t *testing.T) {
				log := newFakeLog(t)
				log.grow(8, "a")
				dir := filepath.Join(t.TempDir(), "memory")
				opts := []custody.Option{custody.WithLogKey(log.vkey), custody.WithMemory(dir)}
				client := log.client(t, opts...)
				if _, _, err := client.Checkpoint(t.Context()); err != nil {
					t.Fatal(err)
				}
				c.then(log)
				if again {
					client = log.client(t, opts...)
				}
				_, _, err := client.Checkpoint(t.Context())
				var fork *custody.ForkError
				switch {
				case c.fork && (!errors.As(err, &fork) || len(fork.Older) == 0 || len(fork.Newer) == 0):
					t.Errorf("Checkpoint = %v, want a ForkError with its evidence", err)
				case !c.fork && err != nil:
					t.Errorf("Checkpoint = %v", err)
				}
				if c.fork && log.len() > 0 {
					if _, err := client.Receipt(t.Context(), 0); !errors.As(err, &fork) {
						t.Errorf("Receipt from a forked log = %v", err)
					}
				}
			})
		}
	}
}

// grow records n events whose IDs begin with prefix; the events of one prefix
// and place are the same, secrets included.
func (l *fakeLog) grow(n int, prefix string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		e := release("1.0.0")
		e.ID, e.Time = prefix+string(rune('a'+len(l.records))), time.Unix(1_700_000_000, 0)
		f, err := e.Fields()
		if err != nil {
			panic(err)
		}
		l.addWith(f, event.Secrets{}, e.Time)
	}
}

func (l *fakeLog) reset() {
	l.records, l.hashes, l.byID = nil, nil, make(map[string]int)
}

// What is remembered is checked again: who changes the file cannot make the
// client accuse the log, or believe another one.
func TestMemoryIsChecked(t *testing.T) {
	log, other := newFakeLog(t), newFakeLog(t)
	log.grow(3, "a")
	other.grow(3, "b")
	dir := t.TempDir()
	opts := []custody.Option{custody.WithLogKey(log.vkey), custody.WithMemory(dir)}
	if _, _, err := log.client(t, opts...).Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "checkpoint")
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, theirs := other.sign()
	for name, content := range map[string][]byte{
		"another log's": theirs, "torn": kept[:len(kept)/2], "empty": {}, "one bit changed": flipped(kept, 20),
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		var fork *custody.ForkError
		if _, _, err := log.client(t, opts...).Checkpoint(t.Context()); err == nil || errors.As(err, &fork) || !strings.Contains(err.Error(), "remembered checkpoint") {
			t.Errorf("with a memory that is %s: %v, want an error about the memory", name, err)
		}
	}
	os.WriteFile(file, kept, 0o600)
	if _, _, err := log.client(t, opts...).Checkpoint(t.Context()); err != nil {
		t.Errorf("with the memory as it was: %v", err)
	}
}

func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

// Callers that prove at the same time, in processes that share a memory, do
// not trip over each other.
func TestMemoryShared(t *testing.T) {
	log := newFakeLog(t)
	dir := t.TempDir()
	errs := make(chan error)
	const callers, each = 8, 20
	for i := range callers {
		client := log.client(t, custody.WithLogKey(log.vkey), custody.WithMemory(dir))
		if i%2 == 0 {
			client = log.client(t, custody.WithLogKey(log.vkey))
		}
		go func() {
			var err error
			for range each {
				if _, _, e := client.RecordAndProve(t.Context(), release("1.0.0")); e != nil {
					err = e
				}
			}
			errs <- err
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// A policy that knows witnesses asks for their cosignatures; from a log that
// has none it still accepts what its quorum allows, and nothing less.
func TestReceiptWitnessed(t *testing.T) {
	for _, c := range []struct {
		quorum string
		want   string
	}{
		{"none", ""},
		{"w1", "quorum w1 is not reached"},
	} {
		t.Run("quorum "+c.quorum, func(t *testing.T) {
			log := newFakeLog(t)
			policy, err := proof.ParsePolicy([]byte("log " + log.vkey + "\nwitness w1 " + witnessKey(t) + "\nquorum " + c.quorum + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			asked := false
			log.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.FormValue("witnessed") != "true" {
					return false
				}
				asked = true
				writeProblem(w, 409, "no-witnesses", nil)
				return true
			}
			_, r, err := log.client(t, custody.WithPolicy(policy)).RecordAndProve(t.Context(), release("1.0.0"))
			if !asked || c.want == "" && err != nil || c.want != "" && (r != nil || err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("RecordAndProve = %v, asked for witnesses %v, want %q", err, asked, c.want)
			}
		})
	}
}

// witnessKey returns the verifier key of a witness that signs nothing here.
func witnessKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	raw := append([]byte{4}, public...)
	id := sha256.Sum256(append([]byte("w.example.com\n"), raw...))
	return fmt.Sprintf("w.example.com+%x+%s", id[:4], base64.StdEncoding.EncodeToString(raw))
}
