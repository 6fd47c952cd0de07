package api

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/denial"
)

// A Limiter knows from which addresses wrong keys come.
type Limiter interface {
	// Allow reports whether addr may try, and if not, how long it has to wait.
	Allow(addr netip.Addr) (wait time.Duration, ok bool)
	// Failed counts a failure of addr, and reports whether it was one too many.
	Failed(addr netip.Addr) bool
}

// with answers those whose key has scope.
func (a *API) with(scope string, h handler) http.Handler {
	return a.public(func(w http.ResponseWriter, r *http.Request) error {
		r = a.locate(r)
		key, err := a.authenticate(r)
		if err != nil {
			if problemOf(err).Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="custody"`)
			}
			return err
		}
		if !key.May(scope) {
			err = forbidden(scope)
		} else {
			err = h(w, r, key)
		}
		// Some handlers ask for more scope than their route does.
		if p, ok := errors.AsType[*problem](err); ok && p.Status == http.StatusForbidden {
			a.deny(r, denial.Attempt{
				Why: denial.Scope, Actor: event.Party{Type: "service", ID: key.ID, Name: key.Name},
				About: event.Subject{Type: "key", ID: key.ID, Name: key.Name},
			})
		}
		return err
	})
}

// authenticate returns the key that the request came with.
//
// A key that is valid lets in wherever it comes from: 32 random bytes are not
// found by trying, and many clients may share an address, all of them when there
// is a server in front. The limit keeps what comes with wrong keys from costing
// more than it must.
func (a *API) authenticate(r *http.Request) (*auth.Key, error) {
	given := r.Header["Authorization"]
	if len(given) == 0 {
		return nil, unauthorized("an Authorization header with a key is missing", "send Authorization: Bearer KEY")
	}
	scheme, secret, _ := strings.Cut(given[0], " ")
	if len(given) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return nil, a.refuse(r, &auth.RefusedError{Why: auth.WhyUnknown},
			unauthorized("the Authorization header is not one of the kind Bearer", "send Authorization: Bearer KEY"))
	}
	key, err := a.Keys.Check(strings.TrimSpace(secret))
	if refused, ok := errors.AsType[*auth.RefusedError](err); ok {
		return nil, a.refuse(r, refused, unauthorized("this key is not known here, or was revoked", ""))
	}
	return key, err
}

// refuse notes that a credential lets nobody in, and returns the answer: say, or
// that there were too many.
func (a *API) refuse(r *http.Request, why *auth.RefusedError, say error) error {
	if a.Limiter != nil {
		from := remote(r)
		if wait, ok := a.Limiter.Allow(from); !ok {
			a.deny(r, denial.Attempt{Why: denial.Limited})
			return tooManyFailures(wait)
		}
		a.Limiter.Failed(from)
	}
	attempt := denial.Attempt{Why: denialOf(why.Why)}
	if why.ID != "" {
		attempt.About = event.Subject{Type: "key", ID: why.ID}
	}
	a.deny(r, attempt)
	return say
}

// denialOf returns the word that the log has for a reason.
func denialOf(why auth.Why) denial.Why {
	switch why {
	case auth.WhyForeign:
		return denial.Foreign
	case auth.WhyForged:
		return denial.Forged
	case auth.WhyRevoked:
		return denial.Expired
	case auth.WhyUnknown:
	}
	return denial.Unknown
}

// deny notes that a request was refused for its key.
func (a *API) deny(r *http.Request, attempt denial.Attempt) {
	if a.Denied == nil {
		return
	}
	attempt.Way, attempt.Origin = denial.Key, "api"
	attempt.Address, attempt.UserAgent = remote(r), r.UserAgent()
	a.Denied(attempt)
}

// locate returns r as it would be if its client had come without anybody between,
// for all that is recorded about it.
func (a *API) locate(r *http.Request) *http.Request {
	if a.Address == nil {
		return r
	}
	direct := *r
	direct.RemoteAddr = netip.AddrPortFrom(a.Address(r), 0).String()
	return &direct
}

// remote returns where a request comes from; the zero Addr if nobody knows.
func remote(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}
