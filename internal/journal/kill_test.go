package journal_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// killDir tells a copy of the test binary to be the process that is killed.
const killDir = "CUSTODY_TEST_KILL_DIR"

// TestKill kills a process that appends to a real disk, again and again:
// whatever it had acknowledged must be there, in its place, and only once.
func TestKill(t *testing.T) {
	if path := os.Getenv(killDir); path != "" {
		appendUntilKilled(t, path, os.Getenv("CUSTODY_TEST_KILL_LIFE"))
	}
	path := t.TempDir()
	acknowledged := make(map[string]journal.Seq)
	for life := range 5 {
		killAfter(t, path, life, 200+life*77, acknowledged)
	}
	fs, err := disk.Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	d := openShort(t, fs, 50_000)
	got, err := readAll(t, d, 0, 100)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	at := make(map[string]journal.Seq)
	for seq, body := range got {
		if first, twice := at[body]; twice {
			t.Errorf("%q is at %d and at %d", body, first, seq)
		}
		at[body] = journal.Seq(seq)
	}
	for body, seq := range acknowledged {
		if found, ok := at[body]; !ok || found != seq {
			t.Errorf("%q was acknowledged at %d, is at %d, %t", body, seq, found, ok)
		}
	}
	if err := d.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// killAfter runs a process that appends to path, kills it after n
// acknowledgements, and adds all it gave to acknowledged.
func killAfter(t *testing.T, path string, life, n int, acknowledged map[string]journal.Seq) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), killDir+"="+path, fmt.Sprintf("CUSTODY_TEST_KILL_LIFE=%d", life))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for in := bufio.NewScanner(out); in.Scan(); {
		var body string
		var seq journal.Seq
		if _, err := fmt.Sscanf(in.Text(), "acknowledged %s %d", &body, &seq); err != nil {
			continue // what a test binary says when it fails
		}
		acknowledged[body] = seq
		if lines++; lines == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if lines < n {
		t.Fatalf("the process ended after %d of %d acknowledgements", lines, n)
	}
}

// appendUntilKilled appends from several goroutines and writes a line for each
// acknowledgement.
func appendUntilKilled(t *testing.T, path, life string) {
	fs, err := disk.Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	j, _ := run(t, openShort(t, fs, 50_000))
	for who := range 8 {
		go func() {
			for i := 0; ; i++ {
				body := fmt.Sprintf("%s.%d.%d", life, who, i)
				seq, err := j.Append(context.Background(), []byte(body))
				if err != nil {
					os.Exit(1)
				}
				fmt.Fprintf(os.Stdout, "acknowledged %s %d\n", body, seq) // one write each
			}
		}()
	}
	select {}
}
