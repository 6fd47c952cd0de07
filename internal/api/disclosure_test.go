package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/store"
)

// sample is which part of the catalogue a test goes through.
func sample() int {
	if testing.Short() {
		return 12
	}
	return 3
}

// Each output is asked for as each kind of reader. Whoever reads more in one of
// them than the catalogue allows has found the hole in the wall, be the others
// ever so tight.
func TestNoOutputShowsWhatIsHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := openMarked(t, sample())
		m.settled()
		for _, who := range m.as {
			m.testSearches(who)
			m.testEvents(who)
			m.testCounts(who)
			m.testValues(who)
			m.testExports(who)
			m.testTail(who)
		}
	})
}

// A hits is an answer to a search.
type hits struct {
	Events []struct{ Seq journal.Seq }
	Next   string
}

// testSearches looks at all that a reader finds, and that it is all they may see.
func (m *marked) testSearches(who *as) {
	m.t.Helper()
	found := make(map[journal.Seq]bool)
	for _, q := range []string{"", "project:" + projectID, "project:p-other"} {
		for _, order := range []string{"newest", "oldest"} {
			cursor := ""
			for {
				status, body := m.ask(who, "/v1/events?limit=20&order="+order+"&q="+url.QueryEscape(q)+cursor)
				m.check(who, "a search for "+q, body)
				var p hits
				if status != 200 {
					break
				}
				if err := json.Unmarshal([]byte(body), &p); err != nil {
					m.t.Fatal(err)
				}
				for _, e := range p.Events {
					if int(e.Seq) < len(m.events) { // what was asked for here is an event, too
						found[e.Seq] = true
					}
				}
				if cursor = "&cursor=" + p.Next; p.Next == "" {
					break
				}
			}
		}
	}
	for _, seq := range m.visible(who) {
		if !found[seq] {
			m.t.Errorf("%s may see event %d (%s) and does not find it", who.name, seq, m.events[seq].Text("tag"))
		}
	}
	if want := len(m.visible(who)); len(found) != want {
		m.t.Errorf("%s finds %d events, want %d", who.name, len(found), want)
	}
}

// testEvents looks at each event and its receipt: of those that the reader may
// not see there is no more to read than of one that there is not.
func (m *marked) testEvents(who *as) {
	m.t.Helper()
	visible := m.visible(who)
	none := func(path string, n int) string {
		status, body := m.quickly(who, fmt.Sprintf(path, n))
		return strconv.Itoa(status) + strings.ReplaceAll(body, fmt.Sprintf("event %d,", n), "event N,")
	}
	for _, path := range []string{"/v1/events/%d", "/v1/events/%d/receipt"} {
		missing := none(path, 999999)
		for seq := range m.events {
			status, body := m.quickly(who, fmt.Sprintf(path, seq))
			if slices.Contains(visible, journal.Seq(seq)) {
				if status != 200 {
					m.t.Errorf("%s: event %d = %d %s", who.name, seq, status, body)
					continue
				}
				if strings.HasSuffix(path, "receipt") {
					body = openedReceipt(m.t, body)
				}
				m.check(who, fmt.Sprintf(path, seq), body)
			} else if got := none(path, seq); got != missing {
				m.t.Errorf("%s is told %q of event %d, and %q of one that there is not", who.name, got, seq, missing)
			}
		}
	}
}

// testCounts looks at counts by every field, and what they count.
func (m *marked) testCounts(who *as) {
	m.t.Helper()
	for _, q := range []string{"", "project:" + projectID} {
		for fields := range slices.Chunk(store.Fields(), store.MaxFields) {
			path := "/v1/facets?limit=1000&interval=auto&q=" + url.QueryEscape(q) + "&field=" + strings.Join(fields, "&field=")
			status, body := m.ask(who, path)
			if n := m.check(who, "facets", body); n == 0 && status == 200 && m.finds(who, q) && slices.Contains(fields, "project") {
				m.t.Errorf("%s: no marker in facets %.200s", who.name, body)
			}
		}
		_, body := m.ask(who, "/v1/count?q="+url.QueryEscape(q))
		var n struct{ Count int }
		if err := json.Unmarshal([]byte(body), &n); err == nil && n.Count > len(m.visible(who))+int(m.journal.Size())-len(m.events) {
			m.t.Errorf("%s counts %d events, and sees %d", who.name, n.Count, len(m.visible(who)))
		}
		_, body = m.ask(who, "/v1/histogram?interval=hour&q="+url.QueryEscape(q))
		m.check(who, "a histogram", body)
	}
}

// finds reports whether a query finds anything for a reader: all of them see
// something of the project, and who has no part in anything sees nothing else.
func (m *marked) finds(who *as, q string) bool {
	return q != "" || who.name != "nobody"
}

// testValues looks at what is offered to who types.
func (m *marked) testValues(who *as) {
	m.t.Helper()
	for _, field := range store.Fields() {
		_, body := m.ask(who, "/v1/values?limit=1000&field="+field)
		m.check(who, "values of "+field, body)
		_, body = m.ask(who, "/v1/complete?limit=1000&q="+field+":")
		m.check(who, "completion of "+field, body)
	}
	for _, prefix := range []string{"10.", "zq"} {
		_, body := m.ask(who, "/v1/values?limit=1000&field=ip&prefix="+prefix)
		m.check(who, "values of ip", body)
	}
}

// testExports looks at exports in each format.
func (m *marked) testExports(who *as) {
	m.t.Helper()
	for _, format := range []string{"ndjson", "csv", "parquet", "records", "receipts"} {
		for _, q := range []string{"", "project:" + projectID} {
			path := "/v1/export?format=" + format + "&q=" + url.QueryEscape(q)
			status, body := m.ask(who, path)
			if status == 200 {
				body = opened(m.t, format, body)
			}
			if n := m.check(who, "an export as "+format, body); n == 0 && status == 200 && m.finds(who, q) {
				m.t.Errorf("%s: no marker in an export as %s", who.name, format)
			}
		}
	}
}

// testTail follows the log from its beginning.
func (m *marked) testTail(who *as) {
	m.t.Helper()
	params := "?from=0"
	if who.name == "public" {
		params += "&q=project:" + projectID
	}
	r := m.tail(params, map[string]string{"Authorization": "Bearer " + m.keys[who.name]})
	defer r.close()
	for n := 0; ; n++ {
		message, ok := r.next()
		if !ok {
			m.t.Errorf("%s: the tail ended", who.name)
		}
		m.check(who, "a tail", message.Data)
		if !ok || message.Comment != "" {
			return
		}
	}
}

// What is hidden from a reader must not be found out by asking for it: who asks
// for an address, and gets other answers when somebody has it, knows it.
func TestHiddenFieldsAreNoOracle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := openMarked(t, 2*sample()+9)
		m.settled()
		for _, who := range m.as {
			asked := make(map[string]int)
			for _, fields := range m.events {
				for i := range fields {
					sort := sortOf(fields[i].Name)
					hidden := markerPattern.FindString(fields[i].Text())
					if hidden != "" && !who.sees[hidden] && asked[sort] < 1 {
						asked[sort]++
						m.askFor(who, &fields[i], hidden)
					}
				}
			}
			if len(asked) == 0 && who.name != "everything" {
				t.Errorf("%s: nothing was hidden", who.name)
			}
		}
	})
}

// sortOf returns a name for fields that are alike.
func sortOf(name string) string {
	first, rest, _ := strings.Cut(name, ".")
	switch first {
	case "metadata":
		return first
	case "subjects", "changes":
		_, member, _ := strings.Cut(rest, ".")
		return first + "." + member
	}
	return name
}

// askFor asks for a hidden value, and for one that nothing has, in every way that
// fits it.
func (m *marked) askFor(who *as, f *event.Field, hidden string) {
	m.t.Helper()
	nothing := map[event.Type]string{event.IP: "10.99.99.99", event.Int: "779999999"}[f.Type]
	if nothing == "" {
		nothing = "zq0q0x"
	}
	for _, form := range formsFor(f) {
		for _, q := range []string{form, "-" + form, "tag:user:* OR -" + form, "(tag:project:* -" + form + ")"} {
			m.compare(who, q, hidden, nothing)
		}
	}
}

// formsFor returns the terms that may find a field; %s stands for its value.
func formsFor(f *event.Field) []string {
	switch name := f.Name; {
	case name == "context.ip":
		return []string{"ip:%s", "ip:%s/32", "%s"}
	case name == "context.user_agent":
		return []string{"client:%s", "%s"}
	case name == "context.request_id":
		return []string{"request:%s"}
	case name == "credential.id":
		return []string{"token:%s", "*%s*"}
	case strings.HasPrefix(name, "actor."):
		return []string{"actor:%s", "user:%s"}
	case strings.HasPrefix(name, "metadata."):
		return []string{name + ":%s", "%s"}
	case strings.HasPrefix(name, "subjects."):
		return []string{"project:%s", "token:%s", "version:%s"}
	}
	return []string{"%s"}
}

// compare asks twice, and wants the same.
func (m *marked) compare(who *as, q, hidden, nothing string) {
	m.t.Helper()
	within := ""
	if who.name == "public" {
		within = "project:" + projectID + " "
	}
	for _, path := range []string{"/v1/events?limit=3&q=", "/v1/facets?field=tag&field=actor&field=ip&field=token&interval=day&q="} {
		ask := func(value string) string {
			status, body := m.quickly(who, path+url.QueryEscape(within+strings.ReplaceAll(q, "%s", value)))
			return fmt.Sprint(status, body)
		}
		if got, want := ask(hidden), ask(nothing); got != want {
			m.t.Errorf("%s: %s with what is hidden gets %.400s, and with what is nowhere %.400s", who.name, q, got, want)
		}
	}
}

// What is counted event by event, for who does not see everything, is what the
// columns of the store give to who does. A number that depends on the way to it is
// none.
func TestCountsAreTheSameEitherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := openMarked(t, sample())
		m.settled()
		m.keys["who"] = m.keys["auditor"]
		who := &as{name: "who"}
		fields := slices.DeleteFunc(store.Fields(), func(name string) bool { return name == "ip" || name == "user_agent" })
		for _, interval := range []string{"minute", "hour", "day", "week", "month", "year"} {
			for some := range slices.Chunk(fields, store.MaxFields) {
				path := "/v1/facets?limit=1000&interval=" + interval + "&field=" + strings.Join(some, "&field=") + "&q="
				_, columns := m.ask(who, path+url.QueryEscape("tag:user:* OR tag:project:*"))
				_, each := m.ask(who, path+url.QueryEscape("(tag:user:* OR tag:project:*) -nothing_has_this"))
				if columns != each {
					t.Errorf("by %s and %v: by columns %.2000s, event by event %.2000s", interval, some, columns, each)
				}
			}
		}
	})
}
