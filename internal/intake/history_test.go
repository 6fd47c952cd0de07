package intake_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
)

// intField returns a field of type [event.Int].
func intField(name string, v int64) event.Field {
	f := event.TimeField(name, time.UnixMicro(v))
	f.Type = event.Int
	return f
}

// recordOf returns a record of the given fields, as a journal has it at seq.
func recordOf(seq journal.Seq, fields ...event.Field) journal.Record {
	slices.SortFunc(fields, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
	body, _ := event.AppendRecord(nil, fields, new(event.Secrets))
	return journal.Record{Seq: seq, Body: body}
}

// take takes in records as a journal has them; one without a body is gone.
func take(h *intake.History, records ...journal.Record) error {
	for _, rec := range records {
		var r *event.Record
		if rec.Body != nil {
			var err error
			if r, err = event.DecodeRecord(rec.Body); err != nil {
				return err
			}
		}
		if err := h.Take(rec.Seq, r); err != nil {
			return err
		}
	}
	return nil
}

// drawRecord returns a record of a source that counts as it likes, or one that
// says something about such a source.
func drawRecord(t *rapid.T, seq journal.Seq) journal.Record {
	at := time.UnixMicro(1_774_916_460_000_000 + int64(seq)*1000)
	about := fmt.Sprintf("source-%d", rapid.IntRange(0, 3).Draw(t, "source"))
	number := func(name string) int64 { return rapid.Int64Range(1, 200).Draw(t, name) }
	fields := []event.Field{event.StringField("id", fmt.Sprint(seq)), event.TimeField("received", at)}
	if rapid.IntRange(0, 4).Draw(t, "kind") > 0 {
		fields = append(fields, event.StringField("source", about), event.StringField("tag", "project:release:add"))
		if n := rapid.Int64Range(0, 200).Draw(t, "source_seq"); n > 0 {
			fields = append(fields, intField("source_seq", n))
		}
		return recordOf(seq, fields...)
	}
	tag := rapid.SampledFrom([]string{
		"audit:source:gap", "audit:source:gap_close", "audit:source:silent", "audit:source:resume",
		"audit:source:clock_skew", "audit:ingest:late", "audit:log:start",
	}).Draw(t, "tag")
	return recordOf(seq, append(fields, event.StringField("source", intake.OwnSource), event.StringField("tag", tag),
		event.StringField("metadata.source", about),
		intField("metadata.expected_seq", number("from")), intField("metadata.got_seq", number("to")))...)
}

// TestHistoryGoesOn checks that a history that was kept as bytes in between is
// the same as one that took in all records at once. If it were not, a restart
// would record gaps that are none, or forget some.
func TestHistoryGoesOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var records []journal.Record
		for seq := range rapid.IntRange(0, 300).Draw(t, "records") {
			records = append(records, drawRecord(t, journal.Seq(seq)))
		}
		whole := openHistory(t, nil)
		parts := openHistory(t, nil)
		for rest := records; ; {
			n := rapid.IntRange(0, len(rest)).Draw(t, "taken")
			if err := take(parts, rest[:n]...); err != nil {
				t.Fatal(err)
			}
			parts = openHistory(t, parts.Snapshot())
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
		}
		if err := take(whole, records...); err != nil {
			t.Fatal(err)
		}
		if got, want := string(parts.Snapshot()), string(whole.Snapshot()); got != want {
			t.Fatalf("taken in parts: %s\nat once: %s", got, want)
		}
		if whole.Cursor() != journal.Seq(len(records)) {
			t.Fatalf("cursor %d after %d records", whole.Cursor(), len(records))
		}
	})
}

func openHistory(t interface {
	Helper()
	Fatal(args ...any)
}, snapshot []byte,
) *intake.History {
	t.Helper()
	h, err := intake.OpenHistory(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestHistoryTakesRecordsInOrder checks that a record left out is noticed, and
// that one which is gone counts as a record.
func TestHistoryTakesRecordsInOrder(t *testing.T) {
	h := openHistory(t, nil)
	first := recordOf(0, event.StringField("id", "1"), event.StringField("source", "registry"), intField("source_seq", 1))
	if err := take(h, first, journal.Record{Seq: 1}); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []journal.Record{{Seq: 1}, {Seq: 3}} {
		if err := take(h, wrong); err == nil || h.Cursor() != 2 {
			t.Errorf("Take of record %d = %v, cursor %d, want an error and 2", wrong.Seq, err, h.Cursor())
		}
	}
}

// TestSnapshotIsChecked checks that a state which no records lead to is refused
// with what is wrong, instead of making the log say what did not happen.
func TestSnapshotIsChecked(t *testing.T) {
	const good = `{"version":1,"records":7,"sources":[{"name":"a","last_seen":1,"last_seq":9,` +
		`"gaps":[{"first":2,"last":3,"since":1},{"first":5,"last":5,"reported":true}],"filled":{"first":1,"last":4},"restarted":20},` +
		`{"name":"b","silent":true},{"name":"c","clock_reported":5,"late_reported":6}]}`
	if got := string(openHistory(t, []byte(good)).Snapshot()); got != good {
		t.Errorf("Snapshot = %s, want %s", got, good)
	}
	gaps := strings.TrimSuffix(strings.Repeat(`{"first":2,"last":2},`, 65), ",")
	for _, tt := range []struct{ name, old, new, want string }{
		{"another version", `"version":1`, `"version":2`, "version 2, want 1"},
		{"no version", `"version":1,`, ``, "version 0, want 1"},
		{"another version with other members", `"version":1`, `"version":2,"more":1`, "version 2, want 1"},
		{"unknown member", `"silent":true`, `"silence":true`, "unknown field"},
		{"cut off", `"late_reported":6}]}`, `"late_reported":6}`, "unexpected EOF"},
		{"something behind", `"late_reported":6}]}`, `"late_reported":6}]} {}`, "follows its end"},
		{"records below 0", `"records":7`, `"records":-7`, "-7 records"},
		{"sources out of order", `"name":"a"`, `"name":"bb"`, `source "b" is out of order`},
		{"source twice", `"name":"a"`, `"name":"b"`, `source "b" is out of order`},
		{"count below 0", `"last_seq":9`, `"last_seq":-9`, "counts below 0"},
		{"gap beyond the count", `"last":5`, `"last":9`, "gap from 5 to 9 is out of order"},
		{"gaps that overlap", `"last":3`, `"last":5`, "gap from 5 to 5 is out of order"},
		{"gap backwards", `"last":3`, `"last":1`, "gap from 2 to 1 is out of order"},
		{"filled from 0", `"filled":{"first":1`, `"filled":{"first":0`, "filled from 0 to 4"},
		{"too many gaps", `{"first":2,"last":3,"since":1}`, gaps, "66 gaps, want at most 64"},
	} {
		bad := strings.Replace(good, tt.old, tt.new, 1)
		if _, err := intake.OpenHistory([]byte(bad)); err == nil || bad == good || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: OpenHistory = %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestHistoryIsBounded checks that sources without number cannot fill memory:
// the one that was not heard for the longest is forgotten.
func TestHistoryIsBounded(t *testing.T) {
	const known = 4096
	h := openHistory(t, nil)
	for seq := range journal.Seq(known + 10) {
		name := fmt.Sprintf("source-%d", seq)
		rec := recordOf(seq, event.StringField("id", "1"), event.StringField("source", name), event.TimeField("received", time.UnixMicro(int64(seq)+1)))
		if err := take(h, rec); err != nil {
			t.Fatal(err)
		}
	}
	snapshot := string(h.Snapshot())
	if n := strings.Count(snapshot, `"name":`); n != known {
		t.Errorf("%d sources are known, want %d", n, known)
	}
	for name, want := range map[string]bool{"source-9": false, "source-10": true, fmt.Sprintf("source-%d", known+9): true} {
		if got := strings.Contains(snapshot, `"`+name+`"`); got != want {
			t.Errorf("%s is known: %v, want %v", name, got, want)
		}
	}
	openHistory(t, h.Snapshot())
}
