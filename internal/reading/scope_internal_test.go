package reading

import (
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/internal/query"
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
