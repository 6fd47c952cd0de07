package interop_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/witness"
	"github.com/custody-log/custody/proof"
)

// startLimit bounds how long litewitness takes to build, or to start.
const startLimit = 3 * time.Minute

// startWitness builds and runs litewitness, which cosigns the log with that
// key. It returns the line of a policy that says so.
func startWitness(t *testing.T, name, logKey string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "litewitness")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "filippo.io/torchwood/cmd/litewitness")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build litewitness: %v\n%s", err, out)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	socket, fingerprint := serveAgent(t, private)
	address := freeAddress(t)
	var talk bytes.Buffer
	run := exec.CommandContext(t.Context(), program,
		"-name", name, "-db", filepath.Join(dir, "db"), "-ssh-agent", socket, "-key", fingerprint, "-listen", address)
	run.Stdout, run.Stderr = &talk, &talk
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	run.WaitDelay = 10 * time.Second
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Cancel() // it may have ended
		_ = run.Wait()   // how an interrupted process ends does not matter
		if t.Failed() {
			t.Logf("litewitness said:\n%s", talk.String())
		}
	})
	waitListening(t, address)
	introduce(t, filepath.Join(dir, "db"), logKey)
	signer, err := torchwood.NewCosignatureSigner(name, private)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("witness %s %s http://%s\n", name, signer.Verifier(), address)
}

// serveAgent serves the key as ssh-agent does.
func serveAgent(t *testing.T, private ed25519.PrivateKey) (socket, fingerprint string) {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	short, err := os.MkdirTemp("", "agent") // the path of a socket is limited
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(short, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		listener.Close()
		os.RemoveAll(short)
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, conn)
		}
	}()
	return socket, ssh.FingerprintSHA256(public)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func waitListening(t *testing.T, address string) {
	t.Helper()
	for start := time.Now(); time.Since(start) < startLimit; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
	}
	t.Fatal("litewitness does not listen")
}

// introduce makes the log known to litewitness, as its witnessctl does.
func introduce(t *testing.T, db, logKey string) {
	t.Helper()
	conn, err := sqlite.OpenConn(db, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	origin, _, _ := strings.Cut(logKey, "+")
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for query, args := range map[string][]any{
		"INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)": {origin, empty.String()},
		"INSERT INTO key (origin, key) VALUES (?, ?)":                     {origin, logKey},
	} {
		// The order does not matter: SQLite checks the reference only if asked.
		if err := sqlitex.Execute(conn, query, &sqlitex.ExecOptions{Args: args}); err != nil {
			t.Fatal(err)
		}
	}
}

// ask runs the log's side until the test ends.
func ask(t *testing.T, l *custodyLog, policy *proof.Policy) *witness.Witnesses {
	t.Helper()
	dir, err := disk.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w, err := witness.Open(witness.Config{
		Tree: l.tree, Policy: policy, Dir: dir, Client: &http.Client{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("witness: %v", err)
		}
	})
	return w
}

// waitWitnessed waits until the public checkpoint of that size has a quorum.
func waitWitnessed(t *testing.T, l *custodyLog, policy *proof.Policy, size int64) []byte {
	t.Helper()
	var last error
	for start := time.Now(); time.Since(start) < 30*time.Second; time.Sleep(20 * time.Millisecond) {
		msg := l.tree.Checkpoint().Message
		c, err := proof.OpenCheckpoint(msg, policy)
		if err == nil && c.N == size {
			return msg
		}
		last = err
	}
	t.Fatalf("no witnessed checkpoint of size %d: %v", size, last)
	return nil
}

// TestLitewitness lets two litewitness processes cosign a log that grows.
// torchwood's policy and ours must agree about the result, and both reject it
// after one byte was changed.
func TestLitewitness(t *testing.T) {
	l := newLog(t, 10, true)
	text := "log " + l.vkey() + "\n" +
		startWitness(t, "w1.example/interop", l.vkey()) +
		startWitness(t, "w2.example/interop", l.vkey()) +
		"group both all w1.example/interop w2.example/interop\nquorum both\n"
	ours, err := proof.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := torchwood.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatalf("torchwood does not read the policy: %v", err)
	}
	ask(t, l, ours)
	waitWitnessed(t, l, ours, 10)
	l.grow(logRecords - 10)
	msg := waitWitnessed(t, l, ours, logRecords)
	if _, _, err := torchwood.VerifyCheckpoint(msg, theirs); err != nil {
		t.Errorf("torchwood rejects the cosigned checkpoint: %v\n%s", err, msg)
	}
	if err := believes(theirs, l.receipt(77)); err != nil {
		t.Errorf("torchwood rejects a witnessed receipt: %v", err)
	}
	for i := range msg {
		changed := bytes.Clone(msg)
		changed[i] ^= 1
		if _, err := proof.OpenCheckpoint(changed, ours); err == nil {
			t.Errorf("byte %d changed: we accept the checkpoint", i)
		}
		padding := i+1 < len(msg) && (msg[i+1] == '=' || msg[i+1] == '\n')
		if _, _, err := torchwood.VerifyCheckpoint(changed, theirs); err == nil && !padding {
			t.Errorf("byte %d changed from %q to %q: torchwood accepts the checkpoint", i, msg[i], changed[i])
		}
	}
}

// TestLitewitnessRefusesAFork lets litewitness see two histories of one log.
func TestLitewitnessRefusesAFork(t *testing.T) {
	l := newLog(t, 10, true)
	text := startWitness(t, "w.example/interop", l.vkey()) + "quorum w.example/interop\n"
	base, err := proof.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := base.WithLogs(l.vkey())
	if err != nil {
		t.Fatal(err)
	}
	ask(t, l, policy)
	waitWitnessed(t, l, policy, 10)

	for name, size := range map[string]int{"longer": 20, "of the same size": 10} {
		t.Run(name, func(t *testing.T) {
			fork := newLogWith(t, l.keys, size, true)
			wantRefusal(t, ask(t, fork, policy), "422")
		})
	}
	t.Run("shorter", func(t *testing.T) {
		fork := newLogWith(t, l.keys, 5, true)
		if err := wantRefusal(t, ask(t, fork, policy), ""); !errors.Is(err, witness.ErrAhead) {
			t.Errorf("a log that lost records gets %v, want ErrAhead", err)
		}
	})
}

// wantRefusal waits until the only witness refuses.
func wantRefusal(t *testing.T, w *witness.Witnesses, want string) error {
	t.Helper()
	for start := time.Now(); time.Since(start) < 30*time.Second; time.Sleep(20 * time.Millisecond) {
		if err := w.Status()[0].Err; err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("refused with %v, want %q", err, want)
			}
			return err
		}
	}
	t.Error("litewitness does not refuse a fork")
	return nil
}
