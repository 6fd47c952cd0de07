package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/custody-log/custody/internal/auth"
)

// A handler answers a request of somebody whose key was checked. If it returns
// an error it has written nothing.
type handler func(w http.ResponseWriter, r *http.Request, key *auth.Key) error

// An answer is where a handler writes. It keeps what is to be counted, and
// holds back the plain text with which [http.ServeMux] refuses a request.
type answer struct {
	http.ResponseWriter
	status  int
	routed  bool // a handler of ours was found
	refused bool // by the mux, which wrote nothing yet
}

// Unwrap lets [http.ResponseController] find the connection.
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (w *answer) WriteHeader(status int) {
	if w.status == 0 || w.status < http.StatusOK {
		w.status = status
	}
	if !w.routed && status >= http.StatusBadRequest {
		w.refused = true
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *answer) Write(b []byte) (int, error) {
	if w.refused {
		return len(b), nil
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// answering counts requests, and gives those that no route is for the form
// that all errors have.
func (a *API) answering(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(inner http.ResponseWriter, r *http.Request) {
		began := time.Now()
		w := &answer{ResponseWriter: inner}
		h := w.Header()
		h["X-Content-Type-Options"] = noSniff
		h["Cache-Control"] = noStore
		mux.ServeHTTP(w, r)
		if w.refused {
			w.routed, w.refused = true, false
			writeProblem(w, unrouted(w.status, h.Get("Allow")))
		}
		a.metrics.count(r.Pattern, w.status, time.Since(began))
	})
}

// Values of headers, shared by all answers. Nobody changes them.
var (
	noSniff  = []string{"nosniff"}
	noStore  = []string{"no-store"} // answers hold personal data
	jsonType = []string{"application/json"}
)

// unrouted is the problem of a request that no route is for.
func unrouted(status int, allowed string) *problem {
	if status == http.StatusMethodNotAllowed {
		return &problem{Status: status, Type: "/problems/method", Title: "Method not allowed", Detail: "this path takes " + allowed}
	}
	return &problem{Status: status, Type: "/problems/not-found", Title: "Not found", Detail: "there is no such path", Hint: "the paths are in /openapi.json"}
}

// public answers everybody.
func (a *API) public(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		routed(w)
		err := h(w, r)
		if err == nil {
			return
		}
		p := problemOf(err)
		switch {
		case r.Context().Err() != nil && errors.Is(err, context.Canceled):
			// The client has gone. There is nobody to tell, and nothing wrong.
		case p.Status >= http.StatusInternalServerError:
			a.Log.ErrorContext(r.Context(), "request failed", "route", r.Pattern, "status", p.Status, "err", err)
		}
		writeProblem(w, p)
	})
}

// plain answers everybody with what h writes, errors included.
func plain(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		routed(w)
		h.ServeHTTP(w, r)
	})
}

func routed(w http.ResponseWriter) {
	if w, ok := w.(*answer); ok {
		w.routed = true
	}
}

// respond writes v as JSON. It is the last thing a handler does.
func respond(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	write(w, status, append(body, '\n'))
	return nil
}

// write writes an answer in JSON.
func write(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(status)
	w.Write(body) // an error here means the client has gone
}
