package tree

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/proof"
)

// Limits of a log's keys.
const (
	MaxOriginBytes = 255
	MaxKeys        = 8       // that sign at one time; every one is a signature in every receipt
	maxKeyFile     = 1 << 20 // 1 MiB
)

// keysName is the file of a log's keys.
const keysName = "log.keys"

// keysHeader explains the file to whoever opens it.
const keysHeader = `# The signing keys of this log, the current one first. Keep this file secret:
# whoever has it can sign in the log's name. Lines "retired" are public keys
# that signed once and must still be known to check old receipts.
`

// retiredPrefix starts the line of a key that signs no more.
const retiredPrefix = "retired "

// Keys are the keys of a log. All that are not retired sign every checkpoint,
// so that a reader who knows any one of them can check it. Keys never changes.
//
// They are kept in a file of lines, the current key first:
//
//	PRIVATE+KEY+custody.example+7a1b4c5d+AXy…   signs
//	PRIVATE+KEY+custody.example+0f9e8d7c+AQb…   signs too, while readers change over
//	retired custody.example+11223344+Abc…       signed once
type Keys struct {
	signing []signingKey // the current one first
	retired []string     // verifier keys
}

type signingKey struct {
	skey   string // PRIVATE+KEY+name+hash+seed
	vkey   string
	signer note.Signer
}

// CheckOrigin says what keeps origin from being the name of a log: it stands
// in every checkpoint and should be its address without the scheme, such as
// "audit.example.com/log".
func CheckOrigin(origin string) error {
	bad := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+' }
	switch {
	case origin == "":
		return errors.New("tree: origin is empty")
	case len(origin) > MaxOriginBytes:
		return fmt.Errorf("tree: origin of %d bytes, at most %d", len(origin), MaxOriginBytes)
	case !utf8.ValidString(origin) || strings.ContainsFunc(origin, bad):
		return fmt.Errorf("tree: origin %q has a space, a plus or a control character", origin)
	case strings.Contains(origin, "://"):
		return fmt.Errorf("tree: origin %q has a scheme; want it without", origin)
	case strings.HasSuffix(origin, "/"):
		return fmt.Errorf("tree: origin %q ends in a slash", origin)
	}
	return nil
}

// GenerateKeys returns a fresh key for a new log.
func GenerateKeys(origin string) (*Keys, error) {
	if err := CheckOrigin(origin); err != nil {
		return nil, err
	}
	k, err := generateKey(origin)
	if err != nil {
		return nil, err
	}
	return &Keys{signing: []signingKey{k}}, nil
}

func generateKey(origin string) (signingKey, error) {
	skey, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return signingKey{}, fmt.Errorf("tree: generate key: %w", err)
	}
	return parseSigningKey(skey)
}

// parseSigningKey reads a signer key as in [note.NewSigner]. Its errors never
// repeat the key.
func parseSigningKey(skey string) (signingKey, error) {
	signer, err := note.NewSigner(skey)
	if err != nil {
		return signingKey{}, errors.New("not a signing key, or a damaged one")
	}
	parts := strings.SplitN(skey, "+", 5) // PRIVATE, KEY, name, hash, seed; the seed may have a plus too
	raw, err := base64.StdEncoding.Strict().DecodeString(parts[len(parts)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return signingKey{}, errors.New("not an Ed25519 signing key")
	}
	public, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return signingKey{}, errors.New("not an Ed25519 signing key")
	}
	vkey, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return signingKey{}, err
	}
	return signingKey{skey: skey, vkey: vkey, signer: signer}, nil
}

// LoadKeys reads the keys kept in dir. If there are none the error wraps
// [io/fs.ErrNotExist].
func LoadKeys(dir disk.FS) (*Keys, error) {
	text, err := disk.ReadFile(dir, keysName)
	if err != nil {
		return nil, fmt.Errorf("tree: load keys: %w", err)
	}
	k, err := ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("tree: load keys: %s: %w", keysName, err)
	}
	return k, nil
}

// ParseKeys reads the text that [Keys.Format] returns, with comments and empty
// lines wherever somebody put them.
func ParseKeys(text []byte) (*Keys, error) {
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("%d bytes, at most %d", len(text), maxKeyFile)
	}
	k := new(Keys)
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if vkey, ok := strings.CutPrefix(line, retiredPrefix); ok {
			k.retired = append(k.retired, strings.TrimSpace(vkey))
			continue
		}
		key, err := parseSigningKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		k.signing = append(k.signing, key)
	}
	return k, k.check()
}

// check refuses keys with which a log could not sign.
func (k *Keys) check() error {
	if len(k.signing) == 0 {
		return errors.New("no signing key")
	}
	if len(k.signing) > MaxKeys {
		return fmt.Errorf("%d signing keys, at most %d", len(k.signing), MaxKeys)
	}
	if err := CheckOrigin(k.Origin()); err != nil {
		return err
	}
	for _, vkey := range append(k.Verifiers(), k.retired...) {
		if name, _, _ := strings.Cut(vkey, "+"); name != k.Origin() {
			return fmt.Errorf("keys of two logs, %s and %s", k.Origin(), name)
		}
	}
	_, err := k.Policy() // refuses malformed keys, and one key twice
	return err
}

// Format returns the content of the file of k. It is secret.
func (k *Keys) Format() []byte {
	b := []byte(keysHeader)
	for _, key := range k.signing {
		b = fmt.Appendf(b, "%s\n", key.skey)
	}
	for _, vkey := range k.retired {
		b = fmt.Appendf(b, "%s%s\n", retiredPrefix, vkey)
	}
	return b
}

// Save keeps k in dir, durably, in place of what was there.
func (k *Keys) Save(dir disk.FS) error {
	if err := disk.ReplaceFile(dir, keysName, k.Format()); err != nil {
		return fmt.Errorf("tree: save keys: %w", err)
	}
	return nil
}

// Add returns k with a fresh current key. The others still sign.
func (k *Keys) Add() (*Keys, error) {
	fresh, err := generateKey(k.Origin())
	if err != nil {
		return nil, err
	}
	more := &Keys{signing: append([]signingKey{fresh}, k.signing...), retired: k.retired}
	if err := more.check(); err != nil {
		return nil, fmt.Errorf("tree: add key: %w", err)
	}
	return more, nil
}

// Retire returns k in which the key vkey signs no more. Its private half is
// gone from the result; its public half stays, to check what it signed.
func (k *Keys) Retire(vkey string) (*Keys, error) {
	i := slices.IndexFunc(k.signing, func(key signingKey) bool { return key.vkey == vkey })
	switch {
	case i < 0:
		return nil, fmt.Errorf("tree: retire key: %q does not sign for this log", vkey)
	case len(k.signing) == 1:
		return nil, errors.New("tree: retire key: it is the only one; add another first")
	}
	return &Keys{
		signing: slices.Delete(slices.Clone(k.signing), i, i+1),
		retired: append(slices.Clone(k.retired), vkey),
	}, nil
}

// Origin returns the name of the log, which is the name of each of its keys.
func (k *Keys) Origin() string { return k.signing[0].signer.Name() }

// Signers returns the keys that sign.
func (k *Keys) Signers() []note.Signer {
	list := make([]note.Signer, 0, len(k.signing))
	for _, key := range k.signing {
		list = append(list, key.signer)
	}
	return list
}

// Verifiers returns the public halves of the keys that sign, the current one
// first.
func (k *Keys) Verifiers() []string {
	list := make([]string, 0, len(k.signing))
	for _, key := range k.signing {
		list = append(list, key.vkey)
	}
	return list
}

// Retired returns the public halves of the keys that signed once.
func (k *Keys) Retired() []string { return slices.Clone(k.retired) }

// Policy returns the policy that believes every key this log ever had, and
// asks for no witness.
func (k *Keys) Policy() (*proof.Policy, error) {
	return proof.KeyPolicy(append(k.Verifiers(), k.retired...)...)
}
