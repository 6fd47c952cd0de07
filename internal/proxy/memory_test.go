package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/proxy"
	"github.com/custody-log/custody/internal/registry/npm"
)

// These make this test program a proxy in front of that address: this one, or
// a plain one to compare with.
const (
	upstreamVariable = "CUSTODY_PROXY_TEST_UPSTREAM"
	modeVariable     = "CUSTODY_PROXY_TEST_MODE"
)

func TestMain(m *testing.M) {
	if upstream := os.Getenv(upstreamVariable); upstream != "" {
		if err := serveAlone(upstream); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A discard is a log without memory, so that only the proxy's is measured.
type discard struct{}

func (discard) Record(context.Context, ...*event.Event) error { return nil }
func (discard) History(context.Context) iter.Seq2[*event.Event, error] {
	return func(func(*event.Event, error) bool) {}
}

// serveAlone is a proxy process: it says where it listens, and ends with its
// standard input.
func serveAlone(upstream string) error {
	u, err := url.Parse(upstream)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if mode := os.Getenv(modeVariable); mode != "custody" {
		plain := httputil.NewSingleHostReverseProxy(u)
		if mode == "tuned" {
			plain.Transport = &http.Transport{MaxIdleConnsPerHost: 512}
		}
		return serveUntilEOF(&http.Server{Handler: plain}, ln)
	}
	p, err := proxy.Open(proxy.Config{
		Name: "door", Upstream: u, Protocol: npm.New(npm.Options{}), Whoami: "/-/whoami", AddressMembers: []string{"tarball"},
		Log: slog.New(slog.DiscardHandler), Recorder: discard{}, Disk: new(disk.Mem), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	for !p.Health().Ready {
		time.Sleep(time.Millisecond)
	}
	if err := serveUntilEOF(p.Server(), ln); err != nil {
		return err
	}
	cancel()
	return <-done
}

func serveUntilEOF(server *http.Server, ln net.Listener) error {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	fmt.Println(ln.Addr())
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// alone starts a proxy process and returns its address and process ID.
func alone(t testing.TB, upstream, mode string) (addr string, pid int) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), upstreamVariable+"="+upstream, modeVariable+"="+mode)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the proxy process: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), cmd.Process.Pid
}

// TestPublishInLittleMemory sends 150 MiB publishes through a proxy process of
// their own and reads the most memory that process ever held.
func TestPublishInLittleMemory(t *testing.T) {
	const (
		tarballBytes = 150 << 20
		limitKiB     = 32 << 10
	)
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("this system does not tell the most memory a process held")
	}
	var got int64
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	}))
	defer upstream.Close()
	addr, pid := alone(t, upstream.URL, "custody")
	before := peakKiB(t, pid)
	for range 2 {
		size, body := publish(tarballBytes)
		r, err := http.NewRequestWithContext(t.Context(), "PUT", "http://"+addr+"/demo-pkg", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer tok")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusCreated || got != size {
			t.Errorf("answer = %d, the registry got %d of %d bytes", res.StatusCode, got, size)
		}
	}
	peak := peakKiB(t, pid)
	t.Logf("peak memory %d KiB before, %d KiB after two publishes of 150 MiB", before, peak)
	if peak > limitKiB && !raceDetector {
		t.Errorf("the proxy held %d KiB at its peak, want at most %d", peak, limitKiB)
	}
}

// publish returns the body of an npm publish with a tarball of n bytes.
func publish(n int64) (size int64, body io.Reader) {
	head := `{"_id":"demo-pkg","name":"demo-pkg","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"demo-pkg","version":"1.0.0","dist":{"shasum":"x"}}},"_attachments":{"demo-pkg-1.0.0.tgz":{"content_type":"application/octet-stream","data":"`
	tail := fmt.Sprintf(`","length":%d}}}`, n)
	encoded := n / 3 * 4
	return int64(len(head)) + encoded + int64(len(tail)), io.MultiReader(strings.NewReader(head), io.LimitReader(letters{}, encoded), strings.NewReader(tail))
}

// letters is an endless tarball in base64.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "ABCDEFGHIJKLMNOPabcdefghijklmnop"[i&31]
	}
	return len(p), nil
}

// peakKiB returns the most memory that process held.
func peakKiB(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(status), "VmHWM:")
	if !ok {
		t.Skip("this system does not tell the most memory a process held")
	}
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
