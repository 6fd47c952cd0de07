package export_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/export"
)

// exported returns an export of n rows on a disk, and its manifest.
func exported(t testing.TB, f export.Format, n int) (*disk.Mem, *export.Manifest) {
	t.Helper()
	dir := new(disk.Mem)
	s, err := export.Create(dir, "events", f, meta)
	if err != nil {
		t.Fatal(err)
	}
	s.SetLimits(10)
	m, err := finish(s, makeRows(t, n))
	if err != nil {
		t.Fatal(err)
	}
	return dir, m
}

// What a disk or a transfer did to an export must not go unnoticed.
func TestVerifyFindsEveryChangedByte(t *testing.T) {
	for _, f := range []export.Format{export.NDJSON, export.CSV, export.Parquet} {
		dir, m := exported(t, f, 15)
		if err := m.Verify(dir); err != nil {
			t.Fatal(err)
		}
		for _, file := range m.Files {
			for i := int64(0); i < file.Bytes; i += 7 {
				dir.Flip(file.Name, i, int(i%8))
				var no *export.FalseError
				if err := m.Verify(dir); !errors.As(err, &no) || no.File != file.Name {
					t.Fatalf("byte %d of %s was changed: %v", i, file.Name, err)
				}
				dir.Flip(file.Name, i, int(i%8))
			}
		}
	}
}

// A file that is longer, shorter or missing is not the one that was written.
func TestVerifyFindsOtherLengths(t *testing.T) {
	dir, m := exported(t, export.CSV, 3)
	data, err := disk.ReadFile(dir, "events.csv")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"longer": append(bytes.Clone(data), 'x'), "shorter": data[:len(data)-1], "empty": nil} {
		var no *export.FalseError
		if err := m.VerifyFile("events.csv", bytes.NewReader(content)); !errors.As(err, &no) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := m.VerifyFile("other.csv", bytes.NewReader(data)); err == nil {
		t.Error("a file that the manifest does not name is verified")
	}
	if err := dir.Remove("events.csv"); err != nil {
		t.Fatal(err)
	}
	var no *export.FalseError
	if err := m.Verify(dir); !errors.As(err, &no) {
		t.Errorf("missing: %v", err)
	}
	m.Files[0].Rows = 4
	if err := m.VerifyFile("events.csv", bytes.NewReader(data)); !errors.As(err, &no) {
		t.Errorf("another number of rows: %v", err)
	}
}

// A manifest that two programs read in two ways says two things.
func TestManifestHasOneForm(t *testing.T) {
	_, m := exported(t, export.Parquet, 15)
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := export.ParseManifest(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, got); d != "" {
		t.Errorf("manifest is read back as (-want +got):\n%s", d)
	}
	replace := func(from, to string) []byte { return bytes.Replace(data, []byte(from), []byte(to), 1) }
	for name, changed := range map[string][]byte{
		"space":              replace("{", "{ "),
		"no space":           bytes.ReplaceAll(data, []byte(" "), nil),
		"more after it":      append(bytes.Clone(data), '{', '}'),
		"member twice":       replace(`"rows"`, `"rows": 1, "rows"`),
		"member in capitals": replace(`"rows"`, `"ROWS"`),
		"member unknown":     replace(`"rows"`, `"other": 1, "rows"`),
		"another version":    replace(`"custody_export": 1`, `"custody_export": 2`),
		"sum of rows":        replace(`"rows": 15`, `"rows": 16`),
		"time zone":          replace(`12:30:00Z`, `13:30:00+01:00`),
		"order":              replace(`"oldest"`, `"random"`),
		"format":             replace(`"parquet"`, `"avro"`),
		"bundle":             replace(`"parquet"`, `"bundle"`),
		"path":               replace(`"events-00000.parquet"`, `"../events"`),
		"file twice":         replace(`"events-00001.parquet"`, `"events-00000.parquet"`),
		"hash in capitals":   replace(m.Files[0].SHA256, string(bytes.ToUpper([]byte(m.Files[0].SHA256)))),
		"hash cut":           replace(m.Files[0].SHA256, m.Files[0].SHA256[1:]),
		"nothing":            nil,
		"another thing":      []byte("null\n"),
	} {
		if bytes.Equal(changed, data) {
			t.Fatalf("%s: nothing was changed in %s", name, data)
		}
		if _, err := export.ParseManifest(changed); err == nil {
			t.Errorf("%s: ParseManifest took it", name)
		}
	}
}

// FuzzParseManifest checks that no bytes make parsing panic, and that what is
// taken has one form.
func FuzzParseManifest(f *testing.F) {
	_, m := exported(f, export.Parquet, 15)
	data, err := m.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"custody_export":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := export.ParseManifest(data)
		if err != nil {
			return
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("read and encoded again: %v\n%s", err, again)
		}
		if !json.Valid(data) {
			t.Error("not JSON")
		}
	})
}
