package custody_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
)

func newBody(b []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }

// After any power cut at any moment, each event whose Put returned nil is in
// the log once, in order, under its number, or set aside if the log refuses it,
// however much of the rest the disk kept; and no event takes another's number.
func TestBufferPowerCuts(t *testing.T) {
	seeds := 250
	if testing.Short() {
		seeds = 40
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		log := newFakeLog(t)
		log.refuse = func(f event.Fields) string {
			if strings.HasSuffix(f.Text("id"), "3") {
				return "no event may end in 3"
			}
			return ""
		}
		mem := new(disk.Mem)
		var acked []string
		n := 0
		for range 1 + r.IntN(4) {
			acked, n, mem = liveAndDie(t, r, log, mem, acked, n)
		}
		b := openBuffer(t, mem, log.client(t), custody.WithMaxBytes(1<<20))
		drain(t, b)
		b.Close()
		got := log.ids()
		refused, _ := disk.ReadFile(mem, "refused.ndjson") // none if nothing was
		for _, id := range acked {
			if !slices.Contains(got, id) && !bytes.Contains(refused, []byte(id)) {
				t.Fatalf("seed %d: %s was acknowledged and is not in the log: %v", seed, id, got)
			}
		}
		for line := range bytes.Lines(refused) {
			if !json.Valid(line) {
				t.Fatalf("seed %d: refused.ndjson has the line %q", seed, line)
			}
		}
		if !slices.IsSorted(got) {
			t.Fatalf("seed %d: out of order: %v", seed, got)
		}
		checkNumbers(t, seed, log)
	}
}

// liveAndDie puts and sends events on mem, cuts the power at some moment, and
// returns the disk that is left.
func liveAndDie(t *testing.T, r *rand.Rand, log *fakeLog, mem *disk.Mem, acked []string, n int) ([]string, int, *disk.Mem) {
	t.Helper()
	var after *disk.Mem
	var mu sync.Mutex
	left := 1 + r.IntN(60) // operations of the disk until the power goes
	cut := rand.New(rand.NewPCG(r.Uint64(), 2))
	mem.Fail = func(string, string) error {
		mu.Lock()
		defer mu.Unlock()
		left--
		if left == 0 {
			after = mem.Crash(func(n int) int { return cut.IntN(n + 1) })
		}
		if left <= 0 {
			return disk.ErrInjected
		}
		return nil
	}
	defer func() { mem.Fail = nil }()
	b, err := custody.OpenBufferOn(mem, log.client(t), custody.WithMaxBytes(1<<20))
	if err == nil {
		var stop func()
		if r.IntN(2) == 0 {
			stop = tolerantRun(t, b)
		}
		for range r.IntN(30) {
			e := release("1.0.0")
			e.ID, e.Reason = fmt.Sprintf("event-%06d", n), strings.Repeat("r", r.IntN(12_000))
			n++
			if b.Put(&e) == nil {
				acked = append(acked, e.ID)
			}
		}
		if stop != nil {
			stop()
		}
		b.Close()
	}
	mu.Lock()
	defer mu.Unlock()
	if after == nil {
		after = mem.Crash(func(n int) int { return cut.IntN(n + 1) })
	}
	return acked, n, after
}

// tolerantRun is run on a disk that fails.
func tolerantRun(t *testing.T, b *custody.Buffer) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { defer close(done); _ = b.Run(ctx) }()
	return func() { cancel(); <-done }
}

// checkNumbers checks that no two events of the log have one number.
func checkNumbers(t *testing.T, seed int, log *fakeLog) {
	t.Helper()
	byNumber := make(map[int64]string)
	for _, e := range log.events() {
		if other, taken := byNumber[e.SourceSeq]; taken {
			t.Fatalf("seed %d: %s and %s both have number %d", seed, other, e.ID, e.SourceSeq)
		}
		byNumber[e.SourceSeq] = e.ID
	}
}

// A disk that is full refuses events; those it took stay, and when there is
// room again it goes on.
func TestBufferDiskFull(t *testing.T) {
	log := newFakeLog(t)
	mem := new(disk.Mem)
	b := openBuffer(t, mem, log.client(t))
	put(t, b, "event-0000")
	mem.Limit(mem.Used() + 100)
	e := release("1.0.0")
	e.ID = "event-0001"
	for range 3 {
		if err := b.Put(&e); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Put on a full disk = %v", err)
		}
	}
	mem.Limit(0)
	put(t, b, "event-0002")
	drain(t, b)
	b.Close()
	if got := log.ids(); !slices.Equal(got, []string{"event-0000", "event-0002"}) {
		t.Errorf("the log has %v", got)
	}
}

// After a failed sync nobody knows what is on the disk: the buffer takes
// nothing more, and sends what it took before.
func TestBufferFailedSync(t *testing.T) {
	log := newFakeLog(t)
	mem := new(disk.Mem)
	b := openBuffer(t, mem, log.client(t))
	put(t, b, "event-0000")
	mem.Fail = func(op, path string) error {
		if op == "sync" && strings.HasSuffix(path, ".spool") {
			return disk.ErrInjected
		}
		return nil
	}
	e := release("1.0.0")
	if err := b.Put(&e); !errors.Is(err, disk.ErrInjected) {
		t.Fatalf("Put with a failed sync = %v", err)
	}
	mem.Fail = nil
	if err := b.Put(&e); !errors.Is(err, disk.ErrInjected) || !errors.Is(b.State().Err, disk.ErrInjected) {
		t.Errorf("Put after a failed sync = %v, want that nothing is taken any more", err)
	}
	drain(t, b)
	b.Close()
	if got := log.ids(); !slices.Equal(got, []string{"event-0000"}) {
		t.Errorf("the log has %v", got)
	}
}

// Damage to one event on the disk takes that one, is counted, leaves a gap in
// the numbers for the log to see, and holds up no other.
func TestBufferDamage(t *testing.T) {
	log := newFakeLog(t)
	mem := new(disk.Mem)
	b := openBuffer(t, mem, log.client(t))
	for _, id := range ids(10) {
		put(t, b, id)
	}
	frame := mem.Used() / 10
	for _, at := range []int64{0, 4*frame + frame/2, 7*frame + 22} { // a magic, an event, a length
		mem.Flip("00000000000000000000.spool", at, 3)
	}
	b.Close()
	b = openBuffer(t, mem, log.client(t))
	defer b.Close()
	drain(t, b)
	want := slices.DeleteFunc(ids(10), func(id string) bool { return id == "event-0000" || id == "event-0004" || id == "event-0007" })
	if got := log.ids(); !slices.Equal(got, want) {
		t.Errorf("the log has %v, want %v", got, want)
	}
	if !slices.Equal(log.numbers, []int64{2, 3, 4, 6, 7, 9, 10}) || b.State().Lost != 3 || b.State().Behind != 0 {
		t.Errorf("numbers %v, state %+v, want gaps at 1, 5 and 8, and 3 lost", log.numbers, b.State())
	}
}

// A number that was given out stays so, although damage took the event it was
// given to and only the name of the next file tells of it.
func TestBufferDamageAtTheEnd(t *testing.T) {
	log := newFakeLog(t)
	mem := new(disk.Mem)
	b := openBuffer(t, mem, log.client(t))
	for _, id := range ids(3) {
		put(t, b, id)
	}
	b.Close()
	mem.Flip("00000000000000000000.spool", mem.Used()-10, 0)
	if _, err := mem.Open("00000000000000000003.spool"); err != nil {
		t.Fatal(err)
	}
	b = openBuffer(t, mem, log.client(t))
	defer b.Close()
	put(t, b, "event-0003")
	drain(t, b)
	if !slices.Equal(log.numbers, []int64{1, 2, 4}) || b.State().Lost != 1 {
		t.Errorf("numbers %v, %d lost, want 1, 2 and 4, and 1 lost", log.numbers, b.State().Lost)
	}
}

// A damaged note of what was sent costs sending again, never an event.
func TestBufferDamagedSent(t *testing.T) {
	for bit := range 8 {
		log := newFakeLog(t)
		mem := new(disk.Mem)
		b := openBuffer(t, mem, log.client(t))
		for _, id := range ids(3) {
			put(t, b, id)
		}
		drain(t, b)
		for _, id := range ids(9)[3:] {
			put(t, b, id)
		}
		b.Close()
		mem.Flip("sent", 0, bit)
		b = openBuffer(t, mem, log.client(t))
		drain(t, b)
		b.Close()
		if got := log.ids(); !slices.Equal(got, ids(9)) {
			t.Errorf("bit %d: the log has %v", bit, got)
		}
	}
}

// Killed at any moment, the process loses no event that it acknowledged.
func TestBufferKilled(t *testing.T) {
	if dir := os.Getenv("CUSTODY_TEST_BUFFER"); dir != "" {
		putForEver(t, dir, os.Getenv("CUSTODY_TEST_LOG"))
		return
	}
	log := newFakeLog(t)
	server := httptest.NewServer(log)
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "buffer")
	var acked []string
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestBufferKilled$", "-test.v")
		cmd.Env = append(os.Environ(), "CUSTODY_TEST_BUFFER="+dir, "CUSTODY_TEST_LOG="+server.URL)
		before := len(acked)
		acked = append(acked, killAfter(t, cmd, 100)...)
		if len(acked) == before {
			t.Fatalf("round %d: nothing was acknowledged", round)
		}
	}
	b, err := custody.OpenBuffer(dir, log.client(t))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	drain(t, b)
	got := log.ids()
	slices.Sort(got)
	if len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Error("an event is in the log twice")
	}
	for _, id := range acked {
		if _, ok := slices.BinarySearch(got, id); !ok {
			t.Errorf("%s was acknowledged and is not in the log", id)
		}
	}
	checkNumbers(t, 0, log)
	t.Logf("%d events acknowledged by 5 processes that were killed, %d in the log", len(acked), len(got))
}

// putForEver is the process that is killed.
func putForEver(t *testing.T, dir, url string) {
	client, err := custody.New(url, testKey)
	if err != nil {
		t.Fatal(err)
	}
	b, err := custody.OpenBuffer(dir, client)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = b.Run(t.Context()) }()
	var one sync.Mutex
	for range 4 {
		go func() {
			for {
				ack, err := b.Record(t.Context(), release("1.0.0"))
				if err != nil {
					panic(err)
				}
				one.Lock()
				os.Stdout.WriteString("acked " + ack.ID + "\n")
				one.Unlock()
			}
		}()
	}
	select {}
}

// killAfter runs cmd until it has acknowledged n events, kills it, and returns
// the IDs of all that it acknowledged.
func killAfter(t *testing.T, cmd *exec.Cmd, n int) (acked []string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			break
		}
		if id, ok := strings.CutPrefix(line, "acked "); ok {
			acked = append(acked, strings.TrimSpace(id))
		}
		if len(acked) == n {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	return acked
}
