package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/disk"
)

const fileName = "keys.json"

// A storedKey is a key as it stands in the file: one that lets somebody in, with
// Hash, or one that did, with Revoked and RevokedHash.
type storedKey struct {
	Key
	Hash        string    `json:"hash,omitempty"` // hexadecimal SHA-256 of the secret
	Revoked     time.Time `json:"revoked,omitzero"`
	RevokedHash string    `json:"revoked_hash,omitempty"`
}

// Open reads the keys kept on fs.
func Open(fs disk.FS) (*Keys, error) {
	k := &Keys{fs: fs, keys: make(map[string]*storedKey), gone: make(map[string]*storedKey)}
	there, err := fs.Exists(fileName)
	if err != nil || !there {
		return k, err
	}
	data, err := disk.ReadFile(fs, fileName)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	var list []*storedKey
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("auth: %s: %w", fileName, err)
	}
	for i, key := range list {
		if key == nil || key.ID == "" || k.keys[key.ID] != nil || k.gone[key.ID] != nil {
			return nil, fmt.Errorf("auth: %s: key %d is empty or there twice", fileName, i)
		}
		if err := k.add(key); err != nil {
			return nil, fmt.Errorf("auth: %s: key %s: %w", fileName, key.ID, err)
		}
	}
	return k, nil
}

// add takes in a key from the file. A file from before there were readings has
// none, and its keys read everything, as they did.
func (k *Keys) add(key *storedKey) error {
	if !key.Revoked.IsZero() {
		if key.Hash != "" {
			return errors.New("it is revoked, and has a hash that lets in")
		}
		k.gone[key.ID] = key
		return nil
	}
	if key.Reads != nil && len(key.Reads) == 0 {
		return errors.New("it reads as nobody; leave out reads if it shall read everything")
	}
	if err := checkReads(key.Scopes, key.Reads); err != nil {
		return err
	}
	key.Reads = readsOf(key.Scopes, key.Reads)
	k.keys[key.ID] = key
	return nil
}

// save writes the file. k.mu must be held: a second change must not overtake
// this one on its way to the disk.
func (k *Keys) save() error {
	list := slices.AppendSeq(slices.Collect(maps.Values(k.keys)), maps.Values(k.gone))
	slices.SortFunc(list, func(a, b *storedKey) int { return strings.Compare(a.ID, b.ID) })
	data, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	if err := disk.ReplaceFile(k.fs, fileName, data); err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	return nil
}
