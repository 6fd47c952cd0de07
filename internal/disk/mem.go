package disk

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// ErrInjected is for a [Mem.Fail] that has no better error to give.
var ErrInjected = errors.New("disk: injected error")

// A Mem is a disk in memory that remembers what was synced, so that a test can
// pull the plug ([Mem.Crash]), fill it up ([Mem.Limit]), let any operation fail
// (Fail) and damage what is stored ([Mem.Flip]). The zero Mem is an empty disk.
// It is an [FS], safe for concurrent use. Paths, as in "journal/name", name
// files in directories below.
type Mem struct {
	// Fail, if not nil, is called before each operation with its kind and the
	// path it is about; the operation fails with its result and then has no
	// effect. Kinds are "open" (also for reading), "read", "write", "sync",
	// "truncate", "remove", "rename" (with the new name), "mkdir", and "list" and
	// "syncdir" (with the directory, "" for the top). Fail may call Crash.
	Fail func(op, path string) error

	mu      sync.Mutex
	names   map[string]*memNode // what the process sees, by path
	durable map[string]*memNode // the names that surely survive a crash
	pending []nameChange        // names changed since their directory was synced
	dirs    map[string]bool     // directories, by path; creating one is durable
	locked  map[string]bool     // directories that are locked, by path
	used    int64               // bytes in all named files
	limit   int64               // bytes that fit, 0 for any number
}

// A nameChange is one step of a directory from its durable to its seen state.
type nameChange struct {
	dir    string
	remove string   // path, "" if none
	add    string   // path, "" if none
	node   *memNode // what add names
}

func (c nameChange) apply(names map[string]*memNode) {
	if c.remove != "" {
		delete(names, c.remove)
	}
	if c.add != "" {
		names[c.add] = c.node
	}
}

// Limit sets how many bytes the disk holds; 0 means any number. A write that
// does not fit writes what fits and fails with ENOSPC.
func (m *Mem) Limit(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = bytes
}

// Used returns how many bytes all files hold.
func (m *Mem) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// Flip inverts bit 0 to 7 of the byte at offset of the file at path, behind
// the back of whoever has it open. It panics if there is no such byte.
func (m *Mem) Flip(path string, offset int64, bit int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names[path].data[offset] ^= 1 << bit
}

// Open implements [FS].
func (m *Mem) Open(name string) (File, error) { return m.top().Open(name) }

// OpenRead implements [FS].
func (m *Mem) OpenRead(name string) (Reader, error) { return m.top().OpenRead(name) }

// Exists implements [FS].
func (m *Mem) Exists(name string) (bool, error) { return m.top().Exists(name) }

// List implements [FS].
func (m *Mem) List() ([]string, error) { return m.top().List() }

// Remove implements [FS].
func (m *Mem) Remove(name string) error { return m.top().Remove(name) }

// Rename implements [FS].
func (m *Mem) Rename(from, to string) error { return m.top().Rename(from, to) }

// Sub implements [FS].
func (m *Mem) Sub(name string) (FS, error) { return m.top().Sub(name) }

// Sync implements [FS].
func (m *Mem) Sync() error { return m.top().Sync() }

func (m *Mem) lock() (io.Closer, error) { return m.top().lock() }

func (m *Mem) top() *memDir { return &memDir{m: m} }

// fail asks Fail. The caller must not hold mu.
func (m *Mem) fail(op, path string) error {
	if m.Fail == nil {
		return nil
	}
	return m.Fail(op, path)
}

// change lets the process see c, which is durable only after a Sync of its
// directory. The caller holds mu.
func (m *Mem) change(c nameChange) {
	if m.names == nil {
		m.names = make(map[string]*memNode)
	}
	for _, gone := range []string{c.remove, c.add} {
		if old, ok := m.names[gone]; ok && old != c.node {
			m.used -= int64(len(old.data))
		}
	}
	c.apply(m.names)
	m.pending = append(m.pending, c)
}

// A memDir is a directory of a Mem.
type memDir struct {
	m    *Mem
	path string // "" for the top, else ends in a slash
}

func (d *memDir) Open(name string) (File, error) {
	if err := d.check("open", name); err != nil {
		return nil, err
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	node, ok := d.m.names[d.path+name]
	if !ok {
		node = new(memNode)
		d.m.change(nameChange{dir: d.path, add: d.path + name, node: node})
	}
	return &memFile{m: d.m, path: d.path + name, node: node}, nil
}

func (d *memDir) OpenRead(name string) (Reader, error) {
	if err := d.check("open", name); err != nil {
		return nil, err
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	node, ok := d.m.names[d.path+name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: d.path + name, Err: fs.ErrNotExist}
	}
	return &memFile{m: d.m, path: d.path + name, node: node}, nil
}

func (d *memDir) Exists(name string) (bool, error) {
	if err := checkName(name); err != nil {
		return false, err
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	_, ok := d.m.names[d.path+name]
	return ok, nil
}

func (d *memDir) List() ([]string, error) {
	if err := d.m.fail("list", strings.TrimSuffix(d.path, "/")); err != nil {
		return nil, err
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	var names []string
	for path := range maps.Keys(d.m.names) {
		if name, ok := strings.CutPrefix(path, d.path); ok && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (d *memDir) Remove(name string) error {
	if err := d.check("remove", name); err != nil {
		return err
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if _, ok := d.m.names[d.path+name]; !ok {
		return &fs.PathError{Op: "remove", Path: d.path + name, Err: fs.ErrNotExist}
	}
	d.m.change(nameChange{dir: d.path, remove: d.path + name})
	return nil
}

func (d *memDir) Rename(from, to string) error {
	if err := errors.Join(checkName(from), d.check("rename", to)); err != nil {
		return err
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	node, ok := d.m.names[d.path+from]
	if !ok {
		return &fs.PathError{Op: "rename", Path: d.path + from, Err: fs.ErrNotExist}
	}
	if from != to {
		d.m.change(nameChange{dir: d.path, remove: d.path + from, add: d.path + to, node: node})
	}
	return nil
}

func (d *memDir) Sub(name string) (FS, error) {
	if err := d.check("mkdir", name); err != nil {
		return nil, err
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if _, ok := d.m.names[d.path+name]; ok {
		return nil, &fs.PathError{Op: "mkdir", Path: d.path + name, Err: syscall.ENOTDIR}
	}
	if d.m.dirs == nil {
		d.m.dirs = make(map[string]bool)
	}
	d.m.dirs[d.path+name] = true
	return &memDir{m: d.m, path: d.path + name + "/"}, nil
}

func (d *memDir) Sync() error {
	if err := d.m.fail("syncdir", strings.TrimSuffix(d.path, "/")); err != nil {
		return err
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if d.m.durable == nil {
		d.m.durable = make(map[string]*memNode)
	}
	d.m.pending = slices.DeleteFunc(d.m.pending, func(c nameChange) bool {
		if c.dir != d.path {
			return false
		}
		c.apply(d.m.durable)
		return true
	})
	return nil
}

// check refuses a bad name and asks Fail.
func (d *memDir) check(op, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return d.m.fail(op, d.path+name)
}

func (d *memDir) lock() (io.Closer, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if d.m.locked[d.path] {
		return nil, ErrLocked
	}
	if d.m.locked == nil {
		d.m.locked = make(map[string]bool)
	}
	d.m.locked[d.path] = true
	return memLock{d}, nil
}

type memLock struct{ d *memDir }

func (l memLock) Close() error {
	l.d.m.mu.Lock()
	defer l.d.m.mu.Unlock()
	delete(l.d.m.locked, l.d.path)
	return nil
}
