package journal_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

func everything(n int) int { return n }

// closedJournal returns a disk with a journal of several files that was opened
// and closed twice, and its records.
func closedJournal(t *testing.T) (*disk.Mem, []string) {
	t.Helper()
	fs := new(disk.Mem)
	var bodies []string
	for life := range 2 {
		d := openShort(t, fs, 400)
		for i := range 6 {
			batch := []string{fmt.Sprintf("%d.%d", life, i), strings.Repeat("b", 40), "c"}
			if err := d.Append(t.Context(), d.Next(), split(batch)); err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, batch...)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return fs, bodies
}

// TestFlippedBits inverts every bit of a closed journal, one at a time. The
// damage must be reported with its position: by Check always, by Open or Read
// unless it did no harm. A record may never be missing, or be another one than
// was appended.
func TestFlippedBits(t *testing.T) {
	fs, bodies := closedJournal(t)
	names, err := fs.List()
	if err != nil || len(names) < 3 {
		t.Fatalf("the journal has files %q, %v, want several", names, err)
	}
	atOpen, atRead, harmless := 0, 0, 0
	for _, name := range names {
		data, err := disk.ReadFile(fs, name)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range 8 * len(data) {
			damaged := fs.Crash(everything)
			damaged.Flip(name, int64(bit/8), bit%8)
			if _, err := journal.Check(t.Context(), damaged); !errors.As(err, new(*journal.CorruptError)) {
				t.Fatalf("Check with bit %d of byte %d of %s inverted = %v", bit%8, bit/8, name, err)
			}
			got, corrupt := readDamaged(t, damaged)
			where := fmt.Sprintf("with bit %d of byte %d of %s inverted", bit%8, bit/8, name)
			switch {
			case len(got) > len(bodies) || !slices.Equal(got, bodies[:len(got)]):
				t.Fatalf("%s the records are %q", where, got)
			case corrupt == nil && len(got) < len(bodies):
				t.Fatalf("%s %d of %d records are there, and nothing was reported", where, len(got), len(bodies))
			case corrupt == nil:
				harmless++
			case corrupt.File != name:
				t.Fatalf("%s the error is about %s: %v", where, corrupt.File, corrupt)
			case got == nil:
				atOpen++
			case int(corrupt.Seq) != len(got):
				t.Fatalf("%s %d records are there, but the error says %v", where, len(got), corrupt)
			default:
				atRead++
			}
		}
	}
	if atOpen == 0 || atRead == 0 {
		t.Errorf("%d flips were found by Open, %d by Read", atOpen, atRead)
	}
	// A file that is full may hold seals at its end, and the last file does.
	if seals := harmless / (8 * 32); harmless%(8*32) != 0 || seals > 2*len(names) {
		t.Errorf("%d flips did no harm, want only those in a few seals", harmless)
	}
	if n, err := journal.Check(t.Context(), fs); err != nil || int(n) != len(bodies) {
		t.Errorf("Check = %d, %v, want %d records", n, err, len(bodies))
	}
}

// readDamaged opens the journal on fs and reads until an error. It returns nil
// if it cannot even be opened.
func readDamaged(t *testing.T, fs disk.FS) ([]string, *journal.CorruptError) {
	t.Helper()
	var corrupt *journal.CorruptError
	d, err := journal.OpenFilesLimit(fs, 400)
	if err != nil {
		if !errors.As(err, &corrupt) {
			t.Fatalf("OpenFiles = %v, want a CorruptError", err)
		}
		return nil, corrupt
	}
	got, err := readAll(t, d, 0, 5)
	if err != nil && !errors.As(err, &corrupt) {
		t.Fatalf("Read = %v, want a CorruptError", err)
	}
	if got == nil {
		got = []string{}
	}
	return got, corrupt
}

// TestDamagedRecord damages one record of many in one group: Read says which,
// and the others can still be read one by one.
func TestDamagedRecord(t *testing.T) {
	fs := new(disk.Mem)
	d := openShort(t, fs, 40_000)
	const n, frame = 1000, 8 + 30
	var bodies []string
	for i := range n {
		bodies = append(bodies, fmt.Sprintf("%030d", i))
	}
	for range 2 { // the second goes into another file
		if err := d.Append(t.Context(), d.Next(), split(bodies)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	const body, length = 20, 0
	for _, test := range []struct {
		name string
		seq  journal.Seq
		at   int64 // in the frame
	}{{"body", 0, body}, {"body", 500, body}, {"body", n - 1, body}, {"length", 500, length}, {"checksum", 70, 5}} {
		damaged := fs.Crash(everything)
		damaged.Flip(fmt.Sprintf("%020d.journal", 0), 32+32+32+int64(test.seq)*frame+test.at, 3)
		d := openShort(t, damaged, 40_000)
		var corrupt *journal.CorruptError
		got, err := readAll(t, d, 0, 64)
		if !errors.As(err, &corrupt) || corrupt.Seq != test.seq || len(got) != int(test.seq) {
			t.Errorf("%s of record %d damaged: %d records, then %v", test.name, test.seq, len(got), err)
		}
		if _, err := d.Read(test.seq, 1); !errors.As(err, &corrupt) || corrupt.Seq != test.seq {
			t.Errorf("%s of record %d damaged: Read of it = %v", test.name, test.seq, err)
		}
		for seq := range journal.Seq(2 * n) {
			records, err := d.Read(seq, 1)
			switch {
			case seq == test.seq:
			case err == nil && string(records[0].Body) == bodies[seq%n]:
			case test.at == length && seq > test.seq && seq < n && errors.As(err, &corrupt) && corrupt.Seq == test.seq:
				// Where the next frame begins is lost with the length.
			default:
				t.Fatalf("%s of record %d damaged: Read(%d) = %v, %v", test.name, test.seq, seq, records, err)
			}
		}
	}
}

// TestMissingFile takes away each file of a journal in turn. The error names
// it and its first record, whether it was the first, the last or between.
func TestMissingFile(t *testing.T) {
	fs, _ := closedJournal(t)
	names, err := fs.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		damaged := fs.Crash(everything)
		if err := damaged.Remove(name); err != nil {
			t.Fatal(err)
		}
		_, err := journal.OpenFiles(damaged)
		var corrupt *journal.CorruptError
		if !errors.As(err, &corrupt) || corrupt.File != name || fmt.Sprintf("%020d.journal", corrupt.Seq) != name {
			t.Errorf("OpenFiles without %s = %v", name, err)
		}
	}
}

// TestShortenedFile cuts each file but the last at every length: no power cut
// does that, as others were written after it.
func TestShortenedFile(t *testing.T) {
	fs, bodies := closedJournal(t)
	names, err := fs.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names[:len(names)-1] {
		data, err := disk.ReadFile(fs, name)
		if err != nil {
			t.Fatal(err)
		}
		for size := range int64(len(data)) {
			damaged := fs.Crash(everything)
			f, err := damaged.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Truncate(size); err != nil {
				t.Fatal(err)
			}
			got, corrupt := readDamaged(t, damaged)
			if got != nil || corrupt == nil || corrupt.File != name || int(corrupt.Seq) > len(bodies) {
				t.Fatalf("with %d of %d bytes of %s: %d records, %v", size, len(data), name, len(got), corrupt)
			}
		}
	}
}

// TestRefusalChangesNothing opens damaged journals for writing: when that is
// refused, the evidence must still be as it was.
func TestRefusalChangesNothing(t *testing.T) {
	fs, _ := closedJournal(t)
	names, err := fs.List()
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(name string, off int64) {
		damaged := fs.Crash(everything)
		damaged.Flip(name, off, 1)
		damaged.Fail = func(op, path string) error {
			if op != "open" && op != "read" && op != "list" {
				t.Errorf("with byte %d of %s damaged: %s %s", off, name, op, path)
			}
			return nil
		}
		if _, err := journal.OpenFiles(damaged); err == nil {
			t.Errorf("with byte %d of %s damaged OpenFiles succeeded", off, name)
		}
	}
	for _, name := range names {
		refuse(name, 20)
	}
	for off := range int64(200) {
		refuse(names[len(names)-1], off)
	}
}

// TestImitatedGroup appends a record that holds the bytes of a later group of
// another journal and tears it. If that stopped the restart, whoever submits
// events could stop the service.
func TestImitatedGroup(t *testing.T) {
	other := new(disk.Mem)
	d := open(t, other)
	for range 3 {
		if err := d.Append(t.Context(), d.Next(), split([]string{"imitation"})); err != nil {
			t.Fatal(err)
		}
	}
	groups, err := disk.ReadFile(other, fmt.Sprintf("%020d.journal", 0))
	if err != nil {
		t.Fatal(err)
	}

	fs := new(disk.Mem)
	d = open(t, fs)
	power := cutAfter(fs, 1, short)
	_ = d.Append(t.Context(), 0, [][]byte{groups})
	if got := reopen(t, power.now(), 1<<20); len(got) != 0 {
		t.Errorf("a torn group left %d records", len(got))
	}
}

// TestDamageBeforeUnfinishedRotation stops in a rotation and damages the last
// group before it. That group was acknowledged: it must not be taken for torn.
func TestDamageBeforeUnfinishedRotation(t *testing.T) {
	fs := new(disk.Mem)
	d := openShort(t, fs, 150)
	if err := d.Append(t.Context(), 0, split([]string{"a", "b"})); err != nil {
		t.Fatal(err)
	}
	power := cutAfter(fs, 5, best) // open, truncate, write, sync, syncdir; then the end of the old file
	_ = d.Append(t.Context(), 2, split([]string{strings.Repeat("c", 100)}))
	fs = power.now()
	if names, err := fs.List(); err != nil || len(names) != 2 {
		t.Fatalf("in a rotation there are %q, %v, want two files", names, err)
	}
	fs.Flip(fmt.Sprintf("%020d.journal", 0), 32+32+32+8, 0)
	_, err := journal.OpenFilesLimit(fs, 150)
	var corrupt *journal.CorruptError
	if !errors.As(err, &corrupt) || corrupt.Seq != 0 {
		t.Errorf("OpenFiles = %v, want a CorruptError about record 0", err)
	}
}
