package config_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/config"
)

const goodReaders = `
console:
  public_url: https://audit.example.com
  trusted_forwarders: [10.0.0.0/8]
  frame_ancestors: ["https://registry.example.com", "http://localhost:8080"]
  session_idle: 30m
  session_max: 8h
oidc:
  issuer: https://id.example.com/realms/registry
  client_id: custody
  client_secret_file: secret.txt
  scopes: [profile, groups]
  user_claim: uid
  groups_claim: roles
  groups:
    registry-admins: {roles: [admin, auditor]}
    team-a: {orgs: [org-1]}
viewer_keys:
  - {id: r1, issuer: registry, users: true, public_key: "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="}
  - id: r2
    issuer: registry
    projects: true
    public_key: |
      -----BEGIN PUBLIC KEY-----
      MCowBQYDK2VwAyEAO2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=
      -----END PUBLIC KEY-----
reveal_delay: 72h
`

// readers reads a configuration that has only what is about readers, and checks it.
func readers(text string) (*config.Readers, error) {
	r := new(config.Readers)
	d := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	d.KnownFields(true)
	if err := d.Decode(r); err != nil {
		return nil, err
	}
	return r, r.Check()
}

// What an operator writes is what counts.
func TestReaders(t *testing.T) {
	r, err := readers(goodReaders)
	if err != nil {
		t.Fatal(err)
	}
	admins := r.OIDC.Groups["registry-admins"]
	if got := admins.Staff(); got != catalogue.Admin|catalogue.Auditor {
		t.Errorf("the roles of registry-admins are %v", got)
	}
	if got := time.Duration(r.RevealDelay); got != 72*time.Hour {
		t.Errorf("reveal_delay = %v, want 72h", got)
	}
	var keys []ed25519.PublicKey
	for i := range r.ViewerKeys {
		key, err := r.ViewerKeys[i].Key()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	if !keys[0].Equal(keys[1]) || keys[0][0] != 0x3b {
		t.Errorf("one key in base64 is %x, in PEM %x", keys[0], keys[1])
	}
}

// A mistake is named with its place: what is wrong here lets the wrong people in,
// or nobody.
func TestReadersRefuses(t *testing.T) {
	const ecKey = `"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n"`
	for _, tt := range []struct{ name, old, new, want string }{
		{"unknown key", "client_id", "client", "field client not found"},
		{"public URL without a scheme", "https://audit.example.com", "audit.example.com", "console.public_url"},
		{"public URL with a path", "https://audit.example.com", "https://audit.example.com/log", "console.public_url"},
		{"public URL with a user", "https://audit.example.com", "https://a:b@audit.example.com", "console.public_url"},
		{"plain public URL", "https://audit.example.com", "http://audit.example.com", "hint: https"},
		{"no public URL for the provider", "public_url: https://audit.example.com", `public_url: ""`, "console.public_url: is missing"},
		{"ancestor with a path", "https://registry.example.com", "https://registry.example.com/", "console.frame_ancestors[0]"},
		{"ancestor that is a rule", "https://registry.example.com", "*", "console.frame_ancestors[0]"},
		{"ancestor that ends the rule", "https://registry.example.com", "https://a.example; script-src *", "console.frame_ancestors[0]"},
		{"ancestor with a wildcard", "https://registry.example.com", "https://*.example.com", "console.frame_ancestors[0]"},
		{"no session at all", "session_idle: 30m", "session_idle: 1s", "console.session_idle"},
		{"a session for ever", "session_max: 8h", "session_max: 8000h", "console.session_max"},
		{"idle for longer than there is", "session_idle: 30m", "session_idle: 9h", "longer than session_max"},
		{"plain issuer", "https://id.example.com", "http://id.example.com", "oidc.issuer"},
		{"issuer that is a name", "https://id.example.com/realms/registry", "id", "oidc.issuer"},
		{"no client", "client_id: custody", `client_id: ""`, "oidc.client_id"},
		{"two scopes in one", "[profile, groups]", `["profile groups"]`, "oidc.scopes[0]"},
		{"a role that there is not", "[admin, auditor]", "[admin, root]", `oidc.groups.registry-admins.roles[1]: there is no role "root"`},
		{"a group that means nothing", "{orgs: [org-1]}", "{}", "oidc.groups.team-a.roles"},
		{"an organization without an ID", "[org-1]", `[""]`, "oidc.groups.team-a.orgs[0]"},
		{"a viewer key twice", "id: r2", "id: r1", `viewer_keys[1].id: "r1" is there twice`},
		{"a viewer key for nothing", "users: true, ", "", "viewer_keys[0].users"},
		{"a viewer key of nobody", "issuer: registry, ", "", "viewer_keys[0].issuer"},
		{"a viewer key that is no key", `"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="`, `"secret!"`, "viewer_keys[0].public_key"},
		{"a viewer key that is too short", "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=\"}", `AAAA"}`, "has 3 bytes"},
		{"a viewer key of zeros", `"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="`, strings.Repeat("A", 43), "viewer_keys[0].public_key"},
		{"a viewer key of another kind", `"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="`, ecKey, "want Ed25519"},
		{"a look that nobody hears of", "reveal_delay: 72h", "reveal_delay: 9000h", "reveal_delay"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := strings.Replace(goodReaders, tt.old, tt.new, 1)
			if changed == goodReaders {
				t.Fatal("nothing was changed")
			}
			if _, err := readers(changed); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Check = %v, want %q", err, tt.want)
			}
		})
	}
}
