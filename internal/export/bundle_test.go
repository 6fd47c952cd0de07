package export_test

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/proof"
)

// A testLog is a log of some rows: record seq is the row with that seq, and
// what lies between is no event.
type testLog struct {
	t      testing.TB
	rows   []*export.Row
	hashes hashes
	size   int64
	vkey   string
	policy *proof.Policy
	signer note.Signer
	signed []byte
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		list[i] = h[x]
	}
	return list, nil
}

// newLog returns the log called log.example.com, which has size records.
func newLog(t testing.TB, key string, size int64, rows ...*export.Row) *testLog {
	t.Helper()
	l := &testLog{t: t, rows: rows, size: size}
	bySeq := make(map[int64]*export.Row)
	for _, r := range rows {
		bySeq[r.Seq] = r
	}
	for i := range size {
		data := fmt.Append(nil, i)
		if r := bySeq[i]; r != nil {
			e := r.Record.Commitment.Entry()
			data = e[:]
		}
		grown, err := tlog.StoredHashes(i, data, l.hashes)
		if err != nil {
			t.Fatal(err)
		}
		l.hashes = append(l.hashes, grown...)
	}
	l.sign(key)
	return l
}

// sign makes a key of the seed and signs the tree with it.
func (l *testLog) sign(seed string) {
	l.t.Helper()
	const name = "log.example.com"
	raw := sha256.Sum256([]byte(seed))
	public := ed25519.NewKeyFromSeed(raw[:]).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(name, public)
	if err != nil {
		l.t.Fatal(err)
	}
	hash := strings.Split(vkey, "+")[1]
	skey := "PRIVATE+KEY+" + name + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, raw[:]...))
	if l.signer, err = note.NewSigner(skey); err != nil {
		l.t.Fatal(err)
	}
	l.vkey = vkey
	if l.policy, err = proof.KeyPolicy(vkey); err != nil {
		l.t.Fatal(err)
	}
	l.signed = l.checkpoint(l.size)
}

// checkpoint returns the checkpoint of the first size records.
func (l *testLog) checkpoint(size int64) []byte {
	l.t.Helper()
	root, err := tlog.TreeHash(size, l.hashes)
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := proof.SignCheckpoint(tlog.Tree{N: size, Hash: root}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return signed
}

// receipt returns the receipt of r under the checkpoint of size records, which
// shows the fields that are not hidden.
func (l *testLog) receipt(r *export.Row, size int64, hidden ...string) []byte {
	l.t.Helper()
	path, err := tlog.ProveRecord(size, r.Seq, l.hashes)
	if err != nil {
		l.t.Fatal(err)
	}
	d := proof.Disclose(r.Record, func(f *event.Field) bool {
		return !slices.Contains(hidden, f.Name)
	})
	text, err := proof.NewReceipt(d, proof.Proof{Index: r.Seq, Path: path, Checkpoint: l.checkpoint(size)}).Format()
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

// writer returns a writer of a bundle of l.
func (l *testLog) writer(out io.Writer) (*export.BundleWriter, error) {
	spool, err := new(disk.Mem).Open("spool")
	if err != nil {
		l.t.Fatal(err)
	}
	return export.NewBundleWriter(out, spool, meta, l.signed, l.policy, []byte(l.vkey+"\n"))
}

// bundle returns the bundle of all rows of l.
func (l *testLog) bundle() []byte {
	l.t.Helper()
	var out bytes.Buffer
	w, err := l.writer(&out)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, r := range l.rows {
		if err := w.Add(r, l.receipt(r, l.size)); err != nil {
			l.t.Fatal(err)
		}
	}
	if _, err := w.Close(end); err != nil {
		l.t.Fatal(err)
	}
	return out.Bytes()
}

// check opens and checks a bundle.
func check(data []byte, policy *proof.Policy) (*export.BundleReport, error) {
	b, err := export.OpenBundle(bytes.NewReader(data), int64(len(data)), export.Limits{})
	if err != nil {
		return nil, err
	}
	return b.Check(policy)
}

// smallLog is a log whose rows are odd: out of order of seq, with an erased one.
func smallLog(t testing.TB) *testLog {
	t.Helper()
	return newLog(t, "key", 11, oddRows(t)...)
}

// The whole point: what the log wrote, a stranger can check.
func TestBundleIsProved(t *testing.T) {
	l := smallLog(t)
	report, err := check(l.bundle(), l.policy)
	if err != nil {
		t.Fatal(err)
	}
	if report.Events != 4 || report.Checkpoint.N != 11 || report.Checkpoint.Origin != meta.Origin {
		t.Errorf("report is %+v", report)
	}
	erased := 0
	for _, f := range l.rows[3].Record.Fields {
		if f.Erased {
			erased++
		}
	}
	if m := report.Manifest; report.Hidden != int64(erased) || m.Erased != int64(erased) || m.Query != meta.Query || !m.Complete || m.Rows != 4 || *m.First != 7 || *m.Last != 9 {
		t.Errorf("of %d erased fields, %d are hidden; manifest %+v", erased, report.Hidden, m)
	}
}

// An empty answer has a bundle too, and it proves no more than the checkpoint.
func TestBundleOfNothing(t *testing.T) {
	l := newLog(t, "key", 3)
	report, err := check(l.bundle(), l.policy)
	if err != nil || report.Events != 0 {
		t.Errorf("report %+v, %v", report, err)
	}
}

// Any program that reads zip files must read a bundle, and the same in it.
func TestBundleIsAZipFile(t *testing.T) {
	l := smallLog(t)
	data := l.bundle()
	if !bytes.Equal(data, l.bundle()) {
		t.Error("two bundles of the same are different")
	}
	want := []string{
		"README.txt", "checkpoint", "events.ndjson", "manifest.json", "policy.txt",
		"receipts/3.receipt", "receipts/7.receipt", "receipts/8.receipt", "receipts/9.receipt",
	}
	entries := unzip(t, data)
	for i, e := range entries {
		if i >= len(want) || e.name != want[i] {
			t.Fatalf("entry %d is %s, want %q", i, e.name, want)
		}
	}
	if string(entries[2].content) != string(write(t, export.NDJSON, export.Oldest, l.rows...)) {
		t.Error("the events are not those of an export")
	}
	if receipt, err := proof.ParseReceipt(entries[5].content); err != nil {
		t.Error(err)
	} else if _, err := receipt.Verify(l.policy); err != nil {
		t.Error(err)
	}
}

var update = flag.Bool("update", false, "write testdata/bundle.zip anew")

// Evidence is kept for years: what was written once must be accepted by every
// later version. If this fails, the form of a row or of a bundle was changed:
// add a version instead.
func TestOldBundleIsAccepted(t *testing.T) {
	const name = "testdata/bundle.zip"
	l := smallLog(t)
	if *update {
		if err := os.WriteFile(name, l.bundle(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	report, err := check(data, l.policy)
	if err != nil || report.Events != 4 {
		t.Errorf("%s: %+v, %v", name, report, err)
	}
}

// An entry is an entry of a bundle.
type entry struct {
	name    string
	content []byte
}

func unzip(t testing.TB, data []byte) []entry {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var entries []entry
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{f.Name, content})
	}
	return entries
}

// rezip makes a bundle of entries, with a good seal: what somebody can do who
// wants to be believed.
func rezip(t testing.TB, entries []entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		in, err := w.CreateHeader(export.EntryHeader(e.name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.SetComment(export.NoSeal), w.Close()); err != nil {
		t.Fatal(err)
	}
	return reseal(out.Bytes())
}

// reseal puts a good seal on data.
func reseal(data []byte) []byte {
	body := data[:len(data)-len(export.NoSeal)]
	return append(bytes.Clone(body), export.Seal(body)...)
}

// What a disk or a mailer did to evidence must not go unnoticed.
func TestBundleWithAnyChangedByteIsRefused(t *testing.T) {
	l := newLog(t, "key", 5, makeRows(t, 2)...)
	data := l.bundle()
	if _, err := check(data, l.policy); err != nil {
		t.Fatal(err)
	}
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1 << (i % 8)
		var no *export.FalseError
		if _, err := check(changed, l.policy); !errors.As(err, &no) {
			t.Fatalf("byte %d of %d was changed: %v", i, len(data), err)
		}
	}
	for i := 0; i < len(data); i += 13 {
		if _, err := check(data[:i], l.policy); err == nil {
			t.Fatalf("cut to %d of %d bytes, and accepted", i, len(data))
		}
	}
}

// A forger can make the seal anew. Then it is the form of the zip file that
// keeps two programs from reading two things.
func TestBundleHasOneForm(t *testing.T) {
	l := newLog(t, "key", 5, makeRows(t, 2)...)
	data := l.bundle()
	if _, err := check(reseal(data), l.policy); err != nil {
		t.Fatal(err)
	}
	passed, step := 0, 1
	if testing.Short() {
		step = 7
	}
	for i := 0; i < len(data)-len(export.NoSeal); i += step {
		changed := bytes.Clone(data)
		changed[i] ^= 1 << (i % 8)
		_, err := check(reseal(changed), l.policy)
		if err != nil {
			var no *export.FalseError
			if !errors.As(err, &no) {
				t.Fatalf("byte %d was changed: %v is no verdict", i, err)
			}
			continue
		}
		// Bits after the end of a compressed content say nothing; all else does.
		passed++
		if a, b := unzip(t, data), unzip(t, changed); len(a) != len(b) {
			t.Fatalf("byte %d was changed, and there are %d entries", i, len(b))
		} else {
			for k := range a {
				if a[k].name != b[k].name || !bytes.Equal(a[k].content, b[k].content) {
					t.Fatalf("byte %d was changed, %s is another, and it is accepted", i, a[k].name)
				}
			}
		}
	}
	if passed > len(unzip(t, data)) {
		t.Errorf("%d changes accepted, at most the last byte of each entry may be", passed)
	}
	for name, changed := range map[string][]byte{
		"bytes before it":  append([]byte("#!/bin/sh\n"), data...),
		"bytes between":    bytes.Replace(data, []byte("PK\x01\x02"), []byte("hiddenPK\x01\x02"), 1),
		"no zip file":      append(bytes.Repeat([]byte("x"), 100), export.NoSeal...),
		"nothing but seal": append([]byte("PK\x05\x06"), append(make([]byte, 18), export.NoSeal...)...),
	} {
		if _, err := check(reseal(changed), l.policy); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
