package console_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/signin"
)

// frames are the origins that may show views of the tests.
var frames = []string{"https://registry.example.com", "https://www.example.com:8443"}

var registryKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("r", 32)))

// embedded returns b with the views for other origins, and a registry that signs
// tokens for them.
func (b *bench) embedded(t *testing.T) *bench {
	t.Helper()
	way, err := signin.New(signin.Settings{
		Origin: "custody.test/log",
		Viewers: []signin.ViewerKey{
			{ID: "r1", Key: registryKey.Public().(ed25519.PublicKey), Issuer: "registry", Users: true, Projects: true},
		},
	}, signin.Doors{
		Log:    slog.New(slog.NewTextHandler(t.Output(), nil)),
		Record: func(context.Context, *event.Event) error { return nil },
		Denied: func(a denial.Attempt) { b.denied = append(b.denied, a) },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.console.Signin = way
	on := *b
	on.handler = b.beside("/embed/", b.console.EmbedHandler(frames))
	return &on
}

// viewerToken returns a token that the registry signs about a user or a project,
// valid for life from now on.
func viewerToken(about map[string]any, life time.Duration) string {
	now := time.Now().Unix()
	claims := map[string]any{"iss": "registry", "aud": "custody.test/log", "iat": now, "exp": now + int64(life/time.Second), "jti": "1"}
	maps.Copy(claims, about)
	text := part(map[string]any{"alg": "EdDSA", "typ": "custody-viewer+jwt", "kid": "r1"}) + "." + part(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(registryKey, []byte(text)))
}

func part(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func userToken(id string) string {
	return viewerToken(map[string]any{"user": id}, 5*time.Minute)
}

func projectToken(id string) string {
	return viewerToken(map[string]any{"project": map[string]any{"type": "project", "id": id}}, 5*time.Minute)
}

// bring sends a token in each of the ways there are.
func bring(t *testing.T, b *bench, path, token string) map[string]*httptest.ResponseRecorder {
	t.Helper()
	public := b.as("")
	bearer := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	bearer.Header.Set("Authorization", "Bearer "+token)
	return map[string]*httptest.ResponseRecorder{
		"address": public.get(path + "?" + url.Values{"token": {token}}.Encode()),
		"form":    public.post(path, url.Values{"token": {token}}),
		"header":  public.send(bearer),
	}
}

// A registry shows somebody their history within its own page: as much as they
// would see here, however the token came, in a frame of the origins in the settings
// and nowhere else; with no cookie, and with no way out but receipts.
func TestEmbeddedViews(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		on := b.embedded(t)
		for _, c := range []struct {
			path, token string
			says, keeps []string
		}{
			{"/embed/user", userToken("user-alice"), []string{
				"The log about alice", "Was this you?", "alice logged in from a device or network not seen before", attacker, newMail, "Who has looked at your data", "History",
			}, []string{"192.0.2.5", "admin-7"}},
			{"/embed/project", projectToken("pkg:npm/demo-http"), []string{
				"The log about demo-http", "Maintainers now", "bobmaintainer", "alice published demo-http 1.3.1", "from NL", "by token", "without a second factor",
			}, []string{attacker, home, "backup", "s-666", "registry security", newMail}},
		} {
			for way, w := range bring(t, on, c.path, c.token) {
				page := w.Body.String()
				if w.Code != http.StatusOK {
					t.Fatalf("%s by %s = %d %s", c.path, way, w.Code, text(page))
				}
				h := w.Header()
				if got := h.Get("Content-Security-Policy"); !strings.HasSuffix(got, "; frame-ancestors https://registry.example.com https://www.example.com:8443") || !strings.HasPrefix(got, "default-src 'none'; ") || strings.Contains(got, "script-src") {
					t.Errorf("%s by %s: the policy is %q", c.path, way, got)
				}
				if h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" || h.Get("Set-Cookie") != "" {
					t.Errorf("%s by %s: headers %v", c.path, way, h)
				}
				if link := regexp.MustCompile(`<a\b|<script|<iframe`).FindString(page); link != "" {
					t.Errorf("%s by %s has a %s", c.path, way, link)
				}
				for _, m := range regexp.MustCompile(`(?:href|src|action|formaction)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
					if !strings.HasPrefix(m[1], "/static/") && !strings.HasPrefix(m[1], "/embed/") || strings.Contains(m[1], "token") {
						t.Errorf("%s by %s leads to %s", c.path, way, m[1])
					}
				}
				if n := strings.Count(page, c.token); n != 1 {
					t.Errorf("%s by %s has the token %d times, want it in one field", c.path, way, n)
				}
				says(t, page, c.says...)
				keeps(t, page, c.keeps...)
				wellFormed(t, c.path, page)
			}
		}
	})
}

// The same as JSON, for the scripts of those origins and of no others.
func TestEmbeddedJSON(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		on := b.embedded(t)
		for path, token := range map[string]string{"/embed/user.json": userToken("user-alice"), "/embed/project.json": projectToken("pkg:npm/demo-http")} {
			for way, w := range bring(t, on, path, token) {
				var got struct {
					About  struct{ Type, ID, Name string }
					Events []struct {
						Seq int64
						Tag string
					}
				}
				if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
					t.Fatalf("%s by %s = %d, %v: %.300s", path, way, w.Code, err, w.Body)
				}
				if got.About.ID == "" || got.About.Name == "" || len(got.Events) < 10 || got.Events[0].Tag == "" {
					t.Errorf("%s by %s = %+v", path, way, got)
				}
				if strings.Contains(path, "project") {
					keeps(t, w.Body.String(), attacker, home, "backup")
				}
			}
			for origin, want := range map[string]string{
				frames[0]: frames[0], frames[1]: frames[1], "https://evil.example": "", "null": "", "https://registry.example.com.evil.example": "", "http://registry.example.com": "", "": "",
			} {
				for _, method := range []string{http.MethodGet, http.MethodOptions} {
					r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
					r.Header.Set("Authorization", "Bearer "+token)
					if origin != "" {
						r.Header.Set("Origin", origin)
					}
					w := on.as("").send(r)
					if got := w.Header().Get("Access-Control-Allow-Origin"); got != want || w.Header().Get("Vary") != "Origin" {
						t.Errorf("%s %s from %q allows %q, want %q", method, path, origin, got, want)
					}
					if got := w.Header().Get("Access-Control-Allow-Headers"); (got == "Authorization") != (method == http.MethodOptions && want != "") {
						t.Errorf("%s %s from %q allows the headers %q", method, path, origin, got)
					}
					if w.Header().Get("Access-Control-Allow-Credentials") != "" {
						t.Errorf("%s %s allows cookies", method, path)
					}
				}
			}
		}
	})
}

// A token that is wrong, old, forged or for something else gets the same few words
// whatever was asked for and whether it is there.
func TestEmbeddedRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		on := b.embedded(t)
		good := userToken("user-alice")
		old := viewerToken(map[string]any{"user": "user-alice", "iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(-50 * time.Minute).Unix()}, 0)
		forged := good[:len(good)-4] + "AAAA"
		first := make(map[string]string)
		for _, c := range []struct {
			name, path, token string
			status            int
		}{
			{"none", "/embed/user", "", 401},
			{"not a token", "/embed/user", "x", 401},
			{"old", "/embed/user", old, 401},
			{"forged", "/embed/user", forged, 401},
			{"forged, for a project", "/embed/project", forged, 401},
			{"about a user", "/embed/project", good, 403},
			{"about a project", "/embed/user", projectToken("pkg:npm/demo-http"), 403},
			{"about a project that is not there", "/embed/user", projectToken("pkg:npm/nothing"), 403},
			{"about nobody", "/embed/user", userToken("user-nobody"), 404},
			{"about no project", "/embed/project", projectToken("pkg:npm/nothing"), 404},
		} {
			for _, suffix := range []string{"", ".json"} {
				w := on.as("").post(c.path+suffix, url.Values{"token": {c.token}})
				if w.Code != c.status {
					t.Errorf("%s%s: %s = %d, want %d", c.path, suffix, c.name, w.Code, c.status)
				}
				key := http.StatusText(c.status) + suffix
				if first[key] == "" {
					first[key] = w.Body.String()
				}
				if w.Body.String() != first[key] {
					t.Errorf("%s%s: %s is answered unlike others: %s", c.path, suffix, c.name, text(w.Body.String()))
				}
				if (w.Header().Get("WWW-Authenticate") != "") != (c.status == 401) {
					t.Errorf("%s: WWW-Authenticate is %q", c.name, w.Header().Get("WWW-Authenticate"))
				}
			}
		}
		for range 20 {
			on.as("").post("/embed/user", url.Values{"token": {"x"}})
		}
		if w := on.as("").post("/embed/user", url.Values{"token": {"x"}}); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
			t.Errorf("after twenty wrong tokens = %d", w.Code)
		}
		if w := on.as("").post("/embed/user", url.Values{"token": {good}}); w.Code != http.StatusOK {
			t.Errorf("a good token after them = %d", w.Code)
		}
	})
}

// A token that is valid and speaks of something else is on record, as wrong ones
// are.
func TestEmbeddedRefusalsAreOnRecord(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		on := b.embedded(t)
		for _, c := range []struct {
			path, token string
			want        []denial.Why
		}{
			{"/embed/user", userToken("user-alice"), nil},
			{"/embed/user", "x", []denial.Why{denial.Unknown}},
			{"/embed/project", userToken("user-alice"), []denial.Why{denial.Scope}},
			{"/embed/user.json", projectToken("pkg:npm/demo-http"), []denial.Why{denial.Scope}},
		} {
			b.denied = nil
			on.as("").post(c.path, url.Values{"token": {c.token}})
			var got []denial.Why
			for _, a := range b.denied {
				if got = append(got, a.Why); a.Way != denial.Token || a.Signin {
					t.Errorf("%s: on record is %+v, want a token", c.path, a)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: on record is %v, want %v", c.path, got, c.want)
			}
		}
	})
}

// A receipt is given to the bearer of a token for what they see, and a session of
// somebody else in the same browser changes nothing.
func TestEmbeddedReceipts(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin := b.as("admin")
		on := b.embedded(t)
		for _, c := range []struct {
			name, token, seq string
			status           int
		}{
			{"their own sign-in", userToken("user-alice"), "14", 200},
			{"somebody else's", userToken("user-bob"), "14", 404},
			{"nothing", userToken("user-alice"), "9999", 404},
			{"no position", userToken("user-alice"), "x", 404},
			{"a release", projectToken("pkg:npm/demo-http"), "19", 200},
			{"no token", "", "19", 401},
		} {
			for _, u := range []*browser{on.as(""), {bench: on, cookies: admin.cookies}} {
				w := u.post("/embed/receipt", url.Values{"token": {c.token}, "seq": {c.seq}})
				if w.Code != c.status {
					t.Errorf("%s = %d, want %d", c.name, w.Code, c.status)
				}
				if c.status == http.StatusOK && !strings.HasPrefix(w.Body.String(), "c2sp.org/tlog-proof@v1\n") {
					t.Errorf("%s is no receipt: %.100s", c.name, w.Body)
				}
			}
		}
	})
}

// A view of a long history goes on where it ended, with the same token.
func TestEmbeddedPages(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		on := b.embedded(t)
		for i := range 60 {
			b.record(strings.ReplaceAll(`{"id":"more-N","tag":"project:create","time":"2025-01-01T00:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"project","id":"p-N","name":"p-N"}]}`, "N", strconv.Itoa(i)))
		}
		token := userToken("user-alice")
		page := on.as("").post("/embed/user", url.Values{"token": {token}}).Body.String()
		m := regexp.MustCompile(`formaction="(/embed/user)" name="after" value="([^"]+)"`).FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("no way on: %s", text(page))
		}
		w := on.as("").post(m[1], url.Values{"token": {token}, "after": {m[2]}})
		if w.Code != http.StatusOK || !strings.Contains(text(w.Body.String()), "created the project p-0 ") {
			t.Errorf("the next page = %d %s", w.Code, text(w.Body.String()))
		}
		if w := on.as("").post("/embed/user", url.Values{"token": {token}, "after": {"x"}}); w.Code != http.StatusBadRequest {
			t.Errorf("a place that is none = %d", w.Code)
		}
	})
}

// Without origins in the settings nobody shows a view in a frame.
func TestEmbeddedNowhere(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		b.embedded(t)
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/embed/user", http.NoBody)
		b.console.EmbedHandler(nil).ServeHTTP(w, r)
		if got := w.Header().Get("Content-Security-Policy"); !strings.HasSuffix(got, "frame-ancestors 'none'") {
			t.Errorf("the policy is %q", got)
		}
	})
}
