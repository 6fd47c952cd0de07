package auth

import (
	"maps"
	"slices"
	"time"
)

// A Why says why a key's text lets nobody in.
type Why string

// The reasons. Who sent the text is told none of them.
const (
	WhyUnknown Why = "unknown" // it does not have the form of a key
	WhyForeign Why = "foreign" // it has, but no key here has or lately had its ID
	WhyForged  Why = "forged"  // the ID is that of a key, the secret is not
	WhyRevoked Why = "revoked" // it was a key
)

// A RefusedError is an [ErrUnknown] that knows more. What it knows is for the
// log; its text says nothing of it.
type RefusedError struct {
	Why Why
	ID  string // of the key that it names; "" unless there is or was one
}

func (e *RefusedError) Error() string { return ErrUnknown.Error() }

// Is reports whether target is [ErrUnknown].
func (e *RefusedError) Is(target error) bool { return target == ErrUnknown }

// maxRevoked bounds the revoked keys that are remembered. One that is forgotten
// is refused as before, and no longer called revoked.
const maxRevoked = 1000

// revoke makes key one that is remembered, so that its use can be told from a
// guess: somebody still has it, perhaps who should not. Of the key only its ID
// and hash stay. The hash moves, so that a program that knows nothing of
// revoked keys lets none of them in.
func (key *storedKey) revoke(now time.Time) *storedKey {
	return &storedKey{Key: Key{ID: key.ID, Scopes: []string{}, Created: key.Created}, Revoked: now.UTC(), RevokedHash: key.Hash}
}

// remember returns gone with one key more and, if those are too many, without
// the one that was revoked first. It leaves gone as it is.
func remember(gone map[string]*storedKey, one *storedKey) map[string]*storedKey {
	gone = maps.Clone(gone)
	if len(gone) >= maxRevoked {
		oldest := slices.MinFunc(slices.Collect(maps.Values(gone)), func(a, b *storedKey) int { return a.Revoked.Compare(b.Revoked) })
		delete(gone, oldest.ID)
	}
	gone[one.ID] = one
	return gone
}
