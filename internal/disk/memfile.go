package disk

import (
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"
	"syscall"
)

// A memNode is the content of a file, whatever its name. Its fields are
// guarded by the mu of its Mem.
type memNode struct {
	data   []byte
	synced int    // data[:synced] survives a crash
	before []byte // what may survive instead: the synced content before an unsynced Truncate, nil if none
}

// A memFile is an open file of a Mem.
type memFile struct {
	m      *Mem
	path   string // when it was opened
	node   *memNode
	closed atomic.Bool
}

func (f *memFile) check(op string) error {
	if f.closed.Load() {
		return &fs.PathError{Op: op, Path: f.path, Err: fs.ErrClosed}
	}
	return f.m.fail(op, f.path)
}

func (f *memFile) Write(p []byte) (int, error) {
	if err := f.check("write"); err != nil {
		return 0, err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	n := len(p)
	if f.m.limit > 0 {
		n = int(min(int64(n), max(0, f.m.limit-f.m.used)))
	}
	f.node.data = append(f.node.data, p[:n]...)
	f.m.used += int64(n)
	if n < len(p) {
		return n, &fs.PathError{Op: "write", Path: f.path, Err: syscall.ENOSPC}
	}
	return n, nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read"); err != nil {
		return 0, err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if off < 0 {
		return 0, fmt.Errorf("disk: read %s at %d: %w", f.path, off, fs.ErrInvalid)
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Size() (int64, error) {
	if err := f.check("read"); err != nil {
		return 0, err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.node.data)), nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.check("truncate"); err != nil {
		return err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	n := f.node
	if size < 0 || size > int64(len(n.data)) {
		return fmt.Errorf("disk: truncate %s to %d of %d bytes: %w", f.path, size, len(n.data), fs.ErrInvalid)
	}
	if int(size) < n.synced && n.before == nil {
		n.before = append([]byte{}, n.data[:n.synced]...)
	}
	f.m.used -= int64(len(n.data)) - size
	n.data = n.data[:size]
	n.synced = min(n.synced, int(size))
	return nil
}

func (f *memFile) Sync() error {
	if err := f.check("sync"); err != nil {
		return err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.node.synced, f.node.before = len(f.node.data), nil
	return nil
}

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return &fs.PathError{Op: "close", Path: f.path, Err: fs.ErrClosed}
	}
	return nil
}
