package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/disk"
)

// testKey is the text of a key file; the key is bytes 0 to 31.
const testKey = "custody-file-key-v1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"

const headerBytes = 40 // before the content of an encrypted file

// A fataler is the part of testing.TB that rapid.T offers too.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func fileKey(t fataler, text string) *disk.FileKey {
	t.Helper()
	key, err := disk.LoadFileKey([]byte(text))
	if err != nil {
		t.Fatalf("LoadFileKey: %v", err)
	}
	return key
}

// encrypt wraps d as a process does that starts on it.
func encrypt(t fataler, d disk.FS) disk.FS {
	t.Helper()
	e, err := disk.Encrypt(d, fileKey(t, testKey))
	if err != nil {
		t.Fatalf("Encrypt: %v", err)
	}
	return e
}

// Whoever carries off the disk must not be able to read what was written, nor
// see that two files hold the same.
func TestEncryptedHides(t *testing.T) {
	m := new(disk.Mem)
	secret := strings.Repeat("who did what to which package ", 40)
	d := sub(t, encrypt(t, m), "journal")
	put(t, d, "a", secret, true)
	put(t, d, "b", secret, true)
	put(t, encrypt(t, m), "top", secret, true)
	raw := map[string]bool{}
	for _, name := range []string{"a", "b"} {
		raw[content(t, sub(t, m, "journal"), name)[headerBytes:]] = true
	}
	raw[content(t, m, "top")[headerBytes:]] = true
	if len(raw) != 3 {
		t.Error("two files of the same content look the same on the disk")
	}
	for text := range raw {
		if len(text) != len(secret) {
			t.Errorf("%d bytes are stored in %d", len(secret), len(text))
		}
		for i := range len(secret) - 6 {
			if strings.Contains(text, secret[i:i+6]) {
				t.Fatalf("the disk shows %q", secret[i:i+6])
			}
		}
	}
}

// A spy is a disk that looks at what is written to it as somebody does who
// sees every state of it, also those that no sync made durable.
type spy struct {
	disk.FS

	name   string
	plain  []byte          // what is being written
	at     int64           // where it will stand
	stream map[string]bool // every whole block of keystream ever used
	reused int
}

func (s *spy) Open(name string) (disk.File, error) {
	f, err := s.FS.Open(name)
	if name != s.name {
		return f, err
	}
	return &spyFile{f, s}, err
}

type spyFile struct {
	disk.File

	spy *spy
}

func (f *spyFile) Write(p []byte) (int, error) {
	const block = 16
	size, err := f.Size()
	if err != nil || size == 0 { // a header
		return f.File.Write(p)
	}
	at := size - headerBytes
	for i := (block - at%block) % block; i+block <= int64(len(p)); i += block {
		used := make([]byte, block)
		for k := range used {
			used[k] = p[i+int64(k)] ^ f.spy.plain[at-f.spy.at+i+int64(k)]
		}
		if f.spy.stream[string(used)] {
			f.spy.reused++
		}
		f.spy.stream[string(used)] = true
	}
	return f.File.Write(p)
}

// TestKeystreamOnce appends, cuts, syncs, closes, fills the disk, kills the
// process and cuts the power in any order. Not one block of keystream may be
// used twice: from two snapshots of the disk one could then read both texts.
// And of what is read, all that was synced must be right, and all of it if no
// power was cut.
func TestKeystreamOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := new(disk.Mem)
		s := &spy{name: "a", stream: map[string]bool{}}
		start := func() disk.FS { s.FS = m; return encrypt(t, s) }
		d := start()
		var now, synced []byte // content; how much of it survives
		var f disk.File
		for step := range rapid.IntRange(1, 25).Draw(t, "steps") {
			if f == nil {
				f = mustOpen(t, d)
				if len(synced) == 0 && rapid.Bool().Draw(t, "begin anew") {
					now = nil
					if err := f.Truncate(0); err != nil {
						t.Fatalf("Truncate: %v", err)
					}
				}
			}
			switch rapid.SampledFrom([]string{"write", "write", "cut", "sync", "close", "full", "kill", "power"}).Draw(t, "do") {
			case "write", "full":
				s.plain = bytes.Repeat([]byte{byte(step + 1)}, rapid.IntRange(1, 100).Draw(t, "bytes"))
				s.at = int64(len(now))
				if rapid.Bool().Draw(t, "little room") {
					m.Limit(m.Used() + int64(rapid.IntRange(0, 250).Draw(t, "room")))
				}
				n, err := f.Write(s.plain)
				m.Limit(0)
				if (err == nil) != (n == len(s.plain)) {
					t.Fatalf("Write of %d bytes = %d, %v", len(s.plain), n, err)
				}
				now = append(now, s.plain[:n]...)
			case "cut":
				now = now[:rapid.IntRange(0, len(now)).Draw(t, "to")]
				synced = synced[:min(len(synced), len(now))]
				if err := f.Truncate(int64(len(now))); err != nil {
					t.Fatalf("Truncate: %v", err)
				}
			case "sync":
				if err := errors.Join(f.Sync(), d.Sync()); err != nil {
					t.Fatalf("Sync: %v", err)
				}
				synced = slices.Clone(now)
			case "close":
				f.Close()
				f = nil
			case "kill":
				d, f = start(), nil
			case "power":
				m = m.Crash(func(n int) int { return rapid.IntRange(0, n).Draw(t, "kept") })
				d, f = start(), nil
				got := read(t, d)
				if !bytes.HasPrefix(got, synced) {
					t.Fatalf("after a power cut the file holds %q, synced were %q", got, synced)
				}
				now = got
				if len(synced) == 0 { // its beginning may be lost
					f = mustOpen(t, d)
					if err := f.Truncate(0); err != nil {
						t.Fatalf("Truncate: %v", err)
					}
					now = nil
				}
				synced = slices.Clone(now) // what a restart has read is on the disk
			}
			if got := read(t, d); !bytes.Equal(got, now) {
				t.Fatalf("the file holds %q, want %q", got, now)
			}
		}
		if s.reused > 0 {
			t.Fatalf("%d blocks of keystream were used again", s.reused)
		}
	})
}

func mustOpen(t fataler, d disk.FS) disk.File {
	t.Helper()
	f, err := d.Open("a")
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return f
}

// read returns the content of a, in two pieces, nothing if there is no such file.
func read(t fataler, d disk.FS) []byte {
	t.Helper()
	r, err := d.OpenRead("a")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatalf("OpenRead: %v", err)
	}
	defer r.Close()
	size, err := r.Size()
	if err != nil {
		t.Fatalf("Size: %v", err)
	}
	b := make([]byte, size)
	for _, piece := range []struct{ from, to int64 }{{0, size / 3}, {size / 3, size}} {
		if n, err := r.ReadAt(b[piece.from:piece.to], piece.from); int64(n) != piece.to-piece.from {
			t.Fatalf("ReadAt %d to %d = %d, %v", piece.from, piece.to, n, err)
		}
	}
	return b
}

// TestEncryptedCrash says what survives a power cut: as much as on any disk,
// and where a write came after a cut or after opening, what was before it too.
func TestEncryptedCrash(t *testing.T) {
	cut := func(t *testing.T, d disk.FS, synced bool) {
		t.Helper()
		f := mustOpen(t, d)
		defer f.Close()
		if err := f.Truncate(1); err != nil {
			t.Fatal(err)
		}
		if synced {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name        string
		do          func(*testing.T, disk.FS)
		worst, best string // content of a
	}{
		{"a file never synced", func(t *testing.T, d disk.FS) {
			put(t, d, "a", "new", false)
		}, "none", "new"},
		{"a synced file", func(t *testing.T, d disk.FS) {
			put(t, d, "a", "old", true)
		}, "old", "old"},
		{"bytes appended since", func(t *testing.T, d disk.FS) {
			put(t, d, "a", "old", true)
			put(t, d, "a", "+new", false)
		}, "old", "old+new"},
		{"a cut", func(t *testing.T, d disk.FS) {
			put(t, d, "a", "old", true)
			cut(t, d, false)
		}, "old", "o"},
		{"a cut and more bytes", func(t *testing.T, d disk.FS) {
			put(t, d, "a", "old", true)
			cut(t, d, false)
			put(t, d, "a", "NEW", false)
		}, "o", "oNEW"},
		{"a synced cut", func(t *testing.T, d disk.FS) {
			put(t, d, "a", "old", true)
			cut(t, d, true)
		}, "o", "o"},
		{"a removed file", func(t *testing.T, d disk.FS) {
			put(t, d, "a", "old", true)
			d.Remove("a")
		}, "old", "none"},
		{"a removed file in a synced directory", func(t *testing.T, d disk.FS) {
			put(t, d, "a", "old", true)
			d.Remove("a")
			d.Sync()
		}, "none", "none"},
		{"a renamed file", func(t *testing.T, d disk.FS) {
			put(t, d, "a", "old", true)
			put(t, d, "b", "new", true)
			d.Rename("b", "a")
		}, "old", "new"},
		{"a renamed file never synced, in a synced directory", func(t *testing.T, d disk.FS) {
			put(t, d, "a", "old", true)
			put(t, d, "b", "new", false)
			d.Rename("b", "a")
			d.Sync()
		}, "", "new"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := new(disk.Mem)
			test.do(t, encrypt(t, m))
			if got := content(t, encrypt(t, m.Crash(none)), "a"); got != test.worst {
				t.Errorf("at worst a holds %q, want %q", got, test.worst)
			}
			if got := content(t, encrypt(t, m.Crash(all)), "a"); got != test.best {
				t.Errorf("at best a holds %q, want %q", got, test.best)
			}
		})
	}
}

// TestEncryptedLists removes and replaces a file that needs a list of spans and
// dies at every step. A file without its list would be durable noise.
func TestEncryptedLists(t *testing.T) {
	for what, do := range map[string]func(disk.FS) error{
		"Remove":      func(d disk.FS) error { return d.Remove("a") },
		"Rename over": func(d disk.FS) error { return d.Rename("b", "a") },
		"Rename":      func(d disk.FS) error { return d.Rename("a", "c") },
		"Rename same": func(d disk.FS) error { return d.Rename("a", "a") },
		"append":      func(d disk.FS) error { return appendTo(d, "a", "") },
	} {
		rapid.Check(t, func(t *rapid.T) {
			m := new(disk.Mem)
			for range 2 { // two processes append to a: it gets a list
				d := encrypt(t, m)
				for _, err := range []error{appendTo(d, "a", "old"), d.Sync()} {
					if err != nil {
						t.Fatalf("append: %v", err)
					}
				}
			}
			d := encrypt(t, m)
			if err := errors.Join(appendTo(d, "b", "new"), d.Sync()); err != nil {
				t.Fatalf("append: %v", err)
			}
			left := rapid.IntRange(0, 12).Draw(t, "steps")
			m.Fail = func(string, string) error {
				if left--; left < 0 {
					return disk.ErrInjected
				}
				return nil
			}
			_ = do(d) // it may fail
			m.Fail = nil
			after := encrypt(t, m.Crash(func(n int) int { return rapid.IntRange(0, n).Draw(t, "kept") }))
			for _, name := range []string{"a", "c"} {
				got, err := disk.ReadFile(after, name)
				if err == nil && string(got) != "oldold" && string(got) != "new" {
					t.Fatalf("%s: %s holds %q, %v", what, name, got, err)
				}
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("%s: %s: %v", what, name, err)
				}
			}
		})
	}
}

// appendTo appends data to the named file and syncs it.
func appendTo(d disk.FS, name, data string) error {
	f, err := d.Open(name)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(data))
	return errors.Join(err, f.Sync(), f.Close())
}

// When a file is gone, so is its list: else a directory in which files come and
// go fills up with what nobody sees.
func TestEncryptedListsGo(t *testing.T) {
	m := new(disk.Mem)
	for range 3 {
		put(t, encrypt(t, m), "a", "x", true)
		put(t, encrypt(t, m), "b", "x", true)
	}
	d := encrypt(t, m)
	if err := errors.Join(d.Rename("a", "b"), d.Remove("b")); err != nil {
		t.Fatal(err)
	}
	if names, err := m.List(); err != nil || len(names) != 0 {
		t.Errorf("after all files went there are %q, %v", names, err)
	}
}

// TestEncryptedReplaceFileCrash is [TestReplaceFileCrash] on an encrypted disk.
func TestEncryptedReplaceFileCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := new(disk.Mem)
		old := strings.Repeat("old", 500)
		d := encrypt(t, m)
		if err := disk.ReplaceFile(d, "a", []byte(old)); err != nil {
			t.Fatalf("ReplaceFile: %v", err)
		}
		if rapid.Bool().Draw(t, "left over") {
			if err := errors.Join(appendTo(d, "a.tmp", "left over"), d.Sync()); err != nil {
				t.Fatalf("append: %v", err)
			}
		}
		d = encrypt(t, m)
		left := rapid.IntRange(0, 25).Draw(t, "steps")
		m.Fail = func(string, string) error {
			if left--; left < 0 {
				return disk.ErrInjected
			}
			return nil
		}
		data := strings.Repeat("fresh", 400)
		err := disk.ReplaceFile(d, "a", []byte(data))
		m.Fail = nil
		after := encrypt(t, m.Crash(func(n int) int { return rapid.IntRange(0, n).Draw(t, "kept") }))
		got, readErr := disk.ReadFile(after, "a")
		switch {
		case readErr != nil:
			t.Fatalf("ReadFile: %v", readErr)
		case string(got) == data:
		case err == nil:
			t.Fatalf("after ReplaceFile had returned nil the file holds %.20q", got)
		case string(got) != old:
			t.Fatalf("the file holds %.20q, neither old nor new", got)
		}
	})
}

// A power cut can take the beginning of a file that was never synced, and leave
// the rest, or leave a part of the header. The file must then still open, as
// long as it is on any disk, and begin anew when it is cut.
func TestEncryptedBeginningLost(t *testing.T) {
	m := new(disk.Mem)
	d := encrypt(t, m)
	put(t, d, "a", strings.Repeat("x", 700), false)
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	sector := 0
	lost := encrypt(t, m.Crash(func(n int) int {
		if n > 1 {
			return n // all bytes
		}
		sector++
		return sector - 1 // but the first sector
	}))
	if got := content(t, lost, "a"); got != strings.Repeat("\x00", 700) {
		t.Errorf("without its beginning the file holds %.20q, of %d bytes", got, len(got))
	}
	f := mustOpen(t, lost)
	defer f.Close()
	if _, err := f.Write([]byte("new")); err == nil || !strings.Contains(err.Error(), "cut it to 0 bytes") {
		t.Errorf("Write behind a lost beginning = %v", err)
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("new")); err != nil || content(t, lost, "a") != "new" {
		t.Errorf("Write to the file that was cut: %v", err)
	}

	for kept := range headerBytes + 1 {
		torn := encrypt(t, m.Crash(func(n int) int { return min(n, max(1, kept)) }))
		put(t, torn, "a", "new", true)
		if got := content(t, torn, "a"); got != "new" {
			t.Errorf("a file of which %d bytes were left holds %q after a write", kept, got)
		}
	}
}

// TestEncryptedDamage checks that damage stays where it is, so that the journal
// can name the record it hit and read the others.
func TestEncryptedDamage(t *testing.T) {
	m := new(disk.Mem)
	text := strings.Repeat("0123456789", 100)
	put(t, encrypt(t, m), "a", text, true)
	put(t, encrypt(t, m), "a", text, true)
	m.Flip("a", headerBytes+777, 3)
	want := []byte(text + text)
	want[777] ^= 1 << 3
	if got := content(t, encrypt(t, m), "a"); got != string(want) {
		t.Error("one flipped bit changed more than that bit")
	}
}

// TestEncryptedRefused opens what cannot be decrypted: each must be said, and
// never be shown as if it were somebody's records.
func TestEncryptedRefused(t *testing.T) {
	other := "custody-file-key-v1 " + strings.Repeat("B", 42) + "A=\n"
	make2 := func(t *testing.T, m *disk.Mem) { // a file with a list
		put(t, encrypt(t, m), "a", "text", true)
		put(t, encrypt(t, m), "a", "text", true)
	}
	list := func(t *testing.T, m *disk.Mem) string {
		names, err := m.List()
		if err != nil || len(names) != 2 {
			t.Fatalf("List = %q, %v", names, err)
		}
		if names[0] == "a" {
			return names[1]
		}
		return names[0]
	}
	for _, test := range []struct {
		name string
		key  string
		do   func(*testing.T, *disk.Mem)
		want string
		is   error
	}{
		{"another key", other, make2, "a: the file key does not fit: encrypted with key", disk.ErrFileKey},
		{"a plain file", testKey, func(t *testing.T, m *disk.Mem) {
			put(t, m, "a", `{"plain": true}`, true)
		}, "a: the file key does not fit: the file is not encrypted", disk.ErrFileKey},
		{"a short plain file", testKey, func(t *testing.T, m *disk.Mem) {
			put(t, m, "a", "1", true)
		}, "not encrypted", disk.ErrFileKey},
		{"a damaged header", testKey, func(t *testing.T, m *disk.Mem) {
			make2(t, m)
			m.Flip("a", 22, 1)
		}, "a: the header of the encrypted file does not match its checksum", nil},
		{"a damaged list", testKey, func(t *testing.T, m *disk.Mem) {
			make2(t, m)
			m.Flip(list(t, m), 35, 1)
		}, ".spans: the list of spans does not match its checksum", nil},
		{"an empty list", testKey, func(t *testing.T, m *disk.Mem) {
			make2(t, m)
			f, err := m.Open(list(t, m))
			if err != nil {
				t.Fatal(err)
			}
			f.Truncate(0)
		}, ".spans: the list of spans does not match its checksum", nil},
		{"a list that is too long", testKey, func(t *testing.T, m *disk.Mem) {
			make2(t, m)
			put(t, m, list(t, m), strings.Repeat("x", 2<<20), true)
		}, ".spans: a list of spans of 2097", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := new(disk.Mem)
			test.do(t, m)
			d, err := disk.Encrypt(m, fileKey(t, test.key))
			if err != nil {
				t.Fatal(err)
			}
			_, openErr := d.Open("a")
			_, readErr := d.OpenRead("a")
			for what, err := range map[string]error{"Open": openErr, "OpenRead": readErr} {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s = %v, want %q", what, err, test.want)
				}
				if test.is != nil && !errors.Is(err, test.is) {
					t.Errorf("%s = %v, which is not %q", what, err, test.is)
				}
			}
		})
	}
}

// TestEncryptedNames checks that nobody can write where the encryption keeps
// what it needs, nor see it.
func TestEncryptedNames(t *testing.T) {
	d := encrypt(t, new(disk.Mem))
	put(t, d, "a", "a", true)
	list := strings.Repeat("0a", 16) + ".spans"
	for _, name := range []string{"encryption", "encryption.tmp", list, list + ".tmp"} {
		_, open := d.Open(name)
		_, read := d.OpenRead(name)
		_, exists := d.Exists(name)
		_, subdir := d.Sub(name)
		for what, err := range map[string]error{
			"Open": open, "OpenRead": read, "Exists": exists, "Sub": subdir,
			"Remove": d.Remove(name), "Rename": d.Rename(name, "b"), "Rename to": d.Rename("a", name),
		} {
			if err == nil {
				t.Errorf("%s(%q) succeeded", what, name)
			}
		}
	}
	put(t, d, "b.spans", "free", true)
	if _, err := disk.Encrypt(d, fileKey(t, testKey)); err == nil {
		t.Error("a directory was encrypted twice")
	}
	if _, err := disk.Encrypt(new(disk.Mem), nil); err == nil {
		t.Error("a directory was encrypted without a key")
	}
}

// TestEncryptedReaders reads a file while it grows, is cut and grows again:
// who had it open before a span began must read what stands in it.
func TestEncryptedReaders(t *testing.T) {
	d := encrypt(t, realDir(t))
	f := mustOpen(t, d)
	defer f.Close()
	early, err := d.OpenRead("a")
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	line := func(i int) string { return fmt.Sprintf("%015d\n", i) }
	var readers sync.WaitGroup
	for i := range 300 {
		if i%10 == 9 { // a torn line, which is cut off
			if _, err := f.Write([]byte("torn")); err != nil {
				t.Fatal(err)
			}
			if err := f.Truncate(int64(16 * i)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.WriteString(f, line(i)); err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			late, err := d.OpenRead("a")
			if err != nil {
				t.Error(err)
				return
			}
			defer late.Close()
			for _, r := range []disk.Reader{early, late, f} {
				b := make([]byte, 16)
				if _, err := r.ReadAt(b, int64(16*i)); err != nil || string(b) != line(i) {
					t.Errorf("line %d is %q, %v", i, b, err)
				}
			}
		})
	}
	readers.Wait()
}
