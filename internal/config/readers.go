package config

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/catalogue"
)

// Limits of what is said about readers.
const (
	maxFrameAncestors = 32
	maxViewerKeys     = 32
	maxGroups         = 1000
	maxScopes         = 32
	maxNameBytes      = 255 // a claim, a group, an organization, the ID of a key

	minSession     = Duration(time.Minute)
	maxSession     = Duration(7 * 24 * time.Hour)
	maxRevealDelay = Duration(90 * 24 * time.Hour)
)

// Readers says who may look at the log, and how people sign in. The comments are
// the documentation of its keys.
type Readers struct {
	// Console says where people find the console, and how long they stay in.
	Console Console `yaml:"console"`

	// OIDC is the OpenID Connect provider that people sign in with. Without it
	// they sign in with an API key or a link.
	OIDC *OIDC `yaml:"oidc"`

	// ViewerKeys are the public keys of registries that sign viewer tokens.
	ViewerKeys []ViewerKey `yaml:"viewer_keys"`

	// RevealDelay is how long after a look at personal data the person concerned
	// is shown it, for example 72h. Nothing is at once.
	RevealDelay Duration `yaml:"reveal_delay"`
}

// A Console says where people find the console.
type Console struct {
	// PublicURL is the address that people use, for example
	// https://audit.example.com, when a server that speaks TLS stands in front.
	// Without it people sign in on this machine only.
	PublicURL string `yaml:"public_url"`

	// PlainHTTP lets people sign in over a connection that anybody on the way can
	// read. Off unless true.
	PlainHTTP bool `yaml:"plain_http"`

	// TrustedForwarders are networks whose X-Forwarded-For is believed, for
	// example 10.0.0.0/8: those of the server in front.
	TrustedForwarders []netip.Prefix `yaml:"trusted_forwarders"`

	// FrameAncestors are the origins that may embed views, for example
	// https://registry.example.com. Nobody may, unless said here.
	FrameAncestors []string `yaml:"frame_ancestors"`

	// SessionIdle is how long somebody who does nothing stays signed in. Nothing is 1h.
	SessionIdle Duration `yaml:"session_idle"`

	// SessionMax is how long somebody stays signed in at most. Nothing is 12h.
	SessionMax Duration `yaml:"session_max"`
}

// An OIDC is an OpenID Connect provider.
type OIDC struct {
	// Issuer is the provider's address, exactly as it names itself, for example
	// https://id.example.com.
	Issuer string `yaml:"issuer"`

	// ClientID is the name under which the provider knows this log.
	ClientID string `yaml:"client_id"`

	// ClientSecretFile holds the secret that goes with it. Without it the log is
	// a public client, which PKCE protects alone.
	ClientSecretFile string `yaml:"client_secret_file"`

	// Scopes are asked for besides openid. Nothing is profile and email.
	Scopes []string `yaml:"scopes"`

	// UserClaim is the claim that is the user's ID in the registry. Nothing is
	// preferred_username. It must be one that users cannot change.
	UserClaim string `yaml:"user_claim"`

	// GroupsClaim is the claim that lists a user's groups. Nothing is groups.
	GroupsClaim string `yaml:"groups_claim"`

	// Groups says, for each group that counts, what its members are.
	Groups map[string]Group `yaml:"groups"`
}

// A Group says what the members of a group are.
type Group struct {
	Roles []string `yaml:"roles"` // admin, auditor
	Orgs  []string `yaml:"orgs"`  // IDs of organizations of which they are members
}

// A ViewerKey is a public key with which a registry signs viewer tokens.
type ViewerKey struct {
	ID        string `yaml:"id"`         // as in the header kid
	PublicKey string `yaml:"public_key"` // Ed25519: 32 bytes in base64, or PEM
	Issuer    string `yaml:"issuer"`     // as in the claim iss
	Projects  bool   `yaml:"projects"`   // whether it may speak for owners of projects
	Users     bool   `yaml:"users"`      // whether it may speak for users
}

// Check reports the first value that makes no sense, by its key.
func (r *Readers) Check() error {
	if err := r.Console.check(); err != nil {
		return fmt.Errorf("console.%w", err)
	}
	if r.OIDC != nil {
		if err := r.OIDC.check(); err != nil {
			return fmt.Errorf("oidc.%w", err)
		}
		if r.Console.PublicURL == "" {
			return errors.New("console.public_url: is missing: the provider of oidc sends people back to it")
		}
	}
	if len(r.ViewerKeys) > maxViewerKeys {
		return fmt.Errorf("viewer_keys: %d keys, at most %d", len(r.ViewerKeys), maxViewerKeys)
	}
	seen := make(map[string]bool)
	for i := range r.ViewerKeys {
		k := &r.ViewerKeys[i]
		if err := k.check(); err != nil {
			return fmt.Errorf("viewer_keys[%d].%w", i, err)
		}
		if seen[k.ID] {
			return fmt.Errorf("viewer_keys[%d].id: %q is there twice", i, k.ID)
		}
		seen[k.ID] = true
	}
	if r.RevealDelay > maxRevealDelay {
		return fmt.Errorf("reveal_delay: %v is longer than %v", time.Duration(r.RevealDelay), time.Duration(maxRevealDelay))
	}
	return nil
}

func (c *Console) check() error {
	if c.PublicURL != "" {
		u, ok := origin(c.PublicURL)
		if !ok {
			return fmt.Errorf("public_url: %q is not the address of a server, such as https://audit.example.com", c.PublicURL)
		}
		if u.Scheme == "http" && !isThisMachine(u.Hostname()) && !c.PlainHTTP {
			return fmt.Errorf("public_url: %q lets anybody on the way read sessions; hint: https, or plain_http: true if that is meant", c.PublicURL)
		}
	}
	if len(c.FrameAncestors) > maxFrameAncestors {
		return fmt.Errorf("frame_ancestors: %d origins, at most %d", len(c.FrameAncestors), maxFrameAncestors)
	}
	for i, text := range c.FrameAncestors {
		// They go into a header, whose words a stray character would change.
		if u, ok := origin(text); !ok || u.Scheme+"://"+u.Host != text {
			return fmt.Errorf("frame_ancestors[%d]: %q is not an origin, such as https://registry.example.com", i, text)
		}
	}
	for _, d := range []struct {
		key   string
		value Duration
	}{{"session_idle", c.SessionIdle}, {"session_max", c.SessionMax}} {
		if d.value != 0 && (d.value < minSession || d.value > maxSession) {
			return fmt.Errorf("%s: %v is not between %v and %v", d.key, time.Duration(d.value), time.Duration(minSession), time.Duration(maxSession))
		}
	}
	if c.SessionIdle != 0 && c.SessionMax != 0 && c.SessionIdle > c.SessionMax {
		return fmt.Errorf("session_idle: %v is longer than session_max", time.Duration(c.SessionIdle))
	}
	return nil
}

func (o *OIDC) check() error {
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("issuer: %q is not the address of a provider, such as https://id.example.com", o.Issuer)
	case u.Scheme == "http" && !isThisMachine(u.Hostname()):
		return fmt.Errorf("issuer: %q is not https: anybody on the way could sign in as anybody", o.Issuer)
	case o.ClientID == "":
		return errors.New("client_id: is missing")
	case len(o.Scopes) > maxScopes:
		return fmt.Errorf("scopes: %d, at most %d", len(o.Scopes), maxScopes)
	case len(o.Groups) > maxGroups:
		return fmt.Errorf("groups: %d, at most %d", len(o.Groups), maxGroups)
	}
	for i, scope := range o.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \t\r\n\"\\") {
			return fmt.Errorf("scopes[%d]: %q is not one scope", i, scope)
		}
	}
	for _, c := range []struct{ key, value string }{{"user_claim", o.UserClaim}, {"groups_claim", o.GroupsClaim}} {
		if len(c.value) > maxNameBytes {
			return fmt.Errorf("%s: %d bytes, at most %d", c.key, len(c.value), maxNameBytes)
		}
	}
	for name, g := range o.Groups {
		if err := g.check(); err != nil {
			return fmt.Errorf("groups.%s.%w", name, err)
		}
	}
	return nil
}

func (g *Group) check() error {
	for i, role := range g.Roles {
		if roles[role] == 0 {
			return fmt.Errorf("roles[%d]: there is no role %q; there are admin and auditor", i, role)
		}
	}
	for i, id := range g.Orgs {
		if id == "" || len(id) > maxNameBytes {
			return fmt.Errorf("orgs[%d]: %q is not the ID of an organization", i, id)
		}
	}
	if len(g.Roles)+len(g.Orgs) == 0 {
		return errors.New("roles: are missing, and orgs too: the group would mean nothing")
	}
	return nil
}

var roles = map[string]catalogue.Readers{"admin": catalogue.Admin, "auditor": catalogue.Auditor}

// Staff returns what members of g are by its roles.
func (g *Group) Staff() catalogue.Readers {
	var staff catalogue.Readers
	for _, role := range g.Roles {
		staff |= roles[role]
	}
	return staff
}

func (k *ViewerKey) check() error {
	switch {
	case k.ID == "" || len(k.ID) > maxNameBytes:
		return errors.New("id: is missing, or too long")
	case k.Issuer == "" || len(k.Issuer) > maxNameBytes:
		return errors.New("issuer: is missing, or too long")
	case !k.Projects && !k.Users:
		return errors.New("users: and projects are both false: the key could say nothing")
	}
	if _, err := k.Key(); err != nil {
		return fmt.Errorf("public_key: %w", err)
	}
	return nil
}

// Key returns the public key. It refuses those with which nothing is secret.
func (k *ViewerKey) Key() (ed25519.PublicKey, error) {
	var raw []byte
	text := strings.TrimSpace(k.PublicKey)
	if strings.HasPrefix(text, "-----BEGIN") {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
			return nil, errors.New("is not one PUBLIC KEY in PEM")
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		key, ok := parsed.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("is a %T, want Ed25519", parsed)
		}
		raw = key
	} else {
		var err error
		if raw, err = base64.StdEncoding.DecodeString(text); err != nil {
			if raw, err = base64.RawURLEncoding.DecodeString(text); err != nil {
				return nil, errors.New("is neither base64 nor PEM")
			}
		}
	}
	if len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("has %d bytes, want %d (Ed25519)", len(raw), ed25519.PublicKeySize)
	}
	if slices.Max(raw[1:]) == 0 {
		return nil, errors.New("is a number that anybody can sign for")
	}
	return raw, nil
}

// origin reads the address of a server: http or https, a host, and nothing
// behind it but a slash.
func origin(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Path != "" && u.Path != "/" {
		return nil, false
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Hostname() == "" {
		return nil, false
	}
	for _, c := range []byte(u.Host) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune(".-:[]", rune(c)) {
			return nil, false
		}
	}
	return u, true
}

// isThisMachine reports whether host is a name of the machine that says it.
func isThisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}
