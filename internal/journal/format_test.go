package journal_test

import (
	"slices"
	"testing"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// TestFormat reads files that were written when the format was frozen: a log
// is kept for longer than any version of this program.
func TestFormat(t *testing.T) {
	fs, err := disk.Dir("testdata/v1")
	if err != nil {
		t.Fatal(err)
	}
	d, err := journal.ReadFiles(fs)
	if err != nil {
		t.Fatalf("ReadFiles: %v", err)
	}
	defer d.Close()
	got, err := readAll(t, d, 0, 10)
	want := []string{"first of 0", "second of 0", "first of 1", "second of 1", "first of 2", "second of 2"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the files hold %q, %v, want %q", got, err, want)
	}
	if n, err := journal.Check(t.Context(), fs); err != nil || n != 6 {
		t.Errorf("Check = %d, %v, want 6 records", n, err)
	}
}
