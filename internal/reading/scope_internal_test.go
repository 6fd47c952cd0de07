package reading

import (
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/store"
)

// Who has no part in anything reads one project at a time. If a query that goes
// beyond those it names passed, anybody could walk through the whole log.
func TestNames(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                 false,
		"project:demo":                     true,
		"project:demo tag:project:*":       true,
		"project:demo OR project:other":    true,
		"project:demo OR tag:project:*":    false,
		"project:demo*":                    false,
		"-project:demo":                    false,
		"-(-project:demo)":                 true,
		"demo":                             false,
		"tag:x:y (project:a OR project:b)": true,
		"tag:x:y (project:a OR b)":         false,
	} {
		q, err := query.Parse(text, time.Now())
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := names(q.Root); got != want {
			t.Errorf("names(%q) = %t, want %t", text, got, want)
		}
	}
}

// Nothing that may be hidden decides which events are looked at: who is not staff
// could tell from how far a search gets.
func TestCertain(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"ip:203.0.113.9":            "",
		"-ip:203.0.113.9":           "",
		"tag:a:b -actor:alice word": "tag:a:b",
		"project:demo (ip:203.0.113.9 OR tag:a:b)": "project:demo",
		"-(tag:a:b OR actor:alice)":                "-tag:a:b",
		"-(tag:a:b actor:alice)":                   "",
		"after:2026-01-01 country:NL":              "after:2026-01-01",
	} {
		q, err := query.Parse(text, time.Now())
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := certain(q).String(); got != want {
			t.Errorf("certain(%q) = %q, want %q", text, got, want)
		}
	}
}

// A reason that nobody can read back is none.
func TestCheckReason(t *testing.T) {
	for reason, fine := range map[string]bool{
		"case 17": true, strings.Repeat("x", MaxReasonBytes): true, strings.Repeat("x", MaxReasonBytes+1): false,
		"": false, " \t ": false, "a\nb": false, "\xff": false, "\u00a0": false,
	} {
		if err := CheckReason(reason); (err == nil) != fine {
			t.Errorf("CheckReason(%.20q) = %v, want it to be fine: %t", reason, err, fine)
		}
	}
}

// Times that go back and forth are counted in the same buckets as in order.
func TestBucketed(t *testing.T) {
	at := func(text string) int64 {
		moment, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return moment.UnixMicro()
	}
	times := []int64{at("2026-03-31T23:59:59Z"), at("2026-03-29T10:00:00Z"), at("2026-03-30T00:00:00Z")}
	interval, buckets := bucketed(times, store.Week)
	if interval != store.Week || len(buckets) != 2 || buckets[0].Count != 1 || buckets[1].Count != 2 {
		t.Errorf("by week: %v %v, want one on the Sunday and two in the week from Monday on", interval, buckets)
	}
	if first := buckets[1].Time.Format(time.DateOnly); first != "2026-03-30" {
		t.Errorf("a week begins on %s, want Monday, 2026-03-30", first)
	}
	if interval, _ := bucketed(times, store.Automatic); interval != store.Hour {
		t.Errorf("three days are counted by %s, want hour", interval)
	}
}

// Who asks for a few types of events has the store compare no others, and finds
// none that they may not see.
func TestScopedAsksForNoOtherTags(t *testing.T) {
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	m := &Room{Catalogue: c, Policy: &reader.Policy{Catalogue: c}}
	r := &reader.Reader{Self: "u-1"}
	for text, want := range map[string]string{
		"tag:user:mfa:method_add":                                "user:u-1 tag:user:mfa:method_add",
		"tag:user:mfa:method_* -tag:user:mfa:method_rename":      "user:u-1 (tag:user:mfa:method_add OR tag:user:mfa:method_remove)",
		"before:2026-01-01 (tag:user:mfa:method_add OR tag:x:y)": "before:2026-01-01 user:u-1 tag:user:mfa:method_add",
		"class:system tag:user:mfa:method_add":                   "",
		"tag:user:impersonation:start":                           "", // delayed: not shown to them
		"tag:not:declared":                                       "",
	} {
		q, err := query.Parse(text, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		got := m.scoped(r, q, false)
		if text := got.String(); text != want {
			t.Errorf("%q is asked as %q, want %q", q, text, want)
		}
		if want == "" && got.Match(event.Fields{event.StringField("actor.id", "u-1"), event.StringField("tag", "tag:not:declared")}, nil) {
			t.Errorf("%q is asked as what finds anything", q)
		}
	}
}
