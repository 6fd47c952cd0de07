// Package crashtest kills the real program and takes its disk away, and then
// looks whether what it promised still holds. It holds tests only.
//
// Set CUSTODY_CRASH_ROUNDS to kill more often than by default, and
// CUSTODY_CRASH_SEED to kill at other moments.
package crashtest_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that must happen soon.
const patience = 30 * time.Second

// TestMain builds the program once, if a test asks for it.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "custody-crashtest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = sync.OnceValues(func() (string, error) { return buildProgram(dir) })
	status := m.Run()
	_ = os.RemoveAll(dir) // of the system's directory for temporary files
	os.Exit(status)
}

// program returns the path of the program.
var program func() (string, error)

func buildProgram(dir string) (string, error) {
	path := filepath.Join(dir, "custody")
	build := exec.Command("go", "build", "-o", path, "github.com/custody-log/custody/cmd/custody")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
}

// A service is one life of the program.
type service struct {
	cmd    *exec.Cmd
	url    string
	client *http.Client
	said   transcript
	ended  chan struct{} // closed when the process is gone
	err    error         // how it ended
}

// A transcript is what a process wrote on its standard error.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.WriteString(line + "\n")
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// after returns the rest of the line in which before stands.
func (t *transcript) after(before string) string {
	_, rest, _ := strings.Cut(t.String(), before)
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// launch starts the program on a data directory.
func launch(t *testing.T, data string) *service {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &service{ended: make(chan struct{}), client: &http.Client{
		Timeout:   patience,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}}
	s.cmd = exec.Command(path, "serve", "-data", data, "-listen", "127.0.0.1:0", "-origin", "crash.example/log")
	out, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			s.said.add(lines.Text())
		}
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(s.kill)
	return s
}

// start starts the program and waits until it serves.
func start(t *testing.T, data string) *service {
	t.Helper()
	s := launch(t, data)
	until(t, "the program serves", func() bool {
		select {
		case <-s.ended:
			t.Fatalf("the program ended at its start: %v\n%s", s.err, &s.said)
		default:
		}
		_, s.url, _ = strings.Cut(s.said.after("custody: crash.example/log serves "), " on ")
		return s.url != ""
	})
	return s
}

// until looks again and again whether something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	late := time.After(patience)
	for !so() {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// kill takes the process away at once: it gets no chance to do anything more.
func (s *service) kill() {
	_ = s.cmd.Process.Kill() // it may be gone
	<-s.ended
	s.client.CloseIdleConnections()
}

// stop ends the program as an operator would.
func (s *service) stop(t *testing.T) {
	t.Helper()
	s.client.CloseIdleConnections()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("stop: %v", err)
	}
	s.wait(t)
	if s.err != nil {
		t.Fatalf("the program ended: %v\n%s", s.err, &s.said)
	}
}

// wait waits until the process is gone.
func (s *service) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Fatalf("the program is still there after %v\n%s", patience, &s.said)
	}
}

// verify checks a data directory as a stranger would, with the log's public
// key and nothing else.
func verify(t *testing.T, data, logKey string) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "verify", "-key", logKey, data).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Errorf("custody verify: exit status %d: %s", exit.ExitCode(), out)
	} else if err != nil {
		t.Errorf("custody verify: %v", err)
	}
}
