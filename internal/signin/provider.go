package signin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/reader"
)

// Limits of talking to a provider.
const (
	providerTimeout  = 10 * time.Second // one request, and all tries to find out about it
	discoveryTries   = 3
	discoveryPause   = 300 * time.Millisecond // before the second try; each next one is twice as long
	discoveryAgain   = 5 * time.Second        // after all tries failed
	maxProviderBytes = 1 << 20                // of one answer
)

// A Provider is an OpenID Connect provider that people sign in with.
type Provider struct {
	Issuer       string
	ClientID     string
	ClientSecret string           // "" for a public client
	Scopes       []string         // besides openid; nil is profile and email
	UserClaim    string           // the ID of a user in the registry; "" is preferred_username
	GroupsClaim  string           // "" is groups
	Groups       map[string]Group // those that mean something
	Client       *http.Client     // nil is one with limits
}

// A Group says what its members are.
type Group struct {
	Staff catalogue.Readers
	Orgs  []reader.Ref
}

// errAway says that the provider does not answer.
var errAway = errors.New("signin: the provider does not answer")

// A provider is a Provider and what is known about it.
type provider struct {
	Provider
	redirect string // where it sends people back to
	progress *progresses
	flight   singleflight.Group

	mu       sync.Mutex
	known    *endpoints // nil until it was found out
	failedAt time.Time
}

// endpoints are what a provider says about itself. They never change.
type endpoints struct {
	config   *oauth2.Config
	verifier *oidc.IDTokenVerifier
}

func newProvider(settings *Provider, redirect string) *provider {
	p := &provider{Provider: *settings, redirect: redirect, progress: newProgresses()}
	if p.Client == nil {
		p.Client = &http.Client{
			Timeout:   providerTimeout,
			Transport: bounded{http.DefaultTransport},
			// A redirect could carry codes and secrets to somebody else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if p.Scopes == nil {
		p.Scopes = []string{"profile", "email"}
	}
	if p.UserClaim == "" {
		p.UserClaim = "preferred_username"
	}
	if p.GroupsClaim == "" {
		p.GroupsClaim = "groups"
	}
	return p
}

// bounded reads no more of an answer than maxProviderBytes.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = http.MaxBytesReader(nil, answer.Body, maxProviderBytes)
	return answer, nil
}

// discover returns what the provider says about itself, and asks it if that is
// not known yet: a provider that is down keeps no log from starting. After all
// tries failed it is left alone for a while.
func (p *provider) discover(ctx context.Context) (*endpoints, error) {
	p.mu.Lock()
	known, failedAt := p.known, p.failedAt
	p.mu.Unlock()
	if known != nil {
		return known, nil
	}
	if time.Since(failedAt) < discoveryAgain {
		return nil, errAway
	}
	asked := p.flight.DoChan("", func() (any, error) {
		found, err := p.ask(context.WithoutCancel(ctx))
		p.mu.Lock()
		defer p.mu.Unlock()
		if err != nil {
			p.failedAt = time.Now()
			return nil, err
		}
		p.known = found
		return found, nil
	})
	select {
	case answer := <-asked:
		if answer.Err != nil {
			return nil, answer.Err
		}
		return answer.Val.(*endpoints), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask asks the provider, more than once if need be.
func (p *provider) ask(ctx context.Context) (*endpoints, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.Client), providerTimeout)
	defer cancel()
	pause := discoveryPause
	for try := 1; ; try++ {
		found, err := oidc.NewProvider(ctx, p.Issuer)
		if err == nil {
			return p.endpoints(found)
		}
		err = fmt.Errorf("%w: %w", errAway, err)
		if try == discoveryTries {
			return nil, err
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (p *provider) endpoints(found *oidc.Provider) (*endpoints, error) {
	var says struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&says); err != nil {
		return nil, fmt.Errorf("signin: provider %s: %w", p.Issuer, err)
	}
	endpoint := found.Endpoint()
	// Trying which of them it wants would use up a code.
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if p.ClientSecret == "" || says.Methods != nil && !slices.Contains(says.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &endpoints{
		config: &oauth2.Config{
			ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: endpoint,
			RedirectURL: p.redirect, Scopes: append([]string{oidc.ScopeOpenID}, p.Scopes...),
		},
		verifier: found.Verifier(&oidc.Config{ClientID: p.ClientID}),
	}, nil
}

// startProvider sends the browser to the provider.
func (s *Signin) startProvider(w http.ResponseWriter, r *http.Request) {
	if s.provider == nil {
		http.NotFound(w, r)
		return
	}
	if !s.try(w, r, denial.OIDC) {
		return
	}
	at, err := s.provider.discover(r.Context())
	if err != nil {
		s.doors.Log.WarnContext(r.Context(), "provider does not answer", "issuer", s.provider.Issuer, "err", err)
		s.message(w, r, http.StatusServiceUnavailable, awayMessage)
		return
	}
	p, sealed := s.provider.progress.begin(localPath(r.URL.Query().Get("return")))
	s.setCookie(w, s.progressName(), sealed, progressLife)
	http.Redirect(w, r, at.config.AuthCodeURL(p.state, oidc.Nonce(p.nonce), oauth2.S256ChallengeOption(p.verifier)), http.StatusSeeOther)
}

// A providerError says why a sign-in with a provider ended without one.
type providerError struct {
	why    denial.Why // for the event
	answer message
	status int
	err    error // for who runs the log; nil if they can do nothing
}

func (e *providerError) Error() string { return fmt.Sprintf("signin: %s: %v", e.why, e.err) }
func (e *providerError) Unwrap() error { return e.err }

// finishProvider takes the browser back from the provider.
func (s *Signin) finishProvider(w http.ResponseWriter, r *http.Request) {
	if s.provider == nil {
		http.NotFound(w, r)
		return
	}
	if !s.try(w, r, denial.OIDC) {
		return
	}
	var sealed []string
	for _, c := range r.CookiesNamed(s.progressName()) {
		sealed = append(sealed, c.Value)
	}
	s.clearCookie(w, s.progressName())
	came, err := s.provider.finish(r, sealed)
	var refused *providerError
	switch {
	case errors.As(err, &refused):
		if refused.err != nil {
			s.doors.Log.WarnContext(r.Context(), "sign-in with the provider failed", "why", refused.why, "err", refused.err)
		}
		if refused.why == denial.Unknown {
			s.note(r, denial.OIDC, refused.why) // a page of another site may have sent the browser here
		} else {
			s.refused(r, denial.OIDC, refused.why)
		}
		s.message(w, r, refused.status, refused.answer)
	case err != nil:
		s.doors.Log.WarnContext(r.Context(), "provider does not answer", "issuer", s.provider.Issuer, "err", err)
		s.message(w, r, http.StatusServiceUnavailable, awayMessage)
	default:
		session := Session{Reader: came.who, Name: nameOf(came.who.By), Way: denial.OIDC}
		s.begin(w, r, s.sessions.age(), session, event.Credential{Kind: "oidc", ID: came.subject}, came.next)
	}
}

// An arrival is somebody who came back from the provider.
type arrival struct {
	who     *reader.Reader
	subject string // the provider's ID of them
	next    string // where they want to go
}

// finish returns who signed in. An error that is not a *providerError is the
// provider's, not that of whoever tries.
func (p *provider) finish(r *http.Request, sealed []string) (*arrival, error) {
	query := r.URL.Query()
	begun, ok := p.progress.take(sealed, query.Get("state"))
	if !ok {
		return nil, &providerError{denial.Unknown, stateMessage, http.StatusForbidden, nil}
	}
	if iss := query.Get("iss"); iss != "" && iss != p.Issuer {
		return nil, &providerError{denial.Foreign, refusedMessage, http.StatusForbidden, nil}
	}
	if query.Has("error") || query.Get("code") == "" {
		return nil, &providerError{"denied", refusedMessage, http.StatusForbidden, nil}
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(r.Context(), p.Client), providerTimeout)
	defer cancel()
	at, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	claims, err := p.claims(ctx, at, query.Get("code"), begun)
	if err != nil {
		return nil, err
	}
	who, err := p.readerOf(claims)
	if err != nil {
		return nil, err
	}
	return &arrival{who, text(claims["sub"]), begun.next}, nil
}

// claims exchanges a code for what the provider says about who signed in.
func (p *provider) claims(ctx context.Context, at *endpoints, code string, begun *progress) (map[string]any, error) {
	token, err := at.config.Exchange(ctx, code, oauth2.VerifierOption(begun.verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response.StatusCode < http.StatusInternalServerError:
		return nil, &providerError{"code", refusedMessage, http.StatusForbidden, err}
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errAway, err)
	}
	raw, _ := token.Extra("id_token").(string) // "" is no token, which Verify says
	id, err := at.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, &providerError{"token", refusedMessage, http.StatusForbidden, err}
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(begun.nonce)) != 1 {
		return nil, &providerError{"nonce", refusedMessage, http.StatusForbidden, nil}
	}
	var data json.RawMessage
	if err := id.Claims(&data); err != nil {
		return nil, &providerError{"claims", refusedMessage, http.StatusForbidden, err}
	}
	claims, err := decodeClaims(data)
	if err != nil {
		return nil, &providerError{"claims", refusedMessage, http.StatusForbidden, err}
	}
	return claims, nil
}
