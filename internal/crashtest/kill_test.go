package crashtest_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Rounds by default, and events that are acknowledged in each before the
// program is killed.
const (
	defaultRounds = 8
	leastEvents   = 50
	mostEvents    = 5000
)

func fromEnv(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestKill takes the process away in the middle of its work, again and again:
// kill -9, as the kernel does when memory runs out. What was acknowledged must
// be there, where it was said to be; nothing may be there twice; who had no
// answer gets one by asking again; and the tree is the one that was signed.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("kills the real program for half a minute; not with -short")
	}
	rounds := fromEnv(t, "CUSTODY_CRASH_ROUNDS", defaultRounds)
	seed := fromEnv(t, "CUSTODY_CRASH_SEED", 1)
	st, s := newStory(t, filepath.Join(t.TempDir(), "data"), seed, 1, 1, 1, 1, 20, 300)
	for round := range rounds {
		count := leastEvents + st.random.IntN(mostEvents-leastEvents)
		for _, a := range st.run(s, count, func() { _ = s.cmd.Process.Kill() }) {
			t.Errorf("round %d: a submission was refused with status %d: %s", round, a.status, a.body)
		}
		s.kill()
		if round%2 == 1 {
			killWhileStarting(t, st)
		}
		s = start(t, st.data)
		st.judge(t, s)
		if t.Failed() {
			t.Fatalf("that was round %d of %d with CUSTODY_CRASH_SEED=%d", round, rounds, seed)
		}
	}
	t.Logf("%d events acknowledged in %d lives, %d checkpoints seen; of the submissions without an answer %d were recorded, %d not",
		len(st.acked), rounds+1, len(st.signed), st.kept, st.dropped)
	if len(st.signed) < 2 || st.kept+st.dropped == 0 {
		t.Error("no checkpoint was seen, or nobody was left without an answer: this run tested too little")
	}
	s.stop(t)
	verify(t, st.data, st.logKey)
}

// killWhileStarting kills the program while it mends what the last kill left:
// once it has written to the journal, and before it serves.
func killWhileStarting(t *testing.T, st *story) {
	t.Helper()
	before := journalBytes(t, st.data)
	s := launch(t, st.data)
	until(t, "the program has begun to recover", func() bool {
		select {
		case <-s.ended:
			t.Fatalf("the program ended at its start: %v\n%s", s.err, &s.said)
		default:
		}
		return journalBytes(t, st.data) != before
	})
	s.kill()
}

// journalBytes returns how long the journal is.
func journalBytes(t *testing.T, data string) (total int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "journal", "*.journal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return total
}
