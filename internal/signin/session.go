package signin

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/reader"
)

// Limits of sessions.
const (
	maxSessions = 10_000 // one more ends the one that was idle for longest
	maxOfOne    = 100    // of one person or key; one more ends one of theirs
	secretBytes = 32
	maxCookies  = 4 // of one name, which a neighbouring host may have set
)

// Errors of sessions.
var (
	// ErrSession says that a session is over; its owner signs in again.
	ErrSession = errors.New("signin: this session is over")
	// ErrForm says that a form was not made for the session it came with.
	ErrForm = errors.New("signin: the form is not of this session")
)

// A Session is one browser of somebody who signed in.
type Session struct {
	Reader  *reader.Reader // must not be changed
	Name    string         // what to call them
	Way     denial.Way     // how they came in: OIDC, Key, Link
	Created time.Time
	Expires time.Time // whatever they do until then

	hash [sha256.Size]byte // of the cookie
	csrf string
}

// CSRF is what a form of this session has in its field "csrf".
func (s *Session) CSRF() string { return s.csrf }

// CheckForm returns [ErrForm] unless the form of r was made for this session. It
// takes the same time whichever byte is wrong.
func (s *Session) CheckForm(r *http.Request) error {
	if subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(s.csrf)) != 1 {
		return ErrForm
	}
	return nil
}

// newSecret returns 32 random bytes as text.
func newSecret() string {
	var b [secretBytes]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// hashOf returns what is kept of a secret. Looking it up in a map tells nobody
// anything: who tries cannot choose its bytes.
func hashOf(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// sessions are all sessions there are.
type sessions struct {
	idle, max time.Duration

	mu     sync.Mutex
	byHash map[[sha256.Size]byte]*list.Element
	order  list.List // of *kept, the longest idle first
	count  map[owner]int
	ends   int // how often somebody's sessions were ended
}

// A kept is a session and when it was last used.
type kept struct {
	Session
	seen time.Time
}

// An owner is whose sessions are counted and ended together.
type owner struct{ kind, id string }

func ownerOf(p event.Party) owner { return owner{p.Type, p.ID} }

func (k *kept) owner() owner { return ownerOf(k.Reader.By) }

func newSessions(idle, longest time.Duration) *sessions {
	if idle == 0 {
		idle = DefaultIdle
	}
	if longest == 0 {
		longest = DefaultMax
	}
	return &sessions{idle: idle, max: longest, byHash: make(map[[sha256.Size]byte]*list.Element), count: make(map[owner]int)}
}

// age returns what [sessions.add] asks for: it is taken before it is checked who
// somebody is.
func (s *sessions) age() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ends
}

// add makes a session of what, and returns it with the secret for its cookie. It
// refuses if anybody's sessions were ended since: they may be those of what.
func (s *sessions) add(what Session, since int) (session *Session, secret string, ok bool) {
	now := time.Now()
	secret = newSecret()
	what.Created, what.Expires = now, now.Add(s.max)
	what.hash, what.csrf = hashOf(secret), newSecret()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends != since {
		return nil, "", false
	}
	for first := s.order.Front(); first != nil; first = s.order.Front() {
		if s.order.Len() < maxSessions && !s.over(first, now) {
			break
		}
		s.drop(first)
	}
	s.bound(what.Reader.By)
	s.byHash[what.hash] = s.order.PushBack(&kept{what, now})
	s.count[ownerOf(what.Reader.By)]++
	return &what, secret, true
}

// bound makes room for one more session of by. The caller holds the lock.
func (s *sessions) bound(by event.Party) {
	if s.count[ownerOf(by)] < maxOfOne {
		return
	}
	for at := s.order.Front(); at != nil; at = at.Next() {
		if at.Value.(*kept).owner() == ownerOf(by) {
			s.drop(at)
			return
		}
	}
}

// find returns the session with a secret. If it is used, its idle time begins anew.
func (s *sessions) find(secret string, used bool) (*Session, bool) {
	hash, now := hashOf(secret), time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.byHash[hash]
	if !ok {
		return nil, false
	}
	if s.over(at, now) {
		s.drop(at)
		return nil, false
	}
	k := at.Value.(*kept)
	if used {
		k.seen = now
		s.order.MoveToBack(at)
	}
	found := k.Session
	return &found, subtle.ConstantTimeCompare(found.hash[:], hash[:]) == 1
}

// end ends a session, if there is one.
func (s *sessions) end(hash [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.byHash[hash]; ok {
		s.drop(at)
	}
}

// endOf ends and returns all sessions of by.
func (s *sessions) endOf(by event.Party) []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends++
	var ended []*Session
	for at := s.order.Front(); at != nil; {
		next := at.Next()
		if k := at.Value.(*kept); k.owner() == ownerOf(by) {
			ended = append(ended, &k.Session)
			s.drop(at)
		}
		at = next
	}
	return ended
}

// over reports whether a session is too old. The caller holds the lock.
func (s *sessions) over(at *list.Element, now time.Time) bool {
	k := at.Value.(*kept)
	return now.Sub(k.seen) >= s.idle || !now.Before(k.Expires)
}

// drop forgets a session. The caller holds the lock.
func (s *sessions) drop(at *list.Element) {
	k := at.Value.(*kept)
	delete(s.byHash, k.hash)
	if s.count[k.owner()]--; s.count[k.owner()] == 0 {
		delete(s.count, k.owner())
	}
	s.order.Remove(at)
}
