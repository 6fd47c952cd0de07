package tree_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
)

const signedRecords = 600

// signedLog returns a disk with a tree of 600 records, all signed, and them.
func signedLog(t *testing.T) (*disk.Mem, records, tree.Signed) {
	t.Helper()
	list := makeRecords(signedRecords)
	dir := new(disk.Mem)
	tr := open(t, dir, list)
	feed(t, tr, list, 100)
	signed := sign(t, tr)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, list, signed
}

// TestChangedRecord changes one record after it was signed. Open must refuse
// and name it: this is the tampering that the whole log is there to show.
func TestChangedRecord(t *testing.T) {
	for _, seq := range []journal.Seq{0, 255, 256, 300, 599} {
		dir, list, _ := signedLog(t)
		changed := slices.Clone(list)
		changed[seq] = []byte("something else")
		if seq < 500 {
			changed[550] = []byte("and another") // the first must be named
		}
		refused(t, dir, changed, seq)

		unreadable := slices.Clone(list)
		unreadable[seq] = []byte{}
		refused(t, dir, unreadable, seq)

		swapped := slices.Clone(list)
		swapped[seq], swapped[(seq+1)%600] = swapped[(seq+1)%600], swapped[seq]
		refused(t, dir, swapped, min(seq, (seq+1)%600))

		if tr := open(t, dir, list); tr.Latest().N != signedRecords {
			t.Errorf("after refusing, the right records are not accepted")
		}
	}
}

// TestMissingRecords checks that records that were signed and are gone keep
// the log from starting.
func TestMissingRecords(t *testing.T) {
	dir, list, _ := signedLog(t)
	for _, n := range []journal.Seq{0, 1, 256, 599} {
		refused(t, dir, list[:n], n)
	}
}

// refused checks that Open refuses list and names seq.
func refused(t *testing.T, dir *disk.Mem, list records, seq journal.Seq) {
	t.Helper()
	_, err := tree.Open(t.Context(), testConfig(dir, list))
	var disagree *tree.DisagreeError
	if !errors.As(err, &disagree) || disagree.Seq != seq || disagree.Size != signedRecords {
		t.Errorf("Open = %v, want record %d to disagree with the checkpoint of %d", err, seq, signedRecords)
	}
}

// TestChangedRecordAndFiles checks that covering up the change in the tree's
// files does not help.
func TestChangedRecordAndFiles(t *testing.T) {
	dir, list, _ := signedLog(t)
	changed := slices.Clone(list)
	changed[300] = []byte("something else")
	other := new(disk.Mem) // an honest tree over the changed records
	tr := open(t, other, changed)
	feed(t, tr, changed, 100)
	sign(t, tr)
	kept, err := disk.ReadFile(dir, "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.ReplaceFile(other, "checkpoint", kept); err != nil {
		t.Fatal(err)
	}
	_, err = tree.Open(t.Context(), testConfig(other, changed))
	var disagree *tree.DisagreeError
	if !errors.As(err, &disagree) || !strings.Contains(err.Error(), "do not tell which") {
		t.Errorf("Open = %v, want a DisagreeError that says it cannot tell which record", err)
	}
}

// TestDamagedFiles damages each of the tree's files in every way a disk can.
// The records are right, so Open mends the files, and says so.
func TestDamagedFiles(t *testing.T) {
	damages := map[string]func(t *testing.T, dir *disk.Mem, file string){
		"first byte flipped": func(_ *testing.T, dir *disk.Mem, file string) { dir.Flip(file, 0, 0) },
		"emptied":            func(t *testing.T, dir *disk.Mem, file string) { mustCutShort(t, dir, file, 0) },
		"cut in a hash":      func(t *testing.T, dir *disk.Mem, file string) { mustCutShort(t, dir, file, 63) },
		"removed": func(t *testing.T, dir *disk.Mem, file string) {
			if err := dir.Remove(file); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, damage := range damages {
		for _, file := range []string{"commitments", "level1"} {
			t.Run(name+" "+file, func(t *testing.T) {
				dir, list, signed := signedLog(t)
				damage(t, dir, file)
				mended(t, dir, list, signed)
			})
		}
	}
}

// mended checks that Open mends the files in dir, and says so.
func mended(t *testing.T, dir *disk.Mem, list records, signed tree.Signed) {
	t.Helper()
	config := testConfig(dir, list)
	var warned warnings
	config.Log = slog.New(&warned)
	tr, err := tree.Open(t.Context(), config)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if warned.n.Load() == 0 {
		t.Error("mended without a word")
	}
	if _, err := tr.Check(t.Context(), list, entryOf, func(int64) {}); err != nil {
		t.Errorf("Check after mending: %v", err)
	}
	if got := tr.Latest(); string(got.Message) != string(signed.Message) {
		t.Error("the checkpoint changed")
	}
}

// TestUnsignedTailIsNotTrusted puts rubbish after the signed part of every
// file, as a power cut may.
func TestUnsignedTailIsNotTrusted(t *testing.T) {
	dir, list, _ := signedLog(t)
	for _, name := range []string{"commitments", "level1", "level2"} {
		f, err := dir.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(make([]byte, 77)); err != nil {
			t.Fatal(err)
		}
	}
	list = append(list, makeRecords(1000)[signedRecords:]...)
	tr := open(t, dir, list)
	feed(t, tr, list, 100)
	if got, want := sign(t, tr).Hash, makeOracle(t, list).root(t, 1000); got != want {
		t.Error("what a power cut left was signed")
	}
}

// TestForeignCheckpoint checks that a checkpoint by another key in place of
// the last signed one keeps the log from starting.
func TestForeignCheckpoint(t *testing.T) {
	dir, list, _ := signedLog(t)
	keys, err := tree.GenerateKeys("log.example")
	if err != nil {
		t.Fatal(err)
	}
	config := testConfig(dir, list)
	config.Keys = keys
	if _, err := tree.Open(t.Context(), config); err == nil {
		t.Error("Open accepted a checkpoint by a key that is not the log's")
	}
}

// TestCheck checks that Check finds damage that came after Open, and names the
// first record it concerns.
func TestCheck(t *testing.T) {
	cases := []struct {
		name   string
		damage func(dir *disk.Mem, list records)
		seq    journal.Seq
	}{
		{"record", func(_ *disk.Mem, list records) { list[301] = []byte("x"); list[590] = []byte("y") }, 301},
		{"commitment", func(dir *disk.Mem, _ records) { dir.Flip("commitments", 32*7+20, 1) }, 7},
		{"first byte of a commitment", func(dir *disk.Mem, _ records) { dir.Flip("commitments", 32*8, 1) }, 8},
		{"last commitment", func(dir *disk.Mem, _ records) { dir.Flip("commitments", 32*599, 1) }, 599},
		{"root of a tile", func(dir *disk.Mem, _ records) { dir.Flip("level1", 32, 1) }, 256},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir, list, _ := signedLog(t)
			tr := open(t, dir, list)
			var last int64
			if _, err := tr.Check(t.Context(), list, entryOf, func(done int64) { last = done }); err != nil || last != signedRecords {
				t.Fatalf("Check of an intact log = %v after %d records", err, last)
			}
			c.damage(dir, list)
			_, err := tr.Check(t.Context(), list, entryOf, func(int64) {})
			var disagree *tree.DisagreeError
			if !errors.As(err, &disagree) || disagree.Seq != c.seq {
				t.Errorf("Check = %v, want record %d to disagree", err, c.seq)
			}
		})
	}
}
