package export_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/export"
)

// asCSV returns the rows of a CSV file without the marks against formulas: what
// Parquet, written by other means, must hold too.
func asCSV(t *testing.T, rows []*export.Row) []map[string]string {
	t.Helper()
	lines := readCSV(t, write(t, export.CSV, export.Oldest, rows...))
	for _, line := range lines {
		for name, cell := range line {
			line[name] = strings.TrimPrefix(cell, "'")
		}
	}
	return lines
}

// What somebody counts in a data warehouse must be what the log holds.
func TestParquetReadsBack(t *testing.T) {
	rows := append(oddRows(t)[:1], makeRows(t, 3000)...)
	for _, r := range rows[1:] {
		r.Seq += 10
	}
	rows[0].Text = "" // a CSV reader changes line ends in a text
	want := asCSV(t, rows)
	data := write(t, export.Parquet, export.Oldest, rows...)
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	r := parquet.NewReader(file)
	defer r.Close()
	got := make([]parquet.Row, 1)
	for n := range want {
		if k, err := r.ReadRows(got); k != 1 {
			t.Fatalf("row %d: %v", n, err)
		}
		for i, name := range export.Columns() {
			if text := cellOf(name, got[0][i]); text != want[n][name] && name != "id" {
				t.Fatalf("row %d: %s is %q, want %q", n, name, text, want[n][name])
			}
		}
	}
	if k, err := r.ReadRows(got); k != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("more than %d rows, %v", len(want), err)
	}
}

// cellOf returns a value as CSV has it.
func cellOf(name string, v parquet.Value) string {
	switch {
	case v.IsNull():
		return ""
	case name == "time" || name == "received":
		return micros(v.Int64())
	case v.Kind() == parquet.Int64:
		return strconv.FormatInt(v.Int64(), 10)
	}
	return v.String()
}

func micros(v int64) string { return time.UnixMicro(v).UTC().Format("2006-01-02T15:04:05.000000Z") }

// The types are what programs are written against.
func TestParquetTypes(t *testing.T) {
	data := write(t, export.Parquet, export.Oldest, makeRows(t, 3)...)
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, column := range file.Root().Columns() {
		names = append(names, column.Name())
		want, optional := "STRING", true
		switch column.Name() {
		case "seq":
			want, optional = "INT(64,true)", false
		case "source_seq":
			want = "INT(64,true)"
		case "time", "received":
			want = "TIMESTAMP(isAdjustedToUTC=true,unit=MICROS)"
		case "metadata", "subjects", "changes", "oidc":
			want = "JSON"
		}
		if got := column.Type().LogicalType().String(); got != want || column.Optional() != optional || column.Compression().String() != "ZSTD" {
			t.Errorf("%s is %s, optional %v, %v, want %s", column.Name(), got, column.Optional(), column.Compression(), want)
		}
	}
	if !slices.Equal(names, export.Columns()) {
		t.Errorf("columns are %q", names)
	}
}

// Groups are what memory is bounded by, and what readers skip by.
func TestParquetGroups(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 210,000 rows")
	}
	var out bytes.Buffer
	w, err := export.NewWriter(&out, export.Parquet, export.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	later := newClock(makeRows(t, 50))
	for range 210_000 {
		if err := w.Write(later.next()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	for _, g := range file.RowGroups() {
		sizes = append(sizes, g.NumRows())
	}
	if !slices.Equal(sizes, []int64{100_000, 100_000, 10_000}) {
		t.Errorf("groups of %d rows", sizes)
	}
}

// An export runs beside the log, whose memory it must not take: not even when
// the rows are large and do not compress.
func TestParquetMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 250 MB")
	}
	const most = 40 << 20 // in use; what waits for the collector comes on top
	for _, c := range []struct {
		name        string
		rows, bytes int
	}{{"usual", 120_000, 0}, {"large", 8_000, 30_000}} {
		rows := makeRows(t, 50)
		random := newNoise()
		w, err := export.NewWriter(io.Discard, export.Parquet, export.Oldest)
		if err != nil {
			t.Fatal(err)
		}
		before, peak := inUse(), uint64(0)
		later := newClock(rows)
		for i := range c.rows {
			r := later.next()
			if c.bytes > 0 {
				r.Text = random.text(c.bytes)
			}
			if err := w.Write(r); err != nil {
				t.Fatal(err)
			}
			if i%(c.rows/40) == 0 {
				peak = max(peak, inUse())
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s rows: %d bytes in use", c.name, int64(peak)-int64(before))
		if peak > before+most {
			t.Errorf("%s rows: %d bytes in use, at most %d", c.name, peak-before, most)
		}
	}
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A noise is text that does not compress.
type noise struct{ digest event.Digest }

func newNoise() *noise { return new(noise) }

func (n *noise) text(size int) string {
	var b strings.Builder
	for b.Len() < size {
		n.digest = event.DigestOf(new(event.Salt), "noise", event.String, n.digest[:])
		b.Write(n.digest[:])
	}
	return b.String()
}

// readParquet is a program that reads a file by other means than ours, and
// prints each row as JSON. Its arguments are the file.
const readParquet = `
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
const text = (bytes) => bytes && new TextDecoder().decode(bytes);
const rows = await parquetReadObjects({
  file: await asyncBufferFromFile(process.argv[1]), compressors,
  parsers: { timestampFromMicroseconds: (v) => v, jsonFromBytes: text },
});
for (const row of rows) {
  console.log(JSON.stringify(row, (_, v) => typeof v === "bigint" ? v.toString() : v));
}
`

// A file that only our library reads is no Parquet.
func TestStrangersReadParquet(t *testing.T) {
	const e2e = "../../e2e"
	for _, need := range []string{"hyparquet", "hyparquet-compressors"} {
		if _, err := os.Stat(filepath.Join(e2e, "node_modules", need)); err != nil {
			missing(t, need)
		}
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node")
	}
	rows := append(oddRows(t)[:1], makeRows(t, 1000)...)
	for _, r := range rows[1:] {
		r.Seq += 10
	}
	rows[0].Text = ""
	want := asCSV(t, rows)
	name := filepath.Join(t.TempDir(), "events.parquet")
	if err := os.WriteFile(name, write(t, export.Parquet, export.Oldest, rows...), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "--input-type=module", "-e", readParquet, name)
	cmd.Dir = e2e
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.Bytes())
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if len(lines) != len(want) {
		t.Fatalf("%d rows, want %d", len(lines), len(want))
	}
	for n, line := range lines {
		var got map[string]*string
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, column := range export.Columns() {
			text := ""
			if got[column] != nil {
				text = *got[column]
			}
			if v, err := strconv.ParseInt(text, 10, 64); err == nil && (column == "time" || column == "received") {
				text = micros(v)
			}
			if text != want[n][column] && column != "id" {
				t.Fatalf("row %d: %s is %q, want %q", n, column, text, want[n][column])
			}
		}
	}
}

// missing skips the test, except where everything must be there.
func missing(t *testing.T, what string) {
	t.Helper()
	say := fmt.Sprintf("%s is missing: install Node.js and run npm ci in e2e", what)
	if os.Getenv("CI") == "true" {
		t.Fatal(say)
	}
	t.Skip(say)
}
