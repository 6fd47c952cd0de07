package registry_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// One token is one Secret wherever it stands, and a password is never one: a
// hash of it could be found by trying.
func TestPresentedIn(t *testing.T) {
	basic := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	tests := []struct {
		name   string
		header http.Header
		want   registry.Presented
	}{
		{"nothing", http.Header{}, registry.Presented{Kind: "none"}},
		{"bearer", http.Header{"Authorization": {"Bearer abc"}}, registry.Presented{Kind: "token", Secret: "abc"}},
		{"bearer in any case", http.Header{"Authorization": {"bEARER  abc "}}, registry.Presented{Kind: "token", Secret: "abc"}},
		{"bearer of nothing", http.Header{"Authorization": {"Bearer "}}, registry.Presented{Kind: "none"}},
		{"without a scheme", http.Header{"Authorization": {"abc"}}, registry.Presented{Kind: "token", Secret: "abc"}},
		{"another scheme", http.Header{"Authorization": {"token abc"}}, registry.Presented{Kind: "token", Secret: "abc"}},
		{
			"basic",
			http.Header{"Authorization": {"Basic " + basic("alice:pass:word")}},
			registry.Presented{Kind: "password", User: "alice", Confirm: true},
		},
		{
			"basic without padding",
			http.Header{"Authorization": {"basic " + strings.TrimRight(basic("alice:p"), "=")}},
			registry.Presented{Kind: "password", User: "alice", Confirm: true},
		},
		{"basic that is not", http.Header{"Authorization": {"Basic ???"}}, registry.Presented{Kind: "password"}},
		{
			"a token as a password",
			http.Header{"Authorization": {"Basic " + basic("__token__:abc")}},
			registry.Presented{Kind: "token", Secret: "abc"},
		},
		{
			"a one-time password",
			http.Header{"Authorization": {"Bearer abc"}, "Npm-Otp": {"123456"}},
			registry.Presented{Kind: "token", Secret: "abc", OTP: true},
		},
		{"the other header for it", http.Header{"Otp": {"123456"}}, registry.Presented{Kind: "none", OTP: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := registry.PresentedIn(tt.header); got != tt.want {
				t.Errorf("PresentedIn = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestClaims(t *testing.T) {
	token := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	tests := []struct {
		name, token string
		want        event.OIDC
		ok          bool
	}{
		{
			"one CI system",
			token(`{"iss":"https://a.example","sub":"s","repository":"acme/x","workflow_ref":"w","ref":"r","sha":"h","run_id":"7","environment":"e"}`),
			event.OIDC{Issuer: "https://a.example", Subject: "s", Repository: "acme/x", WorkflowRef: "w", Ref: "r", SHA: "h", RunID: "7", Environment: "e"},
			true,
		},
		{
			"another",
			token(`{"iss":"https://b.example","project_path":"acme/x","ci_config_ref_uri":"w","pipeline_id":"7"}`),
			event.OIDC{Issuer: "https://b.example", Repository: "acme/x", WorkflowRef: "w", RunID: "7"},
			true,
		},
		{"the last of two counts", token(`{"iss":"a","iss":"b"}`), event.OIDC{Issuer: "b"}, true},
		{"claims that are no text", token(`{"iss":["a"],"sub":7}`), event.OIDC{}, true},
		{"not JSON", token(`{"iss"`), event.OIDC{}, false},
		{"no object", token(`["a"]`), event.OIDC{}, false},
		{"two parts", "a.b", event.OIDC{}, false},
		{"padding", "e30.e30=.c2ln", event.OIDC{}, false},
		{"too long", token(`"` + strings.Repeat("a", 16<<10) + `"`), event.OIDC{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := registry.Claims(tt.token)
			if got != tt.want || ok != tt.ok {
				t.Errorf("Claims = %+v, %v, want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// What a registry says went wrong may repeat what it was sent.
func TestScrub(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"plain", "bad username/password, access denied", "bad username/password, access denied"},
		{"package and version", "cannot publish over @scope/name@1.2.3", "cannot publish over @scope/name@1.2.3"},
		{"a known secret", "password 'hunter2!' is wrong", "password '[hidden]' is wrong"},
		{"a token", "token npm_abcdefghijkl is not valid", "token [hidden] is not valid"},
		{"any long run", "invalid 0123456789abcdef0123456789abcdef", "invalid [hidden]"},
		{"a signed token", "bad eyJhbGci.eyJpc3Mi.c2ln", "bad [hidden]"},
		{"a one-time password", "code 123456 was used", "code [hidden] was used"},
		{"an address", "alice@example.com may not", "[hidden] may not"},
		{"an address in brackets", "user <alice@example.com>: no", "user [hidden] no"},
		{"lines", "a\r\n\tb\x00c", "a b\uFFFDc"},
		{"not UTF-8", "a\xff", "a\uFFFD"},
		{"too long", strings.Repeat("ab ", 200), strings.Repeat("ab ", 65) + "ab…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := registry.Scrub(tt.text, "hunter2!", "", "a"); got != tt.want {
				t.Errorf("Scrub(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

// Two different names must not look the same.
func TestClean(t *testing.T) {
	long := strings.Repeat("é", 200)
	for _, name := range []string{"al\u200bice", "\u202ealice", " alice", "alice\x01", long, long + "x"} {
		got := registry.Clean(name, 256)
		unseen := strings.ContainsFunc(got, func(r rune) bool { return unicode.Is(unicode.Cf, r) || unicode.IsControl(r) })
		if unseen || got == "alice" || len(got) > 256 || got == strings.Repeat("é", 128) {
			t.Errorf("Clean(%q) = %q", name, got)
		}
	}
}
