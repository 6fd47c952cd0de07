package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/registry"
)

// Limits on requests of the proxy's own.
const (
	askTimeout       = 10 * time.Second
	maxDocumentBytes = 64 << 20 // 64 MiB, passed on, not held
)

// A Document is something the registry serves that tells clients where to go.
type Document struct {
	Method string // empty: GET
	Path   string // below the prefix
	Body   string
}

// Verdicts of [Proxy.Check].
const (
	Unchecked   = "unchecked"   // no public address, or no document, was given
	Unreachable = "unreachable" // the registry did not answer
	Clean       = "clean"       // no document sends clients elsewhere
	Escaping    = "escaping"    // one does; what clients do there is not recorded
)

// A Report says whether the registry's documents keep clients at the proxy.
type Report struct {
	Verdict string
	Foreign []string // hosts that documents point to
}

// Check fetches the configured documents as a client would and looks where
// they send it.
func (p *Proxy) Check(ctx context.Context) Report {
	if p.cfg.Public == nil || len(p.cfg.Documents) == 0 {
		return Report{Verdict: Unchecked, Foreign: p.watch.foreign()}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout) // changes wait for it
	defer cancel()
	verdict := Clean
	for _, d := range p.cfg.Documents {
		if err := p.checkDocument(ctx, d); err != nil {
			p.cfg.Log.WarnContext(ctx, "cannot see where a document of the registry sends clients", "path", d.Path, "err", err)
			verdict = Unreachable
		}
	}
	foreign := p.watch.foreign()
	if len(foreign) > 0 {
		verdict = Escaping
	}
	return Report{Verdict: verdict, Foreign: foreign}
}

func (p *Proxy) checkDocument(ctx context.Context, d Document) error {
	r, err := p.request(ctx, d.Method, d.Path, d.Body)
	if err != nil {
		return err
	}
	r.Host = p.cfg.Public.Host
	r.Header.Set("X-Forwarded-Host", p.cfg.Public.Host)
	r.Header.Set("X-Forwarded-Proto", p.cfg.Public.Scheme)
	if d.Body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return p.fetch(r, func(res *http.Response) io.Writer {
		if at := res.Header.Get("Location"); at != "" {
			p.watch.address(at, p.cfg.Public.Host)
		}
		return p.watch.reader(p.cfg.Public.Host)
	})
}

// request returns a request of the proxy's own to a path below the prefix.
func (p *Proxy) request(ctx context.Context, method, path, body string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.cfg.Upstream.Scheme+"://"+p.cfg.Upstream.Host+p.cfg.Prefix+path, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("proxy: request: %w", err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set("User-Agent", "custody-proxy")
	return r, nil
}

// fetch sends r and copies the decompressed answer to what sink returns, if
// anything.
func (p *Proxy) fetch(r *http.Request, sink func(*http.Response) io.Writer) error {
	res, err := p.engine.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // nothing more is wanted of it
	to := sink(res)
	if to == nil {
		return nil
	}
	into, ok := registry.Decompressed(to, res.Header.Get("Content-Encoding"))
	if !ok {
		return errEncoding
	}
	_, err = io.Copy(into, io.LimitReader(res.Body, maxDocumentBytes))
	if cerr := into.Close(); err == nil {
		err = cerr
	}
	return err
}

// errEncoding means that we asked for a plain answer and got another.
var errEncoding = errors.New("proxy: answer in an unknown encoding")

// as makes r a request of the client of x: same credential, same Host.
func (x *passage) as(r *http.Request) *http.Request {
	if auth := x.in.Header.Get("Authorization"); auth != "" {
		r.Header.Set("Authorization", auth)
	}
	r.Host = x.in.Host
	x.caller.forwardTo(r.Header, x.in.Header, x.in.Host, x.in.TLS != nil, x.id)
	return r
}

// fetchBefore gets the documents from which the event of x will be the
// difference. Without one the protocol says less, and the request goes on.
func (x *passage) fetchBefore(ctx context.Context) {
	if x.ex == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for _, path := range x.ex.Before() {
		r, err := x.p.request(ctx, http.MethodGet, path, "")
		if err == nil {
			err = x.p.fetch(x.as(r), func(res *http.Response) io.Writer {
				if res.StatusCode != http.StatusOK {
					return nil
				}
				return x.ex.BeforeBody(path)
			})
		}
		if err != nil {
			x.p.metrics.missedBefore.Inc()
		}
	}
}
