package disk

import (
	"errors"
	"io/fs"
	"os"
)

// Permissions of what we create: the journal holds personal data.
const (
	filePerm = 0o600
	dirPerm  = 0o700
)

// Dir returns the directory at path, which must exist. Names inside it cannot
// lead out of it, not even through a symbolic link.
func Dir(path string) (FS, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &dir{root}, nil
}

type dir struct{ root *os.Root }

func (d *dir) Open(name string) (File, error) {
	f, err := d.open(name, os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d *dir) OpenRead(name string) (Reader, error) {
	f, err := d.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d *dir) open(name string, flag int) (*os.File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return d.root.OpenFile(name, flag, filePerm)
}

func (d *dir) Exists(name string) (bool, error) {
	if err := checkName(name); err != nil {
		return false, err
	}
	switch info, err := d.root.Stat(name); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	default:
		return !info.IsDir(), nil
	}
}

func (d *dir) List() ([]string, error) {
	entries, err := fs.ReadDir(d.root.FS(), ".") // sorted
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (d *dir) Remove(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return d.root.Remove(name)
}

func (d *dir) Rename(from, to string) error {
	if err := errors.Join(checkName(from), checkName(to)); err != nil {
		return err
	}
	return d.root.Rename(from, to)
}

func (d *dir) Sub(name string) (FS, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	root, err := d.root.OpenRoot(name)
	if errors.Is(err, fs.ErrNotExist) {
		root, err = d.create(name)
	}
	if err != nil {
		return nil, err
	}
	return &dir{root}, nil
}

// create makes the named directory durable before anything is put into it.
func (d *dir) create(name string) (*os.Root, error) {
	if err := d.root.Mkdir(name, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := d.Sync(); err != nil {
		return nil, err
	}
	return d.root.OpenRoot(name)
}

func (d *dir) Sync() error {
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Sync makes the bytes and the length durable; the time of the last change
// may be lost, which spares a write per sync.
func (f osFile) Sync() error { return datasync(f.File) }
