package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/disk"
)

// eachDisk runs a test on a real directory and on a memory disk, at the top and
// in a directory below: what a test shows on one must hold on the other.
func eachDisk(t *testing.T, test func(*testing.T, disk.FS)) {
	t.Run("dir", func(t *testing.T) { test(t, realDir(t)) })
	t.Run("mem", func(t *testing.T) { test(t, new(disk.Mem)) })
	t.Run("sub of dir", func(t *testing.T) { test(t, sub(t, realDir(t), "below")) })
	t.Run("sub of mem", func(t *testing.T) { test(t, sub(t, new(disk.Mem), "below")) })
	t.Run("encrypted dir", func(t *testing.T) { test(t, encrypt(t, realDir(t))) })
	t.Run("encrypted mem", func(t *testing.T) { test(t, encrypt(t, new(disk.Mem))) })
	t.Run("sub of encrypted", func(t *testing.T) { test(t, sub(t, encrypt(t, new(disk.Mem)), "below")) })
}

func realDir(t *testing.T) disk.FS {
	t.Helper()
	d, err := disk.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func sub(t *testing.T, d disk.FS, name string) disk.FS {
	t.Helper()
	s, err := d.Sub(name)
	if err != nil {
		t.Fatalf("Sub(%q): %v", name, err)
	}
	return s
}

// put appends data to the named file, synced or not.
func put(t *testing.T, d disk.FS, name, data string, synced bool) {
	t.Helper()
	f, err := d.Open(name)
	if err != nil {
		t.Fatalf("Open(%q): %v", name, err)
	}
	defer f.Close()
	if _, err := f.Write([]byte(data)); err != nil {
		t.Fatalf("Write to %q: %v", name, err)
	}
	if synced {
		if err := errors.Join(f.Sync(), d.Sync()); err != nil {
			t.Fatalf("Sync of %q: %v", name, err)
		}
	}
}

// content returns what the named file holds, "none" if there is none.
func content(t *testing.T, d disk.FS, name string) string {
	t.Helper()
	data, err := disk.ReadFile(d, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "none"
	}
	if err != nil {
		t.Fatalf("ReadFile(%q): %v", name, err)
	}
	return string(data)
}

// TestFiles walks through everything a file can do.
func TestFiles(t *testing.T) {
	eachDisk(t, func(t *testing.T, d disk.FS) {
		put(t, d, "a", "one ", true)
		put(t, d, "a", "two", true)
		if got := content(t, d, "a"); got != "one two" {
			t.Errorf("after two writes the file holds %q", got)
		}
		f, err := d.Open("a")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(3); err != nil {
			t.Errorf("Truncate: %v", err)
		}
		if _, err := f.Write([]byte("!")); err != nil {
			t.Errorf("Write after Truncate: %v", err)
		}
		if size, err := f.Size(); err != nil || size != 4 {
			t.Errorf("Size = %d, %v, want 4", size, err)
		}
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := f.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Write after Close = %v, want ErrClosed", err)
		}
		if got := content(t, d, "a"); got != "one!" {
			t.Errorf("after a cut the file holds %q", got)
		}
	})
}

// TestNames creates, renames and removes files, and lists them.
func TestNames(t *testing.T) {
	eachDisk(t, func(t *testing.T, d disk.FS) {
		want := func(names ...string) {
			t.Helper()
			if got, err := d.List(); err != nil || !slices.Equal(got, names) {
				t.Errorf("List = %q, %v, want %q", got, err, names)
			}
		}
		want()
		put(t, d, "b", "b", true)
		put(t, d, "a", "a", true)
		sub(t, d, "c")
		want("a", "b")
		if err := d.Rename("a", "b"); err != nil {
			t.Errorf("Rename: %v", err)
		}
		want("b")
		if got := content(t, d, "b"); got != "a" {
			t.Errorf("after Rename b holds %q", got)
		}
		for name, there := range map[string]bool{"b": true, "a": false, "c": false} {
			if got, err := d.Exists(name); err != nil || got != there {
				t.Errorf("Exists(%q) = %t, %v", name, got, err)
			}
		}
		if err := d.Remove("b"); err != nil {
			t.Errorf("Remove: %v", err)
		}
		want()
		_, readErr := d.OpenRead("b")
		for what, err := range map[string]error{
			"OpenRead": readErr, "Remove": d.Remove("b"), "Rename": d.Rename("b", "x"),
		} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s of a file that is not there = %v, want ErrNotExist", what, err)
			}
		}
	})
}

// TestBadNames checks that no name leads out of the directory.
func TestBadNames(t *testing.T) {
	eachDisk(t, func(t *testing.T, d disk.FS) {
		put(t, d, "a", "a", true)
		for _, name := range []string{"", ".", "..", "../a", "a/b", "/a", `a\b`, "a\x00", strings.Repeat("a", 256)} {
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
	})
}

// TestLinkOut checks that a symbolic link does not lead out of the directory.
func TestLinkOut(t *testing.T) {
	inside, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(inside, "link")); err != nil {
		t.Skip(err)
	}
	d, err := disk.Dir(inside)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.OpenRead("link"); err == nil {
		t.Error("OpenRead followed a link out of the directory")
	}
}

// TestPrivate checks that nobody else on the machine can read what we store.
func TestPrivate(t *testing.T) {
	path := t.TempDir()
	d, err := disk.Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, sub(t, d, "below"), "a", "a", true)
	for name, want := range map[string]fs.FileMode{"below": 0o700, "below/a": 0o600} {
		info, err := os.Stat(filepath.Join(path, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v, want %v", name, info.Mode().Perm(), err, want)
		}
	}
}

// TestLock checks that a directory has one owner at a time: two would write
// into the same files.
func TestLock(t *testing.T) {
	eachDisk(t, func(t *testing.T, d disk.FS) {
		held, err := disk.Lock(d)
		if err != nil {
			t.Fatalf("Lock: %v", err)
		}
		if _, err := disk.Lock(d); !errors.Is(err, disk.ErrLocked) || !strings.Contains(err.Error(), "another process holds it") {
			t.Errorf("second Lock = %v, want ErrLocked", err)
		}
		if other, err := disk.Lock(sub(t, d, "other")); err != nil {
			t.Errorf("Lock of another directory: %v", err)
		} else if err := other.Close(); err != nil {
			t.Errorf("release of another directory: %v", err)
		}
		if err := held.Close(); err != nil {
			t.Errorf("release: %v", err)
		}
		if held, err = disk.Lock(d); err != nil {
			t.Fatalf("Lock after release: %v", err)
		}
		held.Close()
	})
}

// TestReplaceFile replaces a file, also after an attempt that was cut short.
func TestReplaceFile(t *testing.T) {
	eachDisk(t, func(t *testing.T, d disk.FS) {
		put(t, d, "a.tmp", "the beginning of something much longer", true)
		for _, data := range []string{"first", "second, longer", "3"} {
			if err := disk.ReplaceFile(d, "a", []byte(data)); err != nil {
				t.Errorf("ReplaceFile: %v", err)
			}
			if got := content(t, d, "a"); got != data {
				t.Errorf("the file holds %q, want %q", got, data)
			}
		}
		if names, err := d.List(); err != nil || !slices.Equal(names, []string{"a"}) {
			t.Errorf("List = %q, %v, want only the file", names, err)
		}
	})
}
