package event

import (
	"crypto/sha256"
	"fmt"
)

// openSecretLabel keeps this use of a log's key apart from any other.
const openSecretLabel = "custody open secret v1"

// maxSourceBytes is the longest name of a source whose length fits its byte.
const maxSourceBytes = 255

// OpenSecret returns the open secret of the event that source sent under id, in
// the log whose key is key:
//
//	SHA-256( "custody open secret v1" ‖ key[16] ‖ u8 len(source) ‖ source ‖ id )[:16]
//
// So it need not be kept. Who does not have the key cannot tell it from a random
// one. It panics when source has more than 255 bytes: what it returns is
// committed to.
func OpenSecret[T string | []byte](key *[SecretBytes]byte, source string, id T) (secret [SecretBytes]byte) {
	if len(source) > maxSourceBytes {
		panic(fmt.Sprintf("event: name of a source of %d bytes", len(source)))
	}
	var room [len(openSecretLabel) + SecretBytes + 1 + maxSourceBytes + MaxIDBytes]byte // a longer ID makes append grow
	b := append(room[:0], openSecretLabel...)
	b = append(b, key[:]...)
	b = append(b, byte(len(source)))
	b = append(b, source...)
	b = append(b, id...)
	sum := sha256.Sum256(b)
	copy(secret[:], sum[:])
	return secret
}
