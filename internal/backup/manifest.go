package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/internal/disk"
)

const (
	manifestName    = "BACKUP"
	manifestVersion = 1
	partsDir        = "parts"

	// partBytes is how much of a file is one part: what is in memory at a time.
	partBytes = 32 << 20

	// maxManifestBytes bounds BACKUP: some ten million files.
	maxManifestBytes = 2 << 30
)

// A Manifest says what is in a backup. It is the file BACKUP: JSON, and a line
// with the SHA-256 of what stands before it.
type Manifest struct {
	Version int       `json:"version"`
	Created time.Time `json:"created"`

	// Origin, Size and Root are those of the log's last signed checkpoint. Size is
	// -1 if that could not be read, because it is encrypted, or there was none.
	Origin string     `json:"origin,omitempty"`
	Size   int64      `json:"size"`
	Root   *tlog.Hash `json:"root,omitempty"`

	Encrypted bool   `json:"encrypted"` // files are as they were on an encrypted disk
	Keys      bool   `json:"keys"`      // the keys that sign are in it
	Files     []File `json:"files"`     // in the order in which they were copied
}

// A File is a file of the data directory.
type File struct {
	Path  string   `json:"path"` // with slashes
	Bytes int64    `json:"bytes"`
	Parts []string `json:"parts"` // SHA-256 of each part of 32 MiB; the last may be shorter
}

// partSize returns the size of part i.
func (f *File) partSize(i int) int64 { return min(partBytes, f.Bytes-int64(i)*partBytes) }

// Bytes returns the size of all files.
func (m *Manifest) Bytes() (sum int64) {
	for i := range m.Files {
		sum += m.Files[i].Bytes
	}
	return sum
}

// parts returns the size of each part.
func (m *Manifest) parts() map[string]int64 {
	sizes := make(map[string]int64)
	for i := range m.Files {
		f := &m.Files[i]
		for k, part := range f.Parts {
			sizes[part] = f.partSize(k)
		}
	}
	return sizes
}

const trailerPrefix = "sha256 "

// save replaces the manifest in dir.
func (m *Manifest) save(dir disk.FS) error {
	data, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	data = append(data, '\n')
	data = fmt.Appendf(data, "%s%x\n", trailerPrefix, sha256.Sum256(data))
	if err := disk.ReplaceFile(dir, manifestName, data); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// load returns the manifest in dir, or nil if there is none.
func load(dir disk.FS) (*Manifest, error) {
	data, err := readBounded(dir, manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	const trailerBytes = len(trailerPrefix) + 2*sha256.Size + 1
	if len(data) < trailerBytes {
		return nil, errors.New("backup: BACKUP is damaged: it is cut short")
	}
	body, trailer := data[:len(data)-trailerBytes], data[len(data)-trailerBytes:]
	if string(trailer) != fmt.Sprintf("%s%x\n", trailerPrefix, sha256.Sum256(body)) {
		return nil, errors.New("backup: BACKUP is damaged: it does not have its SHA-256")
	}
	m := new(Manifest)
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("backup: BACKUP: %w", err)
	}
	if m.Version != manifestVersion {
		return nil, fmt.Errorf("backup: BACKUP is of version %d; this program knows %d", m.Version, manifestVersion)
	}
	return m, m.check()
}

func readBounded(dir disk.FS, name string) ([]byte, error) {
	r, err := dir.OpenRead(name)
	if err != nil {
		return nil, err
	}
	size, err := r.Size()
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if size > maxManifestBytes {
		return nil, fmt.Errorf("%s has %d bytes, at most %d", name, size, int64(maxManifestBytes))
	}
	return disk.ReadFile(dir, name)
}

// check refuses what no backup can say: paths in it become names of files.
func (m *Manifest) check() error {
	seen := make(map[string]bool)
	for i := range m.Files {
		f := &m.Files[i]
		for name := range strings.SplitSeq(f.Path, "/") {
			if name == "" || name == "." || name == ".." || len(name) > 255 || strings.ContainsAny(name, "\\\x00") {
				return fmt.Errorf("backup: BACKUP: %q is not a path", f.Path)
			}
		}
		if seen[f.Path] || f.Path == lockName {
			return fmt.Errorf("backup: BACKUP: %s cannot be there, or not twice", f.Path)
		}
		seen[f.Path] = true
		if f.Bytes < 0 || int64(len(f.Parts)) != (f.Bytes+partBytes-1)/partBytes {
			return fmt.Errorf("backup: BACKUP: %s has %d bytes in %d parts", f.Path, f.Bytes, len(f.Parts))
		}
		for _, part := range f.Parts {
			if b, err := hex.DecodeString(part); err != nil || len(b) != sha256.Size || strings.ToLower(part) != part {
				return fmt.Errorf("backup: BACKUP: %s: %q is not a SHA-256", f.Path, part)
			}
		}
	}
	return nil
}
