package export_test

import (
	"bytes"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/internal/gen"
)

var start = time.Date(2026, 11, 2, 12, 30, 0, 0, time.UTC)

var loadCatalogue = sync.OnceValues(catalogue.Load)

func load(t testing.TB) *catalogue.Catalogue {
	t.Helper()
	c, err := loadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// added are the fields that the log adds to every event.
var added = event.Fields{
	event.TimeField("received", start.Add(time.Hour)),
	event.StringField("source", "registry"),
	event.StringField("trust", "witnessed"),
	event.StringField("outcome", "success"),
}

// rowOf returns the row of an event at seq. Its secrets are a function of both.
func rowOf(t testing.TB, seq int64, data []byte) *export.Row {
	t.Helper()
	fields, err := (&event.Parser{Added: added}).Parse(data)
	if err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	c := load(t)
	tag := fields.Text("tag")
	for i := range fields {
		fields[i].Private = c.Personal(tag, fields[i].Name)
	}
	seed := sha256.Sum256(append([]byte{byte(seq)}, data...))
	body, _ := event.AppendRecord(nil, fields, &event.Secrets{Open: [16]byte(seed[:16]), Private: [16]byte(seed[16:])})
	record, err := event.DecodeRecord(body)
	if err != nil {
		t.Fatal(err)
	}
	return &export.Row{
		Seq: seq, Record: record, Class: catalogue.ClassOf(tag), Severity: string(c.SeverityOf(tag)),
		Text: c.Render(tag, func(name string) (string, bool) {
			f, ok := record.Open().Get(name)
			return f.Text(), ok
		}),
	}
}

// makeRows returns n rows, oldest first, a millisecond apart.
func makeRows(t testing.TB, n int) []*export.Row {
	t.Helper()
	rows := make([]*export.Row, n)
	for i, data := range gen.New(load(t), 7, start).Make(n) {
		rows[i] = rowOf(t, int64(i), data)
	}
	return rows
}

// Events in which everything odd is that an event can have.
var odd = []string{
	`{"id":"caf\u00e9 \ud83d\ude00 \"\\\/\b\f\n\r\t\u0000\u001f\u007f <b>&amp;</b> \u2028\u2029","tag":"project:stamp:add","time":"1970-01-01T00:00:00Z",
 "actor":{"type":"service","name":"=cmd|'/c calc'!A0"},"context":{"ip":"2001:db8::1","user_agent":"-2+3","trace_id":"t","origin":"cron"},
 "metadata":{"whole":-0,"one":1.0,"big":9223372036854775807,"half":1.50,"tiny":1e-7,"yes":true,"no":false,"empty":"","version":"9.9.9",
 "deep":{"\u20ac":"Euro","</script>":[null,true,-0.0,{"a":[]}],"\r":"CR"}}}`,
	`{"id":"many","tag":"org:team:create","time":"9999-12-31T23:59:59.999999Z","actor":{"type":"admin"},"on_behalf_of":{"type":"user","name":"root"},
 "credential":{"kind":"oidc","id":"c","name":"n","mfa":"totp","session":"s"},
 "oidc":{"issuer":"https://issuer.example","subject":"s","repository":"r","workflow_ref":"w","ref":"f","sha":"a","run_id":"1","environment":"e"},
 "subjects":[{"type":"user"},{"type":"org","id":"o1"},{"type":"user"},{"type":"user"},{"type":"user"},{"type":"user"},{"type":"user"},{"type":"user"},{"type":"user"},{"type":"user"},
 {"type":"file","id":"f1","name":"demo-pkg","version":"2.0.0","role":"target"}],
 "changes":[{"field":"a"},{"field":"b","old":1,"new":true},{"field":"c","old":{"x":[1.5]},"new":""}],
 "context":{"ip":"::ffff:198.51.100.7","request_id":"r-1"},"reason":"'quoted', \"twice\"\nand lines","reason_internal":"i","source_seq":41}`,
	`{"id":"little","tag":"user:login","time":"2026-01-01T00:00:00.5Z","actor":{"type":"anonymous"}}`,
}

// oddRows returns a row for each odd event, oldest first, and one with most of
// its fields erased.
func oddRows(t testing.TB) []*export.Row {
	t.Helper()
	rows := []*export.Row{rowOf(t, 7, []byte(odd[0])), rowOf(t, 8, []byte(odd[2])), rowOf(t, 3, []byte(odd[1]))}
	gone := rowOf(t, 9, []byte(odd[1]))
	digests, _ := gone.Record.Digests()
	for i := range gone.Record.Fields {
		f := &gone.Record.Fields[i]
		if f.Name == "time" || f.Name == "tag" || f.Name == "subjects.10.name" || f.Name == "changes.1.new" {
			continue
		}
		f.Bury(digests[i])
	}
	return append(rows, gone)
}

// write returns the file of rows.
func write(t testing.TB, f export.Format, o export.Order, rows ...*export.Row) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := export.NewWriter(&b, f, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
