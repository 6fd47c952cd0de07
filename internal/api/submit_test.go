package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/api"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
)

// A problem is an answer that is not a success.
type problem struct {
	Type, Title, Detail, Path, Limit, Hint string
	Status, Column                         int
	Index                                  *int
	Seq                                    *int64
}

// An accepted is the answer to a submission.
type accepted struct {
	Seq        int64
	Commitment []byte
	Duplicate  bool
	Accepted   int
	Duplicates int
	First      *int64
	Last       *int64
	Events     []accepted
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

func zstded(t testing.TB, s string, options ...zstd.EOption) string {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, options...)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

// with returns the headers of a JSON body and more.
func with(header map[string]string, more ...string) map[string]string {
	all := make(map[string]string)
	maps.Copy(all, header)
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

// batch returns n events as an array, and as lines.
func batch(n int, name string) (array, ndjson string) {
	var list []string
	for i := range n {
		list = append(list, login(fmt.Sprintf("%s-%d", name, i), "alice"))
	}
	return "[" + strings.Join(list, ",") + "]", strings.Join(list, "\n")
}

// TestSubmit checks the answers to what is well made: the position, the
// commitment, whether it was there.
func TestSubmit(t *testing.T) {
	b := open(t, new(disk.Mem))
	post := func(header map[string]string, body string) (int, accepted) {
		t.Helper()
		w := b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: header, body: body})
		return w.Code, decode[accepted](t, w)
	}
	status, one := post(jsonBody, published)
	if status != 201 || one.Seq != 0 || one.Duplicate || len(one.Commitment) != 32 {
		t.Errorf("first submission = %d %+v, want 201, seq 0 and a commitment", status, one)
	}
	records, err := b.journal.Read(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := event.StoredCommitment(records[0].Body); err != nil || !bytes.Equal(c[:], one.Commitment) {
		t.Errorf("commitment in the answer %x, in the record %x, %v", one.Commitment, c, err)
	}
	if status, again := post(jsonBody, published); status != 200 || again.Seq != 0 || !again.Duplicate || !bytes.Equal(again.Commitment, one.Commitment) {
		t.Errorf("same event again = %d %+v, want 200, seq 0, duplicate, the same commitment", status, again)
	}
	array, ndjson := batch(3, "a")
	status, all := post(jsonBody, array)
	if status != 201 || all.Accepted != 3 || all.Duplicates != 0 || len(all.Events) != 3 || *all.First != 1 || *all.Last != 3 || all.Events[2].Seq != 3 {
		t.Errorf("batch = %d %+v, want 3 events from 1 to 3", status, all)
	}
	if status, all := post(lines, ndjson); status != 200 || all.Accepted != 0 || all.Duplicates != 3 || all.First != nil || !all.Events[0].Duplicate || all.Events[0].Seq != 1 {
		t.Errorf("same batch as lines = %d %+v, want 200 and 3 duplicates", status, all)
	}
	array, _ = batch(5, "a")
	if status, all := post(with(jsonBody, "Prefer", "respond-async, return=minimal"), array); status != 201 || all.Events != nil || all.Accepted != 2 || all.Duplicates != 3 || *all.First != 4 || *all.Last != 5 {
		t.Errorf("batch half known, answered shortly = %d %+v, want 2 new events from 4 to 5", status, all)
	}
	var first struct{ Source, Trust string }
	b.get("/v1/events/0", &first)
	if first.Source != "submit-source" || first.Trust != "witnessed" {
		t.Errorf("event 0 has %+v, want the source of the key, witnessed", first)
	}
}

// TestForms checks every way in which a body may be sent.
func TestForms(t *testing.T) {
	array, ndjson := batch(100, "b")
	for _, c := range []struct {
		name   string
		header map[string]string
		body   string
	}{
		{"array", jsonBody, array},
		{"array after white space", jsonBody, " \r\n\t" + array + "\n"},
		{"lines", lines, ndjson},
		{"lines with an end and gaps", lines, "\n" + strings.ReplaceAll(ndjson, "\n", "\r\n\n") + "\n"},
		{"charset", map[string]string{"Content-Type": "application/json; charset=UTF-8"}, array},
		{"capitals in the type", map[string]string{"Content-Type": "Application/JSON"}, array},
		{"identity", with(jsonBody, "Content-Encoding", "identity"), array},
		{"gzip", with(jsonBody, "Content-Encoding", "gzip"), gzipped(array)},
		{"gzip in two members", with(lines, "Content-Encoding", "gzip"), gzipped(ndjson[:5000]) + gzipped(ndjson[5000:])},
		{"zstd", with(jsonBody, "Content-Encoding", "ZSTD"), zstded(t, array)},
		{"zstd lines", with(lines, "Content-Encoding", "zstd"), zstded(t, ndjson)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, new(disk.Mem))
			for range 2 { // the second time with memory that was used
				w := b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: c.header, body: c.body})
				if got := decode[accepted](t, w); got.Accepted+got.Duplicates != 100 {
					t.Errorf("%d %.300s, want 100 events", w.Code, w.Body)
				}
			}
			if n := b.journal.Size(); n != 100 {
				t.Errorf("the journal has %d records, want 100", n)
			}
		})
	}
}

// A refusal is a submission that must change nothing.
type refusal struct {
	name   string
	header map[string]string
	body   string
	status int
	slug   string
	want   problem // members that are not zero must be as here; texts must be part
}

func refusals(t testing.TB) []refusal {
	good := login("g", "alice")
	array, ndjson := batch(event.MaxBatchEvents+1, "c")
	long := strings.Replace(good, `"alice"`, `"alice"},"metadata":{"a":"`+strings.Repeat("x", 16000)+`","b":"`+strings.Repeat("x", 16000)+
		`","c":"`+strings.Repeat("x", 16000)+`","d":"`+strings.Repeat("x", 16000)+`","e":"`+strings.Repeat("x", 16000)+`"`, 1)
	huge := "[" + strings.Repeat(" ", event.MaxBatchBytes) + "]"
	bomb := strings.Repeat("\x00", 300<<20)
	second := func(bad string) string { return "[" + login("h", "bob") + "," + bad + "]" }
	replace := func(old, fresh string) string { return strings.Replace(published, old, fresh, 1) }
	metadata := func(members string) string { return replace(`{"version":"1.2.3"}`, `{`+members+`}`) }
	return []refusal{
		{"nothing", jsonBody, "", 422, "invalid-event", problem{Detail: "ends at byte 0"}},
		{"junk", jsonBody, "junk", 422, "invalid-event", problem{Detail: "the event"}},
		{"two events in a row", jsonBody, good + good, 422, "invalid-event", problem{Detail: "nothing more was expected"}},
		{"cut short", jsonBody, good[:40], 422, "invalid-event", problem{Detail: "ends at byte 40"}},
		{"null", jsonBody, "null", 422, "invalid-event", problem{}},
		{"no id", jsonBody, replace(`"id":"p-1",`, ``), 422, "invalid-event", problem{Path: "id", Detail: "is missing"}},
		{"empty id", jsonBody, replace(`"p-1"`, `""`), 422, "invalid-event", problem{Path: "id", Detail: "is empty"}},
		{"no actor", jsonBody, `{"id":"1","tag":"user:login:success","time":"2026-03-31T00:20:00Z"}`, 422, "invalid-event", problem{Path: "actor"}},
		{"unknown member", jsonBody, replace(`"id"`, `"colour":"red","id"`), 422, "invalid-event", problem{Path: "colour", Detail: "metadata"}},
		{"unknown member of a subject", jsonBody, replace(`"role":"target"`, `"age":1`), 422, "invalid-event", problem{Path: "subjects[1].age"}},
		{"member twice", jsonBody, replace(`"id"`, `"id":"x","id"`), 422, "invalid-event", problem{Path: "id", Detail: "twice"}},
		{"metadata twice", jsonBody, metadata(`"a":1,"a":2`), 422, "invalid-event", problem{Path: "metadata.a", Detail: "twice"}},
		{"metadata null", jsonBody, metadata(`"a":null`), 422, "invalid-event", problem{Path: "metadata.a", Detail: "null"}},
		{"invalid UTF-8", jsonBody, replace(`"alice"`, "\"al\xffice\""), 422, "invalid-event", problem{Path: "actor.name"}},
		{"lone surrogate", jsonBody, replace(`"alice"`, `"\ud800"`), 422, "invalid-event", problem{Path: "actor.name"}},
		{"tag of no class", jsonBody, replace(`project:release:add`, `house:built`), 422, "invalid-event", problem{Path: "tag"}},
		{"time without zone", jsonBody, replace(`.123456Z`, ``), 422, "invalid-event", problem{Path: "time"}},
		{"unknown outcome", jsonBody, replace(`"success"`, `"won"`), 422, "invalid-event", problem{Path: "outcome"}},
		{"no address", jsonBody, replace(`203.0.113.9`, `203.0.113.9:443`), 422, "invalid-event", problem{Path: "context.ip"}},
		{"member of the log", jsonBody, replace(`"id"`, `"seq":1,"id"`), 422, "invalid-event", problem{Path: "seq", Detail: "set by the log"}},
		{"source of another", jsonBody, replace(`"id"`, `"source":"x","id"`), 422, "invalid-event", problem{Path: "source"}},
		{"number as a name", jsonBody, replace(`"alice"`, `7`), 422, "invalid-event", problem{Path: "actor.name", Detail: "string"}},
		{"nested too deep", jsonBody, metadata(`"a":` + strings.Repeat("[", 50) + strings.Repeat("]", 50)), 422, "invalid-event", problem{Path: "metadata.a"}},
		{"batch of none", jsonBody, "[]", 422, "invalid-event", problem{Detail: "no events"}},
		{"lines of none", lines, "\n\n", 422, "invalid-event", problem{Detail: "no events"}},
		{"second of a batch", jsonBody, second(replace(`"role":"target"`, `"age":1`)), 422, "invalid-event", problem{Index: new(1), Path: "subjects[1].age"}},
		{"third of the lines", lines, good + "\n\n" + login("h", "bob") + "\n" + `{"id":""}`, 422, "invalid-event", problem{Index: new(2), Path: "id"}},
		{"array open", jsonBody, "[" + good, 422, "invalid-event", problem{}},
		{"array in lines", lines, "[" + good + "]", 422, "invalid-event", problem{Index: new(0)}},
		{"batch with one ID twice", jsonBody, second(login("h", "carol")), 409, "conflict", problem{Index: new(1), Detail: "same batch"}},
		{"known ID", jsonBody, login("known", "bob"), 409, "conflict", problem{Seq: new(int64), Detail: `the ID "known"`}},
		{"known ID in a batch", jsonBody, second(login("known", "bob")), 409, "conflict", problem{Index: new(1), Seq: new(int64)}},
		{"event too long", jsonBody, long, 413, "too-large", problem{Limit: "event of at most 65536 bytes"}},
		{"event of a batch too long", jsonBody, second(long), 413, "too-large", problem{Limit: "event of at most 65536 bytes", Index: new(1)}},
		{"line too long", lines, good + "\n" + long, 413, "too-large", problem{Limit: "event of at most 65536 bytes", Index: new(1)}},
		{"batch too long", jsonBody, huge, 413, "too-large", problem{Limit: "at most 8388608 bytes"}},
		{"batch of too many", jsonBody, array, 413, "too-large", problem{Limit: "batch of at most 10000 events"}},
		{"too many lines", lines, ndjson, 413, "too-large", problem{Limit: "batch of at most 10000 events"}},
		{"gzip too long", with(jsonBody, "Content-Encoding", "gzip"), gzipped(huge), 413, "too-large", problem{Limit: "at most 8388608 bytes after decompression"}},
		{"gzip bomb", with(jsonBody, "Content-Encoding", "gzip"), gzipped(bomb), 413, "too-large", problem{Limit: "at most 8388608 bytes after decompression"}},
		{"gzip of nothing without end", with(jsonBody, "Content-Encoding", "gzip"), strings.Repeat(gzipped(""), 9<<20/len(gzipped(""))), 413, "too-large", problem{Limit: "request of at most 8388608 bytes"}},
		{"zstd bomb", with(jsonBody, "Content-Encoding", "zstd"), zstded(t, bomb), 413, "too-large", problem{Limit: "at most 8388608 bytes after decompression"}},
		{"zstd with a huge window", with(jsonBody, "Content-Encoding", "zstd"), hugeWindow(t), 413, "too-large", problem{Limit: "zstd window of at most 8388608 bytes"}},
		{"gzip of junk", with(jsonBody, "Content-Encoding", "gzip"), good, 400, "bad-request", problem{Detail: "Content-Encoding"}},
		{"gzip cut short", with(jsonBody, "Content-Encoding", "gzip"), gzipped(good)[:40], 400, "bad-request", problem{Detail: "ends early"}},
		{"gzip with a wrong checksum", with(jsonBody, "Content-Encoding", "gzip"), flipped(gzipped(good), -8), 400, "bad-request", problem{Detail: "Content-Encoding"}},
		{"zstd of junk", with(jsonBody, "Content-Encoding", "zstd"), good, 400, "bad-request", problem{Detail: "Content-Encoding"}},
		{"zstd cut short", with(jsonBody, "Content-Encoding", "zstd"), zstded(t, good)[:20], 400, "bad-request", problem{Detail: "ends early"}},
		{"unknown encoding", with(jsonBody, "Content-Encoding", "br"), good, 415, "unsupported", problem{Detail: `"br"`, Hint: "gzip, zstd"}},
		{"two encodings", with(jsonBody, "Content-Encoding", "gzip, gzip"), good, 415, "unsupported", problem{}},
		{"no content type", nil, good, 415, "unsupported", problem{Hint: "application/x-ndjson"}},
		{"a form", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, good, 415, "unsupported", problem{}},
		{"another charset", map[string]string{"Content-Type": "application/json; charset=latin1"}, good, 415, "unsupported", problem{}},
		{"malformed content type", map[string]string{"Content-Type": "application/json; ="}, good, 415, "unsupported", problem{}},
	}
}

// hugeWindow returns a zstd frame that asks for a window of 64 MiB.
func hugeWindow(t testing.TB) string {
	return zstded(t, strings.Repeat("0123456789abcdef", 5<<20), zstd.WithWindowSize(64<<20))
}

// flipped returns s with the byte at i, from the end if negative, changed.
func flipped(s string, i int) string {
	b := []byte(s)
	b[(i+len(b))%len(b)] ^= 1
	return string(b)
}

// TestRefusals sends everything that must be refused, to one log: each with
// its status, naming what is to blame, and none leaving a trace.
func TestRefusals(t *testing.T) {
	b := open(t, new(disk.Mem))
	b.submit(login("known", "alice"))
	size := b.journal.Size()
	for _, c := range refusals(t) {
		t.Run(c.name, func(t *testing.T) {
			w := b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: c.header, body: c.body})
			got := decode[problem](t, w)
			if w.Code != c.status || got.Status != c.status || got.Type != "/problems/"+c.slug {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, c.status, c.slug)
			}
			if c.want.Path != got.Path || !cmp.Equal(c.want.Index, got.Index) || !cmp.Equal(c.want.Seq, got.Seq) {
				t.Errorf("path %q, index %v, seq %v; want %q, %v, %v: %s", got.Path, got.Index, got.Seq, c.want.Path, c.want.Index, c.want.Seq, w.Body)
			}
			if !strings.Contains(got.Detail, c.want.Detail) || !strings.Contains(got.Limit, c.want.Limit) || !strings.Contains(got.Hint, c.want.Hint) {
				t.Errorf("%s\nwant %+v", w.Body, c.want)
			}
			if n := b.journal.Size(); n != size {
				t.Errorf("the journal has %d records, want %d as before", n, size)
			}
		})
	}
	// Of what was refused with its batch, nothing is remembered either.
	b.submit(login("g", "somebody else"))
	b.submit(login("h", "somebody else"))
}

// TestCutOff checks that a body whose sender went away is refused.
func TestCutOff(t *testing.T) {
	b := open(t, new(disk.Mem))
	for _, header := range []map[string]string{jsonBody, with(jsonBody, "Content-Encoding", "gzip")} {
		text := login("x", "alice")
		if header["Content-Encoding"] != "" {
			text = gzipped(text)
		}
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/events", gone(text))
		r.Header.Set("Authorization", "Bearer "+b.keys[auth.Submit])
		for name, value := range header {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || b.journal.Size() != 0 {
			t.Errorf("%v: %d %s, %d records; want 400 and none", header, w.Code, w.Body, b.journal.Size())
		}
	}
}

// TestUnknownLength checks that the limits hold also for bodies that do not say
// how long they will be, and that a length that is too large is refused before
// anything is read.
func TestUnknownLength(t *testing.T) {
	b := open(t, new(disk.Mem))
	for _, c := range []struct {
		name, encoding string
		length         int64
		body           io.Reader
		limit          string
	}{
		{"announced", "", 1 << 40, &failing{}, "request of at most 8388608 bytes"},
		{"endless", "", -1, &endless{text: " "}, "batch of at most 8388608 bytes after decompression"},
		{"endless gzip of nothing", "gzip", -1, &endless{text: gzipped("")}, "request of at most 8388608 bytes"},
		{"endless gzip of something", "gzip", -1, &endless{text: gzipped(strings.Repeat(" ", 1<<20))}, "batch of at most 8388608 bytes after decompression"},
		{"endless zstd of nothing", "zstd", -1, &endless{text: zstded(t, "", zstd.WithZeroFrames(true))}, "request of at most 8388608 bytes"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/events", c.body)
		r.ContentLength = c.length
		r.Header.Set("Authorization", "Bearer "+b.keys[auth.Submit])
		r.Header.Set("Content-Type", "application/json")
		if c.encoding != "" {
			r.Header.Set("Content-Encoding", c.encoding)
		}
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		if p := decode[problem](t, w); w.Code != http.StatusRequestEntityTooLarge || p.Limit != c.limit {
			t.Errorf("%s: %d %s, want 413 and %q", c.name, w.Code, w.Body, c.limit)
		}
		if e, ok := c.body.(*endless); ok && e.read > 9<<20 {
			t.Errorf("%s: %d bytes were read", c.name, e.read)
		}
	}
}

// An endless body repeats its text for ever.
type endless struct {
	text string
	at   int
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	e.read += n
	return n, nil
}

// TestLargeBodiesWait lets as many large bodies as may be in memory at once
// stall: the next has to wait, and is told so; small ones are not held up.
func TestLargeBodiesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, new(disk.Mem))
		var stalled []*io.PipeWriter
		var all sync.WaitGroup
		for range 32 {
			in, out := io.Pipe()
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/events", in)
			r.ContentLength = -1
			r.Header.Set("Authorization", "Bearer "+b.keys[auth.Submit])
			r.Header.Set("Content-Type", "application/json")
			all.Go(func() { b.handler.ServeHTTP(httptest.NewRecorder(), r) })
			if _, err := io.WriteString(out, strings.Repeat(" ", 200<<10)); err != nil {
				t.Fatal(err)
			}
			stalled = append(stalled, out)
		}
		began := time.Now()
		b.submit(published)
		if took := time.Since(began); took != 0 {
			t.Errorf("a small event waited for %v", took)
		}
		header := with(jsonBody, "Content-Encoding", "gzip")
		w := b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: header, body: gzipped(login("z", "bob"))})
		if p := decode[problem](t, w); w.Code != 503 || p.Type != "/problems/busy" || p.Limit != "32 large or compressed requests at once" {
			t.Errorf("one large body more = %d %s after %v, want 503 busy", w.Code, w.Body, time.Since(began))
		}
		stalled[0].Close()
		if w := b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: header, body: gzipped(login("z", "bob"))}); w.Code != 201 {
			t.Errorf("after one ended: %d %s, want 201", w.Code, w.Body)
		}
		for _, s := range stalled {
			s.Close()
		}
		all.Wait()
		b.stop()
	})
}

// TestKeysAtTheDoor checks who is let in.
func TestKeysAtTheDoor(t *testing.T) {
	b := open(t, new(disk.Mem))
	good := b.keys[auth.Submit]
	for _, c := range []struct {
		name, header string
		status       int
	}{
		{"no key", "", 401},
		{"no scheme", good, 401},
		{"another scheme", "Basic " + base64.StdEncoding.EncodeToString([]byte("a:"+good)), 401},
		{"a word", "Bearer word", 401},
		{"unknown id", "Bearer cst_000000000000_" + good[17:], 401},
		{"wrong secret", "Bearer " + flipped(good, -3), 401},
		{"half the secret", "Bearer " + good[:30], 401},
		{"another key's secret", "Bearer " + good[:17] + b.keys[auth.Read][17:], 401},
		{"scope of another", "Bearer " + b.keys[auth.Read], 403},
		{"the key", "Bearer " + good, 201},
		{"the key, scheme in small letters", "bearer " + good, 200},
		{"an administrator", "Bearer " + b.keys[auth.Admin], 201},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := with(jsonBody)
			if c.header != "" {
				header["Authorization"] = c.header
			}
			w := b.do(call{method: "POST", path: "/v1/events", header: header, body: published})
			if w.Code != c.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, c.status)
			}
			if strings.Contains(w.Body.String(), good[17:]) {
				t.Error("the answer repeats the secret")
			}
		})
	}
}

// TestTrust checks that only an administrator may load history.
func TestTrust(t *testing.T) {
	b := open(t, new(disk.Mem))
	for _, c := range []struct {
		query, scope string
		status       int
	}{
		{"?trust=imported", auth.Submit, 403},
		{"?trust=guessed", auth.Admin, 400},
		{"?trust=", auth.Admin, 400},
		{"?trust=witnessed&trust=imported", auth.Admin, 400},
		{"?thrust=imported", auth.Admin, 400},
		{"?trust=%zz", auth.Admin, 400},
		{"?trust=imported", auth.Admin, 201},
		{"?trust=witnessed", auth.Submit, 201},
	} {
		w := b.do(call{method: "POST", path: "/v1/events" + c.query, scope: c.scope, header: jsonBody, body: published})
		if w.Code != c.status {
			t.Errorf("%s with a key for %s = %d %s, want %d", c.query, c.scope, w.Code, w.Body, c.status)
		}
	}
	var first struct{ Trust string }
	if b.get("/v1/events/0", &first); first.Trust != "imported" {
		t.Errorf("event 0 is %q, want imported", first.Trust)
	}
}

// TestStopped checks that a log that lost its disk says so, and keeps saying
// so, while what is there can be read.
func TestStopped(t *testing.T) {
	fs, broken := unsyncable()
	b := open(t, fs, func(a *api.API) {
		a.Trouble = func() []string { return []string{"the journal has stopped"} }
	})
	b.submit(published)
	broken.Store(true)
	for range 2 {
		w := b.do(call{method: "POST", path: "/v1/events", scope: auth.Submit, header: jsonBody, body: login("x", "bob")})
		if got := decode[problem](t, w); w.Code != 503 || got.Type != "/problems/stopped" || w.Header().Get("Retry-After") == "" {
			t.Errorf("submission without a disk = %d %s, want 503 stopped", w.Code, w.Body)
		}
	}
	var first struct{ ID string }
	if b.get("/v1/events/0", &first); first.ID != "p-1" {
		t.Errorf("event 0 is %q, want p-1", first.ID)
	}
	if w := b.do(call{method: "GET", path: "/readyz"}); w.Code != 503 || !strings.Contains(w.Body.String(), "has stopped") {
		t.Errorf("/readyz = %d %s, want 503 and why", w.Code, w.Body)
	}
	b.do(call{method: "GET", path: "/healthz"})
}

// TestGoneClient checks that an event is recorded although whoever sent it did
// not wait for the answer.
func TestGoneClient(t *testing.T) {
	b := open(t, new(disk.Mem))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "POST", "/v1/events", strings.NewReader(published))
	r.Header.Set("Authorization", "Bearer "+b.keys[auth.Submit])
	r.Header.Set("Content-Type", "application/json")
	b.handler.ServeHTTP(httptest.NewRecorder(), r)
	if n := b.journal.Size(); n != 1 {
		t.Errorf("the journal has %d records, want 1", n)
	}
}
