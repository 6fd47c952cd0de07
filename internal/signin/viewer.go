package signin

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/reader"
)

// ViewerType is the header typ of a viewer token: no token made for something
// else has it.
const ViewerType = "custody-viewer+jwt"

// Limits of viewer tokens.
const (
	maxTokenBytes = 4 << 10
	maxViewerLife = 15 * time.Minute // from iat to exp
	viewerLeeway  = 30 * time.Second // by which clocks may differ
	maxDate       = 1 << 40          // seconds; beyond, arithmetic could wrap
)

// ErrToken says that a viewer token is not one, or is none for now, for here, or
// of anybody known. It does not say which: the log about the log does.
var ErrToken = errors.New("signin: the viewer token is not valid")

// A ViewerKey is a key with which a registry signs viewer tokens.
type ViewerKey struct {
	ID       string // the header kid
	Key      ed25519.PublicKey
	Issuer   string // the claim iss
	Projects bool   // whether it may speak for owners of projects
	Users    bool   // whether it may speak for users
}

// viewers knows who signs viewer tokens for a log.
type viewers struct {
	origin string
	keys   map[string]ViewerKey // by ID
}

func newViewers(origin string, keys []ViewerKey) (*viewers, error) {
	v := &viewers{origin: origin, keys: make(map[string]ViewerKey)}
	for _, k := range keys {
		if _, twice := v.keys[k.ID]; twice || k.ID == "" || k.Issuer == "" || len(k.Key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("signin: viewer key %q: not a key with an issuer, or there twice", k.ID)
		}
		v.keys[k.ID] = k
	}
	if len(keys) > 0 && origin == "" {
		return nil, errors.New("signin: viewer tokens need the origin of the log")
	}
	return v, nil
}

// viewerClaims are the claims of a viewer token.
type viewerClaims struct {
	jwt.Claims
	User    *string `json:"user"`
	Project *struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	} `json:"project"`
}

// A tokenError says, for the event, why a token was refused.
type tokenError denial.Why

func (e tokenError) Error() string { return "signin: viewer token: " + string(e) }

// Why a token is refused.
const (
	errNoToken = tokenError(denial.Unknown) // it is none, or of a key that nobody knows
	errForged  = tokenError(denial.Forged)  // of another algorithm or kind, or not signed by its key
	errExpired = tokenError(denial.Expired) // or not valid yet, or for too long
	errForeign = tokenError(denial.Foreign) // for another log, or by another issuer
	errScope   = tokenError(denial.Scope)   // it says what its key may not say, or nothing
)

// Viewer returns what reader the bearer of a viewer token is, which came with r.
// The error is [ErrToken], or a [*LimitError].
//
// A valid token lets in wherever it comes from: all of a registry's readers may
// come from one address, and no signature is found by trying. One that is merely
// too old does not count against anybody, since pages stay open. Wrong tokens make
// wait for tokens only.
func (s *Signin) Viewer(r *http.Request, token string) (*reader.Reader, error) {
	who, err := s.viewers.check(token, time.Now())
	if err == nil {
		return who, nil
	}
	if wait, ok := s.viewing.Allow(s.Address(r)); !ok {
		s.note(r, denial.Token, denial.Limited)
		return nil, &LimitError{Wait: wait}
	}
	why, _ := errors.AsType[tokenError](err)
	if why != errExpired {
		s.viewing.Failed(s.Address(r))
	}
	s.note(r, denial.Token, denial.Why(why))
	return nil, ErrToken
}

// OtherView has it recorded that r came with a viewer token that is valid, and speaks
// of something else than what was asked for.
func (s *Signin) OtherView(r *http.Request) { s.note(r, denial.Token, denial.Scope) }

// check returns what reader the bearer of a token is at a time. The error is a
// tokenError.
func (v *viewers) check(token string, now time.Time) (*reader.Reader, error) {
	if len(token) > maxTokenBytes {
		return nil, errNoToken
	}
	// A key decides by which algorithm it is used, never the token.
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	var algorithm *jose.ErrUnexpectedSignatureAlgorithm
	if errors.As(err, &algorithm) {
		return nil, errForged
	}
	if err != nil || len(parsed.Headers) != 1 {
		return nil, errNoToken
	}
	header := parsed.Headers[0]
	key, known := v.keys[header.KeyID]
	if !known {
		return nil, errNoToken
	}
	var claims viewerClaims
	if header.Algorithm != string(jose.EdDSA) || header.ExtraHeaders[jose.HeaderType] != ViewerType {
		return nil, errForged
	}
	if err := parsed.Claims(key.Key, &claims); err != nil {
		return nil, errForged
	}
	if err := v.judge(&claims, &key, now); err != nil {
		return nil, err
	}
	return claims.reader(&key)
}

// judge says what is wrong with the claims of a token that key signed.
func (v *viewers) judge(c *viewerClaims, key *ViewerKey, now time.Time) error {
	if c.Issuer != key.Issuer || len(c.Audience) != 1 || c.Audience[0] != v.origin {
		return errForeign
	}
	if c.ID == "" || c.Expiry == nil || c.IssuedAt == nil {
		return errForged
	}
	issued, expires, starts := *c.IssuedAt, *c.Expiry, *c.IssuedAt
	if c.NotBefore != nil {
		starts = *c.NotBefore
	}
	for _, date := range []jwt.NumericDate{issued, expires, starts} {
		if date < 0 || date > maxDate {
			return errExpired
		}
	}
	soon, lately := now.Add(viewerLeeway).Unix(), now.Add(-viewerLeeway).Unix()
	life := int64(expires - issued)
	if life <= 0 || life > int64(maxViewerLife/time.Second) ||
		int64(expires) <= lately || int64(issued) > soon || int64(starts) > soon {
		return errExpired
	}
	return nil
}

// reader returns whom a token speaks of.
func (c *viewerClaims) reader(key *ViewerKey) (*reader.Reader, error) {
	switch {
	case (c.User == nil) == (c.Project == nil):
		return nil, errScope
	case c.User != nil:
		id := text(*c.User)
		if !key.Users || id == "" {
			return nil, errScope
		}
		return &reader.Reader{Self: id, By: event.Party{Type: "user", ID: id}}, nil
	}
	id := text(c.Project.ID)
	if !key.Projects || id == "" || c.Project.Type != "project" {
		return nil, errScope
	}
	// Which of the owners looks is not said: the registry that signed answers for it.
	return &reader.Reader{
		Projects: []reader.Ref{{Type: "project", ID: id}},
		By:       event.Party{Type: "service", ID: key.ID, Name: key.Issuer},
	}, nil
}
