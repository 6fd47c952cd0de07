package export_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/export"
)

var meta = export.Meta{
	Origin: "log.example.com", Version: "1.2.3", Query: "project:demo-pkg", From: start, Order: export.Oldest,
}

var end = export.End{Complete: true, Created: start, Notes: []string{"fields for administrators are not shown"}}

// pageRows is how many rows a test exports between two marks.
const pageRows = 10

// finish exports rows from where s is to the end, as a caller with pages does.
// The cursor is the number of rows.
func finish(s *export.Set, rows []*export.Row) (*export.Manifest, error) {
	at := 0
	if s.Cursor() != "" {
		var err error
		if at, err = strconv.Atoi(s.Cursor()); err != nil {
			return nil, err
		}
	}
	for page := range slices.Chunk(rows[at:], pageRows) {
		for _, r := range page {
			if err := s.Write(r); err != nil {
				return nil, err
			}
		}
		at += len(page)
		if err := s.Mark(strconv.Itoa(at)); err != nil {
			return nil, err
		}
	}
	return s.Finish(end)
}

// begin creates or resumes an export on dir.
func begin(dir disk.FS, f export.Format) (*export.Set, error) {
	s, err := export.Resume(dir, "events", f)
	if errors.Is(err, fs.ErrNotExist) {
		s, err = export.Create(dir, "events", f, meta)
	}
	if err == nil {
		s.SetLimits(2 * pageRows)
	}
	return s, err
}

// whole returns the files of an export that nothing interrupted.
func whole(t *testing.T, f export.Format, rows []*export.Row) map[string]string {
	t.Helper()
	dir := new(disk.Mem)
	s, err := begin(dir, f)
	if err != nil {
		t.Fatal(err)
	}
	m, err := finish(s, rows)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(dir); err != nil {
		t.Fatal(err)
	}
	return files(t, dir)
}

func files(t *testing.T, dir disk.FS) map[string]string {
	t.Helper()
	names, err := dir.List()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, name := range names {
		data, err := disk.ReadFile(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(data)
	}
	return all
}

// An export of a big log takes hours, and a machine that goes down must cost
// minutes of it. What comes out must not depend on that.
func TestPowerCutAnywhere(t *testing.T) {
	rows := makeRows(t, 7*pageRows+3)
	for _, f := range []export.Format{export.NDJSON, export.CSV, export.Parquet} {
		want := whole(t, f, rows)
		random := rand.New(rand.NewPCG(1, 2))
		for _, keep := range []struct {
			name string
			keep func(n int) int
		}{
			{"all lost", func(int) int { return 0 }},
			{"all kept", func(n int) int { return n }},
			{"some lost", func(n int) int { return random.IntN(n + 1) }},
		} {
			t.Run(string(f)+" "+keep.name, func(t *testing.T) {
				for cut := 1; ; cut++ {
					if !cutAt(t, f, rows, cut, keep.keep, want) {
						break
					}
				}
			})
		}
	}
}

// cutAt exports rows with a power cut at operation number cut, goes on, and
// compares. It returns false if there are fewer operations.
func cutAt(t *testing.T, f export.Format, rows []*export.Row, cut int, keep func(int) int, want map[string]string) bool {
	t.Helper()
	before := new(disk.Mem)
	var after *disk.Mem
	n := 0
	before.Fail = func(string, string) error {
		if n++; n < cut {
			return nil
		}
		if after == nil {
			after = before.Crash(keep)
		}
		return disk.ErrInjected
	}
	s, err := begin(before, f)
	if err == nil {
		_, err = finish(s, rows)
	}
	if after == nil {
		if err != nil {
			t.Fatal(err)
		}
		return false
	}
	s, err = begin(after, f)
	if errors.Is(err, export.ErrFinished) {
		err = nil
	} else if err == nil {
		_, err = finish(s, rows)
	}
	if err != nil {
		t.Fatalf("going on after a power cut at operation %d: %v", cut, err)
	}
	got := files(t, after)
	delete(got, "events."+string(f)+".progress") // which a cut at the very end may leave
	for name := range got {
		if strings.HasSuffix(name, ".tmp") { // likewise
			delete(got, name)
		}
	}
	if !maps.Equal(want, got) {
		t.Fatalf("after a power cut at operation %d the files differ (-want +got):\n%.2000s", cut, cmp.Diff(want, got))
	}
	return true
}

// Who finds a file without a manifest must know that it is not whole, and who
// finds one must be able to check it.
func TestManifestIsLast(t *testing.T) {
	rows := makeRows(t, 4*pageRows)
	for _, f := range []export.Format{export.NDJSON, export.CSV, export.Parquet} {
		dir := new(disk.Mem)
		s, err := begin(dir, f)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range rows {
			if err := s.Write(r); err != nil {
				t.Fatal(err)
			}
			if err := s.Mark(strconv.Itoa(i + 1)); err != nil {
				t.Fatal(err)
			}
			name := "events." + string(f)
			for _, unfinished := range []string{name, name + ".manifest.json"} {
				if there, _ := dir.Exists(unfinished); there {
					t.Fatalf("%s is there before the export is finished", unfinished)
				}
			}
		}
		if _, err := s.Finish(end); err != nil {
			t.Fatal(err)
		}
		data, err := disk.ReadFile(dir, "events."+string(f)+".manifest.json")
		if err != nil {
			t.Fatal(err)
		}
		m, err := export.ParseManifest(data)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Verify(dir); err != nil {
			t.Error(err)
		}
		if m.Rows != int64(len(rows)) || *m.First != 0 || *m.Last != int64(len(rows)-1) || !m.Complete || m.Query != meta.Query {
			t.Errorf("%s: manifest is %+v", f, m)
		}
		if _, err := export.Resume(dir, "events", f); !errors.Is(err, export.ErrFinished) {
			t.Errorf("%s: Resume of a finished export = %v", f, err)
		}
	}
}

// An export must not write over another.
func TestCreateWritesOverNothing(t *testing.T) {
	for _, c := range []struct {
		there  string
		format export.Format
		good   bool
	}{
		{"events.ndjson", export.NDJSON, false},
		{"events.ndjson.partial", export.NDJSON, false},
		{"events.ndjson.progress", export.NDJSON, false},
		{"events.ndjson.manifest.json", export.NDJSON, false},
		{"events.ndjson.gz", export.NDJSON, true},
		{"events.csv", export.NDJSON, true},
		{"events-00003.parquet", export.Parquet, false},
		{"events-00000.parquet.partial", export.Parquet, false},
		{"events-all.parquet", export.Parquet, true},
		{"events-00000.parquet", export.CSV, true},
	} {
		dir := new(disk.Mem)
		if err := disk.ReplaceFile(dir, c.there, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := export.Create(dir, "events", c.format, meta); (err == nil) != c.good {
			t.Errorf("Create as %s beside %s: %v, want success: %v", c.format, c.there, err, c.good)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", ".hidden", strings.Repeat("n", 256)} {
		if _, err := export.Create(new(disk.Mem), name, export.CSV, meta); err == nil {
			t.Errorf("Create took the name %q", name)
		}
	}
}

// What was changed between two runs must not become part of an export that
// looks whole.
func TestResumeRefusesWhatWasChanged(t *testing.T) {
	rows := makeRows(t, 5*pageRows)
	for _, c := range []struct {
		name   string
		format export.Format
		change func(dir *disk.Mem) error
	}{
		{"the file is shorter", export.NDJSON, func(dir *disk.Mem) error { return cutFile(dir, "events.ndjson.partial") }},
		{"the file is gone", export.CSV, func(dir *disk.Mem) error { return dir.Remove("events.csv.partial") }},
		{"a part is shorter", export.Parquet, func(dir *disk.Mem) error { return cutFile(dir, "events-00000.parquet") }},
		{"a part is gone", export.Parquet, func(dir *disk.Mem) error { return dir.Remove("events-00001.parquet") }},
		{"progress is no JSON", export.NDJSON, edit("events.ndjson.progress", "{", "[")},
		{"progress of another version", export.NDJSON, edit("events.ndjson.progress", `progress":1`, `progress":2`)},
		{"progress of another format", export.NDJSON, edit("events.ndjson.progress", `"ndjson"`, `"csv"`)},
		{"progress says more bytes", export.NDJSON, edit("events.ndjson.progress", `"bytes":`, `"bytes":1`)},
		{"progress says fewer bytes", export.NDJSON, func(dir *disk.Mem) error {
			data, err := disk.ReadFile(dir, "events.ndjson.progress")
			fewer := regexp.MustCompile(`"bytes":[0-9]+`).ReplaceAll(data, []byte(`"bytes":700`))
			return errors.Join(err, disk.ReplaceFile(dir, "events.ndjson.progress", fewer))
		}},
		{"progress has no hash", export.NDJSON, edit("events.ndjson.progress", `"hash":"`, `"hash":"AAAA`)},
		{"progress leads elsewhere", export.Parquet, edit("events.parquet.progress", `"events-00000.parquet"`, `"../events"`)},
	} {
		dir := new(disk.Mem)
		s, err := begin(dir, c.format)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range rows {
			if err := errors.Join(s.Write(r), s.Mark(fmt.Sprint(i+1))); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := c.change(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := export.Resume(dir, "events", c.format); err == nil {
			t.Errorf("%s: Resume took it", c.name)
		}
	}
}

func cutFile(dir disk.FS, name string) error {
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	size, err := f.Size()
	return errors.Join(err, f.Truncate(size/2), f.Sync(), f.Close())
}

func edit(name, from, to string) func(*disk.Mem) error {
	return func(dir *disk.Mem) error {
		data, err := disk.ReadFile(dir, name)
		if err != nil {
			return err
		}
		changed := bytes.Replace(data, []byte(from), []byte(to), 1)
		if bytes.Equal(changed, data) {
			return fmt.Errorf("no %s in %s", from, data)
		}
		return disk.ReplaceFile(dir, name, changed)
	}
}

// What was asked for must not change in the middle of an answer.
func TestResumeKnowsWhatItIsOf(t *testing.T) {
	dir := new(disk.Mem)
	m := meta
	m.Order = export.Newest
	s, err := export.Create(dir, "events", export.CSV, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = export.Resume(dir, "events", export.CSV); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, s.Meta()); d != "" || s.Cursor() != "" || s.Rows() != 0 {
		t.Errorf("resumed with %d rows at %q, meta (-want +got):\n%s", s.Rows(), s.Cursor(), d)
	}
}

// A caller whose cursor leads back must not make events count twice: not in
// another file, and not after an interruption.
func TestNoRowTwiceInASet(t *testing.T) {
	rows := makeRows(t, 2*pageRows)
	for _, f := range []export.Format{export.NDJSON, export.CSV, export.Parquet} {
		for _, interrupted := range []bool{false, true} {
			dir := new(disk.Mem)
			s, err := begin(dir, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				err = errors.Join(err, s.Write(r))
			}
			if err = errors.Join(err, s.Mark("20")); err != nil {
				t.Fatal(err)
			}
			if interrupted {
				err = s.Close()
				if err == nil {
					s, err = begin(dir, f)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Write(rows[len(rows)-1]); !errors.Is(err, export.ErrOrder) {
				t.Errorf("%s, interrupted %v: the last row again: %v", f, interrupted, err)
			}
		}
	}
}

// Nothing found is an answer too.
func TestExportOfNothing(t *testing.T) {
	for _, f := range []export.Format{export.NDJSON, export.CSV, export.Parquet} {
		dir := new(disk.Mem)
		s, err := begin(dir, f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.Finish(end)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Verify(dir); err != nil || m.Rows != 0 || len(m.Files) != 1 || m.First != nil {
			t.Errorf("%s: manifest %+v, %v", f, m, err)
		}
	}
}

// A full disk ends an export, and what is there can be gone on with.
func TestFullDisk(t *testing.T) {
	rows := makeRows(t, 20*pageRows)
	dir := new(disk.Mem)
	dir.Limit(60_000)
	s, err := begin(dir, export.NDJSON)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := finish(s, rows); !disk.IsFull(err) {
		t.Fatalf("on a full disk: %v", err)
	}
	if err := s.Write(rows[0]); !disk.IsFull(err) {
		t.Errorf("Write after a failure = %v, want the failure", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	dir.Limit(0)
	if s, err = begin(dir, export.NDJSON); err != nil {
		t.Fatal(err)
	}
	if s.Cursor() == "" {
		t.Error("all of it is lost")
	}
	if _, err := finish(s, rows); err != nil {
		t.Fatal(err)
	}
	if got, want := files(t, dir), whole(t, export.NDJSON, rows); got["events.ndjson"] != want["events.ndjson"] {
		t.Error("the file is another than without the full disk")
	}
}
