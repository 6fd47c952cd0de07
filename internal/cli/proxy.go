package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/config"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/proxy"
	"github.com/custody-log/custody/internal/server"
)

func proxyCommand() *command {
	return &command{
		name:  "proxy",
		usage: "-upstream URL [flags]",
		short: "record what clients do at a registry, from in front of it",
		long: `Stands in front of a registry, passes everything on unchanged, and records who did what at
the log in CUSTODY_URL. Clients use the proxy's address; only the proxy should reach the registry.
A change is refused while the log is away; a download never is.

  custody keys create -source npm-proxy -scopes submit,read npm-proxy > proxy.key
  CUSTODY_KEY_FILE=proxy.key custody proxy -listen 127.0.0.1:4873 -upstream http://127.0.0.1:4874
  npm --registry http://127.0.0.1:4873 publish

custody serve -config runs proxies in the same process as the log; see docs/configuration.md.`,
		run: runProxy,
	}
}

func runProxy(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
	c := config.Proxy{Protocol: "npm"}
	flags.StringVar(&c.Upstream, "upstream", "", "the registry's own `address`")
	flags.StringVar(&c.Listen, "listen", "127.0.0.1:4873", "`address` to serve clients on")
	flags.StringVar(&c.Name, "name", "npm-proxy", "`name` of this proxy: the source of the API key it uses")
	flags.StringVar(&c.Public, "public", "", "the `address` that clients use, when it is another than -listen")
	flags.StringVar(&c.Probe, "probe", "", "`package` whose document is read at start, to see whether it sends clients elsewhere")
	trusted := flags.String("trust-forwarders", "", "`networks`, joined by commas, whose X-Forwarded-For is believed")
	away := flags.String("when-log-is-away", "", "what to do per class, for example write=spool,auth=refuse")
	data := flags.String("data", "custody-proxy", "`directory` for the proxy's key, what it learned and its spool")
	addrFile := flags.String("addr-file", "", "write the address served on to this `file`")
	if _, err := parse(flags, args, 0, 0); err != nil {
		return err
	}
	var err error
	if c.TrustedForwarders, err = networks(*trusted); err != nil {
		return err
	}
	if c.WhenLogIsAway, err = pairs(*away); err != nil {
		return err
	}
	return serveProxy(ctx, env, &c, *data, *addrFile)
}

func networks(list string) (out []netip.Prefix, err error) {
	for s := range strings.SplitSeq(list, ",") {
		if s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, &wrongError{fmt.Errorf("-trust-forwarders: %w", err)}
		}
		out = append(out, p)
	}
	return out, nil
}

// pairs reads "a=b,c=d".
func pairs(list string) (map[string]string, error) {
	out := make(map[string]string)
	for s := range strings.SplitSeq(list, ",") {
		if s == "" {
			continue
		}
		k, v, ok := strings.Cut(s, "=")
		if !ok {
			return nil, &wrongError{fmt.Errorf("%q is not of the form class=what", s)}
		}
		out[k] = v
	}
	return out, nil
}

// serveProxy runs one proxy beside a log elsewhere.
func serveProxy(ctx context.Context, env *Env, c *config.Proxy, data, addrFile string) error {
	if err := c.Check(); err != nil {
		return &wrongError{withHint(err, "custody help proxy")}
	}
	if err := checkSource(ctx, env, c.Name); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(env.Stderr, nil))
	cl, err := client(env, custody.WithPatience(0))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	dir, err := disk.Dir(data)
	if err != nil {
		return err
	}
	spool, err := custody.OpenBuffer(filepath.Join(data, "spool"), cl, custody.WithoutSourceSeq())
	if err != nil {
		return err
	}
	listen, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return errors.Join(err, spool.Close())
	}
	c.Listen = listen.Addr().String()
	p, err := server.OpenProxy(c, server.Way{
		Recorder: &remoteRecorder{client: cl, source: c.Name}, Spool: spool,
		Dir: dir, Metrics: prometheus.NewRegistry(), Log: log,
	})
	if err != nil {
		return errors.Join(err, listen.Close(), spool.Close())
	}
	fmt.Fprintf(env.Stderr, "custody: proxy %s on http://%s in front of %s\n", c.Name, c.Listen, c.Upstream)
	if addrFile != "" {
		if err := writeFile(addrFile, []byte("http://"+c.Listen)); err != nil {
			return errors.Join(err, listen.Close(), spool.Close())
		}
	}
	return errors.Join(runDoor(ctx, p, listen, spool), spool.Close())
}

// checkSource refuses a proxy whose API key speaks for another source: it would
// not find again what it recorded. A log that is away now may come back.
func checkSource(ctx context.Context, env *Env, name string) error {
	cl, err := client(env)
	if err != nil {
		return err
	}
	info, err := cl.Info(ctx)
	if err != nil {
		if e, ok := errors.AsType[*custody.Error](err); ok && (e.Status == 401 || e.Status == 403) {
			return withHint(err, "the proxy needs a key of its own: custody keys create -source "+name+" -scopes submit,read "+name)
		}
		return nil
	}
	var answer struct {
		Key struct {
			Source string `json:"source"`
		} `json:"key"`
	}
	if err := json.Unmarshal(info.Raw, &answer); err != nil {
		return err
	}
	if got := answer.Key.Source; got != name {
		return &wrongError{withHint(fmt.Errorf("the API key records as the source %q, and this proxy is called %q", got, name),
			"custody keys create -source "+name+" -scopes submit,read "+name+"; or give the proxy the key's name with -name")}
	}
	return nil
}

// runDoor serves until ctx ends.
func runDoor(ctx context.Context, p *proxy.Proxy, listen net.Listener, spool *custody.Buffer) error {
	inside, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, inside := errgroup.WithContext(inside)
	g.Go(func() error { return p.Run(inside) })
	g.Go(func() error { return spool.Run(inside) })
	err := server.ServeDoor(ctx, inside, p.Server(), listen)
	stop()
	return errors.Join(err, g.Wait())
}

// A remoteRecorder is the way of a proxy to a log elsewhere.
type remoteRecorder struct {
	client *custody.Client
	source string
}

// Record implements [proxy.Recorder].
func (r *remoteRecorder) Record(ctx context.Context, events ...*event.Event) error {
	list := make([]custody.Event, len(events))
	for i, e := range events {
		list[i] = *e
	}
	_, err := r.client.RecordAll(ctx, list)
	if e, ok := errors.AsType[*custody.Error](err); ok && (e.Status == 400 || e.Status == 409 || e.Status == 413 || e.Status == 422) {
		return fmt.Errorf("%w: %w", proxy.ErrRefused, err)
	}
	return err
}

// historyTimeout bounds the whole walk back.
const historyTimeout = 5 * time.Minute

// History implements [proxy.Recorder].
func (r *remoteRecorder) History(ctx context.Context) iter.Seq2[*event.Event, error] {
	return func(yield func(*event.Event, error) bool) {
		ctx, cancel := context.WithTimeout(ctx, historyTimeout)
		defer cancel()
		q := custody.Query{Text: "source:" + r.source, Limit: 1000}
		for {
			page, err := r.client.SearchPage(ctx, q)
			if err != nil {
				yield(nil, err)
				return
			}
			if page.Behind > 0 { // the ends of the newest intents may be among what is not found yet
				yield(nil, fmt.Errorf("the log's search is %d events behind", page.Behind))
				return
			}
			for _, e := range page.Events {
				if !yield(&e.Event, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.Cursor = page.Next
		}
	}
}
