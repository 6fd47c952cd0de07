package export_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/custody-log/custody/internal/export"
)

// An export that somebody repeats must be comparable with the first.
func TestSameRowsSameBytes(t *testing.T) {
	rows := makeRows(t, 500)
	for _, f := range []export.Format{export.NDJSON, export.CSV, export.Parquet} {
		if !bytes.Equal(write(t, f, export.Oldest, rows...), write(t, f, export.Oldest, rows...)) {
			t.Errorf("%s: two exports of the same rows differ", f)
		}
	}
}

// An event that is there twice, or lost between pages, makes wrong counts of
// evidence.
func TestRowsOutOfOrderAreRefused(t *testing.T) {
	rows := makeRows(t, 3)
	back := []*export.Row{rows[2], rows[1], rows[0]}
	twins := []*export.Row{{Seq: 5, Record: rows[0].Record}, {Seq: 6, Record: rows[0].Record}}
	for _, c := range []struct {
		name  string
		order export.Order
		rows  []*export.Row
		good  bool
	}{
		{"oldest first", export.Oldest, rows, true},
		{"newest first", export.Newest, back, true},
		{"of one time, by seq", export.Oldest, twins, true},
		{"of one time, by seq, newest first", export.Newest, []*export.Row{twins[1], twins[0]}, true},
		{"against the order", export.Oldest, back, false},
		{"against the other order", export.Newest, rows, false},
		{"twice", export.Oldest, []*export.Row{rows[0], rows[0]}, false},
		{"twice, newest first", export.Newest, []*export.Row{rows[0], rows[0]}, false},
		{"of one time, against seq", export.Oldest, []*export.Row{twins[1], twins[0]}, false},
	} {
		w, err := export.NewWriter(io.Discard, export.NDJSON, c.order)
		if err != nil {
			t.Fatal(err)
		}
		err = w.Write(c.rows[0])
		for _, r := range c.rows[1:] {
			err = errors.Join(err, w.Write(r))
		}
		if c.good && err != nil || !c.good && !errors.Is(err, export.ErrOrder) {
			t.Errorf("%s: error %v, want one: %v", c.name, err, !c.good)
		}
		if !c.good && w.Close() == nil {
			t.Errorf("%s: a file with rows out of order can be closed", c.name)
		}
	}
}

// What retention dropped is no row, and must not become an empty one.
func TestRowWithoutRecordIsRefused(t *testing.T) {
	w, err := export.NewWriter(io.Discard, export.CSV, export.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&export.Row{Seq: 4}); err == nil {
		t.Error("Write took a row without a record")
	}
}

// A disk that is full must not give an export that seems whole.
func TestFailedWriteIsRemembered(t *testing.T) {
	full := errors.New("full")
	for _, f := range []export.Format{export.NDJSON, export.CSV, export.Parquet} {
		w, err := export.NewWriter(failing{full}, f, export.Oldest)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range makeRows(t, 3) {
			err = w.Write(r)
		}
		if err = errors.Join(err, w.Close()); !errors.Is(err, full) {
			t.Errorf("%s: Close = %v, want %v", f, err, full)
		}
		if err := w.Close(); !errors.Is(err, full) {
			t.Errorf("%s: the second Close = %v, want %v", f, err, full)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Programs are written against the columns: none may move or vanish.
func TestColumnsAreFrozen(t *testing.T) {
	want := []string{
		"seq", "time", "received", "tag", "class", "severity", "outcome", "actor_type", "actor_id", "actor_name",
		"on_behalf_of_type", "on_behalf_of_id", "on_behalf_of_name",
		"credential_kind", "credential_id", "credential_name", "credential_mfa", "credential_session",
		"project", "org", "version", "ip", "user_agent", "request_id", "source", "trust", "reason",
		"metadata", "subjects", "changes", "text", "commitment",
		"id", "source_seq", "reason_internal", "oidc", "trace_id", "origin",
	}
	if got := export.Columns(); !slices.Equal(got, want) {
		t.Errorf("columns are %q, want %q", got, want)
	}
}
