package backup

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

// A writer writes parts. A part is never changed; it counts as there if the
// last backup has it, or if it was read back and found right.
type writer struct {
	dir   disk.FS // of the backup
	parts disk.FS
	last  *Manifest        // of the last complete backup
	there map[string]int64 // parts that are durable, and their sizes
	named map[string]*File // files of the last backup, by path
	check bool
	fresh bool // names were made that are not durable yet
	buf   []byte

	copied      int
	copiedBytes int64
}

func openWriter(c *Config) (*writer, error) {
	last, err := load(c.Dest)
	if err != nil {
		return nil, err
	}
	if last == nil {
		names, err := c.Dest.List()
		if err != nil {
			return nil, fmt.Errorf("backup: %w", err)
		}
		for _, name := range names {
			if name != lockName && name != manifestName+".tmp" {
				return nil, fmt.Errorf("backup: there is no backup where it is to be, but a file %s: give a directory of its own", name)
			}
		}
		last = new(Manifest)
	}
	w := &writer{dir: c.Dest, last: last, there: make(map[string]int64), named: make(map[string]*File), check: c.Check}
	if w.parts, err = c.Dest.Sub(partsDir); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	for part, size := range last.parts() {
		ok, err := w.whole(part, size, c.Check)
		if err != nil {
			return nil, err
		}
		if ok {
			w.there[part] = size
		}
	}
	for i := range last.Files {
		w.named[last.Files[i].Path] = &last.Files[i]
	}
	return w, nil
}

// whole reports whether a part is there with its size and, if read is set, its
// SHA-256.
func (w *writer) whole(part string, size int64, read bool) (bool, error) {
	r, err := w.parts.OpenRead(part)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("backup: %w", err)
	}
	defer r.Close()
	have, err := r.Size()
	if err != nil {
		return false, fmt.Errorf("backup: %w", err)
	}
	if have != size || !read {
		return have == size, nil
	}
	if err := w.read(r, 0, size); err != nil {
		return false, nil // what cannot be read is written again
	}
	return nameOf(w.buf) == part, nil
}

// read makes buf n bytes of r.
func (w *writer) read(r disk.Reader, at, n int64) error {
	if int64(cap(w.buf)) < n {
		w.buf = make([]byte, min(partBytes, max(n, 1<<20)))
	}
	w.buf = w.buf[:n]
	if got, err := r.ReadAt(w.buf, at); int64(got) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	return nil
}

// nameOf returns the name of the part that holds data.
func nameOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// part copies n bytes of r, unless they are there, and returns their name.
func (w *writer) part(r disk.Reader, at, n int64) (name string, err error) {
	if err := w.read(r, at, n); err != nil {
		return "", err
	}
	name = nameOf(w.buf)
	if _, ok := w.there[name]; ok {
		return name, nil
	}
	if err := w.write(name); err != nil {
		return "", fmt.Errorf("write part %s: %w", name, err)
	}
	w.there[name] = n
	return name, nil
}

// write makes buf the durable content of a part, over what an interrupted
// backup may have left.
func (w *writer) write(name string) (err error) {
	file, err := w.parts.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w.fresh = true
	if left, err := file.Size(); err != nil {
		return err
	} else if left == int64(len(w.buf)) {
		have := make([]byte, left)
		if n, _ := file.ReadAt(have, 0); n == len(have) && bytes.Equal(have, w.buf) {
			return file.Sync()
		}
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	if _, err := file.Write(w.buf); err != nil {
		return err
	}
	w.copied++
	w.copiedBytes += int64(len(w.buf))
	return file.Sync()
}

// edgeBytes is how much of both ends of a file is compared to tell that it is
// the one that was copied before. The end of a segment holds the checksum of
// all its checksums, the start of an encrypted file what its key is made from.
const edgeBytes = 4 << 10

// same returns the file of the last backup at path if it is the one that r
// reads, which never changes: then it need not be copied, or read.
func (w *writer) same(path string, r disk.Reader, size int64) *File {
	old := w.named[path]
	if old == nil || old.Bytes != size || size == 0 {
		return nil
	}
	for i, part := range old.Parts {
		if n, ok := w.there[part]; !ok || n != old.partSize(i) {
			return nil
		}
	}
	v := &partReader{parts: w.parts, file: old}
	defer v.Close()
	n := min(edgeBytes, size)
	for _, at := range []int64{0, size - n} {
		have, want := make([]byte, n), make([]byte, n)
		if k, _ := v.ReadAt(have, at); int64(k) < n {
			return nil
		}
		if k, _ := r.ReadAt(want, at); int64(k) < n || !bytes.Equal(have, want) {
			return nil
		}
	}
	return old
}

// commit makes m the backup, and then removes the parts that it does not need.
func (w *writer) commit(m *Manifest) (removed int, err error) {
	if w.fresh {
		if err := w.parts.Sync(); err != nil {
			return 0, fmt.Errorf("backup: %w", err)
		}
	}
	if err := m.save(w.dir); err != nil {
		return 0, err
	}
	names, err := w.parts.List()
	if err != nil {
		return 0, fmt.Errorf("backup: %w", err)
	}
	needed := m.parts()
	for _, name := range names {
		if _, ok := needed[name]; ok {
			continue
		}
		if err := w.parts.Remove(name); err != nil {
			return removed, fmt.Errorf("backup: %w", err)
		}
		removed++
	}
	if removed > 0 {
		if err := w.parts.Sync(); err != nil {
			return removed, fmt.Errorf("backup: %w", err)
		}
	}
	return removed, nil
}
