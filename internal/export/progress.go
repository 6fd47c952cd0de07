package export

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"

	"github.com/custody-log/custody/internal/disk"
)

// progressVersion is the version of the form of progress files.
const progressVersion = 1

// maxCursorBytes bounds a caller's cursor.
const maxCursorBytes = 4 << 10 // 4 KiB

// A progress is what a [Set] that is resumed goes on from.
type progress struct {
	FormatVersion int    `json:"custody_export_progress"`
	Format        Format `json:"format"`
	Meta          Meta   `json:"meta"`
	Cursor        string `json:"cursor"`         // the caller's: where to go on
	Last          *place `json:"last,omitempty"` // the last row before it
	Files         []File `json:"files,omitempty"`

	// Open is what is durable of the file that grows, and Hash the state of
	// the SHA-256 of it. Parquet has none: its files cannot be gone on with.
	Open *File  `json:"open,omitempty"`
	Hash []byte `json:"hash,omitempty"`
}

// save makes p durable.
func (p *progress) save(dir disk.FS, name string) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return disk.ReplaceFile(dir, name, append(data, '\n'))
}

// loadProgress reads a progress file. If there is none the error is
// [io/fs.ErrNotExist].
func loadProgress(dir disk.FS, name string, f Format) (*progress, error) {
	data, err := readBounded(dir, name, MaxManifestBytes)
	if err != nil {
		return nil, err
	}
	p := new(progress)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := p.check(f); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// readBounded is [disk.ReadFile] for a file of at most limit bytes.
func readBounded(dir disk.FS, name string, limit int64) ([]byte, error) {
	file, err := dir.OpenRead(name)
	if err != nil {
		return nil, err
	}
	size, err := file.Size()
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s has %d bytes, at most %d", name, size, limit)
	}
	return disk.ReadFile(dir, name)
}

func (p *progress) check(f Format) error {
	switch {
	case p.FormatVersion != progressVersion:
		return fmt.Errorf("version %d; this program knows %d", p.FormatVersion, progressVersion)
	case p.Format != f:
		return fmt.Errorf("it is of an export as %q, not %s", short(string(p.Format)), f)
	case p.Meta.Order != Oldest && p.Meta.Order != Newest:
		return fmt.Errorf("order %q: want oldest or newest", short(string(p.Meta.Order)))
	case len(p.Files) > MaxFiles:
		return fmt.Errorf("%d files, at most %d", len(p.Files), MaxFiles)
	case (p.Open != nil) != (f != Parquet):
		return errors.New("an open file is missing, or one too many")
	}
	if p.Open != nil && (p.Open.Bytes < 0 || p.Open.Bytes > maxFileBytes || p.Open.Rows < 0) {
		return errors.New("the open file has a count out of range")
	}
	_, err := p.hash()
	return err
}

// hash returns the hash of the open file as it was.
func (p *progress) hash() (hash.Hash, error) {
	h := sha256.New()
	if p.Open == nil {
		return h, nil
	}
	state, ok := h.(encoding.BinaryUnmarshaler)
	if !ok {
		return nil, errors.New("this SHA-256 cannot be gone on with")
	}
	if err := state.UnmarshalBinary(p.Hash); err != nil {
		return nil, fmt.Errorf("state of the hash: %w", err)
	}
	// The state ends in the number of bytes that were hashed.
	const countBytes = 8
	if n := binary.BigEndian.Uint64(p.Hash[len(p.Hash)-countBytes:]); n != uint64(p.Open.Bytes) {
		return nil, fmt.Errorf("state of the hash is after %d bytes, the file is at %d", n, p.Open.Bytes)
	}
	return h, nil
}

// hashState returns the state of h.
func hashState(h hash.Hash) ([]byte, error) {
	state, ok := h.(encoding.BinaryMarshaler)
	if !ok {
		return nil, errors.New("this SHA-256 cannot be kept")
	}
	return state.MarshalBinary()
}
