package event

import (
	"strings"
	"testing"
	"time"
)

// FuzzParseTime holds our reader of times against the standard library's.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{
		"2026-03-31T00:21:00Z", "2026-03-31T02:21:00.123456789+02:00", "2024-02-29T23:59:59.9999999-23:59",
		"2023-02-29T00:00:00Z", "1969-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59Z", "2026-03-31T00:21:00,5Z",
		"2026-03-31T0:21:00Z", "2026-03-31t00:21:00z", "2026-03-31T24:00:00Z", "2026-03-31T00:21:60Z", "0000-01-01T00:00:00Z", "2026-03-31T00:21:00.Z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseTime([]byte(s))
		want, err := time.Parse(time.RFC3339, s)
		if err != nil && ok {
			t.Fatalf("%q was read as %d, but %v", s, got, err)
		}
		if err == nil && !ok && !strings.Contains(s, ",") && len(s) >= 20 && s[13] == ':' && !oddZone(s) {
			t.Fatalf("%q was not read", s)
		}
		if ok && got != want.UnixMicro() {
			t.Fatalf("%q was read as %d, want %d", s, got, want.UnixMicro())
		}
	})
}

// oddZone reports whether s has an offset of 24 hours, which the library takes.
func oddZone(s string) bool { return strings.HasSuffix(s[:len(s)-3], "24") }
