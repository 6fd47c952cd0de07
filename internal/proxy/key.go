package proxy

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/custody-log/custody/internal/disk"
)

const (
	keyFile  = "fingerprint.key" // who can read it can test whether a secret was seen; nothing more
	keyBytes = 32

	fingerprintDigits = 32 // 128 bits: no two credentials share one by chance
)

// A key makes fingerprints.
type key [keyBytes]byte

// openKey reads the key on fs, or makes one. A new key makes strangers of all
// credentials, so one that cannot be read is an error, not a reason for a new one.
func openKey(fs disk.FS) (k key, err error) {
	exists, err := fs.Exists(keyFile)
	if err != nil {
		return k, err
	}
	if !exists {
		rand.Read(k[:])
		return k, disk.ReplaceFile(fs, keyFile, []byte(hex.EncodeToString(k[:])+"\n"))
	}
	text, err := disk.ReadFile(fs, keyFile)
	if err != nil {
		return k, err
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != keyBytes {
		return k, fmt.Errorf("%s: %w", keyFile, errors.New("want 64 hexadecimal digits"))
	}
	return key(raw), nil
}

// fingerprint returns what stands for secret everywhere, or "" for none.
func (k key) fingerprint(secret string) string {
	if secret == "" {
		return ""
	}
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte(secret))
	return hex.EncodeToString(mac.Sum(nil))[:fingerprintDigits]
}
