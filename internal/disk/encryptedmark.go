package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// markName is the file that says that a data directory is encrypted.
const markName = "encryption"

const (
	markPrefix = "custody-encryption-v1 "

	// maxMarkBytes bounds the file; it needs 39 bytes.
	maxMarkBytes = 1 << 10
	// maxPeekDirs and maxPeekFiles bound how much is looked at where there is
	// no such file: directories, and files in each.
	maxPeekDirs  = 64
	maxPeekFiles = 16
)

// CheckEncrypted reports whether the data directory base goes with key, which
// is nil if there is none: an error that wraps [ErrFileKey] says that it does
// not, and what to do. A directory in which there is nothing yet goes with any.
// Base is the directory itself, not the one that [Encrypt] returns. Nothing is
// written.
func CheckEncrypted(base FS, key *FileKey) error {
	_, err := checkMark(base, key)
	return err
}

// MarkEncrypted is [CheckEncrypted] for whoever is about to write to base and
// holds its lock: with a key it keeps durably that the directory is encrypted.
// The file is called encryption; it is not secret.
func MarkEncrypted(base FS, key *FileKey) error {
	marked, err := checkMark(base, key)
	if err != nil || marked || key == nil {
		return err
	}
	return ReplaceFile(base, markName, fmt.Appendf(nil, "%s%s\n", markPrefix, key.id))
}

// checkMark is CheckEncrypted, and reports whether the directory is marked.
func checkMark(base FS, key *FileKey) (marked bool, err error) {
	id, marked, err := readMark(base)
	if err != nil {
		return false, fmt.Errorf("disk: %s: %w", markName, err)
	}
	where := "the data directory"
	if !marked {
		if where, id, err = peek(base); err != nil {
			return false, fmt.Errorf("disk: look for encrypted files: %w", err)
		}
	}
	switch {
	case where == "": // nothing is there
	case key == nil && id != "":
		return marked, fmt.Errorf("disk: %w: %s is encrypted with key %s, and no key was given", ErrFileKey, where, id)
	case key != nil && id == "":
		return marked, fmt.Errorf("disk: %w: %s is not encrypted: a log that began without a key goes on without; "+
			"to encrypt it, make a backup and restore that with a key into a new directory", ErrFileKey, where)
	case key != nil && id != key.ID():
		return marked, fmt.Errorf("disk: %w: %s is encrypted with key %s, this is %s", ErrFileKey, where, id, key.id)
	}
	return marked, nil
}

// readMark returns the ID of the key that the directory is marked with.
func readMark(base FS) (id string, marked bool, err error) {
	r, err := base.OpenRead(markName)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer r.Close()
	b := make([]byte, maxMarkBytes)
	n, err := r.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false, err
	}
	id, ok := strings.CutPrefix(strings.TrimSpace(string(b[:n])), markPrefix)
	if !ok || len(id) != 2*keyIDBytes || strings.Trim(id, "0123456789abcdef") != "" {
		return "", false, fmt.Errorf("want %q and the ID of a file key", markPrefix)
	}
	return id, true, nil
}

// peek looks at files in base, and in directories in base, and returns the
// path of one that tells, and the ID of its key, "" if it is not encrypted. The
// path is "" if none tells.
func peek(base FS) (path, id string, err error) {
	if path, id, err = peekFiles(base, ""); path != "" || err != nil {
		return path, id, err
	}
	holder, ok := base.(interface{ subdirs() ([]string, error) })
	if !ok {
		return "", "", nil
	}
	names, err := holder.subdirs()
	if err != nil {
		return "", "", err
	}
	for _, name := range names[:min(len(names), maxPeekDirs)] {
		below, err := base.Sub(name)
		if errors.Is(err, fs.ErrPermission) {
			continue // not ours: lost+found
		}
		if err != nil {
			return "", "", err
		}
		if path, id, err = peekFiles(below, name+"/"); path != "" || err != nil {
			return path, id, err
		}
	}
	return "", "", nil
}

// peekFiles is peek for the files in one directory.
func peekFiles(dir FS, at string) (path, id string, err error) {
	names, err := dir.List()
	if err != nil {
		return "", "", err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return name == lockName || isTaken(name)
	})
	for _, name := range names[:min(len(names), maxPeekFiles)] {
		r, err := dir.OpenRead(name)
		if err != nil {
			continue // not ours, or a link that leads out
		}
		s, ok, err := readSeal(r)
		err = errors.Join(err, r.Close())
		switch {
		case errors.Is(err, ErrFileKey):
			return at + name, "", nil
		case err != nil:
			return "", "", fmt.Errorf("%s%s: %w", at, name, err)
		case ok:
			return at + name, s.key.String(), nil
		}
	}
	return "", "", nil
}

// subdirs returns the names of the directories in d, sorted.
func (d *dir) subdirs() ([]string, error) {
	entries, err := fs.ReadDir(d.root.FS(), ".") // sorted
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
