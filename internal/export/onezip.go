package export

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// A zip file can be read in more than one way: names, sizes and places are
// there twice, and there may be bytes that belong to nothing. A bundle has one
// form, which is checked first: the bytes before its end hash to its seal, and
// they are those that a BundleWriter writes for the entries they have.

// endBytes is the length of the end record of a zip file, without the comment.
const endBytes = 22

// A source remembers that reading failed, so that it is not taken for something
// false in what was to be read.
type source struct {
	from io.ReaderAt
	err  error
}

func (s *source) ReadAt(b []byte, from int64) (int, error) {
	if from < 0 {
		return 0, errors.New("a place before the beginning")
	}
	n, err := s.from.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// verdict returns err, or what kept it from being found out.
func (s *source) verdict(err error) error {
	if err != nil && s.err != nil {
		return fmt.Errorf("export: bundle: read: %w", s.err)
	}
	return err
}

// openZip returns the entries of the bundle in r.
func openZip(r io.ReaderAt, size int64, maxEntries int) (*zip.Reader, error) {
	if size < endBytes+int64(sealBytes) {
		return nil, falsef("", "%d bytes are no bundle", size)
	}
	if err := checkSeal(r, size); err != nil {
		return nil, err
	}
	if err := checkEnd(r, size, maxEntries); err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, falsef("", "not a zip file: %w", err)
	}
	if err := checkForm(r, size, archive); err != nil {
		return nil, err
	}
	return archive, nil
}

// checkSeal compares the comment with the hash of all before it.
func checkSeal(r io.ReaderAt, size int64) error {
	seal := make([]byte, sealBytes)
	if err := readAt(r, seal, size-int64(sealBytes)); err != nil {
		return err
	}
	if !bytes.HasPrefix(seal, []byte(sealPrefix)) {
		return falsef("", "not a bundle, or one that was cut or changed: it does not end in %q and a hash", sealPrefix)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, 0, size-int64(sealBytes))); err != nil {
		return fmt.Errorf("export: bundle: %w", err)
	}
	if sealOf(h) != string(seal) {
		return falsef("", "a byte of the bundle was changed: it does not hash to what it ends in")
	}
	return nil
}

// checkEnd bounds what the zip reader is going to believe.
func checkEnd(r io.ReaderAt, size int64, maxEntries int) error {
	end := make([]byte, endBytes)
	at := size - int64(sealBytes) - endBytes
	if err := readAt(r, end, at); err != nil {
		return err
	}
	if string(end[:4]) != "PK\x05\x06" {
		return falsef("", "no end record of a zip file where it should be")
	}
	if n := int(binary.LittleEndian.Uint16(end[10:])); n > maxEntries {
		return falsef("", "%d entries, at most %d", n, maxEntries)
	}
	const locatorBytes = 20
	locator := make([]byte, 4)
	if at < locatorBytes {
		return nil
	}
	if err := readAt(r, locator, at-locatorBytes); err != nil {
		return err
	}
	if string(locator) == "PK\x06\x07" {
		return falsef("", "a zip file in the 64-bit form is no bundle")
	}
	return nil
}

func readAt(r io.ReaderAt, b []byte, from int64) error {
	if _, err := io.ReadFull(io.NewSectionReader(r, from, int64(len(b))), b); err != nil {
		return fmt.Errorf("export: bundle: %w", err)
	}
	return nil
}

// checkForm writes the archive again, from its names, checksums, sizes and
// compressed contents alone, and compares with what is there.
func checkForm(r io.ReaderAt, size int64, archive *zip.Reader) error {
	same := &comparer{with: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), flushBytes)}
	w := zip.NewWriter(same)
	for _, f := range archive.File {
		if err := copyRaw(w, f); err != nil {
			return falsef(printable(f.Name), "%w", err)
		}
	}
	if err := w.SetComment(archive.Comment); err != nil {
		return falsef("", "%w", err)
	}
	if err := w.Close(); err != nil {
		return falsef("", "%w", err)
	}
	if same.bytes != size {
		return falsef("", "%d bytes of the zip file belong to no entry", size-same.bytes)
	}
	return nil
}

// Header values that archive/zip writes and CreateRaw takes as given.
const (
	zipVersion     = 20  // 2.0: deflate
	withDescriptor = 0x8 // flag: checksum and sizes follow the content
)

func copyRaw(w *zip.Writer, f *zip.File) error {
	h := entryHeader(f.Name)
	h.CreatorVersion, h.ReaderVersion, h.Flags = zipVersion, zipVersion, withDescriptor
	h.CRC32, h.CompressedSize64, h.UncompressedSize64 = f.CRC32, f.CompressedSize64, f.UncompressedSize64
	out, err := w.CreateRaw(h)
	if err != nil {
		return err
	}
	raw, err := f.OpenRaw()
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, raw); err != nil {
		return err
	}
	return w.Flush() // so that a difference is told of this entry
}

var errDiffers = errors.New("the zip file is not in the form of a bundle here")

// A comparer fails when it is written something else than what there is to read.
type comparer struct {
	with  io.Reader
	bytes int64
	buf   []byte
}

func (c *comparer) Write(b []byte) (int, error) {
	if cap(c.buf) < len(b) {
		c.buf = make([]byte, len(b))
	}
	got := c.buf[:len(b)]
	if _, err := io.ReadFull(c.with, got); err != nil || !bytes.Equal(b, got) {
		return 0, errDiffers
	}
	c.bytes += int64(len(b))
	return len(b), nil
}

// readEntry returns the content of f, of at most limit bytes.
func readEntry(f *zip.File, limit int64) ([]byte, error) {
	if f.UncompressedSize64 > uint64(limit) {
		return nil, falsef(printable(f.Name), "%d bytes, at most %d", f.UncompressedSize64, limit)
	}
	r, err := openEntry(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// An entryReader reads the content of an entry. It ends in [io.EOF] only if
// that was of the entry's size and checksum, with nothing after it.
type entryReader struct {
	entry *zip.File
	raw   *bufio.Reader // not more of it is read than the content takes
	flate io.Reader
	left  uint64 // bytes
	sum   hash.Hash32
}

func openEntry(f *zip.File) (*entryReader, error) {
	packed, err := f.OpenRaw()
	if err != nil {
		return nil, falsef(printable(f.Name), "%w", err)
	}
	raw := bufio.NewReader(packed)
	return &entryReader{entry: f, raw: raw, flate: flate.NewReader(raw), left: f.UncompressedSize64, sum: crc32.NewIEEE()}, nil
}

func (r *entryReader) Read(b []byte) (int, error) {
	n, err := r.flate.Read(b)
	if uint64(n) > r.left {
		return 0, r.falsef("has more bytes than its entry says")
	}
	r.left -= uint64(n)
	r.sum.Write(b[:n])
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.EOF):
		return n, r.end()
	case errors.As(err, &corrupt) || errors.Is(err, io.ErrUnexpectedEOF):
		return n, r.falsef("%w", err)
	}
	return n, err
}

// end returns io.EOF if the content is what the entry says.
func (r *entryReader) end() error {
	if r.left > 0 || r.sum.Sum32() != r.entry.CRC32 {
		return r.falsef("is not of the size and checksum that its entry has")
	}
	switch _, err := r.raw.ReadByte(); {
	case err == nil:
		return r.falsef("bytes after the end of the content")
	case errors.Is(err, io.EOF):
		return io.EOF
	default:
		return err
	}
}

func (r *entryReader) falsef(format string, args ...any) error {
	return falsef(printable(r.entry.Name), format, args...)
}
