package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/custody-log/custody/internal/disk"
)

// A FalseError says that something was checked and does not hold. Any other
// error says that it could not be checked.
type FalseError struct {
	File  string // in the export or bundle; "" if it is about the whole
	Event int64  // the seq of the event it is about, or -1
	Err   error
}

func (e *FalseError) Error() string {
	s := "export: "
	if e.File != "" {
		s += e.File + ": "
	}
	if e.Event >= 0 {
		s += fmt.Sprintf("event %d: ", e.Event)
	}
	return s + e.Err.Error()
}

// Unwrap returns the cause.
func (e *FalseError) Unwrap() error { return e.Err }

// falsef returns a FalseError about a file.
func falsef(file, format string, args ...any) *FalseError {
	return &FalseError{File: file, Event: -1, Err: fmt.Errorf(format, args...)}
}

// Verify reads every file of m in dir and compares it with what m says of it.
// What differs, or is not there, is a [*FalseError].
//
// A manifest is not signed: Verify finds damage, and files that do not belong
// together, not a forger. A bundle is for that.
func (m *Manifest) Verify(dir disk.FS) error {
	for i := range m.Files {
		if err := m.verify(dir, m.Files[i].Name); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) verify(dir disk.FS, name string) error {
	file, err := dir.OpenRead(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return falsef(name, "is not there")
	case err != nil:
		return fmt.Errorf("export: verify: %w", err)
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return fmt.Errorf("export: verify %s: %w", name, err)
	}
	return m.VerifyFile(name, io.NewSectionReader(file, 0, size))
}

// VerifyFile reads r, the content of the file of m called name, to its end, and
// compares. What differs is a [*FalseError].
func (m *Manifest) VerifyFile(name string, r io.Reader) error {
	for i := range m.Files {
		if m.Files[i].Name == name {
			return m.Files[i].verify(m.Format, r)
		}
	}
	return falsef(name, "is not in the manifest")
}

func (f *File) verify(format Format, r io.Reader) error {
	t := &tally{out: io.Discard, hash: sha256.New()}
	count := rowCounter{format: format}
	if _, err := io.Copy(io.MultiWriter(t, &count), io.LimitReader(r, f.Bytes+1)); err != nil {
		return fmt.Errorf("export: verify %s: %w", f.Name, err)
	}
	if t.bytes > f.Bytes {
		return falsef(f.Name, "is longer than the %d bytes of the manifest", f.Bytes)
	}
	if t.bytes < f.Bytes {
		return falsef(f.Name, "has %d bytes, the manifest says %d", t.bytes, f.Bytes)
	}
	if sum := hex.EncodeToString(t.hash.Sum(nil)); sum != f.SHA256 {
		return falsef(f.Name, "hashes to %s, the manifest says %s", sum, f.SHA256)
	}
	if rows, counted := count.rows(); counted && rows != f.Rows {
		return falsef(f.Name, "has %d rows, the manifest says %d", rows, f.Rows)
	}
	return nil
}

// A rowCounter counts the rows of what is written to it, if its format has
// lines.
type rowCounter struct {
	format Format
	lines  int64
	quoted bool // inside a quoted cell of CSV
}

func (c *rowCounter) Write(b []byte) (int, error) {
	switch c.format {
	case NDJSON:
		c.lines += int64(bytes.Count(b, []byte{'\n'}))
	case CSV:
		for _, x := range b {
			switch {
			case x == '"': // one that is doubled turns it twice
				c.quoted = !c.quoted
			case x == '\n' && !c.quoted:
				c.lines++
			}
		}
	case Parquet, bundle:
	}
	return len(b), nil
}

// rows returns how many rows there were, if the format has lines.
func (c *rowCounter) rows() (n int64, counted bool) {
	switch c.format {
	case NDJSON:
		return c.lines, true
	case CSV:
		return c.lines - 1, true
	case Parquet, bundle:
	}
	return 0, false
}
