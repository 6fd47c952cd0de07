package api_test

import (
	"net/url"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/custody-log/custody/internal/disk"
)

// The console asks at every key that is pressed: what it gets must fit where the
// cursor is.
func TestComplete(t *testing.T) {
	synctest.Test(t, testComplete)
}

func testComplete(t *testing.T) {
	b := open(t, new(disk.Mem))
	defer b.stop()
	b.submit(published)
	b.settled()
	for _, c := range []struct {
		query, at, kind string
		start, end      int
		want            string // one of the values; "" if there are none
	}{
		{"out", "", "text", 1, 4, "outcome:"},
		{"outcome:su", "", "outcome", 9, 11, "success"},
		{"project:dem tag:x", "12", "project", 9, 12, "demo-pkg"},
		{"project:no-such", "", "project", 9, 16, ""},
	} {
		params := url.Values{"q": {c.query}}
		if c.at != "" {
			params.Set("at", c.at)
		}
		var got struct {
			Kind       string
			Start, End int
			Values     []string
		}
		b.get("/v1/complete?"+params.Encode(), &got)
		if got.Kind != c.kind || got.Start != c.start || got.End != c.end {
			t.Errorf("%s: %s from %d to %d, want %s from %d to %d", c.query, got.Kind, got.Start, got.End, c.kind, c.start, c.end)
		}
		if found := slices.Contains(got.Values, c.want); c.want != "" && !found || c.want == "" && len(got.Values) > 0 {
			t.Errorf("%s: %q, want %q among them", c.query, got.Values, c.want)
		}
	}
}
