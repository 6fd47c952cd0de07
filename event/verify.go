package event

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"errors"
	"hash"
)

// ErrCommitment means that a record's fields are not what its commitment
// commits to.
var ErrCommitment = errors.New("event: the fields do not match the commitment")

// Verify recomputes the commitment from the fields and compares.
func (r *Record) Verify() error {
	w := r.memory()
	w.digests = appendCommitmentHead(w.digests[:0], len(r.Fields))
	w.salts.start(&r.Secrets)
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Erased {
			digest := f.Digest()
			w.digests = append(w.digests, digest[:]...)
			continue
		}
		salt := w.salts.at(i, f.Private)
		if f.Explicit {
			*salt = f.Salt()
		}
		w.committed = appendCommitted(w.committed[:0], salt, f.Name, f.Type, f.Value)
		w.appendDigest()
	}
	if sha256.Sum256(w.digests) != r.Commitment {
		return ErrCommitment
	}
	return nil
}

// A verifier is the memory of Verify. It is for one goroutine.
type verifier struct {
	salts     salts
	committed []byte // what the digest of one field is the hash of
	digests   []byte // what the commitment is the hash of

	hash  hash.Hash
	state []byte // of hash
}

func (r *Record) memory() *verifier {
	if r.scratch == nil {
		r.scratch = &verifier{hash: sha256.New()}
	}
	return r.scratch
}

// How SHA-256 pads (FIPS 180-4, 5.1.1), and where crypto/sha256 writes its state.
const (
	blockBytes  = 64
	lengthBytes = 8
	stateHead   = "sha\x03"
	stateBytes  = len(stateHead) + DigestBytes + blockBytes + lengthBytes
)

// appendDigest appends the SHA-256 of what is in committed to digests.
//
// Most fields are one block, of which [sha256.Sum256] takes two thirds of its
// time to pad and to copy. Here the block is padded where it is made; its hash
// is then the state of the function. What that looks like crypto/sha256 keeps
// from version to version, but does not promise: if it is not as known, the
// function itself is asked. A mistake here could do no more than to refuse a
// record, as digests are compared with those of [Sealer.AppendRecord], which
// does not come here.
func (w *verifier) appendDigest() {
	n := len(w.committed)
	padded := append(w.committed, padding[:1+(2*blockBytes-1-lengthBytes-n%blockBytes)%blockBytes]...)
	padded = binary.BigEndian.AppendUint64(padded, uint64(n)*8)
	w.committed = padded
	w.hash.Reset()
	w.hash.Write(padded)
	if state, ok := w.hash.(encoding.BinaryAppender); ok {
		var err error
		w.state, err = state.AppendBinary(w.state[:0])
		if err == nil && len(w.state) == stateBytes && string(w.state[:len(stateHead)]) == stateHead {
			w.digests = append(w.digests, w.state[len(stateHead):len(stateHead)+DigestBytes]...)
			return
		}
	}
	digest := sha256.Sum256(padded[:n])
	w.digests = append(w.digests, digest[:]...)
}

// padding is what follows a message, before its length.
var padding = [blockBytes]byte{0x80}
