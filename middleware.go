package custody

import (
	"context"
	"net/http"
	"net/netip"
	"time"
)

// recordTimeout bounds recording one request. It goes on when the client of
// the request has gone away: what was done is to be recorded.
const recordTimeout = 10 * time.Second

// A MiddlewareOption changes what [Middleware] does otherwise.
type MiddlewareOption func(*middleware)

// FailClosed lets no request through that could not be recorded: before the
// handler runs, the event is recorded with the outcome unknown, and if that
// fails the answer is 503 and the handler does not run. After the handler the
// event is recorded again, under another ID, with its true outcome; the two
// have one request ID. If a process dies in between, the first one stays.
func FailClosed() MiddlewareOption {
	return func(m *middleware) { m.closed = true }
}

// TrustForwarders believes what the proxies in these networks say about the
// client in X-Forwarded-For and X-Request-Id. Of all others, the address of
// the connection counts.
func TrustForwarders(networks ...netip.Prefix) MiddlewareOption {
	return func(m *middleware) { m.forwarders = networks }
}

type middleware struct {
	to         Recorder
	describe   func(*http.Request) *Event
	lost       func(*Event, error)
	closed     bool
	forwarders []netip.Prefix
}

// Middleware records what HTTP requests do. describe is called before the
// handler and returns the event that r is, or nil if it is none; the handler
// can add to it, see [EventOf]. When the handler is done the outcome is filled
// in from its status, unless it was set: 401 and 403 are denied, other 4xx and
// 5xx, and a panic, are failure, the rest is success. So are members of Context
// that are empty: address, user agent, request ID and trace ID.
//
// lost hears of every event that could not be recorded after the handler ran,
// when it is too late to refuse the request. Give a [Buffer] as to, and that
// takes a full or broken disk.
func Middleware(to Recorder, describe func(r *http.Request) *Event, lost func(e *Event, err error), opts ...MiddlewareOption) func(http.Handler) http.Handler {
	m := &middleware{to: to, describe: describe, lost: lost}
	for _, opt := range opts {
		opt(m)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(w, r, next) })
	}
}

type eventKey struct{}

// EventOf returns the event that [Middleware] will record for the request with
// this context, for the handler to complete; nil if there is none. It is the
// handler's until the handler returns.
func EventOf(ctx context.Context) *Event {
	e, _ := ctx.Value(eventKey{}).(*Event)
	return e
}

func (m *middleware) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	e := m.describe(r)
	if e == nil {
		next.ServeHTTP(w, r)
		return
	}
	m.fill(&e.Context, r)
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if m.closed {
		intent := *e
		intent.ID, intent.Outcome = "", Unknown
		if err := m.record(r.Context(), intent); err != nil {
			http.Error(w, "The audit log is away, so nothing was done. Try again.", http.StatusServiceUnavailable)
			return
		}
	}
	answer := &statusWriter{ResponseWriter: w}
	defer m.finish(r.Context(), e, answer) // also when the handler panics
	next.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), eventKey{}, e)))
	answer.returned = true
}

// finish records how the request of e ended.
func (m *middleware) finish(ctx context.Context, e *Event, answer *statusWriter) {
	if e.Outcome == "" {
		e.Outcome = outcomeOf(answer.status, answer.returned)
	}
	if err := m.record(ctx, *e); err != nil {
		m.lost(e, err)
	}
}

func (m *middleware) record(ctx context.Context, e Event) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	_, err := m.to.Record(ctx, e)
	return err
}

// outcomeOf returns the outcome that a status stands for. 0 is none.
func outcomeOf(status int, returned bool) Outcome {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return Denied
	case status >= http.StatusBadRequest || !returned:
		return Failure
	default:
		return Success
	}
}

// A statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter

	status   int  // the first that was final; 0 before
	returned bool // the handler did not panic
}

// WriteHeader implements [http.ResponseWriter].
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher], which many handlers look for.
func (w *statusWriter) Flush() {
	_ = http.NewResponseController(w.ResponseWriter).Flush() // a Flusher cannot say that it does not
}

// Unwrap lets [http.ResponseController] reach what w does not have.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
