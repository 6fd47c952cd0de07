package disk

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	fileKeyPrefix = "custody-file-key-v1 "
	fileKeyBytes  = 32
	keyIDBytes    = 8

	// maxFileKeyText bounds the text of a key file, in bytes.
	maxFileKeyText = 64 << 10
)

// fileKeyHeader begins every key file that this program writes.
const fileKeyHeader = `# Custody's file key: whoever has it can read the files it encrypts, and without
# it nobody can. Keep a copy of it, but not beside a copy of the files.
`

// What keys are derived for. Two uses never share a key.
const (
	forKeyID = "custody file key id v1"
	forSpan  = "custody file span v1"
)

// ErrFileKey is wrapped by every error that says that files and the file key do
// not belong together: the key is another one, there is none, or the files are
// not encrypted. The caller should say which key file it was given.
var ErrFileKey = errors.New("the file key does not fit")

// A FileKey encrypts files: see [Encrypt]. Printing one shows its [FileKey.ID].
type FileKey struct {
	secret *[fileKeyBytes]byte // behind a pointer, which is what %d prints
	id     keyID
}

// A keyID names a file key. It is public: it stands in every file.
type keyID [keyIDBytes]byte

func (id keyID) String() string { return hex.EncodeToString(id[:]) }

// GenerateFileKey returns a new random key.
func GenerateFileKey() (*FileKey, error) {
	k := &FileKey{secret: new([fileKeyBytes]byte)}
	if _, err := rand.Read(k.secret[:]); err != nil {
		return nil, fmt.Errorf("disk: generate file key: %w", err)
	}
	return k, k.name()
}

// LoadFileKey reads the text that [FileKey.Format] returns: one line with the
// key, and any number of empty lines and lines that begin with #. Its errors
// never repeat the text. Before it calls, the caller checks that nobody but the
// owner of the file can read it.
func LoadFileKey(text []byte) (*FileKey, error) {
	if len(text) > maxFileKeyText {
		return nil, fmt.Errorf("disk: file key: %d bytes, at most %d", len(text), maxFileKeyText)
	}
	var k *FileKey
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if k != nil {
			return nil, fmt.Errorf("disk: file key: line %d: a second key, want one", i+1)
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(line, fileKeyPrefix))
		if err != nil || len(raw) != fileKeyBytes || !strings.HasPrefix(line, fileKeyPrefix) {
			return nil, fmt.Errorf("disk: file key: line %d: want %q and %d bytes in base64", i+1, fileKeyPrefix, fileKeyBytes)
		}
		k = &FileKey{secret: (*[fileKeyBytes]byte)(raw)}
	}
	if k == nil {
		return nil, errors.New("disk: file key: no line with a key")
	}
	return k, k.name()
}

// Format returns the content of a key file. It is secret.
func (k *FileKey) Format() []byte {
	return fmt.Appendf(nil, "%s# It is called %s.\n%s%s\n",
		fileKeyHeader, k.id, fileKeyPrefix, base64.StdEncoding.EncodeToString(k.secret[:]))
}

// ID returns the key's name, 16 hexadecimal digits. It is public and says
// nothing about the key.
func (k *FileKey) ID() string { return k.id.String() }

// String returns what may be shown of the key.
func (k *FileKey) String() string { return "file key " + k.ID() }

// GoString is String, so that no way of printing shows the secret.
func (k *FileKey) GoString() string { return k.String() }

// name gives the key its ID.
func (k *FileKey) name() error {
	id, err := k.derive(nil, forKeyID, keyIDBytes)
	if err != nil {
		return err
	}
	k.id = keyID(id)
	return nil
}

// derive returns n bytes that are as good as random to whoever lacks the key.
func (k *FileKey) derive(salt []byte, use string, n int) ([]byte, error) {
	b, err := hkdf.Key(sha256.New, k.secret[:], salt, use, n)
	if err != nil {
		return nil, fmt.Errorf("disk: derive from file key %s: %w", k.id, err)
	}
	return b, nil
}
