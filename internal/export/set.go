package export

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/custody-log/custody/internal/disk"
)

// How often a set becomes durable, and how large its files become. Both happen
// only where the caller marks.
const (
	markRows  = 50_000
	markBytes = 64 << 20  // 64 MiB
	partRows  = 1_000_000 // of a Parquet file
	partBytes = 256 << 20 // 256 MiB, of a Parquet file
)

// ErrFinished means that the export has its manifest: there is nothing to
// resume.
var ErrFinished = errors.New("export: it is finished")

// A Set is an export to files of a directory that can be resumed:
//
//	NAME.ndjson                   when it is finished
//	NAME.ndjson.partial           before that
//	NAME.ndjson.progress          where to go on; gone when it is finished
//	NAME.ndjson.manifest.json     last of all
//
// CSV likewise. Parquet has its end where readers begin, so it is written as
// files that are each complete, and resuming goes on with the next:
//
//	NAME-00000.parquet, NAME-00001.parquet, …
//	NAME-00002.parquet.partial
//	NAME.parquet.progress
//	NAME.parquet.manifest.json
//
// A Set is for one goroutine and one process. After an error it is of no use
// but for Close.
type Set struct {
	dir    disk.FS
	name   string
	format Format
	meta   Meta

	cursor   string
	files    []File // complete ones
	writer   *Writer
	out      disk.File
	lastMark File   // of the open file, at the last mark that became durable
	last     *place // of the last row of the files before the open one
	err      error

	markRows, partRows int64
}

// Create begins an export called name into dir. It fails if there is a file in
// its way.
func Create(dir disk.FS, name string, f Format, m Meta) (*Set, error) {
	s, err := newSet(dir, name, f, m)
	if err != nil {
		return nil, err
	}
	names, err := dir.List()
	if err != nil {
		return nil, fmt.Errorf("export: create %s: %w", name, err)
	}
	for _, other := range names {
		if s.owns(other) {
			return nil, fmt.Errorf("export: create %s: there is already %s: resume it, remove it or choose another name", name, other)
		}
	}
	if err := s.save(); err != nil {
		return nil, fmt.Errorf("export: create %s: %w", name, err)
	}
	return s, nil
}

// Resume goes on with the export called name in dir that was interrupted.
// Cursor says from where. If there is none the error is [io/fs.ErrNotExist],
// and of one that is complete [ErrFinished].
func Resume(dir disk.FS, name string, f Format) (*Set, error) {
	s, err := newSet(dir, name, f, Meta{Order: Oldest})
	if err != nil {
		return nil, err
	}
	done, err := dir.Exists(s.base() + ManifestSuffix)
	if err != nil {
		return nil, fmt.Errorf("export: resume %s: %w", name, err)
	}
	if done {
		return nil, fmt.Errorf("resume %s: %w", name, ErrFinished)
	}
	if err := s.load(); err != nil {
		_ = s.Close() // the error before it is the one to tell
		return nil, fmt.Errorf("export: resume %s: %w", name, err)
	}
	return s, nil
}

func newSet(dir disk.FS, name string, f Format, m Meta) (*Set, error) {
	if _, err := ParseFormat(string(f)); err != nil {
		return nil, err
	}
	if _, err := ParseOrder(string(m.Order)); err != nil {
		return nil, err
	}
	const longest = 255 - len("-00000.parquet.manifest.json.tmp")
	if name == "" || len(name) > longest || strings.ContainsAny(name, "/\\\x00") || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("export: name %q: want one path element of 1 to %d bytes that does not begin with a dot", short(name), longest)
	}
	m.From, m.To = instantIn(m.From), instantIn(m.To)
	return &Set{dir: dir, name: name, format: f, meta: m, markRows: markRows, partRows: partRows}, nil
}

// Names of files.
func (s *Set) base() string     { return s.name + "." + string(s.format) }
func (s *Set) progress() string { return s.base() + ".progress" }

// current returns the name of the file that grows, once it is complete.
func (s *Set) current() string {
	if s.format == Parquet {
		return fmt.Sprintf("%s-%05d.parquet", s.name, len(s.files))
	}
	return s.base()
}

const partial = ".partial"

// owns reports whether other is the name of a file of the set.
func (s *Set) owns(other string) bool {
	switch other {
	case s.base(), s.base() + partial, s.base() + ManifestSuffix, s.progress():
		return true
	}
	rest, found := strings.CutPrefix(strings.TrimSuffix(other, partial), s.name+"-")
	digits, isParquet := strings.CutSuffix(rest, ".parquet")
	return found && isParquet && s.format == Parquet && len(digits) >= 5 && strings.Trim(digits, "0123456789") == ""
}

// Meta returns what the export is of.
func (s *Set) Meta() Meta { return s.meta }

// Cursor returns what Mark was last given of what is in the files: "" at the
// beginning.
func (s *Set) Cursor() string { return s.cursor }

// Rows returns how many rows the files hold.
func (s *Set) Rows() int64 {
	var n int64
	for i := range s.files {
		n += s.files[i].Rows
	}
	if s.writer != nil {
		n += s.writer.file.Rows
	}
	return n
}

// Write writes one row.
func (s *Set) Write(r *Row) error {
	if s.err != nil {
		return s.err
	}
	if s.writer == nil {
		if err := s.open(); err != nil {
			return s.fail(err)
		}
	}
	if err := s.writer.Write(r); err != nil {
		s.err = err
	}
	return s.err
}

// Mark says that cursor is where to go on after the rows written so far. Now
// and then what is marked becomes durable; Resume goes on from there.
func (s *Set) Mark(cursor string) error {
	if s.err != nil {
		return s.err
	}
	if len(cursor) > maxCursorBytes {
		return s.fail(fmt.Errorf("cursor of %d bytes, at most %d", len(cursor), maxCursorBytes))
	}
	s.cursor = cursor
	if s.writer == nil {
		return nil
	}
	rows, size := s.writer.file.Rows, s.writer.tally.bytes
	if s.format == Parquet {
		if rows < s.partRows && size < partBytes {
			return nil
		}
		return s.fail(s.endPart())
	}
	if rows-s.lastMark.Rows < s.markRows && size-s.lastMark.Bytes < markBytes {
		return nil
	}
	return s.fail(s.mark())
}

func (s *Set) fail(err error) error {
	if err != nil {
		s.err = fmt.Errorf("export: %s: %w", s.name, err)
	}
	return s.err
}

// open starts the next file, which must not be there.
func (s *Set) open() error {
	out, err := s.dir.Open(s.current() + partial)
	if err != nil {
		return err
	}
	s.out = out
	w, err := NewWriter(out, s.format, s.meta.Order)
	if err != nil {
		return err
	}
	w.last = s.last
	s.writer, s.lastMark = w, File{}
	// The name must be durable before a progress file speaks of it.
	return s.dir.Sync()
}

// mark makes the open file durable as it is, and then that it is.
func (s *Set) mark() error {
	if err := s.writer.Flush(); err != nil {
		return err
	}
	if err := s.out.Sync(); err != nil {
		return err
	}
	return s.save()
}

// save makes durable what Resume needs.
func (s *Set) save() error {
	p := &progress{FormatVersion: progressVersion, Format: s.format, Meta: s.meta, Cursor: s.cursor, Last: s.last, Files: s.files}
	if s.format != Parquet {
		open, h := File{}, sha256.New()
		if w := s.writer; w != nil {
			open, h, p.Last = w.file, w.tally.hash, w.last
			open.Bytes = w.tally.bytes
		}
		state, err := hashState(h)
		if err != nil {
			return err
		}
		p.Open, p.Hash, s.lastMark = &open, state, open
	}
	return p.save(s.dir, s.progress())
}

// endPart completes the open Parquet file.
func (s *Set) endPart() error {
	if err := s.complete(); err != nil {
		return err
	}
	return s.save()
}

// complete gives the open file its name, durably, and adds it to the files.
func (s *Set) complete() error {
	if err := s.writer.Close(); err != nil {
		return err
	}
	if err := s.out.Sync(); err != nil {
		return err
	}
	out := s.out
	s.out = nil
	if err := out.Close(); err != nil {
		return err
	}
	name := s.current()
	if err := s.dir.Rename(name+partial, name); err != nil {
		return err
	}
	if err := s.dir.Sync(); err != nil {
		return err
	}
	s.files = append(s.files, s.writer.File(name))
	s.last, s.writer = s.writer.last, nil
	return nil
}

// Finish completes the export and returns its manifest, which is then beside
// the files. The set is done.
func (s *Set) Finish(end End) (*Manifest, error) {
	if s.err != nil {
		return nil, s.err
	}
	m, err := s.finish(end)
	if err != nil {
		return nil, s.fail(err)
	}
	s.err = ErrFinished
	return m, nil
}

func (s *Set) finish(end End) (*Manifest, error) {
	if s.writer == nil && len(s.files) == 0 { // no rows: a file that says so
		if err := s.open(); err != nil {
			return nil, err
		}
	}
	if s.writer != nil {
		if err := s.complete(); err != nil {
			return nil, err
		}
	}
	m, err := NewManifest(s.meta, s.format, end, s.files...)
	if err != nil {
		return nil, err
	}
	data, err := m.Encode()
	if err != nil {
		return nil, err
	}
	if err := disk.ReplaceFile(s.dir, s.base()+ManifestSuffix, data); err != nil {
		return nil, err
	}
	if err := s.dir.Remove(s.progress()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return m, s.dir.Sync()
}

// Close gives up the files. What was not finished can be resumed.
func (s *Set) Close() error {
	if s.err == nil {
		s.err = errors.New("export: set is closed")
	}
	if s.out == nil {
		return nil
	}
	out := s.out
	s.out = nil
	return out.Close()
}
