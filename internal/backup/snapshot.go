package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/store"
)

// A snapshot is the instant that a backup is of. It is made in this order:
//
//	store/manifest.json   says which segments there are, and from where on the
//	                      journal has the records
//	journal files         opened: from now on it does not matter if they go
//	tree/checkpoint       signed after what the manifest says was purged
//	tree files            opened: they hold what the checkpoint covers
//	journal files         again, for one that was begun meanwhile: they hold all
//	                      records of the tree
//
// Segments are opened when they are copied. They never change and their names
// are not used twice, so if one is gone the log has merged, purged or erased
// meanwhile, and the next attempt is of a later instant.
type snapshot struct {
	*making

	listed   []byte // store/manifest.json
	segments []string
	spans    [][2]string // lists of spans of encrypted files: directory and name
	files    []openFile
	head     []byte // tree/checkpoint; nil if there is none
}

// An openFile is one of which the first size bytes are wanted.
type openFile struct {
	path   string
	reader disk.Reader
	size   int64
}

func (m *making) snapshot(dirs []string) (s *snapshot, err error) {
	s = &snapshot{making: m}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for _, step := range []func([]string) error{s.store, s.journal, s.tree, s.journal, s.sameStore} {
		if err := step(dirs); err != nil {
			return nil, err
		}
	}
	for _, f := range s.files {
		m.all += f.size
	}
	return s, nil
}

func (s *snapshot) close() {
	for _, f := range s.files {
		_ = f.reader.Close() // it was only read
	}
}

// store reads which files the store has.
func (s *snapshot) store(dirs []string) error {
	if !slices.Contains(dirs, storeDir) {
		return nil
	}
	dir, err := s.Source.FS.Sub(storeDir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if s.listed, err = disk.ReadFile(dir, storeManifest); errors.Is(err, fs.ErrNotExist) {
		return nil // a log that has just begun
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if s.plain != nil {
		plain, err := s.plain.Sub(storeDir)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		names, size, err := store.FileNames(plain)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		s.all += size
		delete(names, storeManifest)
		s.segments = slices.Sorted(maps.Keys(names))
		return s.listSpans(storeDir, dir)
	}
	s.all += s.writer.last.Bytes() // about
	names, err := dir.List()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for _, name := range names {
		if name != storeManifest && !skipped(storeDir, name) && !isSpans(name) {
			s.segments = append(s.segments, name)
		}
	}
	return s.listSpans(storeDir, dir)
}

const storeManifest = "manifest.json"

// sameStore starts over if the store has changed since its manifest was read:
// what was listed then need not be what the manifest names, and the manifest
// that was read need not be the one from which the names come.
func (s *snapshot) sameStore([]string) error {
	if s.listed == nil {
		return nil
	}
	dir, err := s.Source.FS.Sub(storeDir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	now, err := disk.ReadFile(dir, storeManifest)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if !bytes.Equal(now, s.listed) {
		return errMoved
	}
	return nil
}

// journal opens all files of the journal that are not open yet.
func (s *snapshot) journal(dirs []string) error {
	if !slices.Contains(dirs, journalDir) {
		return nil
	}
	return s.open(journalDir, func(string, int64) int64 { return -1 })
}

// tree reads the checkpoint and opens the files of the tree, as far as the
// checkpoint covers them.
func (s *snapshot) tree(dirs []string) error {
	if !slices.Contains(dirs, treeDir) {
		return nil
	}
	dir, err := s.Source.FS.Sub(treeDir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	s.head, err = disk.ReadFile(dir, checkpointName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("backup: %w", err)
	}
	cut := int64(-1)
	if s.head != nil && s.plain != nil {
		if err := s.readHead(dir); err != nil {
			return err
		}
		if s.plain == s.Source.FS { // else where bytes stand is not known here
			cut = s.manifest.Size
		}
	}
	return s.open(treeDir, func(name string, size int64) int64 {
		if n := treeBytes(name, cut); cut >= 0 && n >= 0 {
			return min(size, n)
		}
		return -1
	})
}

// Names of files of the tree.
const (
	checkpointName  = "checkpoint"
	commitmentsName = "commitments"
)

// readHead notes what the backup is of.
func (s *snapshot) readHead(dir disk.FS) error {
	msg := s.head
	if s.plain != s.Source.FS {
		plain, err := s.plain.Sub(treeDir)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		if msg, err = disk.ReadFile(plain, checkpointName); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		// The bytes and their meaning must be of one checkpoint: it is replaced often.
		again, err := disk.ReadFile(dir, checkpointName)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		if !bytes.Equal(again, s.head) {
			return errMoved
		}
	}
	origin, head, err := parseHead(msg)
	if err != nil {
		return fmt.Errorf("backup: tree/%s: %w", checkpointName, err)
	}
	m := &s.manifest
	m.Origin, m.Size, m.Root = origin, head.N, &head.Hash
	return nil
}

// treeBytes returns how many bytes of a file of the tree n records fix, or -1
// if it is another file.
func treeBytes(name string, n int64) int64 {
	if name == commitmentsName {
		return 32 * n
	}
	number, ok := strings.CutPrefix(name, "level")
	level, err := strconv.Atoi(number)
	if !ok || err != nil || level < 1 || level > 7 {
		return -1
	}
	return 32 * (n >> (8 * level))
}

// open opens the files in a directory. wanted returns how many bytes of one are
// wanted, -1 for all.
func (s *snapshot) open(path string, wanted func(name string, size int64) int64) error {
	dir, err := s.Source.FS.Sub(path)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	names, err := dir.List()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for _, name := range names {
		if skipped(path, name) || isSpans(name) || path == treeDir && name == checkpointName {
			continue
		}
		i := slices.IndexFunc(s.files, func(f openFile) bool { return f.path == join(path, name) })
		if i < 0 {
			r, err := dir.OpenRead(name)
			if errors.Is(err, fs.ErrNotExist) {
				return errMoved
			}
			if err != nil {
				return fmt.Errorf("backup: %w", err)
			}
			i = len(s.files)
			s.files = append(s.files, openFile{path: join(path, name), reader: r})
		}
		f := &s.files[i]
		if f.size, err = f.reader.Size(); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		if n := wanted(name, f.size); n >= 0 {
			f.size = n
		}
	}
	return s.listSpans(path, dir)
}

// listSpans notes which lists of spans there are: they are copied after the
// files that they are of, and say more than is needed, never less.
func (s *snapshot) listSpans(path string, dir disk.FS) error {
	names, err := dir.List()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for _, name := range names {
		if at := [2]string{path, name}; isSpans(name) && !slices.Contains(s.spans, at) {
			s.spans = append(s.spans, at)
		}
	}
	return nil
}

// isSpans reports whether a file is a list of spans of an encrypted one.
func isSpans(name string) bool {
	digits, ok := strings.CutSuffix(name, ".spans")
	return ok && len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}

// copy copies what the snapshot is of: what goes soonest first.
func (s *snapshot) copy(ctx context.Context) error {
	for _, f := range s.files {
		if err := s.file(ctx, f.path, f.reader, f.size); err != nil {
			return err
		}
	}
	if s.head != nil {
		if err := s.file(ctx, join(treeDir, checkpointName), memory(s.head), int64(len(s.head))); err != nil {
			return err
		}
	}
	for _, name := range s.segments {
		if err := s.segment(ctx, name); err != nil {
			return err
		}
	}
	if s.listed != nil {
		if err := s.file(ctx, join(storeDir, storeManifest), memory(s.listed), int64(len(s.listed))); err != nil {
			return err
		}
	}
	for _, at := range s.spans {
		if err := s.span(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// segment copies a file of the store, unless the last backup has it.
func (s *snapshot) segment(ctx context.Context, name string) error {
	dir, err := s.Source.FS.Sub(storeDir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	r, err := dir.OpenRead(name)
	if errors.Is(err, fs.ErrNotExist) {
		return s.gone(dir, name)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer r.Close()
	size, err := r.Size()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	path := join(storeDir, name)
	if old := s.writer.same(path, r, size); old != nil {
		s.manifest.Files = append(s.manifest.Files, *old)
		s.step(size)
		return nil
	}
	return s.file(ctx, path, r, size)
}

// gone says why a file of the store is not there.
func (s *snapshot) gone(dir disk.FS, name string) error {
	now, err := disk.ReadFile(dir, storeManifest)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if bytes.Equal(now, s.listed) && s.plain != nil {
		return fmt.Errorf("backup: store/%s is missing; the last backup is left as it is: custody fsck -repair mends the log with it", name)
	}
	return errMoved
}

// span copies a list of spans. One that is gone was of a file that is gone.
func (s *snapshot) span(ctx context.Context, at [2]string) error {
	dir, err := s.Source.FS.Sub(at[0])
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	data, err := disk.ReadFile(dir, at[1])
	if errors.Is(err, fs.ErrNotExist) {
		return errMoved
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return s.file(ctx, join(at[0], at[1]), memory(data), int64(len(data)))
}

// memory is a file in memory.
type memory []byte

func (m memory) ReadAt(b []byte, at int64) (int, error) { return bytes.NewReader(m).ReadAt(b, at) }
func (m memory) Close() error                           { return nil }
func (m memory) Size() (int64, error)                   { return int64(len(m)), nil }
