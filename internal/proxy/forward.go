package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"strings"
	"sync"
	"time"
)

// Limits on the way to the registry.
const (
	maxIdleConns     = 512 // kept per registry; with Go's two, a proxy loses half its speed
	idleConnTimeout  = 90 * time.Second
	dialTimeout      = 10 * time.Second
	tlsTimeout       = 10 * time.Second
	continueTimeout  = time.Second // how long a client that expects 100 Continue waits for the registry's own word
	copyBufferBytes  = 32 << 10    // 32 KiB, for each answer on its way
	maxUpstreamBytes = 256 << 10   // 256 KiB, the header of an answer
)

// An engine is what all passages share: connections and buffers.
type engine struct {
	transport *http.Transport
	buffers   buffers
}

func newEngine() *engine {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &engine{transport: &http.Transport{
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          maxIdleConns,
		MaxIdleConnsPerHost:   maxIdleConns,
		IdleConnTimeout:       idleConnTimeout,
		TLSHandshakeTimeout:   tlsTimeout,
		ExpectContinueTimeout: continueTimeout,
		DisableCompression:    true, // an answer passes as the registry encoded it

		MaxResponseHeaderBytes: maxUpstreamBytes,
		ReadBufferSize:         16 << 10, // 16 KiB
		WriteBufferSize:        16 << 10, // 16 KiB
	}}
}

// buffers lends copy buffers to [httputil.ReverseProxy].
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[copyBufferBytes]byte); ok {
		return buf[:]
	}
	return new([copyBufferBytes]byte)[:]
}

func (b *buffers) Put(buf []byte) { b.pool.Put((*[copyBufferBytes]byte)(buf)) }

// forward passes x on to the registry and the answer back to w. It panics with
// [http.ErrAbortHandler] when the answer could not be delivered whole.
func (x *passage) forward(ctx context.Context, w http.ResponseWriter) {
	x.fetchBefore(ctx)
	x.dog.start(x, w)
	defer x.dog.stop()
	r := x.in
	if r.ContentLength != 0 {
		x.asked = newTap(x, r.Body, x.requestSink(), r.Header.Get("Content-Encoding"))
		r = r.WithContext(ctx)
		r.Body = x.asked
	}
	if x.ex != nil {
		trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.reached = true
		}}
		r = r.WithContext(httptrace.WithClientTrace(ctx, trace))
	}
	reverse := httputil.ReverseProxy{
		Rewrite:        x.rewrite,
		ModifyResponse: x.response,
		ErrorHandler:   x.unreachable,
		Transport:      x.p.engine.transport,
		BufferPool:     &x.p.engine.buffers,
	}
	reverse.ServeHTTP(w, r)
}

// rewrite aims the request at the registry. Path, query and Host stay as the
// client sent them: the registry builds its own addresses from them.
func (x *passage) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme = x.p.cfg.Upstream.Scheme
	r.Out.URL.Host = x.p.cfg.Upstream.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	if x.ex != nil && !readable(r.Out.Header.Get("Accept-Encoding")) {
		r.Out.Header.Set("Accept-Encoding", "gzip") // or we would not hear what was answered
	}
	x.caller.forwardTo(r.Out.Header, r.In.Header, r.In.Host, r.In.TLS != nil, x.id)
}

// readable reports whether an answer in any encoding that accept lists can be
// decompressed here.
func readable(accept string) bool {
	for item := range strings.SplitSeq(accept, ",") {
		name, _, _ := strings.Cut(item, ";")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "", "identity", "gzip", "deflate":
		default:
			return false
		}
	}
	return true
}

// response hears the answer's header and puts a tap on its body.
func (x *passage) response(res *http.Response) error {
	x.dog.progress()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answered, x.status = true, res.StatusCode
	if len(res.Header.Values("Location")) > 0 {
		x.p.watch.address(res.Header.Get("Location"), x.p.homes(x.in)...)
	}
	// The protocol hears nothing of the request once the answer has begun.
	x.asked.end()
	var sink io.Writer
	if x.ex != nil {
		sink = x.ex.Response(res.StatusCode, res.Header)
	}
	if sink == nil {
		sink = x.p.watch.sample(x.in, res, x.p.homes(x.in)...)
	}
	t := newTap(x, res.Body, sink, res.Header.Get("Content-Encoding"))
	t.answer = true
	x.complete = res.Body == http.NoBody
	res.Body = t
	return nil
}

// requestSink returns where a copy of the request body goes, or nil.
func (x *passage) requestSink() io.Writer {
	if x.ex == nil {
		return nil
	}
	return x.ex.RequestBody()
}

// unreachable answers for a registry that did not.
func (x *passage) unreachable(w http.ResponseWriter, _ *http.Request, _ error) {
	// The error is counted and not logged: it can quote what the registry sent.
	x.p.metrics.refused[whyUpstream].Inc()
	(&refusal{http.StatusBadGateway, whyUpstream, "The registry behind the audit proxy could not be reached, or did not answer."}).answer(w)
}
