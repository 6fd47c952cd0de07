package npm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/registry"
	"github.com/custody-log/custody/internal/registry/npm"
)

// Whatever client and registry say, decoding it ends, and the log takes what it
// gives.
func FuzzExchange(f *testing.F) {
	for _, c := range captures(f) {
		for _, r := range c.Exchanges {
			f.Add(r.Method, r.URI, r.Header["Npm-Otp"] != "", r.Body.bytes(), r.Body.bytes(), r.Status, r.AnswerHeader["Www-Authenticate"], r.Answer.bytes())
		}
	}
	f.Add("PUT", "/demo-pkg", false, []byte(was), []byte(publishBody), 201, "", []byte(`{"ok":true}`))
	f.Add("PUT", "/demo-pkg/-rev/1", false, []byte(was), []byte(`{"versions":{}}`), 200, "", []byte(`{}`))
	p := npm.New(npm.Options{})
	f.Fuzz(func(t *testing.T, method, path string, otp bool, before, body []byte, status int, challenge string, answer []byte) {
		k := talk{
			method: method, path: path, header: map[string]string{"Authorization": "Bearer npm_demotokendemotoken"},
			before: string(before), body: string(body),
			status: status, answer: string(answer), answerHeader: map[string]string{"Www-Authenticate": challenge},
		}
		if otp {
			k.header["Npm-Otp"] = "739154"
		}
		x, err := begin(p, k)
		if _, unsafe := errors.AsType[*registry.PathError](err); err != nil && !unsafe {
			t.Fatal(err)
		}
		if x == nil {
			return
		}
		if act := x.Act(); act == nil || act.Tag == "" {
			t.Fatal("an exchange without an intent")
		}
		r := carry(x, k)
		if len(r.Events) > 100 {
			t.Errorf("%d events", len(r.Events))
		}
		checkEvents(t, []*told{{Request: method + " " + path, Events: r.Events}}, nil)
	})
}

func captures(t testing.TB) []capture {
	t.Helper()
	files, err := filepath.Glob("testdata/captures/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("captures: %d, %v", len(files), err)
	}
	var all []capture
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		revived, _ := revive(string(raw))
		var c capture
		if err := json.Unmarshal([]byte(revived), &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, c)
	}
	return all
}

// The pieces in which a body comes make no difference.
func TestPieces(t *testing.T) {
	bodies := []string{publishBody, was, packageOf(`"1.0.0":{"deprecated":"x\ny"}`, `"latest":"1.0.0"`, ``), publishBody[:200]}
	rapid.Check(t, func(t *rapid.T) {
		r := recorded{Method: "PUT", URI: "/demo-pkg", Header: bearer, Status: 201}
		data := rapid.SampledFrom(bodies).Draw(t, "body")
		piece := rapid.IntRange(1, 300).Draw(t, "piece")
		tell := func(piece int) string {
			var tt testing.T
			r.Body = &body{Kind: "json", Value: json.RawMessage(data)}
			out := replay(&tt, npm.New(npm.Options{}), r, map[string][]byte{"/demo-pkg": []byte(was)}, piece)
			return fmt.Sprint(lines(out.Events))
		}
		if whole, pieces := tell(1<<20), tell(piece); whole != pieces {
			t.Fatalf("in pieces of %d: %s\nwhole: %s", piece, pieces, whole)
		}
	})
}

// The memory for one exchange does not grow with what passes.
func TestExchangeMemory(t *testing.T) {
	long := strings.Repeat("n", 500)
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, `"%d":"1",`, i)
	}
	tests := map[string]struct{ open, item string }{ // item has the number of the item in it
		"versions":             {`{"versions":{`, `"` + long + `%d":{}`},
		"tags":                 {`{"dist-tags":{`, `"%d":"` + long + `"`},
		"files":                {`{"_attachments":{`, `"%d":{"content_type":"` + long + `"}`},
		"owners":               {`{"maintainers":[`, `{"name":"` + long + `%d"}`},
		"members at the top":   {`{`, `"` + long + `%d":1`},
		"dependencies":         {`{"versions":{"1.0.0":{"dependencies":{`, `"%d":"1"`},
		"names and texts":      {`{`, `"` + long + `%d":"` + long + `"`},
		"dependencies of many": {`{"versions":{`, `"%[1]d":{"dependencies":{` + many.String() + `"x":"1"}}`},
		"deprecations":         {`{"versions":{`, `"%[1]d":{"deprecated":"` + long + `%[1]d"}`},
	}
	const limit = 4 << 20 // 4 MiB, for two documents
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := "/demo-pkg"
			if name == "names and texts" {
				path = "/-/package/demo-pkg/dist-tags"
			}
			x, err := npm.New(npm.Options{}).Begin(&registry.Request{Method: "PUT", Path: path, Header: http.Header{}})
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			grow(x.BeforeBody(x.Before()[0]), tt.open, tt.item)
			grow(x.RequestBody(), tt.open, tt.item)
			runtime.GC()
			runtime.ReadMemStats(&after)
			t.Logf("it holds %d KiB", (int64(after.HeapAlloc)-int64(before.HeapAlloc))>>10)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > limit {
				t.Errorf("it holds %d KiB, want at most %d", grown>>10, limit>>10)
			}
			for _, e := range x.Result().Events {
				if data, err := json.Marshal(e); err != nil || len(data) > 64<<10 {
					t.Errorf("an event of %d bytes, %v", len(data), err)
				}
			}
		})
	}
}

// grow writes a document with 16 MiB of one item.
func grow(w io.Writer, open, item string) {
	_, _ = io.WriteString(w, open) // writers of this package never fail
	for i := range 16 << 20 / len(item) {
		_, _ = fmt.Fprintf(w, item+",", i)
	}
}

// BenchmarkPublish streams a publication of 150 MiB through an exchange.
func BenchmarkPublish(b *testing.B) {
	head, tail, _ := strings.Cut(publishBody, "AAAAAAAA")
	chunk := bytes.Repeat([]byte("H4sIAAAAAAAC/+3V"), 2<<10) // 32 KiB, as the proxy copies
	n := 150 << 20 * 4 / 3 / len(chunk)
	b.SetBytes(int64(len(head) + n*len(chunk) + len(tail)))
	b.ReportAllocs()
	p := npm.New(npm.Options{})
	for b.Loop() {
		x, err := p.Begin(&registry.Request{Method: "PUT", Path: "/demo-pkg", Header: http.Header{}})
		if err != nil {
			b.Fatal(err)
		}
		w := x.RequestBody()
		_, _ = io.WriteString(w, head)
		for range n {
			_, _ = w.Write(chunk)
		}
		_, _ = io.WriteString(w, tail)
		_, _ = io.WriteString(x.Response(201, http.Header{}), `{"ok":"created"}`)
		if r := x.Result(); len(r.Events) != 1 || r.Events[0].Metadata["bytes"] == nil {
			b.Fatalf("events %q", lines(r.Events))
		}
	}
}
