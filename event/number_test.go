package event_test

import (
	"strings"
	"testing"

	"github.com/custody-log/custody/event"
)

// TestNumbers checks that a number is read as the number it is, however it is
// written: evidence must not change on its way in.
func TestNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"0": "int 0", "-0": "int 0", "0e999999999999": "int 0", "0.000": "int 0",
		"1": "int 1", "1.0": "int 1", "1e0": "int 1", "100e-2": "int 1", "1.50e1": "int 15", "-12e2": "int -1200",
		"9007199254740993.0": "int 9007199254740993", "123456789012345678e0": "int 123456789012345678",
		"9223372036854775807": "int 9223372036854775807", "-9223372036854775808": "int -9223372036854775808",
		"1.5": "json 1.5", "1e21": "json 1e+21", "-1E-7": "json -1e-7", "0.1": "json 0.1",
		"9223372036854775808": "refused", "1e19": "refused", "1e999": "refused", "1e99999999999999999999": "refused",
		"2251799813685248.5": "json 2251799813685248.5", "4503599627370496.5": "refused", "9007199254740992.5": "refused",
	} {
		fields, err := event.Parse([]byte(strings.Replace(minimal, `"id":"1"`, `"id":"1","metadata":{"a":`+text+`}`, 1)))
		got := "refused"
		if err == nil {
			f, _ := fields.Get("metadata.a")
			got = map[event.Type]string{event.Int: "int ", event.JSON: "json "}[f.Type] + f.Text()
		}
		if got != want {
			t.Errorf("%s is read as %s, want %s", text, got, want)
		}
	}
}
