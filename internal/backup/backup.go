// Package backup copies a log to another directory, and back, and checks a log
// on disk down to the last byte.
//
// # Promises
//
//   - A backup is of one instant, although the log goes on writing: what it is
//     restored to is a log that starts and verifies.
//   - Until a backup is complete the one before stays whole; a power cut leaves
//     the one or the other.
//   - What the log no longer has, because it was purged or erased, is in no file
//     of the next backup.
//   - What is restored has the SHA-256 that was noted when it was copied, or
//     nothing is.
//   - A check names the file and the record that are wrong, and changes nothing.
//   - Nothing here needs the key with which a data directory is encrypted,
//     except to check it: files are copied as they are on the disk.
//
// # Layout
//
// A backup is a directory:
//
//	BACKUP        which files there are, of which parts; replaced as a whole
//	parts/HEX     up to 32 MiB of one or more files; the name is their SHA-256
//	lock          held by the one process that may write here
//
// The format is in docs/backup.md.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/disk"
)

// maxAttempts is how often a backup begins anew because the log removed files
// that were to be copied. What was copied already is not copied again.
const maxAttempts = 20

// A Source is a log's data directory.
type Source struct {
	FS disk.FS // as it is on the disk: not the one that [disk.Encrypt] returns

	// Key decrypts it, if it is encrypted. It may be nil all the same: then the
	// backup does not know its own size, and may hold files that the log was
	// about to remove.
	Key *disk.FileKey

	// Dirs returns the paths of all directories below FS, with slashes.
	Dirs func() ([]string, error)
}

// plain returns the directory as the log sees it, or nil if it is encrypted and
// there is no key.
func (s *Source) plain() (disk.FS, error) {
	encrypted, err := s.FS.Exists(markName)
	switch {
	case err != nil:
		return nil, fmt.Errorf("backup: %w", err)
	case !encrypted:
		return s.FS, nil
	case s.Key == nil:
		return nil, nil
	}
	if err := disk.CheckEncrypted(s.FS, s.Key); err != nil {
		return nil, err
	}
	return disk.Encrypt(s.FS, s.Key)
}

// A Config says what to back up.
type Config struct {
	Source Source
	Dest   disk.FS // the directory of the backup

	// WithoutKeys leaves out the keys that sign: a log that is restored does not
	// start until they are put back.
	WithoutKeys bool

	// Check has every part that is there already read and compared with its
	// SHA-256, and copied again if it does not have it.
	Check bool

	Now      time.Time
	Progress func(done, all int64) // bytes; may be nil
}

// A Made is what a backup did.
type Made struct {
	Manifest

	Copied      int   `json:"copied_parts"` // that were not there yet
	CopiedBytes int64 `json:"copied_bytes"`
	Removed     int   `json:"removed_parts"` // that no file has any more
}

// Make brings the backup in c.Dest up to date with the log, which may run.
func Make(ctx context.Context, c Config) (made *Made, err error) {
	lock, err := disk.Lock(c.Dest)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	w, err := openWriter(&c)
	if err != nil {
		return nil, err
	}
	plain, err := c.Source.plain()
	if err != nil {
		return nil, err
	}
	m := &making{Config: &c, plain: plain, writer: w}
	for attempt := 1; ; attempt++ {
		err = m.attempt(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, errMoved) || attempt == maxAttempts {
			return nil, err
		}
	}
	removed, err := w.commit(&m.manifest)
	if err != nil {
		return nil, err
	}
	return &Made{m.manifest, w.copied, w.copiedBytes, removed}, nil
}

// errMoved means that the log removed a file before it was copied: others hold
// what was in it.
var errMoved = errors.New("backup: the log moves its files faster than they can be copied: try again")

// A making is one call of Make.
type making struct {
	*Config

	plain    disk.FS // nil if it cannot be read
	writer   *writer
	manifest Manifest
	done     int64 // bytes
	all      int64
}

// attempt copies everything, in an order in which nothing can contradict what
// was copied before it:
//
//	what is of its own         keys, what witnesses and proxies know
//	retain/                    before the records, so that an erasure whose
//	                           records were copied before it is not called done
//	store/manifest.json        then the instant has come, see snapshot
func (m *making) attempt(ctx context.Context) error {
	m.done, m.all = 0, 0
	m.manifest = Manifest{Version: manifestVersion, Created: m.Now.UTC(), Size: -1, Keys: !m.WithoutKeys}
	if m.plain == nil || m.plain != m.Source.FS {
		m.manifest.Encrypted = true
	}
	dirs, err := m.Source.Dirs()
	if err != nil {
		return err
	}
	slices.Sort(dirs)
	first, last := []string{""}, []string(nil)
	for _, dir := range dirs {
		switch top, _, _ := strings.Cut(dir, "/"); top {
		case storeDir, journalDir, treeDir, "lost+found":
		case retainDir:
			last = append(last, dir)
		case signingDir:
			if !m.WithoutKeys {
				first = append(first, dir)
			}
		default:
			first = append(first, dir)
		}
	}
	for _, dir := range append(first, last...) {
		if err := m.directory(ctx, dir); err != nil {
			return err
		}
	}
	s, err := m.snapshot(dirs)
	if err != nil {
		return err
	}
	defer s.close()
	return s.copy(ctx)
}

// directory copies the files of one directory. They are small, replaced as a
// whole, and independent of each other; one that goes meanwhile is gone.
func (m *making) directory(ctx context.Context, path string) error {
	dir, err := sub(m.Source.FS, path)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	names, err := dir.List()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for _, name := range names {
		if skipped(path, name) {
			continue
		}
		r, err := dir.OpenRead(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		size, err := r.Size()
		if err == nil {
			m.all += size
			err = m.file(ctx, join(path, name), r, size)
		}
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return nil
}

// skipped reports whether a file is none of the log's: its lock, and what a
// replacement under way leaves.
func skipped(path, name string) bool {
	return path == "" && (name == lockName || name == noteName) || strings.HasSuffix(name, ".tmp")
}

// file copies size bytes of a file.
func (m *making) file(ctx context.Context, path string, r disk.Reader, size int64) error {
	f := File{Path: path, Bytes: size}
	for at := int64(0); at < size; at += partBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		part, err := m.writer.part(r, at, min(partBytes, size-at))
		if err != nil {
			return fmt.Errorf("backup: %s: %w", path, err)
		}
		f.Parts = append(f.Parts, part)
		m.step(min(partBytes, size-at))
	}
	m.manifest.Files = append(m.manifest.Files, f)
	return nil
}

func (m *making) step(n int64) {
	m.done += n
	if m.Progress != nil {
		m.Progress(m.done, max(m.done, m.all))
	}
}

// Names in a data directory.
const (
	lockName   = "lock"
	markName   = "encryption"
	storeDir   = "store"
	journalDir = "journal"
	treeDir    = "tree"
	retainDir  = "retain"
	signingDir = "signing"
)

// sub returns the directory at a path, "" for the top.
func sub(at disk.FS, path string) (disk.FS, error) {
	if path == "" {
		return at, nil
	}
	for name := range strings.SplitSeq(path, "/") {
		below, err := at.Sub(name)
		if err != nil {
			return nil, err
		}
		at = below
	}
	return at, nil
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// split returns the directory and the name in a path.
func split(path string) (dir, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}
