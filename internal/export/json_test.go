package export_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/export"
)

// Whoever reads the API and whoever reads an export must read one thing, or a
// program written for one fails on the other.
func TestLineIsWhatTheAPIShows(t *testing.T) {
	for _, r := range append(makeRows(t, 3000), oddRows(t)...) {
		compareWithAPI(t, r)
	}
}

// compareWithAPI compares the line of r with what internal/api makes of it.
func compareWithAPI(t interface{ Fatalf(string, ...any) }, r *export.Row) {
	want, err := json.Marshal(struct {
		Seq int64 `json:"seq"`
		*event.Event
		Text       string `json:"text"`
		Class      string `json:"class"`
		Severity   string `json:"severity"`
		Commitment []byte `json:"commitment"`
	}{r.Seq, r.Record.Open().Event(), r.Text, r.Class, r.Severity, r.Record.Commitment[:]})
	if err != nil {
		t.Fatalf("%v", err)
	}
	got, err := export.AppendJSON(nil, r)
	if err != nil {
		t.Fatalf("AppendJSON: %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("the line is\n%s\nand the API shows\n%s", got, want)
	}
}

// A text that ends its string early puts words into an event's mouth.
func TestTextStaysInItsString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Draw(t, "value")
		if rapid.Bool().Draw(t, "bytes") {
			value = string(rapid.SliceOf(rapid.Byte()).Draw(t, "raw"))
		}
		fields := event.Fields{
			event.StringField("id", value),
			event.StringField("metadata.k"+strconv.Itoa(len(value)), value),
			event.StringField("tag", "user:login"),
			event.TimeField("time", start),
		}
		body, _ := event.AppendRecord(nil, fields, new(event.Secrets))
		record, err := event.DecodeRecord(body)
		if err != nil {
			t.Fatalf("%v", err)
		}
		compareWithAPI(t, &export.Row{Seq: 1, Record: record, Text: value})
	})
}

// A value that says that it is JSON and is not would do the same.
func TestFalseJSONIsRefused(t *testing.T) {
	for _, value := range []string{"", "{", `1,"actor":{}`, "nul", "1 2"} {
		body, _ := event.AppendRecord(nil, event.Fields{
			{Name: "metadata.k", Type: event.JSON, Value: []byte(value)},
			event.TimeField("time", start),
		}, new(event.Secrets))
		record, err := event.DecodeRecord(body)
		if err != nil {
			t.Fatal(err)
		}
		if line, err := export.AppendJSON(nil, &export.Row{Record: record}); err == nil {
			t.Errorf("AppendJSON of %q in metadata = %s, want an error", value, line)
		}
	}
}
