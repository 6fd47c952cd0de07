package crashtest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Sizes of the small disk, in bytes.
const (
	diskBytes   = "size=8m"
	fillerBytes = 4 << 20 // of somebody else's file on it, which can be removed
)

// apart gives the calling goroutine, and the programs it starts, a view of the
// file systems of their own. So what is mounted is gone when the test is, even
// if that is killed.
func apart(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	err := syscall.Unshare(syscall.CLONE_NEWNS)
	if err == nil {
		err = syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	}
	if err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
}

// mount mounts something at dir until the test ends.
func mount(t *testing.T, from, dir, kind string, flags uintptr, options string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(from, dir, kind, flags, options); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// smallDisk mounts a disk that is soon full, and returns the file on it that
// can be removed to make room.
func smallDisk(t *testing.T, dir string) (filler string) {
	t.Helper()
	mount(t, "tmpfs", dir, "tmpfs", 0, diskBytes)
	filler = filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, fillerBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	return filler
}

// TestFullDisk lets the disk of the whole log, or only that of its journal,
// fill up under load. Nothing acknowledged may be lost; the program must say
// what is wrong, and go on once there is room and somebody starts it again.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a disk of the real program; not with -short")
	}
	for _, c := range []struct {
		name    string
		journal bool // only the journal lies on the small disk
	}{
		{"journal", true},
		{"all of it", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			apart(t)
			disk := filepath.Join(t.TempDir(), "disk")
			filler := smallDisk(t, disk)
			data := filepath.Join(disk, "data")
			if c.journal {
				data = filepath.Join(t.TempDir(), "data")
				place := filepath.Join(disk, "journal")
				if err := os.Mkdir(place, 0o700); err != nil {
					t.Fatal(err)
				}
				mount(t, place, filepath.Join(data, "journal"), "", syscall.MS_BIND, "")
			}
			st, s := newStory(t, data, 1, 1, 1, 100, 500)
			refusals := st.run(s, 1<<30, func() {})
			s.wait(t)
			judgeEnd(t, s, refusals, c.journal)
			s.kill()

			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			again := start(t, data)
			st.judge(t, again)
			for _, a := range st.run(again, 1000, func() { _ = again.cmd.Process.Kill() }) {
				t.Errorf("with room again a submission was refused with status %d: %s", a.status, a.body)
			}
			again.kill()
			last := start(t, data)
			st.judge(t, last)
			last.stop(t)
			verify(t, data, st.logKey)
		})
	}
}

// judgeEnd checks how a program whose disk is full ends, and what it said to
// whom it could not serve. When the journal alone has no room left, somebody
// must have been told.
func judgeEnd(t *testing.T, s *service, refusals []answer, journal bool) {
	t.Helper()
	if s.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("the program ended with %v, want exit status 1", s.err)
	}
	if said := s.said.String(); !strings.Contains(said, "no space left on device") {
		t.Errorf("the program did not say that there is no space left:\n%s", said)
	}
	if journal && len(refusals) == 0 {
		t.Error("no submission was refused: who sent one heard nothing")
	}
	for _, a := range refusals {
		var problem struct {
			Type  string `json:"type"`
			Title string `json:"title"`
		}
		err := json.Unmarshal(a.body, &problem)
		if err != nil || a.kind != "application/problem+json" || problem.Title == "" || a.status != 503 && a.status != 507 {
			t.Errorf("a submission was refused with status %d, %s: %s; want a problem with status 503 or 507", a.status, a.kind, a.body)
		}
	}
}
