package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/disk"
)

const otherKey = "custody-file-key-v1 ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\n"

// TestCheckEncrypted starts on every kind of directory with the right key, with
// another and with none. A wrong start must be refused before anything is
// written: half a log that is plain helps neither the owner nor privacy.
func TestCheckEncrypted(t *testing.T) {
	key, other := fileKey(t, testKey), fileKey(t, otherKey)
	below := func(d disk.FS) disk.FS { return sub(t, d, "journal") }
	mark := func(d disk.FS) {
		if err := disk.MarkEncrypted(d, key); err != nil {
			t.Fatal(err)
		}
	}
	const (
		fits      = ""
		needsKey  = "is encrypted with key " // and no key was given
		wrongKey  = ", this is "
		notSealed = "is not encrypted"
	)
	for _, test := range []struct {
		name                        string
		do                          func(disk.FS)
		withNone, withKey, withElse string
	}{
		{"nothing", func(disk.FS) {}, fits, fits, fits},
		{"a lock and empty directories", func(d disk.FS) {
			put(t, d, "lock", "", true)
			below(d)
		}, fits, fits, fits},
		{"marked", mark, needsKey, fits, wrongKey},
		{"marked, with a file", func(d disk.FS) {
			mark(d)
			put(t, below(encrypt(t, d)), "a", "text", true)
		}, needsKey, fits, wrongKey},
		{"a plain file", func(d disk.FS) { put(t, d, "keys.json", "[]", true) }, fits, notSealed, notSealed},
		{"a plain file below", func(d disk.FS) { put(t, below(d), "a", "custjrnl", true) }, fits, notSealed, notSealed},
		{"an encrypted file whose mark is gone", func(d disk.FS) {
			put(t, below(encrypt(t, d)), "a", "text", true)
		}, needsKey, fits, wrongKey},
		{"a file that a power cut has emptied", func(d disk.FS) {
			put(t, d, "a", strings.Repeat("\x00", 100), true)
		}, fits, fits, fits},
	} {
		t.Run(test.name, func(t *testing.T) {
			for where, d := range map[string]disk.FS{"dir": realDir(t), "mem": new(disk.Mem)} {
				test.do(d)
				for with, c := range map[string]struct {
					key  *disk.FileKey
					want string
				}{"no key": {nil, test.withNone}, "the key": {key, test.withKey}, "another key": {other, test.withElse}} {
					err := disk.CheckEncrypted(d, c.key)
					switch {
					case c.want == fits && err != nil:
						t.Errorf("%s, with %s: %v", where, with, err)
					case c.want != fits && (!errors.Is(err, disk.ErrFileKey) || !strings.Contains(err.Error(), c.want)):
						t.Errorf("%s, with %s: %v, want %q", where, with, err, c.want)
					}
				}
			}
		})
	}
}

// TestMarkEncrypted checks that a mark is kept, that it is kept once, that
// without a key there is none, and that it is refused where it would be a lie.
func TestMarkEncrypted(t *testing.T) {
	d := new(disk.Mem)
	if err := disk.MarkEncrypted(d, nil); err != nil || content(t, d, "encryption") != "none" {
		t.Errorf("without a key: %v, the mark holds %q", err, content(t, d, "encryption"))
	}
	key := fileKey(t, testKey)
	for range 2 {
		if err := disk.MarkEncrypted(d, key); err != nil {
			t.Fatal(err)
		}
		want := "custody-encryption-v1 " + key.ID() + "\n"
		if got := content(t, d.Crash(none), "encryption"); got != want {
			t.Errorf("after a power cut the mark holds %q, want %q", got, want)
		}
	}
	plain := new(disk.Mem)
	put(t, plain, "keys.json", "[]", true)
	if err := disk.MarkEncrypted(plain, key); !errors.Is(err, disk.ErrFileKey) || content(t, plain, "encryption") != "none" {
		t.Errorf("a plain directory: %v", err)
	}
	for _, damaged := range []string{"", "custody-encryption-v1\n", "custody-encryption-v1 0123\n", "custody-encryption-v9 " + key.ID()} {
		if err := errors.Join(disk.ReplaceFile(d, "encryption", []byte(damaged)), disk.CheckEncrypted(d, key)); err == nil {
			t.Errorf("a mark that says %q was taken", damaged)
		}
	}
}

// A first start that dies at any step must leave a directory on which the next
// one succeeds with the same key.
func TestMarkEncryptedCrash(t *testing.T) {
	key := fileKey(t, testKey)
	rapid.Check(t, func(t *rapid.T) {
		m := new(disk.Mem)
		left := rapid.IntRange(0, 12).Draw(t, "steps")
		m.Fail = func(string, string) error {
			if left--; left < 0 {
				return disk.ErrInjected
			}
			return nil
		}
		_ = disk.MarkEncrypted(m, key) // it may fail
		m.Fail = nil
		after := m.Crash(func(n int) int { return rapid.IntRange(0, n).Draw(t, "kept") })
		if err := disk.MarkEncrypted(after, key); err != nil {
			t.Fatalf("MarkEncrypted after a crash: %v", err)
		}
	})
}

// What lies in a data directory and is not ours must not keep a log from
// starting: what cannot be read, and links that lead out.
func TestCheckEncryptedStrangers(t *testing.T) {
	path := t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(path, "lost+found"), 0o000),
		os.Symlink("/dev/zero", filepath.Join(path, "link")),
		os.WriteFile(filepath.Join(path, "unreadable"), []byte("x"), 0o000),
	); err != nil {
		t.Skip(err)
	}
	d, err := disk.Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.CheckEncrypted(d, nil); err != nil {
		t.Error(err)
	}
}
