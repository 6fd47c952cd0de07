package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/custody-log/custody/internal/registry"
)

// A passage is one request on its way through the proxy, and its answer.
type passage struct {
	p      *Proxy
	in     *http.Request // as the registry will see it
	id     string        // the request ID, the same in all its events
	began  time.Time
	caller caller
	shown  registry.Presented
	fp     string // fingerprint of the credential shown; "" for none
	intent bool   // an intent is recorded, so there must be an end
	dog    watchdog
	cancel context.CancelFunc // of in's context

	// ex reads the exchange; nil when nothing about it is worth recording. The
	// request body's tap may run beside the answer's, so mu guards it and the
	// fields below.
	mu       sync.Mutex
	ex       registry.Exchange
	reached  bool // a connection to the registry was had
	answered bool // the answer's header has come
	status   int
	asked    *tap // on the request's body; nil when there is none
	complete bool // the answer's body has come to its end
}

// begin looks at the request line and the header of r.
func (p *Proxy) begin(r *http.Request) (*passage, *refusal) {
	path, bad := p.below(r)
	if bad == nil {
		bad = ambiguous(r.Header)
	}
	if bad != nil {
		return nil, bad
	}
	x := &passage{p: p, began: time.Now(), caller: p.whence(r)}
	x.id = x.caller.requestID(r)
	header := endToEnd(r.Header)
	ex, err := p.cfg.Protocol.Begin(&registry.Request{
		Method: r.Method, Path: path, Query: r.URL.RawQuery, Header: header,
	})
	if unsafe, ok := errors.AsType[*registry.PathError](err); ok {
		return nil, &refusal{http.StatusBadRequest, whyPath, "This path " + unsafe.Reason + ": the audit log could not say what it means."}
	}
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, whyAmbiguous, "The audit log could not say what this request means."}
	}
	x.ex = ex
	if ex != nil {
		x.shown = registry.PresentedIn(header)
		x.fp = p.key.fingerprint(x.shown.Secret)
	}
	x.in = r.WithContext(r.Context()) // a copy, to have another header
	x.in.Header = header
	if refused := x.unreadable(); refused != nil {
		return nil, refused
	}
	return x, nil
}

// below returns the escaped path of r below the prefix.
func (p *Proxy) below(r *http.Request) (string, *refusal) {
	path := r.URL.EscapedPath()
	if r.Method == http.MethodConnect || !strings.HasPrefix(path, "/") {
		return "", &refusal{http.StatusBadRequest, whyPath, "This is a door to a package registry, not a general proxy."}
	}
	rest, ok := strings.CutPrefix(path, p.cfg.Prefix)
	switch {
	case ok && rest == "":
		return "/", nil
	case ok && rest[0] == '/':
		return rest, nil
	}
	return "", &refusal{http.StatusNotFound, whyBeside, "There is no audited registry at this path."}
}

// replacing are headers with which some servers replace the request line. The
// audit log and the registry would see different requests.
var replacing = []string{
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url",
}

// ambiguous refuses what two readers could read differently.
func ambiguous(h http.Header) *refusal {
	if len(h["Authorization"]) > 1 {
		return &refusal{http.StatusBadRequest, whyAmbiguous, "Two Authorization headers: the audit log could not say who asks."}
	}
	for _, name := range replacing {
		if _, ok := h[name]; ok {
			return &refusal{http.StatusBadRequest, whyAmbiguous, "The header " + name + " is not accepted here."}
		}
	}
	return nil
}

// endToEnd returns h as the registry will see it: without what Connection says
// is for this connection only. That goes for offers to change the protocol,
// too, inside which nobody could see.
func endToEnd(h http.Header) http.Header {
	connection := h["Connection"]
	if len(connection) == 0 || len(connection) == 1 && strings.EqualFold(connection[0], "keep-alive") {
		return h
	}
	h = h.Clone()
	for _, value := range connection {
		for name := range strings.SplitSeq(value, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	h.Del("Connection")
	return h
}

// unreadable refuses a change whose description the registry might be able to
// decompress and we cannot.
func (x *passage) unreadable() *refusal {
	encodings := x.in.Header["Content-Encoding"]
	if !x.guarded() || len(encodings) == 0 {
		return nil
	}
	if w, ok := registry.Decompressed(io.Discard, encodings[0]); ok && len(encodings) == 1 {
		_ = w.Close() // nothing was written
		return nil
	}
	return &refusal{http.StatusUnsupportedMediaType, whyAmbiguous, "The audit log reads the content encodings gzip and deflate, one at a time."}
}

// class returns how careful the proxy must be.
func (x *passage) class() registry.Class {
	if x.ex == nil {
		return registry.Ignored
	}
	return x.ex.Class()
}

// guarded reports whether the request can change something, so that an intent
// must be recorded first.
func (x *passage) guarded() bool {
	class, method := x.class(), x.in.Method
	return class == registry.Write ||
		class == registry.Auth && method != http.MethodGet && method != http.MethodHead
}
