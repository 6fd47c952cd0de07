package proof

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Limits of a proof.
const (
	MaxExtraBytes = 512 << 10 // 512 KiB, what extra carries, before base64
	MaxPathHashes = 60        // an inclusion path in a tree of MaxTreeSize
	MaxProofBytes = 1 << 20   // 1 MiB, the whole text
)

// proofHeader is the first line of a proof.
const proofHeader = "c2sp.org/tlog-proof@v1\n"

// A Proof is the evidence that a log has an entry at a position: the path from
// the entry up to the root, and the signed root.
type Proof struct {
	Index      int64            // the entry's position in the log, from 0
	Extra      []byte           // what the application adds, not covered by any signature; nil if nothing
	Path       tlog.RecordProof // hashes from the entry's sibling up to the root's child
	Checkpoint []byte           // the signed tree head
}

// FormatProof returns p as c2sp.org/tlog-proof@v1. It fails if p is beyond the
// limits of a proof or its checkpoint is not a signed note.
func FormatProof(p *Proof) ([]byte, error) {
	b := []byte(proofHeader)
	if len(p.Extra) > 0 {
		b = append(b, "extra "...)
		b = base64.StdEncoding.AppendEncode(b, p.Extra)
		b = append(b, '\n')
	}
	b = fmt.Appendf(b, "index %d\n", p.Index)
	b = appendHashes(b, p.Path)
	b = append(b, '\n')
	b = append(b, p.Checkpoint...)
	if _, err := ParseProof(b); err != nil {
		return nil, fmt.Errorf("proof: format: what was given has no form: %w", err)
	}
	return b, nil
}

// ParseProof reads a c2sp.org/tlog-proof@v1. It accepts exactly what
// [FormatProof] returns, and checks the form only: nothing in the result is to
// be believed before [Proof.Check].
func ParseProof(text []byte) (*Proof, error) {
	p, err := parseProof(text)
	if err != nil {
		return nil, fmt.Errorf("proof: parse: %w", err)
	}
	return p, nil
}

func parseProof(text []byte) (*Proof, error) {
	if len(text) > MaxProofBytes {
		return nil, fmt.Errorf("%d bytes, at most %d", len(text), MaxProofBytes)
	}
	rest, found := strings.CutPrefix(string(text), proofHeader)
	if !found {
		return nil, fmt.Errorf("does not start with %q", proofHeader)
	}
	p := new(Proof)
	if strings.HasPrefix(rest, "extra ") {
		var err error
		if p.Extra, rest, err = cutExtra(rest); err != nil {
			return nil, err
		}
	}
	line, rest, found := strings.Cut(rest, "\n")
	number, isIndex := strings.CutPrefix(line, "index ")
	if !found || !isIndex {
		return nil, fmt.Errorf("%s where the index line should be", strconv.Quote(shorten(line)))
	}
	var err error
	if p.Index, err = parseDecimal(number); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	hashes, rest, err := cutHashes(rest, MaxPathHashes)
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	p.Path = hashes
	p.Checkpoint = []byte(rest)
	return p, checkNote(rest)
}

// cutExtra reads the extra line, which text starts with.
func cutExtra(text string) (extra []byte, rest string, err error) {
	line, rest, found := strings.Cut(text, "\n")
	b64 := strings.TrimPrefix(line, "extra ")
	if !found || b64 == "" {
		return nil, "", errors.New("extra line without content")
	}
	if base64.StdEncoding.DecodedLen(len(b64)) > MaxExtraBytes+2 {
		return nil, "", fmt.Errorf("extra of more than %d bytes", MaxExtraBytes)
	}
	// The decoder skips carriage returns.
	extra, err = base64.StdEncoding.Strict().DecodeString(b64)
	if err != nil || strings.Contains(b64, "\r") || len(extra) > MaxExtraBytes {
		return nil, "", fmt.Errorf("extra is not base64 of at most %d bytes", MaxExtraBytes)
	}
	return extra, rest, nil
}

// appendHashes appends hashes as lines of base64.
func appendHashes(b []byte, hashes []tlog.Hash) []byte {
	for _, h := range hashes {
		b = base64.StdEncoding.AppendEncode(b, h[:])
		b = append(b, '\n')
	}
	return b
}

// cutHashes reads lines of one hash each up to an empty line.
func cutHashes(text string, most int) (hashes []tlog.Hash, rest string, err error) {
	for {
		line, rest, found := strings.Cut(text, "\n")
		if !found {
			return nil, "", errors.New("ends without an empty line")
		}
		if line == "" {
			return hashes, rest, nil
		}
		if len(hashes) == most {
			return nil, "", fmt.Errorf("more than %d hashes", most)
		}
		h, err := parseHash(line)
		if err != nil {
			return nil, "", err
		}
		hashes, text = append(hashes, h), rest
	}
}

// checkNote checks the form of a signed checkpoint.
func checkNote(msg string) error {
	text, _, err := splitNote(msg)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if _, err := parseHead(text); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := checkSignatureLines([]byte(msg)); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// Check returns the checkpoint of p if policy believes it and it covers, at
// p.Index, exactly the entry whose leaf hash is leaf, see [tlog.RecordHash].
// Extra is not looked at: the caller made the leaf from it, and that is how it
// is checked.
func (p *Proof) Check(policy *Policy, leaf tlog.Hash) (*Checkpoint, error) {
	c, err := OpenCheckpoint(p.Checkpoint, policy)
	if err != nil {
		return nil, err
	}
	if err := tlog.CheckRecord(p.Path, c.N, c.Hash, p.Index, leaf); err != nil {
		return nil, fmt.Errorf("proof: entry is not record %d of the log of size %d: %w", p.Index, c.N, err)
	}
	return c, nil
}
