package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
)

// maxClosed bounds how many closed files a vault remembers. One that is
// remembered is opened without deriving its key, and written to without
// beginning a span.
const maxClosed = 256

// Encrypt returns the directory base with the content of its files, and of
// those in directories below, encrypted with key. Everything that this package
// promises of a directory it promises of this one; names, sizes and times stay
// visible, and so does the lock. Change is not noticed: what is read after it
// is other bytes, as on any disk.
//
//   - No two different bytes are ever encrypted at one place under one key,
//     whatever is cut, torn by a power cut, put back or written by turns.
//   - A file of another key, or of none, is refused when it is opened, with an
//     error that wraps [ErrFileKey].
//   - Damage to a byte of content damages that byte and no other.
//
// Unlike on other disks, the first write after a file was opened or cut makes
// durable what was there and the cut; and a file whose first write was lost in
// a power cut must be cut to 0 bytes before it can be written to again.
//
// The format is in docs/format/encryption.md. A directory is wrapped once, by
// the process that has its lock, for as long as it is used. Names that end in
// .spans after 32 hexadecimal digits, and the name encryption, are taken.
func Encrypt(base FS, key *FileKey) (FS, error) {
	if key == nil {
		return nil, errors.New("disk: encrypt: no file key")
	}
	if _, ok := base.(*encryptedDir); ok {
		return nil, errors.New("disk: encrypt: the directory is encrypted already")
	}
	return &encryptedDir{base: base, vault: &vault{
		key:   key,
		files: make(map[string]*sealed),
	}}, nil
}

// A vault is what a directory and all below it share.
type vault struct {
	key *FileKey

	// mu is held while a small file is read or a header is written, so that
	// all who open a file at once share one sealed. It is taken before the mu
	// of a sealed.
	mu     sync.Mutex
	files  map[string]*sealed // those that are open, and some that were; by directory and salt
	closed int                // how many in files nobody has open
}

type encryptedDir struct {
	base  FS
	vault *vault
	path  string // "" for the top, else ends in a slash
}

func (d *encryptedDir) Open(name string) (File, error) {
	if err := checkFree(name); err != nil {
		return nil, err
	}
	file, err := d.base.Open(name)
	if err != nil {
		return nil, err
	}
	f := &encryptedFile{encryptedReader: encryptedReader{dir: d, name: name, base: file}, file: file}
	if _, err := f.load(); err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

func (d *encryptedDir) OpenRead(name string) (Reader, error) {
	if err := checkFree(name); err != nil {
		return nil, err
	}
	file, err := d.base.OpenRead(name)
	if err != nil {
		return nil, err
	}
	r := &encryptedReader{dir: d, name: name, base: file}
	if _, err := r.load(); err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return r, nil
}

func (d *encryptedDir) Exists(name string) (bool, error) {
	if err := checkFree(name); err != nil {
		return false, err
	}
	return d.base.Exists(name)
}

func (d *encryptedDir) List() ([]string, error) {
	all, err := d.base.List()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		if !isTaken(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (d *encryptedDir) Remove(name string) error {
	if err := checkFree(name); err != nil {
		return err
	}
	list := d.spansOf(name)
	if err := d.base.Remove(name); err != nil {
		return err
	}
	return d.removeSpans(list)
}

func (d *encryptedDir) Rename(from, to string) error {
	if err := errors.Join(checkFree(from), checkFree(to)); err != nil {
		return err
	}
	list := ""
	if from != to {
		list = d.spansOf(to)
	}
	if err := d.base.Rename(from, to); err != nil {
		return err
	}
	return d.removeSpans(list)
}

// spansOf returns the name of the list of spans of the named file, or "" if
// there is none. What cannot be read has none that matters: a list that
// belongs to no file does no harm.
func (d *encryptedDir) spansOf(name string) string {
	r, err := d.base.OpenRead(name)
	if err != nil {
		return ""
	}
	defer r.Close()
	s, ok, err := readSeal(r)
	if err != nil || !ok {
		return ""
	}
	if there, err := d.base.Exists(spansName(s.salt)); err != nil || !there {
		return ""
	}
	return spansName(s.salt)
}

// removeSpans removes the list of spans of a file that is gone. A power cut
// must not bring back the file without it.
func (d *encryptedDir) removeSpans(list string) error {
	if list == "" {
		return nil
	}
	if err := d.base.Sync(); err != nil {
		return err
	}
	if err := d.base.Remove(list); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d *encryptedDir) Sub(name string) (FS, error) {
	if err := checkFree(name); err != nil {
		return nil, err
	}
	base, err := d.base.Sub(name)
	if err != nil {
		return nil, err
	}
	return &encryptedDir{base: base, vault: d.vault, path: d.path + name + "/"}, nil
}

func (d *encryptedDir) Sync() error { return d.base.Sync() }

// lock locks base: the lock file is empty, whoever wraps the directory.
func (d *encryptedDir) lock() (io.Closer, error) {
	l, ok := d.base.(interface {
		lock() (io.Closer, error)
	})
	if !ok {
		return nil, fmt.Errorf("%T: %w", d.base, errors.ErrUnsupported)
	}
	return l.lock()
}

// checkFree refuses bad names and those that the encryption needs itself.
func checkFree(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if isTaken(name) {
		return fmt.Errorf("disk: name %q: taken by the encryption of files", name)
	}
	return nil
}

func isTaken(name string) bool {
	name = strings.TrimSuffix(name, tempSuffix)
	return name == markName || isSpansName(name)
}
