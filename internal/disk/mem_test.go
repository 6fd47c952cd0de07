package disk_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/disk"
)

// none and all are what a power cut keeps at worst and at best.
func none(int) int  { return 0 }
func all(n int) int { return n }

// TestCrash says what survives a power cut, line by line.
func TestCrash(t *testing.T) {
	truncate := func(t *testing.T, d disk.FS, size int64, synced bool) {
		t.Helper()
		f, err := d.Open("a")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(size); err != nil {
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
		{"a synced file in a directory never synced", func(_ *testing.T, d disk.FS) {
			f, _ := d.Open("a")
			f.Write([]byte("new"))
			f.Sync()
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
			truncate(t, d, 1, false)
		}, "old", "o"},
		{"a cut and more bytes", func(t *testing.T, d disk.FS) {
			put(t, d, "a", "old", true)
			truncate(t, d, 1, false)
			put(t, d, "a", "NEW", false)
		}, "old", "oNEW"},
		{"a synced cut", func(t *testing.T, d disk.FS) {
			put(t, d, "a", "old", true)
			truncate(t, d, 1, true)
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
			for where, fs := range map[string]func(*disk.Mem) disk.FS{
				"at the top": func(m *disk.Mem) disk.FS { return m },
				"below":      func(m *disk.Mem) disk.FS { return sub(t, m, "below") },
			} {
				m := new(disk.Mem)
				test.do(t, fs(m))
				if got := content(t, fs(m.Crash(none)), "a"); got != test.worst {
					t.Errorf("%s, at worst a holds %q, want %q", where, got, test.worst)
				}
				if got := content(t, fs(m.Crash(all)), "a"); got != test.best {
					t.Errorf("%s, at best a holds %q, want %q", where, got, test.best)
				}
			}
		})
	}
}

// TestCrashTears checks that of unsynced bytes an early sector can be lost and
// a later one kept, and that synced bytes in the same sector never change.
func TestCrashTears(t *testing.T) {
	m := new(disk.Mem)
	put(t, m, "a", strings.Repeat("s", 700), true)
	put(t, m, "a", strings.Repeat("u", 1300), false)
	asked := 0
	got := content(t, m.Crash(func(n int) int {
		if n > 1 {
			return n // all bytes
		}
		asked++
		return asked % 2 // but every other sector
	}), "a")
	want := strings.Repeat("s", 700) + strings.Repeat("u", 324) + // rest of sector 1
		strings.Repeat("\x00", 512) + strings.Repeat("u", 464)
	if got != want || asked != 3 {
		t.Errorf("asked about %d sectors, the file holds %q", asked, got)
	}
	if before := content(t, m, "a"); strings.Contains(before, "\x00") {
		t.Error("Crash changed the disk it was called on")
	}
}

// TestReplaceFileCrash cuts the power at every step of ReplaceFile, with any
// part of what was not synced kept: the old content is there or the new one,
// and once ReplaceFile has returned nil, the new one.
func TestReplaceFileCrash(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := new(disk.Mem)
		old := "none"
		if rapid.Bool().Draw(r, "replaces") {
			old = strings.Repeat("old", 500)
			if err := disk.ReplaceFile(m, "a", []byte(old)); err != nil {
				r.Fatalf("ReplaceFile: %v", err)
			}
		}
		keep := func(n int) int { return rapid.IntRange(0, n).Draw(r, "kept") }
		left := rapid.IntRange(0, 8).Draw(r, "steps")
		var after *disk.Mem
		m.Fail = func(string, string) error {
			if left--; left < 0 {
				if after == nil {
					after = m.Crash(keep)
				}
				return disk.ErrInjected
			}
			return nil
		}
		data := strings.Repeat("fresh", 400)
		err := disk.ReplaceFile(m, "a", []byte(data))
		if after == nil {
			after = m.Crash(keep)
		}
		switch got := content(t, after, "a"); {
		case got == data:
		case err == nil:
			r.Fatalf("after ReplaceFile had returned nil the file holds %.20q", got)
		case got != old:
			r.Fatalf("the file holds %.20q, neither old nor new", got)
		}
	})
}

// TestLimit checks that a full disk takes what fits, says ENOSPC, and has room
// again for what is cut off or removed.
func TestLimit(t *testing.T) {
	m := new(disk.Mem)
	m.Limit(10)
	put(t, m, "a", "123456", true)
	f, err := m.Open("b")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("7890ab")); n != 4 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write = %d, %v, want 4 bytes and ENOSPC", n, err)
	}
	if n, err := f.Write([]byte("c")); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write to a full disk = %d, %v", n, err)
	}
	if err := f.Truncate(1); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("xyz")); n != 3 || err != nil {
		t.Errorf("Write after a cut = %d, %v", n, err)
	}
	if err := m.Remove("a"); err != nil || m.Used() != 4 {
		t.Errorf("after Remove %d bytes are used, %v, want 4", m.Used(), err)
	}
}

// TestFail checks that every operation can be made to fail, by its name, and
// then has no effect.
func TestFail(t *testing.T) {
	m := new(disk.Mem)
	d := sub(t, m, "below")
	put(t, d, "a", "a", true)
	f, err := d.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		op, path string
		do       func() error
	}{
		{"open", "below/b", func() error { _, err := d.Open("b"); return err }},
		{"open", "below/a", func() error { _, err := d.OpenRead("a"); return err }},
		{"read", "below/a", func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err }},
		{"write", "below/a", func() error { _, err := f.Write([]byte("x")); return err }},
		{"sync", "below/a", f.Sync},
		{"truncate", "below/a", func() error { return f.Truncate(0) }},
		{"remove", "below/a", func() error { return d.Remove("a") }},
		{"rename", "below/b", func() error { return d.Rename("a", "b") }},
		{"list", "below", func() error { _, err := d.List(); return err }},
		{"mkdir", "below/c", func() error { _, err := d.Sub("c"); return err }},
		{"syncdir", "below", d.Sync},
	} {
		var ops []string
		m.Fail = func(op, path string) error {
			ops = append(ops, op+" "+path)
			return disk.ErrInjected
		}
		err := test.do()
		m.Fail = nil
		if want := test.op + " " + test.path; !errors.Is(err, disk.ErrInjected) || len(ops) != 1 || ops[0] != want {
			t.Errorf("%s = %v, asked about %q", want, err, ops)
		}
	}
	if names, err := d.List(); err != nil || len(names) != 1 || content(t, d, "a") != "a" {
		t.Errorf("after all failed there are %q, %v", names, err)
	}
}

// TestFlip checks that a bit can be damaged while a file is open.
func TestFlip(t *testing.T) {
	m := new(disk.Mem)
	put(t, m, "a", "abc", true)
	m.Flip("a", 1, 0)
	if got := content(t, m.Crash(none), "a"); got != "acc" {
		t.Errorf("the file holds %q, want one bit changed, durably", got)
	}
}
