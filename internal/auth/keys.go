// Package auth knows the API keys: who may submit, read or administer, and as
// whom a key reads.
//
// # Promises
//
//   - A key's secret is shown once, when the key is made. What is stored is its
//     SHA-256, which suffices: a secret is 32 random bytes, too many to try.
//   - Checking a key takes the same time whichever byte of it is wrong, and
//     whether there is, was or never was a key of that ID.
//   - A key reads as somebody in particular or as everything, never as more than
//     was said when it was made.
//   - A change is durable before it counts.
//
// Who can change the file keys.json can let anybody in; who can only read it
// learns the names of keys and nothing that opens a door.
package auth

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/custody-log/custody/internal/disk"
)

// What a key may do. Admin includes the others.
const (
	Submit = "submit" // record events
	Read   = "read"   // read and search events, as whom the key reads
	Admin  = "admin"  // all that, and manage keys
)

// Scopes are all scopes.
var Scopes = []string{Submit, Read, Admin}

const (
	prefix      = "cst" // so that secret scanners recognise a leaked key
	idBytes     = 6
	secretBytes = 32

	// MaxKeys bounds how many keys a log has.
	MaxKeys = 1000
	// MaxNameBytes bounds the names of keys and sources.
	MaxNameBytes = 100
)

// A Key lets a program in.
type Key struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`   // for people
	Source  string    `json:"source"` // the source of the events it submits
	Scopes  []string  `json:"scopes"`
	Reads   []Reading `json:"reads,omitempty"` // as whom it reads; never empty if it may, and empty if it may not
	Created time.Time `json:"created"`
}

// May reports whether the key has the given scope.
func (k *Key) May(scope string) bool {
	return slices.Contains(k.Scopes, scope) || slices.Contains(k.Scopes, Admin)
}

// Errors of Keys.
var (
	ErrUnknown = errors.New("auth: no such key")
	ErrLast    = errors.New("auth: this is the last key that may administer the log")
	ErrFull    = fmt.Errorf("auth: there are %d keys already", MaxKeys)
)

// Keys are the keys of one log. Its methods may be called concurrently.
type Keys struct {
	fs disk.FS

	mu   sync.RWMutex
	keys map[string]*storedKey // by ID
	gone map[string]*storedKey // those that were revoked, by ID; at most maxRevoked
}

// Empty reports whether there are no keys yet.
func (k *Keys) Empty() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.keys) == 0
}

// List returns all keys, oldest first.
func (k *Keys) List() []Key {
	k.mu.RLock()
	defer k.mu.RUnlock()
	list := make([]Key, 0, len(k.keys))
	for _, key := range k.keys {
		list = append(list, key.Key)
	}
	slices.SortFunc(list, func(a, b Key) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// Has reports whether there is a key of that ID, which was not revoked.
func (k *Keys) Has(id string) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys[id] != nil
}

// nobody is the key that a text is compared with when there is none.
var nobody = &storedKey{Hash: strings.Repeat("0", 2*sha256.Size)}

// Check returns the key that text is, or a [*RefusedError], which is an
// [ErrUnknown].
func (k *Keys) Check(text string) (*Key, error) {
	rest, ok := strings.CutPrefix(text, prefix+"_")
	id, secret, ok2 := strings.Cut(rest, "_")
	if !ok || !ok2 || id == "" || secret == "" {
		return nil, &RefusedError{Why: WhyUnknown}
	}
	k.mu.RLock()
	key := cmp.Or(k.keys[id], k.gone[id], nobody)
	k.mu.RUnlock()
	got, want := hashOf(secret), key.Hash+key.RevokedHash // one of them is empty
	same := subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
	switch {
	case key == nobody:
		return nil, &RefusedError{Why: WhyForeign}
	case !same:
		return nil, &RefusedError{Why: WhyForged, ID: key.ID}
	case !key.Revoked.IsZero():
		return nil, &RefusedError{Why: WhyRevoked, ID: key.ID}
	}
	return &key.Key, nil
}

// A NameError says what is wrong with the name, source, scopes or readings of a
// new key.
type NameError struct{ Reason string }

func (e *NameError) Error() string { return "auth: " + e.Reason }

// Create makes a key and returns its text, which is not kept anywhere. A key
// that may read and is not told as whom reads everything.
func (k *Keys) Create(name, source string, scopes []string, reads ...Reading) (key Key, text string, err error) {
	if err := errors.Join(check(name, source, scopes), checkReads(scopes, reads)); err != nil {
		return Key{}, "", err
	}
	var id [idBytes]byte
	var secret [secretBytes]byte
	rand.Read(id[:])
	rand.Read(secret[:])
	encoded := base64.RawURLEncoding.EncodeToString(secret[:])
	stored := &storedKey{
		Key: Key{
			ID: hex.EncodeToString(id[:]), Name: name, Source: source, Scopes: slices.Clone(scopes),
			Reads: readsOf(scopes, reads), Created: time.Now().UTC(),
		},
		Hash: hashOf(encoded),
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) >= MaxKeys {
		return Key{}, "", ErrFull
	}
	k.keys[stored.ID] = stored
	if err := k.save(); err != nil {
		delete(k.keys, stored.ID)
		return Key{}, "", err
	}
	return stored.Key, prefix + "_" + stored.ID + "_" + encoded, nil
}

// Revoke removes a key for good. It returns [ErrUnknown] if there is none, and
// [ErrLast] rather than locking everybody out.
func (k *Keys) Revoke(id string) (Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.keys[id]
	if !ok {
		return Key{}, ErrUnknown
	}
	admins := 0
	for _, other := range k.keys {
		if other.May(Admin) {
			admins++
		}
	}
	if key.May(Admin) && admins == 1 {
		return Key{}, ErrLast
	}
	before := k.gone
	delete(k.keys, id)
	k.gone = remember(before, key.revoke(time.Now()))
	if err := k.save(); err != nil {
		k.keys[id], k.gone = key, before
		return Key{}, err
	}
	return key.Key, nil
}

func check(name, source string, scopes []string) error {
	for _, s := range []struct{ what, value string }{{"name", name}, {"source", source}} {
		if s.value == "" || len(s.value) > MaxNameBytes {
			return &NameError{fmt.Sprintf("the %s must have 1 to %d bytes", s.what, MaxNameBytes)}
		}
	}
	for i := range len(source) {
		if c := source[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return &NameError{"the source must be made of lower-case letters, digits, -, _ and ."}
		}
	}
	if len(scopes) == 0 {
		return &NameError{"a key needs at least one scope of " + strings.Join(Scopes, ", ")}
	}
	for _, scope := range scopes {
		if !slices.Contains(Scopes, scope) {
			return &NameError{fmt.Sprintf("there is no scope %q; there are %s", scope, strings.Join(Scopes, ", "))}
		}
	}
	return nil
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
