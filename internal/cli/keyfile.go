package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/custody-log/custody/internal/backup"
	"github.com/custody-log/custody/internal/disk"
)

// fileKeyFlag declares the flag that names the file key, for every command that
// takes a data directory.
func fileKeyFlag(flags *flag.FlagSet) *string {
	return flags.String("encryption-key", "", "key `file` with which the data directory is encrypted; custody keys file create PATH makes one")
}

// A dataDir is a data directory, or the one in a backup, for a command that
// looks at it.
type dataDir struct {
	path   string
	base   disk.FS        // as it is on the disk
	plain  disk.FS        // as the log sees it; nil if it is encrypted and no key was given
	backup *backup.Backup // nil if it is a directory
}

// openData opens the data directory at path, or the backup there; keyFile is ""
// for one that is not encrypted. Serve and restore, which may be the first to
// write to it, do so themselves once they have its lock.
func openData(path, keyFile string) (*dataDir, error) {
	d, key, err := openBase(path, keyFile)
	if err != nil {
		return nil, err
	}
	if err := d.isLog(); err != nil {
		return nil, err
	}
	if err := disk.CheckEncrypted(d.base, key); err != nil {
		return nil, hintFileKey(err)
	}
	return d, d.decrypt(key)
}

// openBase is openData without a look at whether it is a log, and whether key and
// directory go together.
func openBase(path, keyFile string) (*dataDir, *disk.FileKey, error) {
	base, err := disk.Dir(path)
	if err != nil {
		return nil, nil, err
	}
	key, err := readFileKey(keyFile)
	if err != nil {
		return nil, nil, err
	}
	d := &dataDir{path: path, base: base}
	switch is, err := backup.Is(base); {
	case err != nil:
		return nil, nil, err
	case is:
		if d.backup, err = backup.Open(base); err != nil {
			return nil, nil, err
		}
		d.base = d.backup.FS()
	}
	return d, key, nil
}

// isLog refuses a directory that is none of a log.
func (d *dataDir) isLog() error {
	if d.backup != nil {
		return nil
	}
	for _, name := range []string{"journal", "store", "tree"} {
		if !exists(filepath.Join(d.path, name)) {
			return withHint(fmt.Errorf("%s is not a log's data directory, and no backup: it has no %s/", d.path, name), "custody serve -data names it")
		}
	}
	return nil
}

// decrypt sets plain.
func (d *dataDir) decrypt(key *disk.FileKey) (err error) {
	if key == nil {
		d.plain = d.base
		return nil
	}
	d.plain, err = disk.Encrypt(d.base, key)
	return err
}

// dirs returns the paths of all directories below.
func (d *dataDir) dirs() ([]string, error) {
	if d.backup != nil {
		return d.backup.Dirs()
	}
	var list []string
	err := filepath.WalkDir(d.path, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			return fs.SkipDir // gone meanwhile, or not ours
		case err != nil:
			return err
		case !entry.IsDir() || path == d.path:
			return nil
		}
		rel, err := filepath.Rel(d.path, path)
		list = append(list, filepath.ToSlash(rel))
		return err
	})
	return list, err
}

// lock takes the lock of the directory, if it can be written to. running says
// that a log has it.
func (d *dataDir) lock() (lock io.Closer, running bool) {
	if d.backup != nil {
		return nil, false
	}
	lock, err := disk.Lock(d.base)
	return lock, errors.Is(err, disk.ErrLocked)
}

// readFileKey reads the file key at path, or returns nil if path is "". A key
// file that others can read is refused: what it encrypts is no secret then.
func readFileKey(path string) (*disk.FileKey, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, withHint(err, "custody keys file create makes a key file")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, withHint(fmt.Errorf("%s can be read by others: its mode is %04o", path, mode), "chmod 600 "+path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFileBytes+1))
	if err != nil {
		return nil, err
	}
	key, err := disk.LoadFileKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// createFileKey makes a key file at path, where none may be. It is durable
// before anything is encrypted with it.
func createFileKey(env *Env, path string) (err error) {
	key, err := disk.GenerateFileKey()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return withHint(err, "a key file is never written over: without it what it encrypted is lost")
	}
	if err != nil {
		return err
	}
	_, err = f.Write(key.Format())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	dir, err := disk.Dir(filepath.Dir(path))
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		return err
	}
	fmt.Fprintf(env.Stderr, "file key %s is in %s; keep a copy where the log's backups are not: without it they are noise\n", key.ID(), path)
	return nil
}

// hintFileKey adds what helps when files and file key do not belong together.
func hintFileKey(err error) error {
	if errors.Is(err, disk.ErrFileKey) {
		return withHint(err, "-encryption-key names the key file; each data directory keeps to the one it began with, or to none")
	}
	return err
}
