package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/config"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/proxy"
	"github.com/custody-log/custody/internal/registry"
	"github.com/custody-log/custody/internal/registry/npm"
)

// A gateway is a proxy and the address it serves on.
type gateway struct {
	name   string
	proxy  *proxy.Proxy
	listen net.Listener
}

// A Way is how a proxy reaches its log.
type Way struct {
	Recorder proxy.Recorder
	Spool    proxy.Spooler // nil: what cannot be recorded at once is counted
	Dir      disk.FS       // the proxy's own directory
	Metrics  prometheus.Registerer
	Log      *slog.Logger
}

// OpenProxy returns the proxy that c describes.
func OpenProxy(c *config.Proxy, way Way) (*proxy.Proxy, error) {
	upstream, err := url.Parse(c.Upstream)
	if err != nil {
		return nil, fmt.Errorf("server: proxy %s: %w", c.Name, err)
	}
	p := proxy.Config{
		Name:              c.Name,
		Upstream:          upstream,
		Protocol:          npm.New(npm.Options{}),
		Prefix:            c.Prefix,
		TrustedForwarders: c.TrustedForwarders,
		OnLogAway:         policies(c.WhenLogIsAway),
		AddressMembers:    []string{"tarball", "loginUrl", "doneUrl", "authUrl"},
		Documents:         []proxy.Document{{Method: "POST", Path: "/-/v1/login", Body: "{}"}},
		Log:               way.Log.With("proxy", c.Name),
		Recorder:          way.Recorder,
		Spool:             way.Spool,
		Disk:              way.Dir,
		Metrics:           prometheus.WrapRegistererWith(prometheus.Labels{"proxy": c.Name}, way.Metrics),
	}
	if way.Spool == nil && (p.OnLogAway[registry.Auth] == proxy.Spool || p.OnLogAway[registry.Write] == proxy.Spool) {
		return nil, fmt.Errorf("server: proxy %s: when_log_is_away: there is no spool in the log's own process; run custody proxy beside it", c.Name)
	}
	public := c.Public
	if public == "" {
		public = "http://" + c.Listen
	}
	if p.Public, err = url.Parse(public); err != nil {
		return nil, fmt.Errorf("server: proxy %s: %w", c.Name, err)
	}
	if c.AskWho == nil || *c.AskWho {
		p.Whoami = "/-/whoami"
	}
	if c.Probe != "" {
		p.Documents = append(p.Documents, proxy.Document{Path: "/" + url.PathEscape(c.Probe)})
	}
	return proxy.Open(p)
}

// policies translates what the configuration says about the log being away.
func policies(words map[string]string) map[registry.Class]proxy.Policy {
	classes := map[string]registry.Class{"read": registry.Read, "auth": registry.Auth, "write": registry.Write}
	acts := map[string]proxy.Policy{"refuse": proxy.FailClosed, "spool": proxy.Spool}
	out := make(map[registry.Class]proxy.Policy)
	for class, act := range words {
		out[classes[class]] = acts[act]
	}
	return out
}

// openGateways opens the proxies of the configuration file and their addresses.
func (s *Server) openGateways(context.Context) error {
	for i := range s.cfg.File.Proxies {
		c := s.cfg.File.Proxies[i]
		listen, err := net.Listen("tcp", c.Listen)
		if err != nil {
			return fmt.Errorf("server: proxy %s: %w", c.Name, err)
		}
		g := &gateway{name: c.Name, listen: listen}
		s.proxies = append(s.proxies, g)
		c.Listen = listen.Addr().String()
		dir, err := s.cfg.Data.Sub("proxy-" + c.Name)
		if err != nil {
			return fmt.Errorf("server: proxy %s: %w", c.Name, err)
		}
		g.proxy, err = OpenProxy(&c, Way{
			Recorder: &deskRecorder{desk: s.desk, journal: s.journal, source: c.Name},
			Dir:      dir, Metrics: s.metrics, Log: s.cfg.Log,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A deskRecorder is the way of a proxy in the same process as its log.
type deskRecorder struct {
	desk    *intake.Desk
	journal *journal.Journal
	source  string
}

// Record implements [proxy.Recorder].
func (r *deskRecorder) Record(ctx context.Context, events ...*event.Event) error {
	_, err := r.desk.RecordAll(ctx, r.source, events...)
	_, invalid := errors.AsType[*event.InvalidError](err)
	_, over := errors.AsType[*event.LimitError](err)
	_, conflict := errors.AsType[*intake.ConflictError](err)
	if invalid || over || conflict {
		return fmt.Errorf("%w: %w", proxy.ErrRefused, err)
	}
	return err
}

// historyAtOnce is how many records History reads at a time.
const historyAtOnce = 1024

// History implements [proxy.Recorder].
func (r *deskRecorder) History(ctx context.Context) iter.Seq2[*event.Event, error] {
	return func(yield func(*event.Event, error) bool) {
		for end := r.journal.Size(); end > 0; {
			start := max(0, end-historyAtOnce)
			events, err := r.between(ctx, start, end)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := len(events) - 1; i >= 0; i-- {
				if !yield(events[i], nil) {
					return
				}
			}
			end = start
		}
	}
}

// between returns the source's own events from start to before end.
func (r *deskRecorder) between(ctx context.Context, start, end journal.Seq) (events []*event.Event, err error) {
	for start < end {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records, err := r.journal.Read(start, int(end-start))
		if err != nil {
			return nil, err
		}
		for _, rec := range records {
			if rec.Body == nil { // dropped by retention
				continue
			}
			decoded, err := event.DecodeRecord(rec.Body)
			if err != nil {
				return nil, fmt.Errorf("server: record %d: %w", rec.Seq, err)
			}
			if fields := decoded.Open(); fields.Text("source") == r.source {
				events = append(events, fields.Event())
			}
		}
		start += journal.Seq(len(records))
	}
	return events, nil
}
