package server

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/api"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/config"
	"github.com/custody-log/custody/internal/console"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/signin"
)

// openPeople gets ready to let people in, and to record who was not. It comes
// after the desk.
func (s *Server) openPeople(context.Context) (err error) {
	s.denials = denial.New(s.cfg.Log, s.recordOwn)
	c := &s.cfg.File.Readers
	settings := signin.Settings{
		Origin: s.signing.Origin(), PublicURL: c.Console.PublicURL, PlainHTTP: c.Console.PlainHTTP,
		Forwarders: c.Console.TrustedForwarders,
		Idle:       time.Duration(c.Console.SessionIdle), Max: time.Duration(c.Console.SessionMax),
		Provider: s.provider(c.OIDC),
	}
	for i := range c.ViewerKeys {
		k := &c.ViewerKeys[i]
		public, err := k.Key()
		if err != nil {
			return err
		}
		settings.Viewers = append(settings.Viewers, signin.ViewerKey{ID: k.ID, Key: public, Issuer: k.Issuer, Projects: k.Projects, Users: k.Users})
	}
	s.signin, err = signin.New(settings, signin.Doors{Log: s.cfg.Log, Key: s.keyReader, Record: s.recordOwn, Denied: s.denials.Note})
	return err
}

// provider returns the provider that c describes, or nil.
func (s *Server) provider(c *config.OIDC) *signin.Provider {
	if c == nil {
		return nil
	}
	p := &signin.Provider{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: s.cfg.ClientSecret, Scopes: c.Scopes,
		UserClaim: c.UserClaim, GroupsClaim: c.GroupsClaim, Groups: make(map[string]signin.Group),
	}
	for name, group := range c.Groups {
		g := signin.Group{Staff: group.Staff()}
		for _, id := range group.Orgs {
			g.Orgs = append(g.Orgs, reader.Ref{Type: "org", ID: id})
		}
		p.Groups[name] = g
	}
	return p
}

// errNoReader means that a key may do other things than look.
var errNoReader = errors.New("server: the key may not read")

// keyReader returns as whom the owner of an API key looks at the console. A key
// that reads everything unmasked does so for programs.
func (s *Server) keyReader(text string) (*reader.Reader, error) {
	key, err := s.keys.Check(text)
	if err != nil {
		return nil, err
	}
	if !key.May(auth.Read) {
		return nil, errNoReader
	}
	who := api.ReaderOf(key)
	who.Clear = false // who signs in is a person, and says why they look
	return who, nil
}

// revoked ends what was begun with a key in the console.
func (s *Server) revoked(ctx context.Context, key *auth.Key) {
	ended := s.signin.EndSessions(ctx, api.ReaderOf(key).By)
	s.cfg.Log.InfoContext(ctx, "a key was revoked", "key", key.ID, "sessions", ended)
}

// recordOwn records an event about the log.
func (s *Server) recordOwn(ctx context.Context, e *event.Event) error {
	_, err := s.desk.Record(ctx, intake.OwnSource, e)
	return err
}

// signinLink makes a link for by, on the address that people use.
func (s *Server) signinLink(by event.Party) (address string, expires time.Time, err error) {
	link := s.signin.Link(by)
	return s.publicURL() + link.Path, link.Expires, nil
}

// publicAddress returns the address that people use, without a slash at its end; "" if
// they are on this machine.
func (s *Server) publicAddress() string {
	return strings.TrimSuffix(s.cfg.File.Readers.Console.PublicURL, "/")
}

func (s *Server) publicURL() string {
	if public := s.publicAddress(); public != "" {
		return public
	}
	return "http://" + s.cfg.Listen.Addr().String()
}

// remote returns where a request comes from.
func (s *Server) remote(r *http.Request) netip.Addr { return s.signin.Address(r) }

// console returns the pages over all parts.
func (s *Server) console() *console.Console {
	return &console.Console{
		Log: s.cfg.Log, Tree: s.tree, Journal: s.journal, Catalogue: s.cfg.Catalogue, Keys: s.tree.Keys, Version: s.cfg.Version,
		Address: s.publicAddress(),
		Room:    s.room, Signin: s.signin, State: s, Frames: s.cfg.File.Readers.Console.FrameAncestors, Stopping: s.stopping,
	}
}
