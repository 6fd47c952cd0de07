package proxy

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/custody-log/custody/internal/registry"
)

const (
	unknownFor  = time.Minute // before the registry is asked again about a credential
	maxUnknowns = 10_000
)

// ask finds out whose credential x shows, by asking the registry with it. A
// registry that does not say is not asked again for a minute.
func (p *Proxy) ask(ctx context.Context, x *passage) {
	if p.cfg.Whoami == "" || x.fp == "" || x.class() != registry.Write {
		return
	}
	if id, known := p.who.find(x.fp); known && (id.User != "" || id.OIDC.Repository != "") && !id.Claimed {
		return
	}
	if !p.unknown.due(x.fp, time.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := p.request(ctx, http.MethodGet, p.cfg.Whoami, "")
	if err != nil {
		return
	}
	r = x.as(r)
	ex, err := p.cfg.Protocol.Begin(&registry.Request{Method: http.MethodGet, Path: p.cfg.Whoami, Header: r.Header})
	if err != nil || ex == nil {
		return
	}
	err = p.fetch(r, func(res *http.Response) io.Writer { return ex.Response(res.StatusCode, res.Header) })
	if err != nil {
		p.metrics.lookups[lookupFailed].Inc()
		return
	}
	learned := ex.Result().Learned
	x.learn(learned)
	if len(learned) == 0 {
		p.metrics.lookups[lookupUnknown].Inc()
		return
	}
	p.metrics.lookups[lookupFound].Inc()
}

// unknowns are credentials about which the registry was asked lately.
type unknowns struct {
	mu    sync.Mutex
	until map[string]time.Time // by fingerprint
}

func newUnknowns() *unknowns { return &unknowns{until: make(map[string]time.Time)} }

// due reports whether the registry should be asked about fp, and if so, notes
// that it is.
func (u *unknowns) due(fp string, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if until, ok := u.until[fp]; ok && now.Before(until) {
		return false
	}
	if len(u.until) >= maxUnknowns {
		clear(u.until) // asking again is cheaper than remembering more
	}
	u.until[fp] = now.Add(unknownFor)
	return true
}

func (u *unknowns) drop(fp string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.until, fp)
}
