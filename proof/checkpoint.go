// Package proof checks evidence from a log, offline, trusting nothing but the
// log's public keys and the witnesses of a policy.
//
// # Promises
//
//   - A checkpoint is accepted only if a log key of the policy signed it under
//     its own name and enough witnesses cosigned it.
//   - A proof is accepted only if that checkpoint covers exactly that entry at
//     exactly that position.
//   - Every text has one accepted form: a receipt in which any byte was changed
//     is refused, signatures by keys that the policy does not know excepted.
//   - No input makes a check panic, run without end, or take more memory than
//     its stated limit times a small constant.
//
// The formats are those of C2SP: signed-note, tlog-checkpoint,
// tlog-cosignature, tlog-policy and tlog-proof.
package proof

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Limits of a checkpoint.
const (
	MaxCheckpointBytes = 128 << 10 // 128 KiB, text and signatures: room for 25 post-quantum cosignatures
	MaxTreeSize        = 1 << 60   // records; beyond 2^62 the arithmetic of tree libraries overflows
)

// A Checkpoint is a tree head that was checked against a [Policy].
type Checkpoint struct {
	Origin string // which log it is, the name of the log's keys
	tlog.Tree

	// Extension is what follows the first three lines: lines that each end in
	// a newline, or nothing. Custody writes none.
	Extension string

	// Signers are the log keys of the policy that signed, as name+hash.
	Signers []string

	// Cosignatures are those by witnesses of the policy, in its order.
	// Signatures by unknown keys are ignored, as the format demands.
	Cosignatures []Cosignature

	// Witnessed reports whether the cosignatures reach the policy's quorum.
	Witnessed bool
}

// A Cosignature is a witness's word that this is the largest tree it saw.
type Cosignature struct {
	Witness string    // the witness's name in the policy
	Key     string    // its key, as name+hash
	Time    time.Time // when it signed, by its own clock; whole seconds
}

// SignCheckpoint returns tree as a checkpoint signed by all signers, which
// must have one name: the log's origin. To sign two trees of one size that
// differ is what a log must never do; see internal/tree for how that is kept.
func SignCheckpoint(tree tlog.Tree, signers ...note.Signer) ([]byte, error) {
	if len(signers) == 0 {
		return nil, errors.New("proof: sign checkpoint: no key")
	}
	if err := checkTree(tree); err != nil {
		return nil, fmt.Errorf("proof: sign checkpoint: %w", err)
	}
	origin := signers[0].Name()
	for _, s := range signers {
		if s.Name() != origin {
			return nil, fmt.Errorf("proof: sign checkpoint: keys of two logs, %s and %s", origin, s.Name())
		}
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, tree.N, tree.Hash)
	msg, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		return nil, fmt.Errorf("proof: sign checkpoint: %w", err)
	}
	return msg, nil
}

// OpenCheckpoint returns the tree head in msg. It fails unless msg is exactly
// of the form of c2sp.org/tlog-checkpoint, a log key of policy signed it under
// the key's own name as origin, every signature by a key of the policy is
// valid, and the cosignatures reach the policy's quorum.
func OpenCheckpoint(msg []byte, policy *Policy) (*Checkpoint, error) {
	c, err := policy.Check(msg)
	if err != nil {
		return nil, err
	}
	if !c.Witnessed {
		return nil, fmt.Errorf("proof: checkpoint of size %d: %s", c.N, policy.missing(c))
	}
	return c, nil
}

// Check is [OpenCheckpoint] without asking for the quorum: the result says
// which cosignatures count and whether they are enough.
func (p *Policy) Check(msg []byte) (*Checkpoint, error) {
	if len(msg) > MaxCheckpointBytes {
		return nil, fmt.Errorf("proof: checkpoint of %d bytes, at most %d", len(msg), MaxCheckpointBytes)
	}
	if len(p.logs) == 0 {
		return nil, errors.New("proof: checkpoint: the policy names no log, so no checkpoint can satisfy it")
	}
	opened, err := note.Open(msg, p)
	if err != nil {
		return nil, fmt.Errorf("proof: checkpoint: %w", p.explain(err))
	}
	if err := checkSignatureLines(msg); err != nil {
		return nil, fmt.Errorf("proof: checkpoint: %w", err)
	}
	c, err := parseHead(opened.Text)
	if err != nil {
		return nil, fmt.Errorf("proof: checkpoint: %w", err)
	}
	if err := p.attribute(c, opened.Sigs); err != nil {
		return nil, fmt.Errorf("proof: checkpoint: %w", err)
	}
	return c, nil
}

// attribute fills in who signed c. sigs are verified.
func (p *Policy) attribute(c *Checkpoint, sigs []note.Signature) error {
	signed := make(map[keyName]note.Signature, len(sigs))
	for _, s := range sigs {
		signed[keyName{s.Name, s.Hash}] = s
	}
	for _, k := range p.logs {
		name := nameOf(k.verifier)
		if _, ok := signed[name]; ok && name.name == c.Origin {
			c.Signers = append(c.Signers, name.String())
		}
	}
	if len(c.Signers) == 0 {
		return fmt.Errorf("origin is %s, which no log key of the policy that signed it is named", strconv.Quote(c.Origin))
	}
	for _, w := range p.witnesses {
		name := nameOf(w.key.verifier)
		if s, ok := signed[name]; ok {
			c.Cosignatures = append(c.Cosignatures, Cosignature{Witness: w.name, Key: name.String(), Time: timeOf(s)})
		}
	}
	c.Witnessed = p.reached(c)
	return nil
}

// timeOf returns the time in a verified cosignature.
func timeOf(s note.Signature) time.Time {
	raw, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(raw) < 4+timestampBytes {
		panic("proof: time of a signature that was not verified")
	}
	return time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), 0).UTC() // bounded by timestamped.Verify
}

// parseHead reads the text of a checkpoint.
func parseHead(text string) (*Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 {
		return nil, errors.New("fewer than three lines")
	}
	if lines[0] == "" {
		return nil, errors.New("empty origin")
	}
	n, err := parseDecimal(lines[1])
	if err != nil {
		return nil, fmt.Errorf("tree size: %w", err)
	}
	hash, err := parseHash(lines[2])
	if err != nil {
		return nil, fmt.Errorf("root hash: %w", err)
	}
	extension := lines[3]
	if strings.HasPrefix(extension, "\n") || strings.Contains(extension, "\n\n") ||
		extension != "" && !strings.HasSuffix(extension, "\n") {
		return nil, errors.New("empty extension line")
	}
	c := &Checkpoint{Origin: lines[0], Tree: tlog.Tree{N: n, Hash: hash}, Extension: extension}
	return c, checkTree(c.Tree)
}

// checkTree refuses trees that cannot be.
func checkTree(tree tlog.Tree) error {
	if tree.N < 0 || tree.N > MaxTreeSize {
		return fmt.Errorf("tree size %d is not within 0 to %d", tree.N, int64(MaxTreeSize))
	}
	if tree.N == 0 && tree.Hash != sha256.Sum256(nil) {
		return errors.New("root of the empty tree is not the hash of nothing")
	}
	return nil
}

// parseDecimal reads a number that is not negative in its only accepted form.
func parseDecimal(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%s is not a plain decimal number", strconv.Quote(shorten(s)))
	}
	return n, nil
}

// parseHash reads a hash in base64 in its only accepted form.
func parseHash(s string) (tlog.Hash, error) {
	if len(s) != base64.StdEncoding.EncodedLen(tlog.HashSize) {
		return tlog.Hash{}, fmt.Errorf("%s is not a hash in base64", strconv.Quote(shorten(s)))
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != tlog.HashSize {
		return tlog.Hash{}, fmt.Errorf("%s is not a hash in base64", strconv.Quote(shorten(s)))
	}
	return tlog.Hash(raw), nil
}

// checkSignatureLines refuses what [note.Open] lets pass although it was not
// verified: a second signature by the same key, and base64 whose unused bits
// are set. Without it a byte of a signed checkpoint could change unnoticed.
func checkSignatureLines(msg []byte) error {
	_, lines, err := splitNote(string(msg))
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, line := range lines {
		name, b64, _ := strings.Cut(strings.TrimPrefix(line, signaturePrefix), " ")
		raw, err := base64.StdEncoding.Strict().DecodeString(b64)
		if err != nil || len(raw) < 5 {
			return fmt.Errorf("signature by %s is not base64 in its only form", strconv.Quote(shorten(name)))
		}
		signer := name + " " + string(raw[:4])
		if seen[signer] {
			return fmt.Errorf("two signatures by one key of %s", name)
		}
		seen[signer] = true
	}
	return nil
}

// signaturePrefix starts every signature line of a note.
const signaturePrefix = "— "

// splitNote returns the text of a signed note and its signature lines,
// without their newlines. It looks at the form only.
func splitNote(msg string) (text string, lines []string, err error) {
	if len(msg) > MaxCheckpointBytes {
		return "", nil, fmt.Errorf("note of %d bytes, at most %d", len(msg), MaxCheckpointBytes)
	}
	i := strings.LastIndex(msg, "\n\n")
	if i < 0 || !strings.HasSuffix(msg, "\n") || i+2 == len(msg) || !utf8.ValidString(msg) {
		return "", nil, errors.New("not a signed note")
	}
	if strings.ContainsFunc(msg, func(r rune) bool { return r < ' ' && r != '\n' }) {
		return "", nil, errors.New("control character in a signed note")
	}
	lines = strings.Split(strings.TrimSuffix(msg[i+2:], "\n"), "\n")
	for _, line := range lines {
		name, b64, found := strings.Cut(strings.TrimPrefix(line, signaturePrefix), " ")
		if !strings.HasPrefix(line, signaturePrefix) || !found || !validKeyName(name) || b64 == "" {
			return "", nil, fmt.Errorf("%s is not a signature line", strconv.Quote(shorten(line)))
		}
	}
	return msg[:i+1], lines, nil
}

func validKeyName(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.Contains(name, "+") &&
		!strings.ContainsFunc(name, unicode.IsSpace)
}

// shorten bounds what an error message repeats of its input.
func shorten(s string) string {
	const most = 80 // bytes
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
