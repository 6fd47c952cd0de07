package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// Signature types of c2sp.org/signed-note that keys here may have.
const (
	typeEd25519     = 0x01 // a plain note signature, what Custody signs with
	typeCosignature = 0x04 // Ed25519 with a timestamp, c2sp.org/tlog-cosignature
	typeMLDSA44     = 0x06 // ML-DSA-44 with a timestamp, c2sp.org/tlog-cosignature
)

// timestampBytes is how many bytes of a cosignature say when it was made.
const timestampBytes = 8

// A key is a public key that may sign checkpoints.
type key struct {
	vkey     string // name+hash+base64(type ‖ public)
	kind     byte   // signature type
	public   string // the public key itself, without its type
	verifier note.Verifier
}

// parseKey reads vkey, a verifier key as in c2sp.org/signed-note. Each key has
// exactly one accepted encoding, so that a key can be compared as text.
func parseKey(vkey string) (key, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash, public, found := strings.Cut(rest, "+")
	if !found {
		return key{}, fmt.Errorf("key %q is not of the form name+hash+key", vkey)
	}
	if err := checkKeyName(name); err != nil {
		return key{}, err
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(public)
	if err != nil || len(raw) < 2 {
		return key{}, fmt.Errorf("key %s: its last part is not base64", name)
	}
	if id := fmt.Sprintf("%08x", keyID(name, raw)); id != hash {
		return key{}, fmt.Errorf("key %s: hash is %s, want %s: the key was damaged or edited", name, hash, id)
	}
	k := key{vkey: vkey, kind: raw[0], public: string(raw[1:])}
	k.verifier, err = newVerifier(vkey, raw)
	if err != nil {
		return key{}, fmt.Errorf("key %s: %w", name, err)
	}
	return k, nil
}

func newVerifier(vkey string, raw []byte) (note.Verifier, error) {
	switch raw[0] {
	case typeEd25519:
		if len(raw) != 1+ed25519.PublicKeySize {
			return nil, fmt.Errorf("Ed25519 key of %d bytes, want %d", len(raw)-1, ed25519.PublicKeySize)
		}
		return note.NewVerifier(vkey)
	case typeCosignature, typeMLDSA44:
		v, err := cosignature.NewVerifierForCosignatureV1(vkey)
		if err != nil {
			return nil, err
		}
		return timestamped{v}, nil
	}
	return nil, fmt.Errorf("signature type %d is not supported", raw[0])
}

// keyID returns the key ID of c2sp.org/signed-note. raw is the type and the
// public key.
func keyID(name string, raw []byte) uint32 {
	sum := sha256.Sum256([]byte(name + "\n" + string(raw)))
	return binary.BigEndian.Uint32(sum[:])
}

// checkKeyName says what keeps name from being the name of a key.
func checkKeyName(name string) error {
	if name == "" {
		return errors.New("key without a name")
	}
	if !validKeyName(name) {
		return fmt.Errorf("key name %s has a space, a plus or bytes that are not text", strconv.Quote(name))
	}
	return nil
}

// isCosigner reports whether signatures by k carry a timestamp.
func (k key) isCosigner() bool { return k.kind != typeEd25519 }

// A timestamped verifier refuses signatures without a time, which witnesses
// must not make, and times beyond what the format allows.
type timestamped struct{ note.Verifier }

// Verify implements [note.Verifier].
func (v timestamped) Verify(msg, sig []byte) bool {
	if len(sig) < timestampBytes {
		return false
	}
	seconds := binary.BigEndian.Uint64(sig)
	return seconds != 0 && seconds <= math.MaxInt64 && v.Verifier.Verify(msg, sig)
}
