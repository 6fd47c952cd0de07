package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/event"
)

// full is an event with every member.
const full = `{
 "id":"0193","tag":"project:release:add","time":"2026-03-31T00:21:00.123456+02:00","outcome":"success",
 "actor":{"type":"user","id":"u1","name":"alice"},
 "on_behalf_of":{"type":"service","id":"s1","name":"ci"},
 "credential":{"kind":"token","id":"t1","name":"deploy","mfa":"none","session":"s9"},
 "oidc":{"issuer":"https://issuer.example","subject":"repo:a/b","repository":"a/b","workflow_ref":"w","ref":"r","sha":"h","run_id":"7","environment":"prod"},
 "subjects":[{"type":"project","id":"pkg:npm/demo","name":"demo"},{"type":"version","id":"pkg:npm/demo@1.0.0","name":"demo","version":"1.0.0","role":"target"}],
 "context":{"ip":"203.0.113.9","user_agent":"npm/11","request_id":"r1","trace_id":"x","origin":"cli"},
 "changes":[{"field":"latest","old":"0.9.0","new":"1.0.0"},{"field":"n","old":1,"new":[1,2.50]}],
 "metadata":{"attested":false,"bytes":-12,"ratio":1.50,"deps":["b",{"z":1,"a":null}],"note":"caf\u00e9 \ud83d\ude00\n"},
 "reason":"because","reason_internal":"really","source_seq":41}`

// minimal has only what must be there.
const minimal = `{"id":"1","tag":"user:login:success","time":"2026-03-31T00:21:00Z","actor":{"type":"user"}}`

func TestParseFull(t *testing.T) {
	fields, err := event.Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	last := ""
	for _, f := range fields {
		if f.Name <= last {
			t.Errorf("field %q comes after %q", f.Name, last)
		}
		last = f.Name
		got[f.Name] = fmt.Sprintf("%d %s", f.Type, f.Text())
	}
	for name, want := range map[string]string{
		"time":            "4 2026-03-30T22:21:00.123456Z",
		"context.ip":      "5 203.0.113.9",
		"metadata.bytes":  "2 -12",
		"metadata.ratio":  "6 1.5",
		"metadata.deps":   `6 ["b",{"a":null,"z":1}]`,
		"metadata.note":   "1 café 😀\n",
		"changes.1.old":   "2 1",
		"changes.1.new":   "6 [1,2.5]",
		"subjects.1.role": "1 target",
		"source_seq":      "2 41",
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	if len(fields) != 50 {
		t.Errorf("%d fields, want 50: %v", len(fields), got)
	}
}

// TestEventRoundTrip checks that the convenient form loses nothing.
func TestEventRoundTrip(t *testing.T) {
	first, err := event.Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	second, err := first.Event().Fields()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(texts(first), texts(second)); diff != "" {
		t.Errorf("fields (-before +after):\n%s", diff)
	}
}

func texts(f event.Fields) (list []string) {
	for _, x := range f {
		list = append(list, fmt.Sprintf("%s %d %x", x.Name, x.Type, x.Value))
	}
	return list
}

// TestParseRefuses checks that whatever two parsers could read differently, and
// whatever is over a limit, is refused with the member's path.
func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	long := strings.Repeat("x", event.MaxTextBytes+1)
	many := func(n int, element string) string {
		return strings.TrimSuffix(strings.Repeat(element+",", n), ",")
	}
	var keys []string
	for i := range 65 {
		keys = append(keys, fmt.Sprintf(`"k%d":1`, i))
	}
	for _, tt := range []struct{ name, old, new, path, reason string }{
		{"unknown member", `"id":"1"`, `"id":"1","colour":"red"`, "colour", "is not a member"},
		{"member twice", `"id":"1"`, `"id":"1","id":"1"`, "id", "is there twice"},
		{"member twice in another spelling", `"id":"1"`, `"id":"1","\u0069d":"1"`, "id", "is there twice"},
		{"other case", `"id":"1"`, `"ID":"1"`, "ID", "is not a member"},
		{"nested twice", `{"type":"user"}`, `{"type":"user","type":"admin"}`, "actor.type", "is there twice"},
		{"null", `"id":"1"`, `"id":null`, "id", "must be a string"},
		{"no id", `"id":"1",`, ``, "id", "is missing"},
		{"empty id", `"id":"1"`, `"id":""`, "id", "is empty"},
		{"long id", `"id":"1"`, `"id":"` + strings.Repeat("x", 256) + `"`, "id", "longer than 255 bytes"},
		{"no actor type", `{"type":"user"}`, `{"name":"alice"}`, "actor.type", "is missing"},
		{"actor type", `{"type":"user"}`, `{"type":"cat"}`, "actor.type", "must be one of"},
		{"class", `user:login:success`, `cat:login:success`, "tag", "must start with"},
		{"tag case", `user:login:success`, `user:Login:success`, "tag", "lower-case"},
		{"time without zone", `00:21:00Z`, `00:21:00`, "time", "RFC 3339"},
		{"time with comma", `00:21:00Z`, `00:21:00,5Z`, "time", "RFC 3339"},
		{"time with short hour", `T00:21:00Z`, `T0:21:00.00Z`, "time", "RFC 3339"},
		{"time before 1970", `2026-03-31`, `1969-03-31`, "time", "between 1970 and 9999"},
		{"lone surrogate", `"id":"1"`, `"id":"\ud800x"`, "id", "lone surrogate"},
		{"low surrogate first", `"id":"1"`, `"id":"\udc00\ud800"`, "id", "lone surrogate"},
		{"bad UTF-8", `"id":"1"`, "\"id\":\"\xff\"", "id", "not valid UTF-8"},
		{"bad UTF-8 behind an escape", `"id":"1"`, "\"id\":\"\\n\xff\"", "id", "not valid UTF-8"},
		{"control character", `"id":"1"`, "\"id\":\"a\nb\"", "id", "no control character"},
		{"bad escape", `"id":"1"`, `"id":"\x41"`, "id", "escape"},
		{"set by the log", `"id":"1"`, `"id":"1","received":"2026-03-31T00:21:00Z"`, "received", "set by the log"},
		{"seq", `"id":"1"`, `"id":"1","seq":4`, "seq", "set by the log"},
		{"source_seq of zero", `"id":"1"`, `"id":"1","source_seq":0`, "source_seq", "1 or more"},
		{"source_seq as text", `"id":"1"`, `"id":"1","source_seq":"4"`, "source_seq", "whole number"},
		{"address with port", `"id":"1"`, `"id":"1","context":{"ip":"203.0.113.9:80"}`, "context.ip", "IP address"},
		{"address with zone", `"id":"1"`, `"id":"1","context":{"ip":"fe80::1%eth0"}`, "context.ip", "IP address"},
		{"subject type", `"id":"1"`, `"id":"1","subjects":[{"type":"user"},{"type":"A b"}]`, "subjects[1].type", "must be a word"},
		{"subject without type", `"id":"1"`, `"id":"1","subjects":[{"name":"x"}]`, "subjects[0].type", "is missing"},
		{"too many subjects", `"id":"1"`, `"id":"1","subjects":[` + many(33, `{"type":"user"}`) + `]`, "subjects", "more than 32"},
		{"change without field", `"id":"1"`, `"id":"1","changes":[{"old":1}]`, "changes[0].field", "is missing"},
		{"metadata null", `"id":"1"`, `"id":"1","metadata":{"a":null}`, "metadata.a", "is null"},
		{"metadata key", `"id":"1"`, `"id":"1","metadata":{"a b":1}`, "metadata.a b", "is not a name"},
		{"metadata twice", `"id":"1"`, `"id":"1","metadata":{"a":1,"a":1}`, "metadata.a", "is there twice"},
		{"metadata deep twice", `"id":"1"`, `"id":"1","metadata":{"a":{"b":1,"b":1}}`, "metadata.a", "twice"},
		{"metadata deep", `"id":"1"`, `"id":"1","metadata":{"a":` + deep + `}`, "metadata.a", "nested deeper"},
		{"metadata long", `"id":"1"`, `"id":"1","metadata":{"a":"` + long + `"}`, "metadata.a", "longer than 16384 bytes"},
		{"too much metadata", `"id":"1"`, `"id":"1","metadata":{` + strings.Join(keys, ",") + `}`, "metadata", "more than 64"},
		{"inexact number", `"id":"1"`, `"id":"1","metadata":{"a":[9007199254740993]}`, "metadata.a", "exactly"},
		{"inexact number with a point", `"id":"1"`, `"id":"1","metadata":{"a":[9007199254740993.0]}`, "metadata.a", "exactly"},
		{"fraction that a double loses", `"id":"1"`, `"id":"1","metadata":{"a":1.00000000000000000001}`, "metadata.a", "exactly"},
		{"number that a double makes zero", `"id":"1"`, `"id":"1","metadata":{"a":1e-400}`, "metadata.a", "exactly"},
		{"huge number", `"id":"1"`, `"id":"1","metadata":{"a":1e999}`, "metadata.a", "range of a double"},
		{"leading zero", `"id":"1"`, `"id":"1","metadata":{"a":01}`, "metadata.a", "not valid JSON"},
		{"NaN", `"id":"1"`, `"id":"1","metadata":{"a":NaN}`, "metadata.a", "not valid JSON"},
		{"comma at the end", `{"type":"user"}`, `{"type":"user",}`, "actor", "not valid JSON"},
		{"two events", minimal, minimal + minimal, "", "nothing more"},
		{"array", minimal, `[` + minimal + `]`, "", "an object"},
		{"cut short", minimal, minimal[:len(minimal)-3], "actor.type", "ends at byte"},
		{"nothing", minimal, ``, "", "ends at byte 0"},
		{"byte order mark", minimal, "\ufeff" + minimal, "", "not valid JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := strings.Replace(minimal, tt.old, tt.new, 1)
			_, err := event.Parse([]byte(data))
			invalid, ok := errors.AsType[*event.InvalidError](err)
			if !ok {
				t.Fatalf("Parse = %v, want an InvalidError", err)
			}
			if invalid.Path != tt.path || !strings.Contains(invalid.Reason, tt.reason) {
				t.Errorf("Parse blames %q: %s\nwant %q and %q", invalid.Path, invalid.Reason, tt.path, tt.reason)
			}
		})
	}
}

func TestParseLimits(t *testing.T) {
	pad := func(n int) string { return minimal + strings.Repeat(" ", n-len(minimal)) }
	if _, err := event.Parse([]byte(pad(event.MaxJSONBytes))); err != nil {
		t.Errorf("Parse at the limit: %v", err)
	}
	if _, err := event.Parse([]byte(pad(event.MaxJSONBytes + 1))); err == nil {
		t.Error("Parse over the limit accepted the event")
	}
}

// FuzzParse checks that parsing never panics, and that what is accepted is
// accepted again, with the same fields, after a trip through the other form.
func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(minimal))
	f.Add([]byte(strings.Replace(minimal, `"id":"1"`, `"id":"1","metadata":{"a":[1e-7,1e21,{"\ud83d\ude00":1,"\ufb33":2}]}`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		fields, err := event.Parse(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatal("Parse accepted what is not JSON")
		}
		again, err := fields.Event().Fields()
		if err != nil {
			t.Fatalf("second Parse: %v", err)
		}
		if diff := cmp.Diff(texts(fields), texts(again)); diff != "" {
			t.Errorf("fields (-before +after):\n%s", diff)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	p := new(event.Parser)
	data := []byte(bench)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	fields, err := event.Parse([]byte(bench))
	if err != nil {
		b.Fatal(err)
	}
	var s event.Secrets
	buf := make([]byte, 0, 4096)
	var w event.Sealer
	b.ReportAllocs()
	for b.Loop() {
		w.AppendRecord(buf[:0], fields, &s)
	}
}

const bench = `{"id":"0193a7c2-7b1e-7c3a-9d2f-000000000001","tag":"project:release:add","time":"2026-03-31T00:21:00.123456Z","outcome":"success","actor":{"type":"user","id":"u100042","name":"user_00042"},"credential":{"kind":"token","id":"tok_9f86d081884c7d65"},"subjects":[{"type":"project","id":"pkg:npm/left-pad-7","name":"left-pad-7"},{"type":"version","name":"left-pad-7","version":"4.17.21"}],"context":{"ip":"203.0.113.9","user_agent":"npm/10.8.2 node/v22.5.1 linux x64","request_id":"01J9ZK4M2N8Q6R5T3V7W1X0Y12"},"metadata":{"via":"token","attested":false}}`
