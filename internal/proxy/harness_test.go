package proxy_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/proxy"
)

// A bench is a proxy in front of a registry, with a log.
type bench struct {
	t        *testing.T
	log      *memoryLog
	spool    *memorySpool
	disk     *disk.Mem
	words    *syncBuffer // what the proxy logged
	metrics  *prometheus.Registry
	upstream *httptest.Server
	proxy    *proxy.Proxy
	door     *httptest.Server
	stop     func()
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newBench(t *testing.T, log *memoryLog, upstream http.Handler) *bench {
	t.Helper()
	b := &bench{t: t, log: log, spool: new(memorySpool), disk: new(disk.Mem), words: new(syncBuffer)}
	b.upstream = httptest.NewServer(upstream)
	t.Cleanup(b.upstream.Close)
	return b
}

// start runs a proxy in front of upstream and waits until it is ready.
func start(t *testing.T, upstream http.Handler, adjust ...func(*proxy.Config)) *bench {
	t.Helper()
	b := newBench(t, newMemoryLog(), upstream)
	b.restart(adjust...)
	b.ready()
	return b
}

// config returns what a new proxy on the same log and disk needs.
func (b *bench) config() proxy.Config {
	upstream, err := url.Parse(b.upstream.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	b.metrics = prometheus.NewRegistry()
	return proxy.Config{
		Name: "door", Upstream: upstream, Protocol: toy{}, Whoami: "/-/whoami",
		Log:      slog.New(slog.NewTextHandler(b.words, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Recorder: b.log, Spool: b.spool, Disk: b.disk, Metrics: b.metrics,
	}
}

// restart runs a new proxy on the same log and disk.
func (b *bench) restart(adjust ...func(*proxy.Config)) {
	b.t.Helper()
	cfg := b.config()
	for _, f := range adjust {
		f(&cfg)
	}
	b.restartWith(cfg)
}

func (b *bench) restartWith(cfg proxy.Config) {
	b.t.Helper()
	var err error
	if b.proxy, err = proxy.Open(cfg); err != nil {
		b.t.Fatal(err)
	}
	b.door = httptest.NewUnstartedServer(nil)
	b.door.Config = b.proxy.Server()
	b.door.Start()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.proxy.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		b.door.CloseClientConnections()
		b.door.Close()
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("Run = %v", err)
		}
	})
	b.t.Cleanup(b.stop)
}

// ready waits until the proxy has settled.
func (b *bench) ready() {
	b.t.Helper()
	for end := time.Now().Add(10 * time.Second); !b.proxy.Health().Ready; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("the proxy is not ready; it said:\n%s", b.words)
		}
	}
}

// do sends a request and returns the answer's status and body.
func (b *bench) do(method, path, token, body string) (int, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.door.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return b.send(r)
}

func (b *bench) send(r *http.Request) (int, string) {
	b.t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// answering is a registry that says the same to everybody.
func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func trust(cidrs ...string) func(*proxy.Config) {
	return func(c *proxy.Config) {
		for _, cidr := range cidrs {
			c.TrustedForwarders = append(c.TrustedForwarders, netip.MustParsePrefix(cidr))
		}
	}
}
