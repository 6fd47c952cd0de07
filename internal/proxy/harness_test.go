package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/proxy"
)

var errDown = errors.New("the log is down")

// A memoryLog is a log of what the strict reader of events accepts.
type memoryLog struct {
	mu      sync.Mutex
	events  []*event.Event
	json    bytes.Buffer
	down    bool
	hook    func(e *event.Event) // called before e is accepted
	changed chan struct{}
}

func newMemoryLog() *memoryLog { return &memoryLog{changed: make(chan struct{})} }

func (l *memoryLog) Record(_ context.Context, events ...*event.Event) error {
	l.mu.Lock()
	hook := l.hook
	l.mu.Unlock()
	for _, e := range events {
		if hook != nil {
			hook(e)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return errDown
	}
	var accepted []*event.Event
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			return errors.Join(proxy.ErrRefused, err)
		}
		fields, err := event.Parse(data)
		if err != nil {
			return errors.Join(proxy.ErrRefused, err)
		}
		if slices.ContainsFunc(l.events, func(old *event.Event) bool { return old.ID == e.ID }) {
			continue
		}
		l.json.Write(append(data, '\n'))
		accepted = append(accepted, fields.Event())
	}
	l.events = append(l.events, accepted...)
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

func (l *memoryLog) History(context.Context) iter.Seq2[*event.Event, error] {
	return func(yield func(*event.Event, error) bool) {
		for _, e := range slices.Backward(l.all()) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (l *memoryLog) setDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

func (l *memoryLog) all() []*event.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// acts returns the events that are not about the proxy itself.
func (l *memoryLog) acts() []*event.Event {
	return slices.DeleteFunc(l.all(), func(e *event.Event) bool { return strings.HasPrefix(e.Tag, "audit:proxy:") })
}

func (l *memoryLog) tags() (tags []string) {
	for _, e := range l.all() {
		tags = append(tags, e.Tag+" "+string(e.Outcome))
	}
	return tags
}

// wait returns the acts once there are n of them.
func (l *memoryLog) wait(t *testing.T, n int) []*event.Event {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if acts := l.acts(); len(acts) >= n {
			return acts
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the log has %q, want %d acts", l.tags(), n)
		}
	}
}

// A memorySpool keeps what the log could not take.
type memorySpool struct {
	mu     sync.Mutex
	events []*event.Event
	full   bool
}

func (s *memorySpool) Put(e *event.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return errors.New("spool: full")
	}
	s.events = append(s.events, e)
	return nil
}

func (s *memorySpool) Behind() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

func (s *memorySpool) tags() (tags []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		tags = append(tags, e.Tag+" "+string(e.Outcome))
	}
	return tags
}

// drain hands everything to l.
func (s *memorySpool) drain(t *testing.T, l *memoryLog) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := l.Record(t.Context(), s.events...); err != nil {
		t.Fatal(err)
	}
	s.events = nil
}

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
