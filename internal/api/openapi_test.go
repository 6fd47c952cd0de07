package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
)

// A document is the description of the API, for checking answers against it.
type document struct {
	tree     map[string]any
	mu       sync.Mutex
	compiler *jsonschema.Compiler
}

var theDocument = readDocument()

func readDocument() *document {
	source, err := os.ReadFile("openapi.yaml")
	if err != nil {
		panic(err)
	}
	var raw any
	if err := yaml.Unmarshal(source, &raw); err != nil {
		panic(err)
	}
	data, err := json.Marshal(raw)
	if err != nil {
		panic(err)
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		panic(err)
	}
	d := &document{tree: tree.(map[string]any), compiler: jsonschema.NewCompiler()}
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("openapi.json", tree); err != nil {
		panic(err)
	}
	return d
}

// at returns what is at a path of keys, following references.
func (d *document) at(keys ...string) (map[string]any, []string) {
	node, where := d.tree, []string(nil)
	for _, key := range keys {
		next, ok := node[key].(map[string]any)
		if !ok {
			return nil, nil
		}
		node, where = next, append(where, key)
		if ref, ok := node["$ref"].(string); ok {
			where = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
			node, where = d.at(where...)
		}
	}
	return node, where
}

// validate checks a value against the schema at a path of keys.
func (d *document) validate(value any, keys ...string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var pointer strings.Builder
	for _, key := range keys {
		pointer.WriteString("/" + url.PathEscape(escape.Replace(key)))
	}
	schema, err := d.compiler.Compile("openapi.json#" + pointer.String())
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// template returns the documented path that a path is one of.
func (d *document) template(path string) string {
	var best string
	for t := range d.tree["paths"].(map[string]any) {
		pattern := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(t), "[^/]+")
		if strings.HasPrefix(t, "/tile/") {
			pattern = strings.TrimSuffix(pattern, "[^/]+") + ".+"
		}
		if regexp.MustCompile("^"+pattern+"$").MatchString(path) && (best == "" || strings.Count(t, "{") < strings.Count(best, "{")) {
			best = t
		}
	}
	return best
}

// ordinary are headers that any answer may have.
var ordinary = []string{"Cache-Control", "Connection", "Content-Length", "Content-Type", "Vary", "X-Content-Type-Options"}

// check returns an error unless the document foresees an answer.
func (d *document) check(method, path string, r *http.Response, body []byte) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	head := method == http.MethodHead
	if head {
		method = http.MethodGet
	}
	template := d.template(path)
	op, _ := d.at("paths", template, strings.ToLower(method))
	if op == nil {
		if r.StatusCode != http.StatusNotFound && r.StatusCode != http.StatusMethodNotAllowed {
			return fmt.Errorf("there is no operation %s %s", method, path)
		}
		return d.checkBody(body, media, "components", "responses", "NotFound", "content", media, "schema")
	}
	response, where := d.at("paths", template, strings.ToLower(method), "responses", fmt.Sprint(r.StatusCode))
	if response == nil {
		return fmt.Errorf("%s %s has no status %d", method, template, r.StatusCode)
	}
	headers, _ := response["headers"].(map[string]any)
	foreseen := slices.Clone(ordinary)
	for name := range headers {
		foreseen = append(foreseen, http.CanonicalHeaderKey(name))
	}
	for name := range r.Header {
		if !slices.Contains(foreseen, name) {
			return fmt.Errorf("header %s", name)
		}
	}
	content, _ := response["content"].(map[string]any)
	if _, ok := content[media]; !ok {
		return fmt.Errorf("content type %s", media)
	}
	if head {
		return nil
	}
	return d.checkBody(body, media, append(slices.Clone(where), "content", media, "schema")...)
}

func (d *document) checkBody(body []byte, media string, schema ...string) error {
	if media == "application/octet-stream" {
		return nil
	}
	if !strings.HasSuffix(media, "json") {
		return d.validate(string(body), schema...)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	if problem, ok := value.(map[string]any); ok && media == "application/problem+json" && fmt.Sprint(problem["status"]) == "0" {
		return fmt.Errorf("status 0")
	}
	return d.validate(value, schema...)
}

// operations calls f with each documented operation.
func (d *document) operations(f func(method, template string, op map[string]any)) {
	for template, item := range d.tree["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			if method != "parameters" {
				f(strings.ToUpper(method), template, op.(map[string]any))
			}
		}
	}
}

// TestDocumentIsComplete holds the document against the routes: a route nobody
// knows of is a hole, an operation that is not there a lie.
func TestDocumentIsComplete(t *testing.T) {
	source, err := os.ReadFile("api.go")
	if err != nil {
		t.Fatal(err)
	}
	routes := make(map[string]bool)
	for _, m := range regexp.MustCompile(`mux\.Handle\("([A-Z]+ [^"]+)"`).FindAllSubmatch(source, -1) {
		routes[string(m[1])] = false
	}
	if len(routes) < 15 {
		t.Fatalf("api.go has %d routes, want them where they can be read", len(routes))
	}
	theDocument.operations(func(method, template string, _ map[string]any) {
		route := method + " " + template
		if strings.HasPrefix(template, "/tile/") {
			route = "GET /tile/"
		}
		if _, ok := routes[route]; !ok {
			t.Errorf("the document has %s, and api.go no such route", route)
		}
		routes[route] = true
	})
	for route, documented := range routes {
		if !documented {
			t.Errorf("api.go has %s, and the document does not", route)
		}
	}
}

// TestEveryOperationIsThere sends a bare request for each documented operation:
// it must be routed, and closed to who has no key unless it is public.
func TestEveryOperationIsThere(t *testing.T) {
	b := open(t, new(disk.Mem))
	b.submit(published)
	if err := b.tree.WaitFor(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	theDocument.operations(func(method, template string, op map[string]any) {
		path := strings.NewReplacer("{seq}", "0", "{id}", "0", "{level}", "0", "{tile}", "000.p/1").Replace(template)
		w := b.do(call{method: method, path: path})
		_, public := op["security"]
		switch {
		case public && w.Code != http.StatusOK:
			t.Errorf("%s %s without a key = %d %s, want 200", method, path, w.Code, w.Body)
		case !public && w.Code != http.StatusUnauthorized:
			t.Errorf("%s %s without a key = %d %s, want 401", method, path, w.Code, w.Body)
		}
		if !public && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s without a key does not say how to send one", method, path)
		}
	})
}

// TestScopes sends a request for each operation with every key: the document
// says which scope it needs, and only keys that have it may get further.
func TestScopes(t *testing.T) {
	b := openKept(t)
	theDocument.operations(func(method, template string, op map[string]any) {
		if _, public := op["security"]; public || template == "/v1/tail" {
			return
		}
		var needs string
		for _, scope := range auth.Scopes {
			if strings.Contains(strings.Join(strings.Fields(op["description"].(string)), " "), "the scope `"+scope+"`") {
				needs = scope
				break
			}
		}
		if needs == "" {
			t.Errorf("%s %s does not say which scope it needs", method, template)
		}
		path := strings.NewReplacer("{seq}", "999", "{id}", "0").Replace(template)
		for _, scope := range auth.Scopes {
			if scope == auth.Admin && method != "GET" {
				continue // may well do something
			}
			w := b.do(call{method: method, path: path, scope: scope})
			if want := scope != needs && scope != auth.Admin; (w.Code == http.StatusForbidden) != want {
				t.Errorf("%s %s with a key for %s = %d, want 403: %t", method, path, scope, w.Code, want)
			}
		}
	})
}

// TestDocumentExamples checks that every example is one: of a body, that it is
// of its schema; of a submission, that the log takes it.
func TestDocumentExamples(t *testing.T) {
	b := open(t, new(disk.Mem))
	examples := 0
	var walk func(node any, keys []string)
	walk = func(node any, keys []string) {
		object, ok := node.(map[string]any)
		if !ok {
			return
		}
		if list, ok := object["examples"].(map[string]any); ok && object["schema"] != nil {
			for name, example := range list {
				examples++
				if err := theDocument.validate(example.(map[string]any)["value"], append(slices.Clone(keys), "schema")...); err != nil {
					t.Errorf("example %s at %v: %v", name, keys, err)
				}
			}
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			walk(object[key], append(slices.Clone(keys), key))
		}
	}
	walk(theDocument.tree, nil)
	if examples < 8 {
		t.Errorf("%d examples were found, want at least 8", examples)
	}
	submissions, _ := theDocument.at("paths", "/v1/events", "post", "requestBody", "content", "application/json", "examples")
	for name, example := range submissions {
		data, err := json.Marshal(example.(map[string]any)["value"])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b.submit(string(data))
	}
}

// TestDocumentIsServed checks that both forms are the document.
func TestDocumentIsServed(t *testing.T) {
	b := open(t, new(disk.Mem))
	var fromYAML, fromJSON any
	if err := yaml.Unmarshal(b.do(call{method: "GET", path: "/openapi.yaml"}).Body.Bytes(), &fromYAML); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b.do(call{method: "GET", path: "/openapi.json"}).Body.Bytes(), &fromJSON); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(fromYAML)
	if err != nil {
		t.Fatal(err)
	}
	straight, err := json.Marshal(fromJSON)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, straight) || len(again) < 1000 {
		t.Errorf("the two forms differ, or are empty: %d and %d bytes", len(again), len(straight))
	}
}

// TestCheckBites breaks answers on purpose: a check that foresees everything
// checks nothing.
func TestCheckBites(t *testing.T) {
	for _, c := range []struct {
		name, method, path string
		status             int
		media, body        string
		header             string
	}{
		{"unknown member", "POST", "/v1/events", 201, "application/json", `{"seq":1,"commitment":"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=","colour":"red"}`, ""},
		{"missing member", "POST", "/v1/events", 201, "application/json", `{"seq":1}`, ""},
		{"unknown member deep within", "GET", "/v1/events/7", 200, "application/json", `{"seq":1,"id":"1","tag":"user:login:success","time":"2026-01-01T00:00:00Z",` +
			`"actor":{"type":"user","age":7},"text":"x","class":"user","severity":"info","commitment":"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="}`, ""},
		{"unknown status", "GET", "/v1/keys", 418, "application/problem+json", `{"type":"/problems/busy","title":"x","status":418}`, ""},
		{"unknown problem", "GET", "/v1/keys", 400, "application/problem+json", `{"type":"/problems/odd","title":"x","status":400}`, ""},
		{"unknown media type", "GET", "/v1/keys", 200, "text/html", `<html>`, ""},
		{"unknown header", "GET", "/healthz", 200, "application/json", `{"status":"alive"}`, "X-Odd"},
		{"unknown path", "GET", "/v1/odd", 200, "application/json", `{}`, ""},
		{"unknown method", "PUT", "/v1/keys", 200, "application/json", `{}`, ""},
	} {
		r := &http.Response{StatusCode: c.status, Header: http.Header{"Content-Type": {c.media}}}
		if c.header != "" {
			r.Header.Set(c.header, "x")
		}
		if err := theDocument.check(c.method, c.path, r, []byte(c.body)); err == nil {
			t.Errorf("%s: the check let it pass", c.name)
		}
	}
}
