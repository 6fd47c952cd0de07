// Package proxy stands between registry clients and their registry and records
// what they do. It knows no registry's protocol: a [registry.Protocol] reads
// the exchanges that stream past, and the proxy says who, from where, with
// which credential, and how it ended.
//
// # Promises
//
//   - What client and registry say to each other passes unchanged, as it comes,
//     and in memory that does not grow with its length.
//   - A request that can change something is recorded durably before the
//     registry sees it (the intent), and again with how it ended, before the
//     client has seen the end of the answer.
//   - While the log is away, such a request is refused and the registry never
//     hears of it, unless the operator chose otherwise. A download never waits
//     for the log; what could not be recorded is counted, and the count recorded.
//   - Every intent has an end. When the answer was lost the outcome is unknown;
//     when the proxy died, the next run says so, once.
//   - No secret is kept: not in an event, a log line, a file or a metric. Who a
//     credential belongs to is remembered under a keyed hash of it.
//   - A client's address is taken from a header only when a forwarder that the
//     operator named has set it.
//   - What the registry could read differently than we do is refused: unsafe
//     paths, two credentials at once, headers that replace method or path.
//
// # The way of a request
//
//	begin     path, credential, address, request ID       may be refused (400)
//	intend    audit:proxy:intent, durable                 may be refused (503, 403)
//	forward   httputil.ReverseProxy, with a tap on each body
//	finish    the events, with the same request ID; or audit:proxy:void
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/registry"
)

// A Config is everything an operator can choose, and what the proxy needs.
type Config struct {
	// Name is what the proxy is called in its own events. Each proxy that runs
	// is a source of its own: by its history it knows what its last run left open.
	Name string

	// Upstream is the registry: scheme and host, without a path.
	Upstream *url.URL

	// Protocol reads the exchanges below Prefix, which is empty or looks like
	// "/repository/main". Requests beside Prefix are refused: the proxy could
	// not say what they do.
	Protocol registry.Protocol
	Prefix   string

	// Public is the address that clients use. Without it the Host header of
	// each request stands in, and [Proxy.Check] has nothing to compare with.
	Public *url.URL

	// TrustedForwarders may say in X-Forwarded-For, X-Forwarded-Proto,
	// X-Forwarded-Host and X-Request-Id who it was that asked.
	TrustedForwarders []netip.Prefix

	// OnLogAway says what happens to the requests of a class while nothing can
	// be recorded. A class that is not listed has its [DefaultPolicy].
	OnLogAway map[registry.Class]Policy

	// Whoami is a path below Prefix whose answer says whose credential asks,
	// for example "/-/whoami". It is asked with the client's own credential
	// before a write by somebody unknown. Empty: never.
	Whoami string

	// Documents are fetched when the proxy starts, to see whether they send
	// clients elsewhere. AddressMembers are the names of the JSON members that
	// do so, in them and in all later answers, for example "tarball".
	Documents      []Document
	AddressMembers []string

	Log      *slog.Logger
	Recorder Recorder
	Spool    Spooler // nil: what cannot be recorded at once is dropped and counted
	Disk     disk.FS // the proxy's own directory: its key and what it knows of credentials
	Metrics  prometheus.Registerer
}

// A Proxy is a door to a registry. [Proxy.Handler] may serve at once; until
// [Proxy.Run] has settled what the previous run left open, requests that
// change something are refused.
type Proxy struct {
	cfg     Config
	run     string // this run of the proxy, in intents
	idle    time.Duration
	engine  *engine
	gate    gate
	key     key
	who     *identities
	unknown *unknowns
	intents openIntents
	reads   chan []*event.Event // events of class Read on their way to the log
	dropped dropCount
	watch   *watch
	metrics *metrics
	settled atomic.Bool
	lost    atomic.Int64 // outcomes that could not be kept
}

// Open returns a proxy whose key and knowledge of credentials are on cfg.Disk,
// where they are created if needed.
func Open(cfg Config) (*Proxy, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	k, err := openKey(cfg.Disk)
	if err != nil {
		return nil, fmt.Errorf("proxy: key: %w", err)
	}
	who, err := openIdentities(cfg.Disk)
	if err != nil {
		return nil, fmt.Errorf("proxy: identities: %w", err)
	}
	p := &Proxy{
		cfg:     cfg,
		run:     event.NewID(),
		idle:    idleTimeout,
		engine:  newEngine(),
		key:     k,
		who:     who,
		unknown: newUnknowns(),
		reads:   make(chan []*event.Event, maxQueuedReads),
		watch:   newWatch(cfg.AddressMembers, cfg.Log),
	}
	p.metrics = newMetrics(cfg.Metrics, p)
	return p, nil
}

func (c *Config) check() error {
	switch {
	case c.Upstream == nil || c.Upstream.Host == "" || (c.Upstream.Scheme != "http" && c.Upstream.Scheme != "https"):
		return errors.New("upstream: want an http or https address")
	case strings.Trim(c.Upstream.Path, "/") != "" || c.Upstream.RawQuery != "" || c.Upstream.User != nil:
		return errors.New("upstream: want scheme and host only; paths are passed on as they come")
	case c.Prefix != "" && (!strings.HasPrefix(c.Prefix, "/") || strings.HasSuffix(c.Prefix, "/")):
		return fmt.Errorf("prefix %q: must start with a slash and not end with one", c.Prefix)
	case c.Protocol == nil, c.Recorder == nil, c.Disk == nil, c.Log == nil, c.Metrics == nil:
		return errors.New("protocol, recorder, disk, log and metrics are required")
	}
	return nil
}

// Handler returns the door for clients. Serve it with [Proxy.Server], or below
// nothing that cleans paths: [http.ServeMux] does.
func (p *Proxy) Handler() http.Handler { return http.HandlerFunc(p.serve) }

// Server returns a server for Handler with the limits that belong to it. It has
// no limit on how long a body may take, only on how long nothing may move.
func (p *Proxy) Server() *http.Server {
	return &http.Server{
		Handler:           p.Handler(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       keepAliveTimeout,
		MaxHeaderBytes:    maxHeaderBytes,

		DisableGeneralOptionsHandler: true,

		ErrorLog: slog.NewLogLogger(p.cfg.Log.Handler(), slog.LevelDebug), // clients' broken connections
	}
}

// Limits on a client's connection.
const (
	headerTimeout    = 10 * time.Second
	keepAliveTimeout = 2 * time.Minute
	maxHeaderBytes   = 64 << 10 // 64 KiB
)

// homes returns the hosts to which r's client may be sent: the one that it
// used, and the one that it should use.
func (p *Proxy) homes(r *http.Request) []string {
	if p.cfg.Public != nil {
		return []string{r.Host, p.cfg.Public.Host}
	}
	return []string{r.Host}
}

// serve is the way of every request.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	x, refused := p.begin(r)
	if refused == nil {
		refused = x.intend(r.Context())
	}
	if refused != nil {
		p.metrics.refused[refused.why].Inc()
		refused.answer(w)
		return
	}
	ctx := r.Context()
	if x.guarded() {
		// Once the registry has begun to change something we want to hear how
		// it ended, even if the client no longer does.
		ctx = context.WithoutCancel(ctx)
	}
	ctx, x.cancel = context.WithCancel(ctx)
	defer x.cancel()
	x.in = x.in.WithContext(ctx)
	// The reverse proxy panics when the client goes away during the answer.
	// The panic must go on, and the outcome must be recorded all the same.
	defer x.finish(ctx)
	x.forward(ctx, w)
}
