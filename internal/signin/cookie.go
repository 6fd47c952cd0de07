package signin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// secure reports whether browsers reach the console over TLS.
func (s *Signin) secure() bool { return s.public != nil && s.public.Scheme == "https" }

// cookieName returns the name of the session's cookie. One that begins with
// __Host- can be set by nobody but this host, over TLS, for all of it.
func (s *Signin) cookieName() string {
	if s.secure() {
		return "__Host-custody"
	}
	return "custody"
}

// progressName returns the name of the cookie of a sign-in under way.
func (s *Signin) progressName() string { return s.cookieName() + "-signin" }

// setCookie gives the browser a cookie that no script reads, for life, or until
// it is closed if that is 0. Lax lets it come along when a provider sends the
// browser back here, and with no request that changes something.
func (s *Signin) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		Secure: s.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// clearCookie makes the browser forget a cookie.
func (s *Signin) clearCookie(w http.ResponseWriter, name string) {
	s.setCookie(w, name, "", -time.Second)
}

// mayOffer reports whether somebody may type a secret into a page that r asks
// for: over TLS, or on this machine, or where the settings allow all the same.
func (s *Signin) mayOffer(r *http.Request) bool {
	switch {
	case s.settings.PlainHTTP || s.secure():
		return true
	case s.public != nil:
		return isThisMachine(s.public.Hostname())
	}
	// Both: a name that resolves to this machine is not this machine, and a
	// stranger may say localhost.
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		at, err := netip.ParseAddrPort(local.String())
		if err != nil || !at.Addr().Unmap().IsLoopback() {
			return false
		}
	}
	return isThisMachine(host)
}

// isThisMachine reports whether host is a name of the machine that says it.
func isThisMachine(host string) bool {
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}

// offered lets requests pass that [Signin.mayOffer] allows.
func (s *Signin) offered(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.mayOffer(r) {
			s.message(w, r, http.StatusForbidden, plainMessage)
			return
		}
		next(w, r)
	}
}

const maxReturnBytes = 2048

// localPath returns text if it is the address of a page of this log, to which
// somebody may be sent after signing in, and "/" if not. Browsers take \ for /,
// leave out control characters, and take what begins with // for another host.
func localPath(text string) string {
	switch {
	case len(text) > maxReturnBytes || !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//"):
		return "/"
	case strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }):
		return "/"
	case strings.HasPrefix(text, signinPath) || strings.HasPrefix(text, signoutPath):
		return "/" // or signing in would lead to signing in
	}
	return text
}

// sendTo sends the browser to a page of this log. The address is one that
// localPath returned: it is not cleaned, so that a query in it stays as it was.
func sendTo(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}
