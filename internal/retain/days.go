package retain

import (
	"fmt"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// Days is how long something is kept, in days of 24 hours; 0 is for ever. It is
// written 90d, 8w (weeks), 7y (of 365 days) or forever.
type Days int

// Forever is longer than any other Days.
const Forever Days = 0

// MaxDays bounds what is not for ever: 100 years.
const MaxDays Days = 100 * 365

// unitDays are the units in which Days are written, and how many days each has.
var unitDays = map[byte]Days{'d': 1, 'w': 7, 'y': 365}

// ParseDays reads what [Days.String] returns, and weeks.
func ParseDays(s string) (Days, error) {
	if s == "forever" {
		return Forever, nil
	}
	if s == "" {
		return 0, invalid("%q is not a time such as 90d, 8w, 7y or forever", s)
	}
	unit := unitDays[s[len(s)-1]]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	switch {
	case unit == 0 || err != nil:
		return 0, invalid("%q is not a time such as 90d, 8w, 7y or forever", s)
	case n == 0:
		return 0, invalid("%q is no time at all; hint: the least is 1d, and for ever is written forever", s)
	case n > uint64(MaxDays/unit):
		return 0, invalid("%q is more than 100y; hint: write forever", s)
	}
	return Days(n) * unit, nil
}

// String returns d as it is written.
func (d Days) String() string {
	switch {
	case d == Forever:
		return "forever"
	case d%365 == 0:
		return fmt.Sprintf("%dy", d/365)
	}
	return fmt.Sprintf("%dd", int(d))
}

// Before returns the time that is d before now; the zero time when d is for
// ever.
func (d Days) Before(now time.Time) time.Time {
	if d == Forever {
		return time.Time{}
	}
	return now.Add(-time.Duration(d) * 24 * time.Hour)
}

// After returns the time that is d after now; the zero time when d is for ever.
func (d Days) After(now time.Time) time.Time {
	if d == Forever {
		return time.Time{}
	}
	return now.Add(time.Duration(d) * 24 * time.Hour)
}

// less reports whether d is shorter than other.
func (d Days) less(other Days) bool {
	return d != Forever && (other == Forever || d < other)
}

// MarshalText implements [encoding.TextMarshaler].
func (d Days) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Days) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDays(string(text))
	return err
}

// UnmarshalYAML implements [yaml.Unmarshaler].
func (d *Days) UnmarshalYAML(node *yaml.Node) error {
	v, err := ParseDays(node.Value)
	if err != nil || node.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: %q is not a time such as 90d, 8w, 7y or forever", node.Line, node.Value)
	}
	*d = v
	return nil
}
