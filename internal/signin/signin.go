// Package signin knows who a person is that looks at the log through a browser:
// it lets people in, remembers that they are in, and says what reader they are.
// There are three ways in: an OpenID Connect provider, an API key, and a link
// that the log makes for its first administrator. Beside them stand viewer
// tokens, with which a registry says who looks at a page embedded in its own.
//
// # Promises
//
//   - A session, a link and a sign-in under way are known by 32 random bytes, of
//     which only the SHA-256 is kept, and in memory: a restart signs everybody out.
//   - A link and a sign-in under way are good once and for minutes.
//   - Nobody is signed in unless that was recorded.
//   - After signing in or out a browser is sent nowhere but to a page of this log.
//   - A refusal does not tell what was wrong, and refusals from one network slow
//     down further tries from there, not those from elsewhere.
//   - What strangers can make this package keep is bounded.
//
// No event is read here.
package signin

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/reader"
)

// Defaults of the settings.
const (
	DefaultIdle = time.Hour
	DefaultMax  = 12 * time.Hour
)

const maxFormBytes = 16 << 10 // of anything a form here sends

// Settings say what is offered to whom. The zero value lets people sign in with
// keys and links on this machine.
type Settings struct {
	Origin     string         // of the log: the audience of viewer tokens
	PublicURL  string         // scheme and host that people use; "" if they are on this machine
	PlainHTTP  bool           // whether people may sign in over a connection that others can read
	Forwarders []netip.Prefix // whose X-Forwarded-For is believed
	Idle       time.Duration  // how long a session lives without a request; 0 is [DefaultIdle]
	Max        time.Duration  // how long a session lives at all; 0 is [DefaultMax]
	Provider   *Provider      // nil if there is none
	Viewers    []ViewerKey    // who signs viewer tokens
}

// Doors are the other parts that signing in needs.
type Doors struct {
	Log *slog.Logger

	// Key returns what reader an API key is, or an error if it is none that may
	// look. Nil means that nobody signs in with a key.
	Key func(text string) (*reader.Reader, error)

	// Record records an event about the log.
	Record func(ctx context.Context, e *event.Event) error

	// Denied takes what was refused, to be recorded. Nil: nobody is told.
	Denied func(a denial.Attempt)
}

// A Signin lets people in. Its methods may be called concurrently.
type Signin struct {
	// Limit slows down those who try to sign in. API keys count here, too. What a
	// page of another site can make a browser send does not: it would keep people
	// out who tried nothing.
	Limit *Limiter

	viewing *Limiter // slows down those who come with wrong viewer tokens

	settings Settings
	doors    Doors
	public   *url.URL // PublicURL, or nil
	sessions *sessions
	links    *links
	viewers  *viewers
	provider *provider // nil if there is none
	cross    *http.CrossOriginProtection
	pages    *template.Template
	drawer   Drawer
}

// New returns a Signin. An error says which setting makes no sense.
func New(settings Settings, doors Doors) (*Signin, error) {
	s := &Signin{
		Limit:    new(Limiter),
		viewing:  new(Limiter),
		settings: settings,
		doors:    doors,
		sessions: newSessions(settings.Idle, settings.Max),
		links:    new(links),
		cross:    http.NewCrossOriginProtection(),
		pages:    parsePages(),
		drawer:   plainDrawer{},
	}
	var err error
	if settings.PublicURL != "" {
		if s.public, err = url.Parse(settings.PublicURL); err != nil || s.public.Host == "" {
			return nil, fmt.Errorf("signin: public URL %q: not an address", settings.PublicURL)
		}
		// The server in front may send another Host than the one people see.
		if err := s.cross.AddTrustedOrigin(s.public.Scheme + "://" + s.public.Host); err != nil {
			return nil, fmt.Errorf("signin: public URL %q: %w", settings.PublicURL, err)
		}
	}
	if s.viewers, err = newViewers(settings.Origin, settings.Viewers); err != nil {
		return nil, err
	}
	if settings.Provider != nil {
		if s.public == nil {
			return nil, errors.New("signin: a provider needs the public URL to send people back to")
		}
		s.provider = newProvider(settings.Provider, s.public.Scheme+"://"+s.public.Host+callbackPath)
	}
	s.cross.SetDenyHandler(http.HandlerFunc(s.refuseForeign))
	return s, nil
}

// Draw lets d draw the pages from now on. It is called before the first request.
func (s *Signin) Draw(d Drawer) { s.drawer = d }

// Addresses of the pages.
const (
	signinPath   = "/signin"
	providerPath = "/signin/oidc"
	callbackPath = "/signin/callback"
	linkPath     = "/signin/link/"
	signoutPath  = "/signout"
)

// Handler returns the pages of signing in and out: /signin, /signin/... and
// /signout.
func (s *Signin) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+signinPath, s.signinPage)
	mux.HandleFunc("POST "+signinPath, s.offered(s.signinWithKey))
	mux.HandleFunc("GET "+providerPath, s.offered(s.startProvider))
	mux.HandleFunc("GET "+callbackPath, s.offered(s.finishProvider))
	mux.HandleFunc("GET "+linkPath+"{secret}", s.offered(s.linkPage))
	mux.HandleFunc("POST "+linkPath+"{secret}", s.offered(s.signinWithLink))
	mux.HandleFunc("GET "+signoutPath, s.signoutPage)
	mux.HandleFunc("POST "+signoutPath, s.signout)
	return http.MaxBytesHandler(s.Guard(guardAnswers(mux)), maxFormBytes)
}

// Guard refuses requests that change something and come from a page of another
// origin. It stands before every form of the console; forms of people who are
// signed in are checked with [Session.CheckForm] besides.
func (s *Signin) Guard(next http.Handler) http.Handler { return s.cross.Handler(next) }

// guardAnswers keeps answers out of caches, and addresses, which may hold a
// secret, from other origins.
func guardAnswers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "same-origin") // no-referrer would take the Origin from forms
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// Reader returns what reader the sender of r is by their session cookie. Without
// a session it is the public: the Reader is never nil, the Session is. The error
// is [ErrSession] if there was a cookie, but the session is over, or never was:
// that is on record then. It is called once for a page that somebody asks for.
func (s *Signin) Reader(r *http.Request) (*reader.Reader, *Session, error) {
	who, session, err := s.reader(r, true)
	if err != nil {
		s.note(r, denial.Session, denial.Unknown)
	}
	return who, session, err
}

// Watching is [Signin.Reader] for what a browser asks without its owner, who may
// be away, and for a second look: the session does not count as used, and nothing
// is recorded.
func (s *Signin) Watching(r *http.Request) (*reader.Reader, *Session, error) {
	return s.reader(r, false)
}

func (s *Signin) reader(r *http.Request, used bool) (*reader.Reader, *Session, error) {
	cookies := r.CookiesNamed(s.cookieName())
	for i, c := range cookies {
		if i == maxCookies {
			break
		}
		if session, ok := s.sessions.find(c.Value, used); ok {
			return session.Reader, session, nil
		}
	}
	if len(cookies) > 0 {
		return new(reader.Reader), nil, ErrSession
	}
	return new(reader.Reader), nil, nil
}

// EndSessions ends all sessions of by, for example of an API key that was
// revoked, and says how many there were. Links made in the name of by are
// worthless from then on, and who was let in while it ran begins again.
func (s *Signin) EndSessions(ctx context.Context, by event.Party) int {
	s.links.drop(by)
	ended := s.sessions.endOf(by)
	for _, session := range ended {
		s.recordSignout(ctx, session, "revoked")
	}
	return len(ended)
}
