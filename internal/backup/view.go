package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/custody-log/custody/internal/disk"
)

// A Backup is one that was made.
type Backup struct {
	Manifest

	parts disk.FS
	paths map[string]*File
}

// Open opens the backup in dir. If there is none the error is
// [fs.ErrNotExist].
func Open(dir disk.FS) (*Backup, error) {
	m, err := load(dir)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("backup: there is no %s: %w", manifestName, fs.ErrNotExist)
	}
	parts, err := dir.Sub(partsDir)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	b := &Backup{Manifest: *m, parts: parts, paths: make(map[string]*File)}
	for i := range b.Files {
		b.paths[b.Files[i].Path] = &b.Files[i]
	}
	return b, nil
}

// Is reports whether there is a backup in dir.
func Is(dir disk.FS) (bool, error) { return dir.Exists(manifestName) }

// FS returns the data directory that is in the backup, to look at. It cannot be
// written to.
func (b *Backup) FS() disk.FS { return &view{backup: b} }

// Dirs returns the paths of all directories in it.
func (b *Backup) Dirs() ([]string, error) {
	var dirs []string
	for path := range b.paths {
		for dir, _ := split(path); dir != ""; dir, _ = split(dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs), nil
}

// errReadOnly is what everything that writes to a backup's files returns.
var errReadOnly = fmt.Errorf("backup: the files of a backup are not to be changed: %w", errors.ErrUnsupported)

// A view is a directory in a backup.
type view struct {
	backup *Backup
	path   string
}

// Open implements [disk.FS].
func (v *view) Open(string) (disk.File, error) { return nil, errReadOnly }

// OpenRead implements [disk.FS].
func (v *view) OpenRead(name string) (disk.Reader, error) {
	path := join(v.path, name)
	f, ok := v.backup.paths[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return &partReader{parts: v.backup.parts, file: f}, nil
}

// Exists implements [disk.FS].
func (v *view) Exists(name string) (bool, error) {
	_, ok := v.backup.paths[join(v.path, name)]
	return ok, nil
}

// List implements [disk.FS].
func (v *view) List() ([]string, error) {
	var names []string
	for path := range v.backup.paths {
		if dir, name := split(path); dir == v.path {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Remove implements [disk.FS].
func (v *view) Remove(string) error { return errReadOnly }

// Rename implements [disk.FS].
func (v *view) Rename(string, string) error { return errReadOnly }

// Sub implements [disk.FS].
func (v *view) Sub(name string) (disk.FS, error) {
	if name == "" || strings.Contains(name, "/") {
		return nil, fmt.Errorf("backup: name %q: want one path element", name)
	}
	return &view{v.backup, join(v.path, name)}, nil
}

// Sync implements [disk.FS].
func (v *view) Sync() error { return nil }

// A partReader reads a file from its parts. It may be used concurrently.
type partReader struct {
	parts disk.FS
	file  *File

	mu   sync.Mutex
	open map[int]disk.Reader
}

// Size implements [disk.Reader].
func (r *partReader) Size() (int64, error) { return r.file.Bytes, nil }

// ReadAt implements [io.ReaderAt].
func (r *partReader) ReadAt(b []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, errors.New("backup: negative offset")
	}
	for n < len(b) {
		if at >= r.file.Bytes {
			return n, io.EOF
		}
		i := int(at / partBytes)
		from, err := r.part(i)
		if err != nil {
			return n, err
		}
		offset := at - int64(i)*partBytes
		want := b[n:min(int64(len(b)), int64(n)+r.file.partSize(i)-offset)]
		k, err := from.ReadAt(want, offset)
		n, at = n+k, at+int64(k)
		if k < len(want) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, fmt.Errorf("backup: part %s of %s: %w", r.file.Parts[i], r.file.Path, err)
		}
	}
	return n, nil
}

func (r *partReader) part(i int) (disk.Reader, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.open[i]; ok {
		return p, nil
	}
	p, err := r.parts.OpenRead(r.file.Parts[i])
	if err != nil {
		return nil, fmt.Errorf("backup: part of %s: %w", r.file.Path, err)
	}
	if r.open == nil {
		r.open = make(map[int]disk.Reader)
	}
	r.open[i] = p
	return p, nil
}

// Close implements [io.Closer].
func (r *partReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, p := range r.open {
		errs = append(errs, p.Close())
	}
	r.open = nil
	return errors.Join(errs...)
}
