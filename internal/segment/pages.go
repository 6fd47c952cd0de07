package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/custody-log/custody/internal/disk"
)

// pageBytes is how much of a file is read, checked and kept at a time.
const pageBytes = 16 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Cache keeps pages of segments in memory, up to a limit, those used lately.
// It may be shared by any number of segments.
type Cache struct {
	limit int // pages

	mu   sync.Mutex
	ring []*page // clock order
	hand int

	kindMu    sync.Mutex
	kinds     map[string]*kind
	kindBytes int
}

// NewCache returns a cache of at most limit bytes, and at least 1 MiB.
func NewCache(limit int64) *Cache {
	return &Cache{limit: int(max(limit, 1<<20) / pageBytes)}
}

// maxKindMemory bounds the descriptions of kinds that are shared, in bytes as they
// are written.
const maxKindMemory = 8 << 20

// kind returns the kind that key describes. Segments have most of theirs in
// common, and in memory a kind is large.
func (c *Cache) kind(key []byte) *kind {
	if c == nil {
		return parseKind(string(key))
	}
	c.kindMu.Lock()
	defer c.kindMu.Unlock()
	if k, ok := c.kinds[string(key)]; ok {
		return k
	}
	k := parseKind(string(key))
	if c.kindBytes+len(key) <= maxKindMemory {
		if c.kinds == nil {
			c.kinds = make(map[string]*kind)
		}
		c.kinds[k.key] = k
		c.kindBytes += len(key)
	}
	return k
}

// A page is a checked part of a file.
type page struct {
	slot *atomic.Pointer[page]
	used atomic.Bool
	data []byte
}

// add takes in p and lets go of one that was not used lately (the clock
// algorithm, Corbato 1968).
func (c *Cache) add(p *page) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ring) < c.limit {
		c.ring = append(c.ring, p)
		return
	}
	for {
		old := c.ring[c.hand]
		if !old.used.Swap(false) {
			old.slot.CompareAndSwap(old, nil)
			c.ring[c.hand] = p
			c.hand = (c.hand + 1) % len(c.ring)
			return
		}
		c.hand = (c.hand + 1) % len(c.ring)
	}
}

// pages reads one file page by page.
type pages struct {
	name  string
	file  disk.Reader
	size  int64 // bytes that are in pages
	sums  []uint32
	slots []atomic.Pointer[page]
	cache *Cache
}

// get returns page i.
func (p *pages) get(i int) []byte {
	if i < 0 || i >= len(p.slots) {
		panic(damagef("page %d of %d", i, len(p.slots)))
	}
	if q := p.slots[i].Load(); q != nil {
		if !q.used.Load() {
			q.used.Store(true)
		}
		return q.data
	}
	q := &page{slot: &p.slots[i], data: p.read(i)}
	if p.cache != nil && p.slots[i].CompareAndSwap(nil, q) {
		p.cache.add(q)
	}
	return q.data
}

// read reads page i from the file and checks it.
func (p *pages) read(i int) []byte {
	at := int64(i) * pageBytes
	data := make([]byte, min(pageBytes, p.size-at))
	if _, err := p.file.ReadAt(data, at); err != nil && !errors.Is(err, io.EOF) {
		panic(&DamageError{File: p.name, Reason: fmt.Sprintf("page %d cannot be read", i), Err: err})
	}
	if crc32.Checksum(data, castagnoli) != p.sums[i] {
		panic(&DamageError{File: p.name, Reason: fmt.Sprintf("page %d, at byte %d, does not have its checksum", i, at)})
	}
	return data
}

// A reader reads one section of a file. It is for one goroutine; copies are
// cheap and independent.
type reader struct {
	pages    *pages
	base     int64  // of the section in the file
	size     int64  // of the section
	page     []byte // the last one used
	from, to int64  // where in the file page is
}

// word returns the eight bytes at the given offset, little-endian.
func (r *reader) word(at int64) uint64 {
	at += r.base
	if at < r.from || at+8 > r.to {
		return r.load(at)
	}
	return binary.LittleEndian.Uint64(r.page[at-r.from:])
}

// load is word when the page is not at hand, or ends within.
func (r *reader) load(at int64) uint64 {
	r.turn(at)
	if at+8 <= r.to {
		return binary.LittleEndian.Uint64(r.page[at-r.from:])
	}
	var b [8]byte
	n := copy(b[:], r.page[at-r.from:])
	copy(b[n:], r.pages.get(int(r.to/pageBytes)))
	return binary.LittleEndian.Uint64(b[:])
}

// turn makes the page that holds the byte at an offset of the file the one at
// hand.
func (r *reader) turn(at int64) {
	if at < r.base || at >= r.base+r.size {
		panic(damagef("byte %d is not in the section of %d bytes at %d", at, r.size, r.base))
	}
	i := at / pageBytes
	r.page = r.pages.get(int(i))
	r.from = i * pageBytes
	r.to = r.from + int64(len(r.page))
}

// bytes appends n bytes from an offset of the section on to dst.
func (r *reader) bytes(dst []byte, at int64, n int) []byte {
	if n < 0 || at < 0 || at+int64(n) > r.size {
		panic(damagef("%d bytes at %d of a section of %d", n, at, r.size))
	}
	for at += r.base; n > 0; {
		if at < r.from || at >= r.to {
			r.turn(at)
		}
		part := r.page[at-r.from:]
		part = part[:min(len(part), n)]
		dst = append(dst, part...)
		at, n = at+int64(len(part)), n-len(part)
	}
	return dst
}

// whole returns the section.
func (r *reader) whole() []byte { return r.bytes(make([]byte, 0, r.size), 0, int(r.size)) }

// A DamageError says that a file of the store is not what was written.
type DamageError struct {
	File   string
	Reason string
	Err    error // what the disk said, or nil
}

// Error implements error.
func (e *DamageError) Error() string {
	s := fmt.Sprintf("segment: %s is damaged: %s", e.File, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns what the disk said.
func (e *DamageError) Unwrap() error { return e.Err }

func damagef(format string, args ...any) *DamageError {
	return &DamageError{Reason: fmt.Sprintf(format, args...)}
}

// guard turns a panic over damage into an error that names the file. Inner
// loops read millions of packed numbers; an error from each would drown them.
func guard(file string, err *error) {
	switch x := recover().(type) {
	case nil:
	case *DamageError:
		if x.File == "" {
			x.File = file
		}
		*err = x
	case runtime.Error:
		// Sums are right, so this was written: by another version, or by hand.
		*err = &DamageError{File: file, Reason: "its numbers contradict each other", Err: x}
	default:
		panic(x)
	}
}
