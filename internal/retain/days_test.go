package retain_test

import (
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/custody-log/custody/internal/retain"
)

func TestParseDays(t *testing.T) {
	for _, tt := range []struct {
		text string
		want retain.Days
		ok   bool
	}{
		{"1d", 1, true},
		{"90d", 90, true},
		{"8w", 56, true},
		{"7y", 7 * 365, true},
		{"100y", retain.MaxDays, true},
		{"forever", retain.Forever, true},
		{"0d", 0, false}, // would read as "at once" to one and as "for ever" to another
		{"0", 0, false},
		{"101y", 0, false},
		{"36501d", 0, false},
		{"99999999999999999999d", 0, false},
		{"-1d", 0, false},
		{"1.5y", 0, false},
		{"90", 0, false},
		{"90h", 0, false},
		{"d", 0, false},
		{"", 0, false},
		{"never", 0, false},
	} {
		got, err := retain.ParseDays(tt.text)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("ParseDays(%q) = %d, %v, want %d", tt.text, got, err, tt.want)
		}
		if again, err := retain.ParseDays(got.String()); tt.ok && (again != got || err != nil) {
			t.Errorf("ParseDays(%q) = %d, %v, want %d", got.String(), again, err, got)
		}
	}
}

// TestConfig checks the keys of the configuration file. A class or a time that
// is misread would drop what somebody wanted to keep.
func TestConfig(t *testing.T) {
	read := func(text string) (retain.Config, error) {
		var c retain.Config
		dec := yaml.NewDecoder(strings.NewReader(text))
		dec.KnownFields(true)
		err := dec.Decode(&c)
		if err == nil {
			err = c.Check()
		}
		return c, err
	}
	c, err := read("retention:\n  user-auth: {keep: 30d}\n  permanent-skeleton: {keep_personal: 2y}\nevidence_hold: 26w\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := *c.Retention["user-auth"].Keep; got != 30 || c.Retention["user-auth"].KeepPersonal != nil || *c.EvidenceHold != 182 {
		t.Errorf("keep %v, evidence hold %v, want 30d, 182d", got, c.EvidenceHold)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"a time", "retention:\n  meta: {keep: soon}\n", `line 2: "soon" is not a time such as 90d`},
		{"a list", "evidence_hold: [90d]\n", "line 1"},
		{"a class", "retention: {forever-and-a-day: {keep: 1d}}\n", "retention.forever-and-a-day: there is no such class; there are permanent,"},
		{"a key", "retention: {meta: {hold: 90d}}\n", "field hold not found"},
		{"too short", "retention: {meta: {keep: 29d}}\n", "retention.meta.keep: 29d is less than 30d"},
		{"too short for what is personal", "retention: {admin: {keep_personal: 1d}}\n", "retention.admin.keep_personal: 1d is less than 30d"},
	} {
		if _, err := read(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestDaysBeforeAndAfter(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	if got, want := retain.Days(31).Before(now), time.Date(2026, 2, 28, 12, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("31d before %v = %v, want %v", now, got, want)
	}
	if got := retain.Forever.Before(now); !got.IsZero() {
		t.Errorf("forever before %v = %v, want the zero time", now, got)
	}
	if got, want := retain.MaxDays.After(now), now.AddDate(0, 0, 36500); !got.Equal(want) {
		t.Errorf("100y after %v = %v, want %v", now, got, want)
	}
}
