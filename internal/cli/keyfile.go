package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/custody-log/custody/internal/disk"
)

// fileKeyFlag declares the flag that names the file key, for every command that
// takes a data directory.
func fileKeyFlag(flags *flag.FlagSet) *string {
	return flags.String("encryption-key", "", "key `file` with which the data directory is encrypted; custody keys file create PATH makes one")
}

// openData opens the data directory at path for a command that looks at it;
// keyFile is "" for one that is not encrypted. Serve and restore, which may be
// the first to write to it, do so themselves once they have its lock.
func openData(path, keyFile string) (disk.FS, error) {
	base, err := disk.Dir(path)
	if err != nil {
		return nil, err
	}
	key, err := readFileKey(keyFile)
	if err != nil {
		return nil, err
	}
	if err := disk.CheckEncrypted(base, key); err != nil {
		return nil, hintFileKey(err)
	}
	if key == nil {
		return base, nil
	}
	return disk.Encrypt(base, key)
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
