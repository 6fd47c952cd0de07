package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/custody-log/custody/internal/disk"
)

// A DamageError says that a backup does not hold what was copied into it. The
// caller takes another backup.
type DamageError struct {
	Path, Part string
	Reason     string
}

// Error implements error.
func (e *DamageError) Error() string {
	return fmt.Sprintf("backup: %s is damaged: part %s %s", e.Path, e.Part, e.Reason)
}

// whole returns a part of a file, if it has its SHA-256.
func (b *Backup) whole(f *File, i int) ([]byte, error) {
	r, err := b.parts.OpenRead(f.Parts[i])
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &DamageError{f.Path, f.Parts[i], "is missing"}
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %s: %w", f.Path, err)
	}
	defer r.Close()
	data := make([]byte, f.partSize(i))
	if n, err := r.ReadAt(data, 0); n < len(data) {
		return nil, &DamageError{f.Path, f.Parts[i], fmt.Sprintf("cannot be read: %v", err)}
	}
	if nameOf(data) != f.Parts[i] {
		return nil, &DamageError{f.Path, f.Parts[i], "does not have its SHA-256"}
	}
	return data, nil
}

// A Restoring says what to restore, and into what.
type Restoring struct {
	Backup *Backup

	// From is the data directory in the backup as it is to be read: nil to copy
	// files as they are, which keeps what is encrypted encrypted; or what
	// [disk.Encrypt] makes of [Backup.FS].
	From disk.FS

	// Dest is the new data directory, which must be empty, and whose lock the
	// caller has. It may be one that encrypts; then From must not be nil if the
	// backup is encrypted.
	Dest disk.FS

	// Ledger, if its FS is not nil, is a data directory, as the log sees it, that
	// is newer than the backup: what it knows of holds, policies and erasures takes
	// the place of what the backup knows.
	Ledger Ledger

	Progress func(done, all int64) // bytes; may be nil
}

// A Ledger is where the newest knowledge of erasures is.
type Ledger struct {
	FS   disk.FS
	Dirs []string // of retain/ and all below
}

// appliedPath is what is known of the records that are restored, not of the
// newest: it comes from the backup.
const appliedPath = "retain/applied.json"

// lastPath is restored last: a log that has records does not start without it.
const lastPath = "signing/log.keys"

// Restore writes a data directory. It is durable when Restore returns nil.
// After an error a log does not start on what is there; it is to be removed.
func Restore(ctx context.Context, r Restoring) error {
	c := &restore{Restoring: r, all: r.Backup.Bytes(), dirs: make(map[string]disk.FS)}
	var last *File
	for i := range r.Backup.Files {
		f := &r.Backup.Files[i]
		switch {
		case r.Ledger.FS != nil && strings.HasPrefix(f.Path, retainDir+"/") && f.Path != appliedPath:
			continue
		case f.Path == lastPath:
			last = f
			continue
		case r.From != nil && hides(f.Path):
			continue
		}
		if err := c.file(ctx, f); err != nil {
			return err
		}
	}
	if err := c.ledger(ctx); err != nil {
		return err
	}
	if err := c.sync(); err != nil {
		return err
	}
	if last == nil {
		return nil
	}
	if err := c.file(ctx, last); err != nil {
		return err
	}
	return c.sync()
}

// hides reports whether a file belongs to the encryption of others, which is
// not seen through it.
func hides(path string) bool {
	_, name := split(path)
	return path == markName || isSpans(name)
}

// A restore is one call of Restore.
type restore struct {
	Restoring

	dirs map[string]disk.FS // written to
	done int64
	all  int64
}

func (c *restore) dir(path string) (disk.FS, error) {
	if dir, ok := c.dirs[path]; ok {
		return dir, nil
	}
	dir, err := sub(c.Dest, path)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	c.dirs[path] = dir
	return dir, nil
}

// file restores one file. Every part is compared with its SHA-256 before
// anything of it counts.
func (c *restore) file(ctx context.Context, f *File) (err error) {
	at, name := split(f.Path)
	dir, err := c.dir(at)
	if err != nil {
		return err
	}
	file, err := dir.Open(name)
	if err != nil {
		return fmt.Errorf("backup: restore %s: %w", f.Path, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for i := range f.Parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := c.Backup.whole(f, i)
		if err != nil {
			return err
		}
		if c.From == nil {
			if _, err := file.Write(data); err != nil {
				return fmt.Errorf("backup: restore %s: %w", f.Path, err)
			}
		}
		c.done += int64(len(data))
		if c.Progress != nil {
			c.Progress(c.done, c.all)
		}
	}
	if c.From != nil {
		from, err := sub(c.From, at)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		if err := transfer(ctx, file, from, name); err != nil {
			return fmt.Errorf("backup: restore %s: %w", f.Path, err)
		}
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("backup: restore %s: %w", f.Path, err)
	}
	return nil
}

// transfer appends the content of a file to another.
func transfer(ctx context.Context, to io.Writer, dir disk.FS, name string) (err error) {
	r, err := dir.OpenRead(name)
	if err != nil {
		return err
	}
	defer r.Close()
	size, err := r.Size()
	if err != nil {
		return err
	}
	buf := make([]byte, min(size, 1<<20))
	for at := int64(0); at < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := buf[:min(int64(len(buf)), size-at)]
		if n, err := r.ReadAt(part, at); n < len(part) {
			return errors.Join(err, io.ErrUnexpectedEOF)
		}
		if _, err := to.Write(part); err != nil {
			return err
		}
		at += int64(len(part))
	}
	return nil
}

// ledger copies what a newer directory knows of holds, policies and erasures.
func (c *restore) ledger(ctx context.Context) error {
	if c.Ledger.FS == nil {
		return nil
	}
	for _, path := range c.Ledger.Dirs {
		if path != retainDir && !strings.HasPrefix(path, retainDir+"/") {
			continue
		}
		from, err := sub(c.Ledger.FS, path)
		if err != nil {
			return fmt.Errorf("backup: ledger: %w", err)
		}
		names, err := from.List()
		if err != nil {
			return fmt.Errorf("backup: ledger: %w", err)
		}
		names = slices.DeleteFunc(names, func(name string) bool {
			return join(path, name) == appliedPath || skipped(path, name)
		})
		for _, name := range names {
			if err := c.ledgerFile(ctx, from, path, name); err != nil {
				return fmt.Errorf("backup: ledger: %s: %w", join(path, name), err)
			}
		}
	}
	return nil
}

func (c *restore) ledgerFile(ctx context.Context, from disk.FS, path, name string) (err error) {
	dir, err := c.dir(path)
	if err != nil {
		return err
	}
	file, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := transfer(ctx, file, from, name); err != nil {
		return err
	}
	return file.Sync()
}

// sync makes all names durable.
func (c *restore) sync() error {
	for path, dir := range c.dirs {
		if err := dir.Sync(); err != nil {
			return fmt.Errorf("backup: restore %s: %w", path, err)
		}
	}
	return nil
}

// Verify reads all parts and compares them with their SHA-256.
func (b *Backup) Verify(ctx context.Context, progress func(done, all int64)) error {
	done, all := int64(0), b.Bytes()
	for i := range b.Files {
		f := &b.Files[i]
		for k := range f.Parts {
			if err := ctx.Err(); err != nil {
				return err
			}
			data, err := b.whole(f, k)
			if err != nil {
				return err
			}
			if done += int64(len(data)); progress != nil {
				progress(done, all)
			}
		}
	}
	return nil
}
