package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"github.com/custody-log/custody/internal/disk"
)

// manifestName is the file that says which other files there are. It is
// replaced as a whole, so every change of the store happens at one instant.
const manifestName = "manifest.json"

const manifestVersion = 1

// A manifest is what the store knows besides its segments.
type manifest struct {
	Version  int        `json:"version"`
	OpenKey  []byte     `json:"open_key"` // see event.OpenSecret
	Sealed   int64      `json:"sealed"`   // records before it are in segments, or were dropped
	NextFile int64      `json:"next_file"`
	Desk     string     `json:"desk,omitempty"` // file with what the desk knew at Sealed
	Segments []*segInfo `json:"segments"`
}

// A segInfo is what is known of a segment without opening it.
type segInfo struct {
	Family    string `json:"family"` // class of retention
	Main      string `json:"main"`
	Side      string `json:"side,omitempty"`
	Rows      int    `json:"rows"`
	FirstSeq  int64  `json:"first_seq"`
	LastSeq   int64  `json:"last_seq"`
	FirstTime int64  `json:"first_time"` // microseconds since 1970
	EndTime   int64  `json:"end_time"`
	Bytes     int64  `json:"bytes"`
	Skeleton  bool   `json:"skeleton,omitempty"` // the side holds digests only
}

// save replaces the manifest.
func (m *manifest) save(dir disk.FS) error {
	data, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	data = append(data, '\n')
	sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	data = fmt.Appendf(data, "crc32c %08x\n", sum)
	if err := disk.ReplaceFile(dir, manifestName, data); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// trailerBytes is the length of the line with the checksum.
const trailerBytes = len("crc32c 00000000\n")

// loadManifest returns the manifest, or nil if there is none.
func loadManifest(dir disk.FS) (*manifest, error) {
	data, err := disk.ReadFile(dir, manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	bad := func(why string) error {
		return fmt.Errorf("store: %s is damaged: %s; restore it from a backup", manifestName, why)
	}
	if len(data) < trailerBytes {
		return nil, bad("it is cut short")
	}
	body, trailer := data[:len(data)-trailerBytes], data[len(data)-trailerBytes:]
	if want := fmt.Sprintf("crc32c %08x\n", crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))); string(trailer) != want {
		return nil, bad("it does not have its checksum")
	}
	m := new(manifest)
	if err := json.Unmarshal(body, m); err != nil {
		return nil, bad(err.Error())
	}
	if m.Version != manifestVersion {
		return nil, fmt.Errorf("store: %s is of version %d; this program knows %d", manifestName, m.Version, manifestVersion)
	}
	if len(m.OpenKey) != 16 {
		return nil, bad("its key has the wrong length")
	}
	return m, nil
}

// files returns the names of all files the manifest knows.
func (m *manifest) files() map[string]bool {
	names := map[string]bool{manifestName: true}
	for _, s := range m.Segments {
		names[s.Main] = true
		names[s.Side] = true
	}
	names[m.Desk] = true
	delete(names, "")
	return names
}

// fileName returns a name that was not used before.
func (m *manifest) fileName(suffix string) string {
	m.NextFile++
	return fmt.Sprintf("%012d.%s", m.NextFile, suffix)
}
