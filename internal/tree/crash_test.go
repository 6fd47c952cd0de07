package tree_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/tree"
)

// warnings counts what is logged.
type warnings struct{ n atomic.Int64 }

func (w *warnings) Enabled(context.Context, slog.Level) bool { return true }
func (w *warnings) Handle(context.Context, slog.Record) error {
	w.n.Add(1)
	return nil
}
func (w *warnings) WithAttrs([]slog.Attr) slog.Handler { return w }
func (w *warnings) WithGroup(string) slog.Handler      { return w }

// A life is one run of the process, until its end or a power cut.
type life struct {
	t      *testing.T
	dir    *disk.Mem
	list   records
	warned warnings

	mu      sync.Mutex
	step    int                   // operations on the disk so far
	cutAt   int                   // the operation in which the power goes, 0 for never
	keep    func(n int) int       // what the disk keeps, see [disk.Mem.Crash]
	crashed *disk.Mem             // what the disk holds after the cut
	saw     map[int64]tree.Signed // every checkpoint that was public
}

func sub(t *testing.T, dir disk.FS, name string) disk.FS {
	t.Helper()
	fs, err := dir.Sub(name)
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// runBriefly returns how Run ended, which it must do by itself, and soon.
func runBriefly(t *testing.T, tr *tree.Tree) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	return tr.Run(ctx)
}

// power lets operations pass until the cut.
func (l *life) power(string, string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.step++
	if l.step == l.cutAt {
		l.crashed = l.dir.Crash(l.keep)
	}
	if l.crashed != nil {
		return disk.ErrInjected
	}
	return nil
}

// live takes in all records in batches of several sizes and signs now and then.
func (l *life) live() {
	config := testConfig(sub(l.t, l.dir, "tree"), l.list)
	config.Head = tree.FileHead(sub(l.t, l.dir, "signed")) // apart: neither makes the other durable by chance
	config.Log = slog.New(&l.warned)
	l.dir.Fail = l.power
	tr, err := tree.Open(l.t.Context(), config)
	if err != nil {
		l.unlessCut("Open", err)
		return
	}
	l.look(tr)
	ctx, cancel := context.WithCancel(l.t.Context())
	ran := make(chan error, 1)
	go func() { ran <- tr.Run(ctx) }()
	for batch := 1; tr.Cursor() < l.list.Size(); batch = batch*3%257 + 1 {
		some, _ := l.list.Read(tr.Cursor(), batch)
		if err := tr.Apply(ctx, some); err != nil {
			l.unlessCut("Apply", err)
			break
		}
		time.Sleep(tree.SignInterval / 2)
		synctest.Wait()
		l.look(tr)
	}
	time.Sleep(tree.SignInterval)
	synctest.Wait()
	l.look(tr)
	cancel()
	if err := <-ran; err != nil {
		l.unlessCut("Run", err)
	}
}

func (l *life) unlessCut(what string, err error) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crashed == nil {
		l.t.Fatalf("%s: %v", what, err)
	}
}

// look notes what is public.
func (l *life) look(tr *tree.Tree) {
	if signed := tr.Checkpoint(); signed.Message != nil {
		l.saw[signed.N] = signed
	}
}

// TestPowerCut pulls the plug at every single operation on the disk, with all,
// nothing or anything of the unsynced bytes kept, and starts again. If two
// roots were ever signed for one size, or a wrong one, every receipt would be
// worthless; if a public checkpoint were forgotten, the log would look forked.
func TestPowerCut(t *testing.T) {
	list := makeRecords(600)
	want := makeOracle(t, list)
	random := rand.New(rand.NewPCG(1, 2))
	keeps := map[string]func(n int) int{
		"nothing":  func(int) int { return 0 },
		"all":      func(n int) int { return n },
		"anything": func(n int) int { return random.IntN(n + 1) },
	}
	for name, keep := range keeps {
		t.Run(name, func(t *testing.T) {
			for cut, more := 1, true; more; cut++ {
				synctest.Test(t, func(t *testing.T) {
					before := &life{t: t, dir: new(disk.Mem), list: list, cutAt: cut, keep: keep, saw: make(map[int64]tree.Signed)}
					before.live()
					if more = before.crashed != nil; !more {
						return
					}
					startAndCheck(t, cut, before.crashed, list)
					after := &life{t: t, dir: before.crashed, list: list, saw: make(map[int64]tree.Signed)}
					after.live()
					judge(t, cut, before, after, want)
				})
			}
		})
	}
}

// startAndCheck checks that what a power cut left of the signed records needs
// no mending, although a start that reads no records would not see all of it.
func startAndCheck(t *testing.T, cut int, dir disk.FS, list records) {
	t.Helper()
	config := testConfig(sub(t, dir, "tree"), list)
	config.Head = tree.FileHead(sub(t, dir, "signed"))
	config.From = list.Size()
	tr, err := tree.Open(t.Context(), config)
	if err != nil {
		t.Fatalf("cut at %d: Open: %v", cut, err)
	}
	if _, err := tr.Check(t.Context(), list, entryOf, func(int64) {}); err != nil {
		t.Fatalf("cut at %d: Check: %v", cut, err)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
}

// judge looks at what was public before and after a power cut.
func judge(t *testing.T, cut int, before, after *life, want oracle) {
	t.Helper()
	var largest int64
	for n := range before.saw {
		largest = max(largest, n)
	}
	for _, l := range []*life{before, after} {
		for n, signed := range l.saw {
			if signed.Hash != want.root(t, n) {
				t.Fatalf("cut at %d: the root signed for %d records is wrong", cut, n)
			}
			if l == after && n < largest {
				t.Fatalf("cut at %d: size %d is public after %d was", cut, n, largest)
			}
		}
		if l.warned.n.Load() != 0 {
			t.Fatalf("cut at %d: the tree's files had to be mended: they were not durable when their root was signed", cut)
		}
	}
	if _, ok := after.saw[after.list.Size64()]; !ok {
		t.Fatalf("cut at %d: after the restart not all records were signed", cut)
	}
}

// Size64 is Size as a tree size.
func (r records) Size64() int64 { return int64(len(r)) }

// TestFullDisk checks that a full disk delays the tree and nothing more: Apply
// fails, and succeeds on the same records once there is room.
func TestFullDisk(t *testing.T) {
	list := makeRecords(600)
	want := makeOracle(t, list)
	dir := new(disk.Mem)
	tr := open(t, dir, list)
	feed(t, tr, list[:10], 10)
	for _, room := range []int64{0, 1, 31, 32, 33, 5000, -1, -32, -33} {
		some, _ := list.Read(tr.Cursor(), 590)
		cursor := tr.Cursor()
		if room < 0 { // what is missing of all commitments and two roots
			room += int64(len(some))*32 + 2*32
		}
		dir.Limit(dir.Used() + room)
		if err := tr.Apply(t.Context(), some); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Apply with room for %d bytes = %v, want ENOSPC", room, err)
		}
		if tr.Cursor() != cursor {
			t.Fatalf("a failed Apply moved the cursor from %d to %d", cursor, tr.Cursor())
		}
		dir.Limit(0)
		feed(t, tr, list[:cursor+1], 1)
	}
	feed(t, tr, list, 100)
	if got := sign(t, tr); got.Hash != want.root(t, 600) {
		t.Error("the root after failed writes is wrong")
	}
}

// TestFailedSwapPublishesNothing checks that a checkpoint that may not have
// been kept is seen by nobody, and that signing ends: after a restart another
// root could be signed for that size.
func TestFailedSwapPublishesNothing(t *testing.T) {
	for _, op := range []string{"open", "write", "sync", "rename", "syncdir"} {
		t.Run(op, func(t *testing.T) {
			list := makeRecords(20)
			dir := new(disk.Mem)
			tr := open(t, dir, list)
			feed(t, tr, list[:10], 10)
			old := sign(t, tr)
			feed(t, tr, list, 10)
			dir.Fail = func(kind, path string) error {
				if kind == op && (strings.HasPrefix(path, "checkpoint") || path == "") {
					return disk.ErrInjected
				}
				return nil
			}
			if err := runBriefly(t, tr); !errors.Is(err, disk.ErrInjected) {
				t.Errorf("Run = %v, want the disk's error", err)
			}
			if got := tr.Latest(); got.N != old.N {
				t.Errorf("size %d is public, want %d", got.N, old.N)
			}
		})
	}
}

// TestFailedSyncSignsNothing checks that nothing is signed over files that may
// not be on the disk.
func TestFailedSyncSignsNothing(t *testing.T) {
	for _, name := range []string{"commitments", "level1"} {
		t.Run(name, func(t *testing.T) {
			list := makeRecords(600)
			dir := new(disk.Mem)
			tr := open(t, dir, list)
			feed(t, tr, list[:10], 10)
			old := sign(t, tr)
			feed(t, tr, list, 100)
			dir.Fail = func(kind, path string) error {
				if kind == "sync" && path == name {
					return disk.ErrInjected
				}
				return nil
			}
			if err := runBriefly(t, tr); !errors.Is(err, disk.ErrInjected) {
				t.Errorf("Run = %v, want the disk's error", err)
			}
			if got, _ := tree.FileHead(dir).Load(); string(got) != string(old.Message) {
				t.Errorf("signed %q after a failed sync", got)
			}
		})
	}
}

// TestTwoSigners checks that of two processes that sign for one log, as when
// somebody copied the data directory's lock away, the second to sign dies.
func TestTwoSigners(t *testing.T) {
	list := makeRecords(20)
	dir := new(disk.Mem)
	one, two := open(t, dir, list[:10]), tree.FileHead(dir)
	feed(t, one, list[:10], 10)
	sign(t, one)
	kept, _ := two.Load()
	if err := two.Swap(kept, []byte("another")); err != nil {
		t.Fatal(err)
	}
	feed(t, one, list, 10)
	if err := runBriefly(t, one); !errors.Is(err, tree.ErrSwapped) {
		t.Errorf("Run = %v, want ErrSwapped", err)
	}
	if one.Latest().N != 10 {
		t.Error("a checkpoint is public that was not kept")
	}
}

// TestForkedFiles checks that the tree does not sign once its files no longer
// give the root it signed last.
func TestForkedFiles(t *testing.T) {
	for _, c := range []struct {
		name   string
		file   string
		offset int64
	}{
		{"commitment in the last tile", "commitments", 299 * 32},
		{"root of a full tile", "level1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := makeRecords(310)
			dir := new(disk.Mem)
			tr := open(t, dir, list)
			feed(t, tr, list[:300], 100)
			old := sign(t, tr)
			dir.Flip(c.file, c.offset, 3)
			feed(t, tr, list, 10)
			if err := runBriefly(t, tr); !errors.Is(err, tree.ErrForked) {
				t.Errorf("Run = %v, want ErrForked", err)
			}
			if got, _ := tree.FileHead(dir).Load(); string(got) != string(old.Message) {
				t.Errorf("signed %q over damaged files", got)
			}
		})
	}
}
