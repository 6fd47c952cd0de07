package differ

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/gen"
)

// start is when the first event happens.
var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// odd are events of which something is unusual; they get an ID and a time.
var odd = []string{
	`{"tag":"user:login","outcome":"success","actor":{"type":"user","id":"1","name":"Zoë Ünal"},"reason":"naïve ﬁx İstanbul ßtraße 東京 x"}`,
	`{"tag":"user:login","outcome":"failure","actor":{"type":"user","id":"o'hara","name":"o'hara"},"reason":"it's \"quoted\" \\ back"}`,
	`{"tag":"user:login","outcome":"denied","actor":{"type":"user","id":"100%","name":"100%_sure"},"metadata":{"like":"50%","under":"a_b"}}`,
	`{"tag":"user:login","outcome":"unknown","actor":{"type":"user"},"metadata":{}}`,
	`{"tag":"user:email:change","outcome":"success","actor":{"type":"user","id":"77","name":"same"},"subjects":[{"type":"user","id":"77","name":"same"}]}`,
	`{"tag":"user:email:change","outcome":"success","actor":{"type":"admin","id":"77","name":"same"},"on_behalf_of":{"type":"user","id":"77","name":"same"}}`,
	`{"tag":"project:release:create","outcome":"success","actor":{"type":"user","name":"only-name"},"subjects":[{"type":"project","id":"pkg:npm/%40scope/thing","name":"@scope/thing"},{"type":"version","id":"pkg:npm/%40scope/thing@1.0.0?a=b","name":"@scope/thing","version":"1.0.0"}]}`,
	`{"tag":"project:file:add","outcome":"success","actor":{"type":"user","id":"only-id"},"subjects":[{"type":"file","id":"pkg:pypi/flask@2.0","name":"flask-2.0.whl","version":"2.0"},{"type":"project","id":"plain-id"}]}`,
	`{"tag":"project:file:add","outcome":"failure","actor":{"type":"token","id":"t-1"},"subjects":[{"type":"file","id":"plain-file","name":"plain-id"},{"type":"version","name":"flask","version":"2.0rc1"}]}`,
	`{"tag":"org:create","outcome":"success","actor":{"type":"user","id":"5"},"subjects":[{"type":"org","id":"o5","name":"acme"},{"type":"team","id":"o5/a","name":"acme"},{"type":"user","id":"5","name":"five"}]}`,
	`{"tag":"user:token:create","outcome":"success","actor":{"type":"user","id":"5"},"credential":{"kind":"token","id":"tok-5","name":"laptop"},"subjects":[{"type":"token","id":"tok-5","name":"laptop"}]}`,
	`{"tag":"user:token:create","outcome":"success","actor":{"type":"user","id":"5"},"credential":{"kind":"token","id":"0123456789abcdef0123"},"subjects":[{"type":"token","id":"0123456789abcdef01234"}]}`,
	`{"tag":"user:login","outcome":"success","actor":{"type":"user","id":"9"},"context":{"ip":"::1","user_agent":"  Twine/4.0 CPython","request_id":"short","trace_id":"0123456789abcdef0123456789abcdef"}}`,
	`{"tag":"user:login","outcome":"success","actor":{"type":"user","id":"9"},"context":{"ip":"198.18.0.7","user_agent":"(none)","request_id":"req_0123456789abcdef","trace_id":"short"}}`,
	`{"tag":"user:login","outcome":"success","actor":{"type":"user","id":"9"},"context":{"ip":"::ffff:198.18.0.7","user_agent":"NPM/10","request_id":"REQ_0123456789ABCDEF"}}`,
	`{"tag":"user:login","outcome":"success","actor":{"type":"user","id":"9"},"metadata":{"n":42,"neg":-7,"yes":true,"no":false,"half":0.5,"list":["web","a b",42,true],"deep":{"a":"inside","b":[1]},"via":"web","dotted.key":"v"}}`,
	`{"tag":"user:login","outcome":"success","actor":{"type":"user","id":"9"},"metadata":{"n":"42","list":"web","line":"one\ntwo","tab":"a\tb","nested":["one\ntwo"]}}`,
	`{"tag":"user:role:change","outcome":"success","actor":{"type":"user","id":"9"},"changes":[{"field":"role","old":"maintainer","new":"owner"},{"field":"mfa","old":false,"new":true},{"field":"limits","old":[1,2],"new":{"max":"many words here"}}]}`,
	`{"tag":"user:login","outcome":"success","actor":{"type":"user","id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},"reason":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b"}`,
	`{"tag":"user:login","outcome":"success","actor":{"type":"user","id":"deadbeefdeadbeefdeadbeef","name":"beef"},"reason":"flask flask flask flask-flask deadbeefdeadbeef"}`,
}

// events returns n events as JSON: generated ones, spread over most of a year,
// and odd ones. Some come late.
func events(t *testing.T, c *catalogue.Catalogue, random *rand.Rand, n int) [][]byte {
	t.Helper()
	g := gen.Spread(c, random.Uint64(), start, 300*24*time.Hour, n)
	list := make([][]byte, n)
	for i := range list {
		var e map[string]json.RawMessage
		decode(t, g.Append(nil), &e)
		id, at := e["id"], e["time"]
		if i%5 == 0 {
			e = nil
			decode(t, []byte(odd[random.IntN(len(odd))]), &e)
			if random.IntN(20) == 0 {
				e["subjects"] = manySubjects(random)
			}
		}
		e["id"], e["time"] = id, at
		if random.IntN(12) == 0 {
			var when time.Time
			decode(t, at, &when)
			e["time"] = fmt.Appendf(nil, "%q", when.Add(-time.Duration(random.Int64N(int64(20*24*time.Hour)))).UTC().Format(time.RFC3339Nano))
		}
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = data
	}
	return list
}

// manySubjects returns as many as an event may have, some of them twice.
func manySubjects(random *rand.Rand) json.RawMessage {
	var list strings.Builder
	list.WriteString("[")
	for n := range 32 {
		if n > 0 {
			list.WriteString(",")
		}
		kind := []string{"user", "project", "version", "file", "org", "token"}[random.IntN(6)]
		k := random.IntN(10)
		fmt.Fprintf(&list, `{"type":%q,"id":"many-%d","name":"many-%d","version":"%d","role":"r%d"}`, kind, k, k/2, k/3, k)
	}
	return json.RawMessage(list.String() + "]")
}

func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
}
