package event_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/custody-log/custody/event"
)

// parseIDs returns the IDs of the events of a batch.
func parseIDs(data string, format event.Format) (ids []string, err error) {
	err = new(event.Parser).ParseBatch([]byte(data), format, func(i int, f event.Fields) error {
		if i != len(ids) {
			return fmt.Errorf("event %d came at place %d", len(ids), i)
		}
		ids = append(ids, f.Text("id"))
		return nil
	})
	return ids, err
}

func numbered(n int) []string {
	var list []string
	for i := range n {
		list = append(list, strings.Replace(minimal, `"id":"1"`, fmt.Sprintf(`"id":"%d"`, i), 1))
	}
	return list
}

func TestParseBatch(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		format     event.Format
	}{
		{"array", "[" + strings.Join(numbered(3), " , ") + "]\n", event.Array},
		{"lines", strings.Join(numbered(3), "\n"), event.NDJSON},
		{"lines with an end, empty ones and carriage returns", strings.Join(numbered(3), "\r\n\n") + "\r\n", event.NDJSON},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ids, err := parseIDs(tt.data, tt.format)
			if err != nil || strings.Join(ids, "") != "012" {
				t.Errorf("ParseBatch = %q, %v, want events 0, 1 and 2", ids, err)
			}
		})
	}
}

// TestParseBatchRefuses checks that a refusal names the event and the member.
func TestParseBatchRefuses(t *testing.T) {
	bad := strings.Replace(minimal, `{"type":"user"}`, `{"type":"cat"}`, 1)
	fat := strings.Replace(minimal, `"id":"1"`, `"id":"1"`+strings.Repeat(" ", event.MaxJSONBytes), 1)
	many := strings.Repeat(minimal+"\n", event.MaxBatchEvents+1)
	for _, tt := range []struct {
		name, data string
		format     event.Format
		want       string
	}{
		{"second of an array", "[" + minimal + "," + bad + "]", event.Array, "event 1: actor.type must be one of"},
		{"second line", minimal + "\n" + bad, event.NDJSON, "event 1: actor.type must be one of"},
		{"no array", minimal, event.Array, "an array of events"},
		{"empty array", "[]", event.Array, "batch of no events"},
		{"empty lines", "\n\n", event.NDJSON, "batch of no events"},
		{"comma at the end", "[" + minimal + ",]", event.Array, "a value after the comma"},
		{"something behind", "[" + minimal + "]x", event.Array, "nothing more"},
		{"array in a line", "[" + minimal + "]\n", event.NDJSON, "event 0: the event is not valid JSON"},
		{"event over the limit", "[" + minimal + "," + fat + "]", event.Array, "event 1: over the limit: event of at most 65536 bytes"},
		{"too many", many, event.NDJSON, "batch of at most 10000 events"},
		{"too long", strings.Repeat(" ", event.MaxBatchBytes+1), event.NDJSON, "batch of at most 8388608 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseIDs(tt.data, tt.format); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseBatch = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseOverLimit(t *testing.T) {
	_, err := event.Parse([]byte(minimal + strings.Repeat(" ", event.MaxJSONBytes)))
	if _, ok := errors.AsType[*event.LimitError](err); !ok {
		t.Errorf("Parse = %v, want a LimitError", err)
	}
}

// FuzzParseBatch checks that no input makes a batch panic.
func FuzzParseBatch(f *testing.F) {
	f.Add([]byte("["+minimal+"]"), false)
	f.Add([]byte(minimal+"\n"+minimal), true)
	f.Fuzz(func(_ *testing.T, data []byte, lines bool) {
		format := event.Array
		if lines {
			format = event.NDJSON
		}
		_, _ = parseIDs(string(data), format)
	})
}
