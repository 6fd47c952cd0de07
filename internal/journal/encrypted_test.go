package journal_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/journal/journaltest"
)

// encrypted wraps fs as a process does that starts on it.
func encrypted(t tester, fs disk.FS) disk.FS {
	t.Helper()
	key, err := disk.LoadFileKey([]byte("custody-file-key-v1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"))
	if err != nil {
		t.Fatalf("LoadFileKey: %v", err)
	}
	e, err := disk.Encrypt(fs, key)
	if err != nil {
		t.Fatalf("Encrypt: %v", err)
	}
	return e
}

// TestEncryptedDoor holds the journal to all its promises on a disk that
// encrypts, with short files and with long ones.
func TestEncryptedDoor(t *testing.T) {
	for _, fileBytes := range []int64{300, 64 << 20} {
		t.Run(fmt.Sprint(fileBytes), func(t *testing.T) {
			journaltest.Test(t, func(t *testing.T) func() journal.Door {
				fs := new(disk.Mem)
				return func() journal.Door { return openShort(t, encrypted(t, fs), fileBytes) }
			})
		})
	}
}

// TestEncryptedCrash is [TestCrash] on a disk that encrypts: whatever the power
// takes, of the journal or of what the encryption keeps beside it, what was
// acknowledged must come back, and as text.
func TestEncryptedCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := new(disk.Mem)
		var promised []string
		fileBytes := rapid.Int64Range(100, 3000).Draw(t, "file bytes")
		for life := range rapid.IntRange(1, 5).Draw(t, "lives") {
			power := cutAfter(fs, rapid.IntRange(0, 60).Draw(t, "changes"), drawDeath(t))
			var coming []string
			promised, coming = liveEncrypted(t, power, fileBytes, life, promised)
			fs = power.now()

			got := reopen(t, encrypted(t, fs), fileBytes)
			if with := append(slices.Clip(promised), coming...); slices.Equal(got, with) {
				promised = with
			}
			if !slices.Equal(got, promised) {
				t.Fatalf("after a crash %d records %q, promised %d %q, coming %q",
					len(got), got, len(promised), promised, coming)
			}
			if rapid.Bool().Draw(t, "cut again") {
				fs = worst(fs)
			}
		}
		if got := reopen(t, encrypted(t, fs), fileBytes); !slices.Equal(got, promised) {
			t.Fatalf("at the end %q, promised %q", got, promised)
		}
	})
}

// liveEncrypted opens the journal and appends until the power goes, or it has
// had enough. It returns all that is promised by then, and the append under way.
func liveEncrypted(t *rapid.T, power *powerCut, fileBytes int64, life int, promised []string) (_, coming []string) {
	d, err := journal.OpenFilesLimit(encrypted(t, power), fileBytes)
	if err != nil {
		if power.after == nil {
			t.Fatalf("OpenFiles: %v", err)
		}
		return promised, nil
	}
	for i := range rapid.IntRange(0, 8).Draw(t, "appends") {
		var batch []string
		for k := range rapid.IntRange(1, 12).Draw(t, "records") {
			batch = append(batch, fmt.Sprintf("%d.%d.%d%s", life, i, k, strings.Repeat("-", rapid.IntRange(0, 300).Draw(t, "pad"))))
		}
		if err := d.Append(context.Background(), d.Next(), split(batch)); err != nil {
			if power.after == nil {
				t.Fatalf("Append: %v", err)
			}
			return promised, batch
		}
		promised = append(promised, batch...)
	}
	if rapid.Bool().Draw(t, "close") {
		_ = d.Close() // the power may go
	}
	return promised, nil
}

// TestEncryptedDamage flips bits all over an encrypted journal: damage must be
// said to be damage, as on any disk, and never be taken for a torn append.
func TestEncryptedDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := new(disk.Mem)
		d := openShort(t, encrypted(t, fs), 64<<20)
		var want []string
		for i := range 5 {
			want = append(want, fmt.Sprintf("record %04d", i))
			if err := d.Append(context.Background(), d.Next(), split(want[i:])); err != nil {
				t.Fatalf("Append: %v", err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		const name = "00000000000000000000.journal"
		// Not in the last group, the seal: without it the journal is whole.
		offset := rapid.Int64Range(0, fs.Used()-33).Draw(t, "offset")
		fs.Flip(name, offset, rapid.IntRange(0, 7).Draw(t, "bit"))
		after, err := journal.OpenFiles(encrypted(t, fs))
		if err != nil {
			return
		}
		got, err := readAll(t, after, 0, 100)
		t.Fatalf("with byte %d damaged the journal opens, and holds %q, %v", offset, got, err)
	})
}
