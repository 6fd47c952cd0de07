package signin

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/reader"
)

// Limits of links.
const (
	linkLife = 15 * time.Minute
	maxLinks = 16 // that nobody used yet; one more makes the oldest worthless
)

// A Link lets whoever opens it first sign in as an administrator and auditor.
type Link struct {
	Path    string // on the console's address; it holds the secret
	Expires time.Time
}

// Link makes a link for by, in whose name its user acts. It is good once. Who
// may ask for one is for the caller to decide.
func (s *Signin) Link(by event.Party) Link {
	secret, expires := newSecret(), time.Now().Add(linkLife)
	s.links.add(outstanding{hash: hashOf(secret), by: by, expires: expires})
	return Link{Path: linkPath + secret, Expires: expires}
}

// links are those nobody used yet.
type links struct {
	mu   sync.Mutex
	list []outstanding // oldest first
}

type outstanding struct {
	hash    [sha256.Size]byte
	by      event.Party
	expires time.Time
}

func (l *links) add(o outstanding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) >= maxLinks {
		l.list = slices.Delete(l.list, 0, 1)
	}
	l.list = append(l.list, o)
}

// take returns for whom a link was made, and makes it worthless.
func (l *links) take(secret string) (by event.Party, ok bool) {
	hash, now := hashOf(secret), time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(o outstanding) bool {
		if !now.Before(o.expires) {
			return true
		}
		if o.hash != hash {
			return false
		}
		by, ok = o.by, true
		return true
	})
	return by, ok
}

// drop makes all links worthless that were made for by.
func (l *links) drop(by event.Party) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(o outstanding) bool { return o.by.Type == by.Type && o.by.ID == by.ID })
}

// linkPage shows a button. Opening the address alone uses nothing up: programs
// do that to show a preview. It looks the same for any secret.
func (s *Signin) linkPage(w http.ResponseWriter, r *http.Request) {
	s.draw(w, r, http.StatusOK, "Sign in", "link.html", nil)
}

func (s *Signin) signinWithLink(w http.ResponseWriter, r *http.Request) {
	if !s.try(w, r, denial.Link) {
		return
	}
	since := s.sessions.age()
	by, ok := s.links.take(r.PathValue("secret"))
	if !ok {
		s.refused(r, denial.Link, denial.Unknown)
		s.message(w, r, http.StatusForbidden, linkMessage)
		return
	}
	who := &reader.Reader{Staff: catalogue.Admin | catalogue.Auditor, By: by}
	s.begin(w, r, since, Session{Reader: who, Name: nameOf(by), Way: denial.Link}, event.Credential{}, "/")
}
