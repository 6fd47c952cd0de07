package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/segment"
)

// A Repairing says what to repair with what.
type Repairing struct {
	Backup *Backup
	FS     disk.FS // the data directory as it is on the disk, with its lock held

	// Plain is the same as the log sees it: FS, or what [disk.Encrypt] makes of it.
	Plain disk.FS
}

// A Repaired is what became of one file.
type Repaired struct {
	Path string
	Err  error // why it is as it was; nil if it was replaced
}

// repairSuffix marks a file that is not in its place yet. The store removes it.
const repairSuffix = ".repair.tmp"

// Repair replaces files of the store by those of the same name in a backup, if
// these are whole. Afterwards the directory is to be checked again: whether the
// rows are those of this log, only the tree can tell.
func Repair(ctx context.Context, r Repairing, paths []string) ([]Repaired, error) {
	ours, err := mark(r.FS)
	if err != nil {
		return nil, err
	}
	theirs, err := mark(r.Backup.FS())
	if err != nil {
		return nil, err
	}
	if ours != theirs {
		return nil, errors.New("backup: its files are not encrypted with the key with which those of the log are: take a backup of this directory")
	}
	var list []Repaired
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return list, err
		}
		list = append(list, Repaired{path, r.file(path)})
	}
	return list, nil
}

// mark returns what says how a data directory is encrypted, "" if it is not.
func mark(dir disk.FS) (string, error) {
	there, err := dir.Exists(markName)
	if err != nil || !there {
		return "", err
	}
	data, err := disk.ReadFile(dir, markName)
	return string(data), err
}

// file replaces one file. Names of files of the store are not used twice, so
// that the backup has the same file or none.
func (r *Repairing) file(path string) (err error) {
	f := r.Backup.paths[path]
	if f == nil {
		return errors.New("the backup does not have it")
	}
	_, name := split(path)
	dir, err := r.FS.Sub(storeDir)
	if err != nil {
		return err
	}
	plain, err := r.Plain.Sub(storeDir)
	if err != nil {
		return err
	}
	temp := name + repairSuffix
	if err := r.write(dir, temp, f); err != nil {
		return err
	}
	if err := segment.CheckFile(plain, temp); err != nil {
		return errors.Join(fmt.Errorf("the backup was made of it when it was damaged: %w", err), dir.Remove(temp))
	}
	if err := dir.Rename(temp, name); err != nil {
		return err
	}
	return dir.Sync()
}

func (r *Repairing) write(dir disk.FS, name string, f *File) (err error) {
	file, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := file.Truncate(0); err != nil {
		return err
	}
	for i := range f.Parts {
		data, err := r.Backup.whole(f, i)
		if err != nil {
			return err
		}
		if _, err := file.Write(data); err != nil {
			return err
		}
	}
	return file.Sync()
}

// MendTree puts the commitments that signed records give in the place of those
// in the tree's file, as far as a check found that the file is wrong about them.
// data is the data directory as the log sees it. It returns how many these are.
func MendTree(ctx context.Context, data disk.FS, r *Report) (mended int, err error) {
	right := make(map[int64]*event.Commitment)
	for _, f := range r.Findings {
		if f.gives != nil && f.File == join(treeDir, commitmentsName) {
			right[f.Seq] = f.gives
		}
	}
	if len(right) == 0 {
		return 0, nil
	}
	dir, err := data.Sub(treeDir)
	if err != nil {
		return 0, fmt.Errorf("backup: %w", err)
	}
	temp := commitmentsName + repairSuffix
	if err := rewrite(ctx, dir, temp, right); err != nil {
		return 0, fmt.Errorf("backup: mend tree/%s: %w", commitmentsName, errors.Join(err, dir.Remove(temp)))
	}
	if err := dir.Rename(temp, commitmentsName); err != nil {
		return 0, fmt.Errorf("backup: %w", err)
	}
	return len(right), dir.Sync()
}

// rewrite writes the commitments to a new file, some of them others.
func rewrite(ctx context.Context, dir disk.FS, name string, instead map[int64]*event.Commitment) (err error) {
	r, err := dir.OpenRead(commitmentsName)
	if err != nil {
		return err
	}
	defer r.Close()
	size, err := r.Size()
	if err != nil {
		return err
	}
	file, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := file.Truncate(0); err != nil {
		return err
	}
	from := &prefix{Reader: r, size: size, instead: instead}
	buf := make([]byte, min(size, 1<<20))
	for at := int64(0); at < size; at += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := buf[:min(int64(len(buf)), size-at)]
		if n, err := from.ReadAt(part, at); n < len(part) {
			return err
		}
		if _, err := file.Write(part); err != nil {
			return err
		}
	}
	return file.Sync()
}
