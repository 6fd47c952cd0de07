package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
)

// A sealWriter writes a zip file and puts, in place of its comment, the hash of
// all bytes before it.
type sealWriter struct {
	tally
	held []byte // the last bytes, at most as many as the comment has
}

func newSealWriter(out io.Writer) *sealWriter {
	return &sealWriter{tally: tally{out: out, hash: sha256.New()}}
}

// A seal is the comment of a bundle: this and 64 digits of lower-case hex.
const sealPrefix = "custody bundle 1 sha256 "

const sealBytes = len(sealPrefix) + 2*sha256.Size

// noSeal is a comment as long as a seal.
var noSeal = string(bytes.Repeat([]byte{'-'}, sealBytes))

func (s *sealWriter) Write(b []byte) (int, error) {
	s.held = append(s.held, b...)
	if n := len(s.held) - sealBytes; n > 0 {
		if _, err := s.tally.Write(s.held[:n]); err != nil {
			return 0, err
		}
		s.held = s.held[:copy(s.held, s.held[n:])]
	}
	return len(b), nil
}

// close writes the seal.
func (s *sealWriter) close() error {
	_, err := io.WriteString(s.out, sealOf(s.hash))
	return err
}

func sealOf(h hash.Hash) string { return sealPrefix + hex.EncodeToString(h.Sum(nil)) }
