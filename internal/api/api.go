// Package api is the HTTP door under /v1: it hands events to the desk and
// reads answers from the views. What it offers is written down in openapi.yaml,
// which it serves; a test holds the two against each other.
//
// # Promises
//
//   - An answer of 200 or 201 to a submission means that its events are
//     durable; any 4xx means that nothing of it was stored.
//   - Every error is application/problem+json with a stable type. It says what
//     the client can change, and nothing about our insides.
//   - No request makes the service buffer more than the limits named here,
//     whatever it claims to be and however it is compressed.
//   - Nothing but the pages of handlePublic, beside [API.Handler], is answered without a
//     key of the right scope. Whoever is refused is on record, and learns from the
//     answer nothing but that.
//   - What an administrator changes here is an event.
//   - An answer is never silently of a part: it says when its time was up, how far
//     behind the log it is, and a damaged file makes it an error.
//   - A reader of the tail who is slow or away delays nobody and misses
//     nothing: it goes on where it was.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/keeper"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/internal/view"
)

// An API is what the handlers need. All fields must be set, except those that
// say what their zero value means.
type API struct {
	Log       *slog.Logger
	Version   string // of the program
	Journal   *journal.Journal
	Desk      *intake.Desk
	Store     *store.Store
	Room      *reading.Room // where all events are read
	Tree      *tree.Tree
	Keys      *auth.Keys
	KeyDir    disk.FS // where the keys that sign checkpoints are kept
	Catalogue *catalogue.Catalogue
	Views     []view.View // all of them, for the status of the log
	Keeper    *keeper.Keeper
	Registry  *prometheus.Registry

	// Trouble returns what keeps the log from taking events, in sentences that
	// anybody may read. Nil: nothing does.
	Trouble func() []string

	// Witnessed reports whether a checkpoint carries the cosignatures that this
	// log wants. Nil: it has no witnesses.
	Witnessed func(checkpoint []byte) bool

	// Witnesses returns the state of each witness. Nil: there are none.
	Witnesses func() []Witness

	// Denied is told of everybody who is not let in. It does not wait. Nil: nobody
	// is told.
	Denied func(denial.Attempt)

	// Limiter slows down who comes with wrong keys. Nil: nobody is.
	Limiter Limiter

	// Address returns where a request comes from. Nil: its connection says so.
	Address func(*http.Request) netip.Addr

	// SigninLink makes a link with which a person signs in to the console, in the
	// name of by, once and until it expires. Nil: there is no console to sign in to.
	SigninLink func(by event.Party) (url string, expires time.Time, err error)

	// Revoked is told of each key that was revoked, before the answer says so: what
	// was begun with it ends. Nil: nothing is begun with keys elsewhere.
	Revoked func(ctx context.Context, key *auth.Key)

	// Stopping is closed when the server is about to stop: tails then end. Nil:
	// they end with their connections.
	Stopping <-chan struct{}

	metrics *metrics
	bodies  *bodies
	tails   chan struct{} // holds a token for each open tail
	counts  chan struct{} // holds a token for each count that runs
	exports chan struct{} // holds a token for each export that runs
	signing sync.Mutex    // held while the keys that sign are changed
}

// Handler returns the whole HTTP surface. This and handlePublic are the place to
// learn which paths exist and who may use them. It must be called once.
func (a *API) Handler() http.Handler {
	a.metrics = newMetrics(a.Registry)
	a.bodies = newBodies()
	a.tails = make(chan struct{}, maxTails)
	a.counts = make(chan struct{}, maxCounts)
	a.exports = make(chan struct{}, maxExports)

	mux := http.NewServeMux()
	mux.Handle("POST /v1/events", a.with(auth.Submit, a.submit))
	mux.Handle("GET /v1/events", a.reads(a.search))
	mux.Handle("GET /v1/events/{seq}", a.reads(a.event))
	mux.Handle("GET /v1/events/{seq}/receipt", a.reads(a.receipt))
	mux.Handle("GET /v1/count", a.reads(a.number))
	mux.Handle("GET /v1/facets", a.reads(a.facets))
	mux.Handle("GET /v1/histogram", a.reads(a.histogram))
	mux.Handle("GET /v1/values", a.reads(a.fieldValues))
	mux.Handle("GET /v1/complete", a.reads(a.complete))
	mux.Handle("GET /v1/export", a.reads(a.export))
	mux.Handle("GET /v1/tail", a.reads(a.tail))
	mux.Handle("GET /v1/checkpoint", a.with(auth.Read, a.checkpoint))
	mux.Handle("GET /v1/consistency", a.with(auth.Read, a.consistency))
	mux.Handle("POST /v1/heartbeat", a.with(auth.Submit, a.heartbeat))
	mux.Handle("GET /v1/log", a.reads(a.status))

	mux.Handle("GET /v1/keys", a.with(auth.Admin, a.listKeys))
	mux.Handle("POST /v1/keys", a.with(auth.Admin, a.createKey))
	mux.Handle("GET /v1/keys/{id}", a.with(auth.Admin, a.showKey))
	mux.Handle("DELETE /v1/keys/{id}", a.with(auth.Admin, a.revokeKey))
	mux.Handle("POST /v1/signin/link", a.with(auth.Admin, a.signinLink))
	mux.Handle("POST /v1/log/keys/rotate", a.with(auth.Admin, a.rotateSigningKey))
	mux.Handle("POST /v1/log/keys/retire", a.with(auth.Admin, a.retireSigningKey))
	mux.Handle("POST /v1/log/seal", a.with(auth.Admin, a.seal))

	mux.Handle("GET /v1/retention", a.with(auth.Admin, a.listPolicies))
	mux.Handle("PUT /v1/retention/{class}", a.with(auth.Admin, a.setPolicy))
	mux.Handle("DELETE /v1/retention/{class}", a.with(auth.Admin, a.resetPolicy))
	mux.Handle("POST /v1/retention/purge", a.with(auth.Admin, a.purge))
	mux.Handle("GET /v1/holds", a.with(auth.Admin, a.listHolds))
	mux.Handle("POST /v1/holds", a.with(auth.Admin, a.placeHold))
	mux.Handle("GET /v1/holds/{id}", a.with(auth.Admin, a.showHold))
	mux.Handle("POST /v1/holds/{id}/lift", a.with(auth.Admin, a.liftHold))
	mux.Handle("GET /v1/erasures", a.with(auth.Admin, a.listErasures))
	mux.Handle("POST /v1/erasures", a.with(auth.Admin, a.requestErasure))
	mux.Handle("GET /v1/erasures/{id}", a.with(auth.Admin, a.showErasure))
	mux.Handle("POST /v1/erasures/{id}/deny", a.with(auth.Admin, a.denyErasure))
	mux.Handle("GET /v1/access", a.with(auth.Admin, a.access))

	a.handlePublic(mux)
	return a.answering(mux)
}

// handlePublic adds what is answered without a key: proofs of what the log
// holds, which reveal nothing of it but how much, and what monitoring and tools
// ask for.
func (a *API) handlePublic(mux *http.ServeMux) {
	document := loadDocument()
	mux.Handle("GET /checkpoint", plain(a.Tree.Handler()))
	mux.Handle("GET /tile/", plain(a.Tree.Handler()))
	mux.Handle("GET /healthz", a.public(health))
	mux.Handle("GET /readyz", a.public(a.ready))
	mux.Handle("GET /metrics", plain(promhttp.HandlerFor(a.Registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})))
	mux.Handle("GET /openapi.yaml", a.public(document.yaml))
	mux.Handle("GET /openapi.json", a.public(document.json))
}
