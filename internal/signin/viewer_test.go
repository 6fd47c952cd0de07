package signin_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/signin"
)

var (
	registryKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("r", 32)))
	projectsKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("p", 32)))
	strangerKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", 32)))
)

func viewers(s *signin.Settings) {
	s.Viewers = []signin.ViewerKey{
		{ID: "r1", Key: registryKey.Public().(ed25519.PublicKey), Issuer: "registry", Users: true, Projects: true},
		{ID: "p1", Key: projectsKey.Public().(ed25519.PublicKey), Issuer: "registry", Projects: true},
	}
}

type claims = map[string]any

// good returns the header and claims of a token that is valid now, with changes.
// A claim that is nil is left out.
func good(changes claims) (header, body claims) {
	now := time.Now().Unix()
	header = claims{"alg": "EdDSA", "typ": "custody-viewer+jwt", "kid": "r1"}
	body = claims{
		"iss": "registry", "aud": "audit.example.com/log", "iat": now, "exp": now + 300, "jti": "1", "user": "user-alice",
	}
	for name, value := range changes {
		where := body
		if name == "alg" || name == "typ" || name == "kid" || name == "crit" || name == "jwk" {
			where = header
		}
		where[name] = value
		if value == nil {
			delete(where, name)
		}
	}
	return header, body
}

// sign returns a token that key signed, whatever its header says.
func sign(key ed25519.PrivateKey, header, body any) string {
	text := segment(header) + "." + segment(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(text)))
}

func segment(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// A registry's word makes its bearer the user, or an owner of the project, that
// it names, and nothing more.
func TestViewerTokens(t *testing.T) {
	project := claims{"type": "project", "id": "pkg:npm/demo-http"}
	for _, tt := range []struct {
		name    string
		key     ed25519.PrivateKey
		changes claims
		want    *reader.Reader
	}{
		{"user", registryKey, nil, &reader.Reader{
			Self: "user-alice", By: event.Party{Type: "user", ID: "user-alice"},
		}},
		{"owner", projectsKey, claims{"kid": "p1", "user": nil, "project": project}, &reader.Reader{
			Projects: []reader.Ref{{Type: "project", ID: "pkg:npm/demo-http"}},
			By:       event.Party{Type: "service", ID: "p1", Name: "registry"},
		}},
		{"a list of one audience", registryKey, claims{"aud": []string{"audit.example.com/log"}}, &reader.Reader{
			Self: "user-alice", By: event.Party{Type: "user", ID: "user-alice"},
		}},
		{"a clock a little ahead", registryKey, claims{"iat": time.Now().Unix() + 20, "nbf": time.Now().Unix() + 20}, &reader.Reader{
			Self: "user-alice", By: event.Party{Type: "user", ID: "user-alice"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, viewers)
			header, body := good(tt.changes)
			who, err := h.Viewer(httptest.NewRequest("GET", "/", nil), sign(tt.key, header, body))
			if diff := cmp.Diff(tt.want, who); err != nil || diff != "" {
				t.Errorf("Viewer: %v %s", err, diff)
			}
		})
	}
}

// What is wrong with a token is written down, and not said: the answer is the
// same for all.
func TestViewerTokensRefused(t *testing.T) {
	now := time.Now().Unix()
	project := claims{"type": "project", "id": "pkg:npm/demo-http"}
	signed := func(key ed25519.PrivateKey, changes claims) string {
		header, body := good(changes)
		return sign(key, header, body)
	}
	mine := func(changes claims) string { return signed(registryKey, changes) }
	whole := mine(nil)
	head, tail, _ := strings.Cut(whole, ".")
	for _, tt := range []struct{ name, token, why string }{
		{"nothing", "", "unknown"},
		{"garbage", "garbage", "unknown"},
		{"two dots", "..", "forged"},
		{"four parts", whole + ".a", "unknown"},
		{"zeros", "\x00.\x00.\x00", "unknown"},
		{"huge", mine(claims{"user": strings.Repeat("a", 5000)}), "unknown"},
		{"JSON", `{"payload":"e30","signatures":[]}`, "unknown"},

		{"alg none", unsigned(mine(claims{"alg": "none"})), "forged"},
		{"alg none, with a signature", mine(claims{"alg": "none"}), "forged"},
		{"HS256 with the public key", hs256(claims{"alg": "HS256"}), "forged"},
		{"EdDSA in name, HMAC in fact", hs256(nil), "forged"},
		{"RS256", rs256(t), "forged"},
		{"Ed25519 by its new name", mine(claims{"alg": "Ed25519"}), "forged"},
		{"lower case", mine(claims{"alg": "eddsa"}), "forged"},
		{"no typ", mine(claims{"typ": nil}), "forged"},
		{"typ of another token", mine(claims{"typ": "JWT"}), "forged"},
		{"typ that is no text", mine(claims{"typ": []string{"custody-viewer+jwt"}}), "forged"},
		{"unknown extension", mine(claims{"crit": []string{"exp"}}), "forged"},
		{"own key in the header", signed(strangerKey, claims{"jwk": jose.JSONWebKey{Key: strangerKey.Public()}}), "forged"},

		{"wrong key", signed(strangerKey, nil), "forged"},
		{"key of another ID", mine(claims{"kid": "p1"}), "forged"},
		{"unknown key", mine(claims{"kid": "r2"}), "unknown"},
		{"no key", mine(claims{"kid": nil}), "unknown"},
		{"changed claims", head + "." + strings.Replace(tail, tail[:8], segment(claims{"iss": 1})[:8], 1), "forged"},
		{"no signature", unsigned(whole), "forged"},

		{"expired", mine(claims{"iat": now - 400, "exp": now - 31}), "expired"},
		{"not yet issued", mine(claims{"iat": now + 60, "exp": now + 120}), "expired"},
		{"not yet", mine(claims{"nbf": now + 60}), "expired"},
		{"too long a life", mine(claims{"iat": now, "exp": now + 901}), "expired"},
		{"backwards", mine(claims{"iat": now, "exp": now}), "expired"},
		{"for ever", mine(claims{"exp": 1 << 61}), "expired"},
		{"before time", mine(claims{"iat": -1 << 61}), "expired"},
		{"infinite", mine(claims{"exp": json.RawMessage("1e400")}), "forged"},
		{"no end", mine(claims{"exp": nil}), "forged"},
		{"no beginning", mine(claims{"iat": nil}), "forged"},
		{"no ID", mine(claims{"jti": nil}), "forged"},

		{"foreign audience", mine(claims{"aud": "audit.example.org/log"}), "foreign"},
		{"more audiences", mine(claims{"aud": []string{"audit.example.com/log", "audit.example.org/log"}}), "foreign"},
		{"no audience", mine(claims{"aud": nil}), "foreign"},
		{"another issuer", mine(claims{"iss": "another"}), "foreign"},

		{"both", mine(claims{"project": project}), "scope"},
		{"neither", mine(claims{"user": nil}), "scope"},
		{"empty user", mine(claims{"user": ""}), "scope"},
		{"user with a line break", mine(claims{"user": "a\nb"}), "scope"},
		{"a user as a project", mine(claims{"user": nil, "project": claims{"type": "user", "id": "user-alice"}}), "scope"},
		{"empty project", mine(claims{"user": nil, "project": claims{"type": "project", "id": ""}}), "scope"},
		{"a user, by a key for projects", signed(projectsKey, claims{"kid": "p1"}), "scope"},
		{"user that is no text", mine(claims{"user": 7}), "forged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, viewers)
			who, err := h.Viewer(httptest.NewRequest("GET", "/", nil), tt.token)
			if who != nil || err == nil || err.Error() != signin.ErrToken.Error() || !errors.Is(err, signin.ErrToken) {
				t.Errorf("Viewer = %+v, %v, want ErrToken", who, err)
			}
			if got := h.whys(); !slices.Equal(got, []string{"token " + tt.why}) {
				t.Errorf("written down: %q, want %q", got, tt.why)
			}
		})
	}
}

// unsigned returns a token without its signature.
func unsigned(token string) string { return token[:strings.LastIndex(token, ".")+1] }

// hs256 returns a token signed with the registry's public key as a secret.
func hs256(changes claims) string {
	header, body := good(changes)
	text := segment(header) + "." + segment(body)
	mac := hmac.New(sha256.New, registryKey.Public().(ed25519.PublicKey))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func rs256(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	options := (&jose.SignerOptions{}).WithType("custody-viewer+jwt").WithHeader("kid", "r1")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	_, body := good(nil)
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(data)
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A claim given twice could mean one thing to the registry and another here.
func TestClaimTwice(t *testing.T) {
	h := newHouse(t, viewers)
	header, body := good(claims{"user": nil})
	plain, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	twice := json.RawMessage(strings.Replace(string(plain), "{", `{"user":"user-alice","user":"user-carol",`, 1))
	text := segment(header) + "." + base64.RawURLEncoding.EncodeToString(twice)
	token := text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(registryKey, []byte(text)))
	if who, err := h.Viewer(httptest.NewRequest("GET", "/", nil), token); err == nil {
		t.Errorf("Viewer = %+v, want ErrToken", who)
	}
}

// Forgeries make their network wait; tokens that are merely too old do not, since
// a page stays open for longer than they live. A right one is right from anywhere.
func TestForgedTokensHaveToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, viewers)
		r := httptest.NewRequest("GET", "/", nil)
		now := time.Now().Unix()
		header, body := good(claims{"iat": now - 400, "exp": now - 100})
		old := sign(registryKey, header, body)
		header, body = good(nil)
		right, wrong := sign(registryKey, header, body), sign(strangerKey, header, body)
		for range 50 {
			if _, err := h.Viewer(r, old); !errors.Is(err, signin.ErrToken) {
				t.Fatalf("a token that is too old: %v, want ErrToken", err)
			}
		}
		for range 10 {
			h.Viewer(r, wrong)
		}
		var limit *signin.LimitError
		if _, err := h.Viewer(r, wrong); !errors.As(err, &limit) || limit.Wait != time.Minute {
			t.Errorf("the eleventh forgery: %v, want to wait a minute", err)
		}
		if _, err := h.Viewer(r, right); err != nil {
			t.Errorf("a right token from the same network: %v", err)
		}
	})
}

// Whatever comes as a token, there is an answer, and it is no unless the registry
// signed it.
func FuzzViewer(f *testing.F) {
	header, body := good(nil)
	f.Add(sign(strangerKey, header, body))
	f.Add(hs256(nil))
	for _, typ := range slices.Sorted(maps.Keys(claims{"typ": 1, "kid": 2, "exp": 3, "aud": 4})) {
		header, body := good(claims{typ: nil})
		f.Add(sign(registryKey, header, body))
	}
	f.Add("e30.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		h := newHouse(t, viewers)
		if who, err := h.Viewer(httptest.NewRequest("GET", "/", nil), token); err == nil {
			t.Errorf("%q made %+v of somebody", token, who)
		}
	})
}
