package custody_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody"
)

// answering makes log answer path with body, and other paths as ever.
func answering(log *fakeLog, path, body string) {
	log.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(body))
		return true
	}
}

// last returns the query of the last request.
func last(log *fakeLog) string { return log.requests[len(log.requests)-1].URL.RawQuery }

// Who counts gets the log's numbers for what was asked, whole and unchanged.
func TestCounts(t *testing.T) {
	log := newFakeLog(t)
	client := log.client(t)
	q := custody.Query{Text: "outcome:denied", After: time.Unix(1, 0), Before: time.Unix(2, 0), Limit: 3, Budget: 2 * time.Second}
	const asked = "after=1970-01-01T00%3A00%3A01Z&before=1970-01-01T00%3A00%3A02Z&budget=2s"

	answer := `{"count":7,"complete":true,"behind":2}`
	answering(log, "/v1/count", answer)
	n, err := client.Count(t.Context(), q)
	if err != nil || n.Events != 7 || !n.Complete || n.Behind != 2 || string(n.Raw) != answer || last(log) != asked+"&q=outcome%3Adenied" {
		t.Errorf("Count = %+v, %v, asked %s", n, err, last(log))
	}

	answering(log, "/v1/facets", `{"count":7,"complete":false,"behind":0,"facets":{"actor":[{"value":"bob","count":6}],"ip":[]}}`)
	f, err := client.Facets(t.Context(), q, "actor", "ip")
	if err != nil || f.Events != 7 || f.Complete || len(f.Raw) == 0 || last(log) != asked+"&field=actor&field=ip&limit=3&q=outcome%3Adenied" {
		t.Errorf("Facets = %+v, %v, asked %s", f, err, last(log))
	}
	if diff := cmp.Diff(map[string][]custody.ValueCount{"actor": {{Value: "bob", Count: 6}}, "ip": {}}, f.Values); diff != "" {
		t.Errorf("Facets (-want +got):\n%s", diff)
	}

	answering(log, "/v1/histogram", `{"count":7,"complete":true,"behind":0,"interval":"day","buckets":[{"time":"2026-03-31T00:00:00Z","count":7}]}`)
	h, err := client.Histogram(t.Context(), q, custody.Auto)
	if err != nil || h.Interval != custody.Day || len(h.Raw) == 0 || last(log) != asked+"&interval=auto&q=outcome%3Adenied" {
		t.Errorf("Histogram = %+v, %v, asked %s", h, err, last(log))
	}
	if diff := cmp.Diff([]custody.Bucket{{Time: time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC), Count: 7}}, h.Buckets); diff != "" {
		t.Errorf("Histogram (-want +got):\n%s", diff)
	}

	answering(log, "/v1/values", `{"values":["demo-http","demo-pkg"]}`)
	list, err := client.Values(t.Context(), "project", "demo-", 5)
	if err != nil || strings.Join(list, " ") != "demo-http demo-pkg" || last(log) != "field=project&limit=5&prefix=demo-" {
		t.Errorf("Values = %q, %v, asked %s", list, err, last(log))
	}
}

// What is not an answer of a log must not pass for a count of nothing.
func TestCountOfNoLog(t *testing.T) {
	for _, body := range []string{`{}`, `{"status":"ok"}`, `[]`, `<html>`, `{"count":"many"}`, ``} {
		log := newFakeLog(t)
		client := log.client(t, custody.WithPatience(0))
		answering(log, "/v1/count", body)
		if n, err := client.Count(t.Context(), custody.Query{}); err == nil {
			t.Errorf("Count of %q = %+v, want an error", body, n)
		}
		answering(log, "/v1/values", body)
		if list, err := client.Values(t.Context(), "tag", "", 0); err == nil {
			t.Errorf("Values of %q = %q, want an error", body, list)
		}
	}
}

// The order and the time that a search may take reach the log, and a page that
// got nowhere in its time is an error, not a search that never ends.
func TestSearchOrderAndBudget(t *testing.T) {
	log := newFakeLog(t)
	client := log.client(t)
	answering(log, "/v1/events", `{"events":[],"next":"x","complete":false,"looked":64,"behind":0}`)
	page, err := client.SearchPage(t.Context(), custody.Query{Order: custody.Oldest, Budget: time.Second})
	if err != nil || page.Complete || page.Looked != 64 || last(log) != "budget=1s&order=oldest" {
		t.Errorf("SearchPage = %+v, %v, asked %s", page, err, last(log))
	}
	if _, err := client.SearchPage(t.Context(), custody.Query{Cursor: "x"}); err == nil || !strings.Contains(err.Error(), "Budget") {
		t.Errorf("SearchPage that stays where it was = %v, want an error that says what helps", err)
	}
}

// A damaged file of the log does not mend by asking again.
func TestDamagedIsFinal(t *testing.T) {
	log := newFakeLog(t)
	log.before = func(w http.ResponseWriter, _ *http.Request) bool {
		writeProblem(w, 500, "damaged", map[string]any{"detail": "store/7.main: page 0"})
		return true
	}
	_, err := log.client(t).Count(t.Context(), custody.Query{})
	if err == nil || !strings.Contains(err.Error(), "store/7.main") || log.asked("/v1/count") != 1 {
		t.Errorf("Count = %v after %d requests, want the file's name after one", err, log.asked("/v1/count"))
	}
}
