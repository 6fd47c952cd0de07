package export

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/custody-log/custody/proof"
)

// manifestVersion is the version of the form of manifests.
const manifestVersion = 1

// Limits of a manifest.
const (
	MaxManifestBytes = 4 << 20 // 4 MiB
	MaxFiles         = 8_192   // a million events each: more than a log holds
	maxNotes         = 64
	maxNoteBytes     = 4 << 10 // 4 KiB
)

// ManifestSuffix is what the name of a manifest has after the name of the file,
// for example events.ndjson.manifest.json.
const ManifestSuffix = ".manifest.json"

// A Manifest says what an export is. Its JSON has one form, see
// [ParseManifest].
type Manifest struct {
	FormatVersion int       `json:"custody_export"`
	Origin        string    `json:"origin"`  // the log
	Version       string    `json:"version"` // of the program that exported
	Created       time.Time `json:"created"`

	Query string    `json:"query"`
	From  time.Time `json:"from,omitzero"`
	To    time.Time `json:"to,omitzero"`
	Order Order     `json:"order"`

	Format   Format `json:"format"`
	Complete bool   `json:"complete"` // nothing that was asked for is missing, says who made it
	Rows     int64  `json:"rows"`
	First    *int64 `json:"first_seq,omitempty"` // seq of the first row
	Last     *int64 `json:"last_seq,omitempty"`  // of the last row
	Bytes    int64  `json:"bytes"`
	Erased   int64  `json:"erased_fields"` // missing from the rows because they were erased

	Notes    []string  `json:"notes,omitempty"`
	Files    []File    `json:"files"`
	Receipts *Receipts `json:"receipts,omitempty"` // of a bundle

	Checkpoint string `json:"checkpoint,omitempty"` // the signed note
}

// A File is one file of an export. Files of a bundle that hold no rows have no
// first and last seq.
type File struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	First  *int64 `json:"first_seq,omitempty"`
	Last   *int64 `json:"last_seq,omitempty"`
	Erased int64  `json:"erased_fields"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // in lower-case hex
}

// add counts one row.
func (f *File) add(seq int64, erased int) {
	if f.Rows == 0 {
		f.First = &seq
	}
	f.Last = &seq
	f.Rows++
	f.Erased += int64(erased)
}

// Receipts are the receipts of a bundle.
type Receipts struct {
	Count  int64  `json:"count"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // of all receipts, one after the other in the order of rows
}

// NewManifest returns the manifest of files, which hold what m describes.
func NewManifest(m Meta, f Format, end End, files ...File) (*Manifest, error) {
	manifest := &Manifest{
		FormatVersion: manifestVersion,
		Origin:        m.Origin, Version: m.Version, Created: instantIn(end.Created),
		Query: m.Query, From: instantIn(m.From), To: instantIn(m.To), Order: m.Order,
		Format: f, Complete: end.Complete, Notes: end.Notes, Files: files, Checkpoint: string(end.Checkpoint),
	}
	manifest.sum()
	if err := manifest.check(); err != nil {
		return nil, fmt.Errorf("export: manifest: %w", err)
	}
	return manifest, nil
}

// instantIn returns t as manifests have it: in UTC, to the microsecond.
func instantIn(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

// sum fills in what the files add up to.
func (m *Manifest) sum() {
	m.Rows, m.Bytes, m.Erased, m.First, m.Last = 0, 0, 0, nil, nil
	for i := range m.Files {
		f := &m.Files[i]
		m.Rows += f.Rows
		m.Bytes += f.Bytes
		m.Erased += f.Erased
		if f.Rows == 0 {
			continue
		}
		if m.First == nil {
			m.First = f.First
		}
		m.Last = f.Last
	}
}

// Encode returns the one form of m.
func (m *Manifest) Encode() ([]byte, error) {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("export: manifest: %w", err)
	}
	data = append(data, '\n')
	if len(data) > MaxManifestBytes {
		return nil, fmt.Errorf("export: manifest of %d bytes, at most %d", len(data), MaxManifestBytes)
	}
	return data, nil
}

// ParseManifest reads what [Manifest.Encode] returned and refuses all else, a
// member named twice or sums that do not add up included.
func ParseManifest(data []byte) (*Manifest, error) {
	m, err := parseManifest(data)
	if err != nil {
		return nil, fmt.Errorf("export: manifest: %w", err)
	}
	return m, nil
}

func parseManifest(data []byte) (*Manifest, error) {
	if len(data) > MaxManifestBytes {
		return nil, fmt.Errorf("more than %d bytes", MaxManifestBytes)
	}
	m := new(Manifest)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	sums := *m
	sums.sum()
	for _, v := range []*Manifest{m, &sums} {
		form, err := v.Encode()
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(form, data) {
			return nil, errors.New("not in the form in which manifests are written, or sums that do not add up: it was edited")
		}
	}
	return m, nil
}

// check says what keeps m from being a manifest.
func (m *Manifest) check() error {
	switch {
	case m.FormatVersion != manifestVersion:
		return fmt.Errorf("version %d; this program knows %d", m.FormatVersion, manifestVersion)
	case m.Order != Oldest && m.Order != Newest:
		return fmt.Errorf("order %q: want oldest or newest", short(string(m.Order)))
	case m.Format != NDJSON && m.Format != CSV && m.Format != Parquet && m.Format != bundle:
		return fmt.Errorf("format %q is not known", short(string(m.Format)))
	case (m.Format == bundle) != (m.Receipts != nil):
		return errors.New("a bundle, and nothing else, has receipts")
	case len(m.Files) > MaxFiles:
		return fmt.Errorf("%d files, at most %d", len(m.Files), MaxFiles)
	case len(m.Checkpoint) > proof.MaxCheckpointBytes:
		return fmt.Errorf("checkpoint of %d bytes, at most %d", len(m.Checkpoint), proof.MaxCheckpointBytes)
	case len(m.Notes) > maxNotes:
		return fmt.Errorf("%d notes, at most %d", len(m.Notes), maxNotes)
	}
	for _, t := range []time.Time{m.Created, m.From, m.To} {
		if t.Format(time.RFC3339Nano) != instantIn(t).Format(time.RFC3339Nano) {
			return fmt.Errorf("time %s: want UTC, to the microsecond", t)
		}
	}
	for _, s := range append([]string{m.Origin, m.Version, m.Query}, m.Notes...) {
		if len(s) > maxNoteBytes || !utf8.ValidString(s) {
			return fmt.Errorf("text %q: want UTF-8 of at most %d bytes", short(s), maxNoteBytes)
		}
	}
	if m.Receipts != nil && (m.Receipts.Count < 0 || m.Receipts.Bytes < 0 || !isHash(m.Receipts.SHA256)) {
		return errors.New("receipts: not a count, a size and a hash")
	}
	names := make(map[string]bool, len(m.Files))
	for i := range m.Files {
		if err := m.Files[i].check(); err != nil {
			return fmt.Errorf("file %d: %w", i, err)
		}
		if names[m.Files[i].Name] {
			return fmt.Errorf("file %d: %s is there twice", i, m.Files[i].Name)
		}
		names[m.Files[i].Name] = true
	}
	return nil
}

// maxFileBytes and maxFileRows are more than any file has, so that sums of all
// files do not overflow.
const (
	maxFileBytes = 1 << 48
	maxFileRows  = 1 << 40
)

func (f *File) check() error {
	switch {
	case f.Name == "" || f.Name == "." || f.Name == ".." || len(f.Name) > 255 || strings.ContainsAny(f.Name, "/\\\x00") || !utf8.ValidString(f.Name):
		return fmt.Errorf("name %q: want one path element", short(f.Name))
	case f.Bytes < 0 || f.Bytes > maxFileBytes || f.Rows < 0 || f.Rows > maxFileRows || f.Erased < 0 || f.Erased > maxFileRows:
		return fmt.Errorf("%s: a count is out of range", f.Name)
	case !isHash(f.SHA256):
		return fmt.Errorf("%s: sha256 is not 64 digits of lower-case hex", f.Name)
	case (f.Rows == 0) != (f.First == nil) || (f.Rows == 0) != (f.Last == nil):
		return fmt.Errorf("%s: %d rows, and first and last seq do not fit that", f.Name, f.Rows)
	}
	return nil
}

// isHash reports whether s is a SHA-256 in lower-case hex.
func isHash(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 32 && hex.EncodeToString(raw) == s
}
