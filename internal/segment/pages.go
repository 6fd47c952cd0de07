package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/custody-log/custody/internal/disk"
)

// pageBytes is how much of a file is read, checked and kept at a time.
const pageBytes = 16 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// pages reads one file page by page.
type pages struct {
	name  string
	file  disk.Reader
	size  int64 // bytes that are in pages
	sums  []uint32
	cache *Cache

	// Of a file that is mapped.
	memory  disk.Mapping
	checked []atomic.Uint32 // for each page, the round of the cache in which it was last checked

	// Of another.
	slots []atomic.Pointer[page]
}

// newPages returns the pages of a file whose sums are known. It maps the file if
// the cache wants that and the disk can.
func newPages(name string, file disk.Reader, size int64, sums []uint32, cache *Cache) *pages {
	p := &pages{name: name, file: file, size: size, sums: sums, cache: cache}
	if cache.join(p) {
		p.checked = make([]atomic.Uint32, len(sums))
	} else {
		p.slots = make([]atomic.Pointer[page], len(sums))
	}
	return p
}

// get returns page i.
func (p *pages) get(i int) []byte {
	if uint(i) >= uint(len(p.sums)) {
		panic(damagef("page %d of %d", i, len(p.sums)))
	}
	if p.memory != nil {
		if p.checked[i].Load() != p.cache.round.Load() {
			p.check(i)
		}
		at := int64(i) * pageBytes
		return p.memory.Bytes()[at:min(at+pageBytes, p.size)]
	}
	if q := p.slots[i].Load(); q != nil {
		if !q.used.Load() {
			q.used.Store(true)
		}
		return q.data
	}
	q := &page{slot: &p.slots[i], data: p.read(nil, i)}
	if p.cache != nil && p.slots[i].CompareAndSwap(nil, q) {
		p.cache.add(q)
	}
	return q.data
}

// read appends page i of the file to dst and checks it.
func (p *pages) read(dst []byte, i int) []byte {
	at := int64(i) * pageBytes
	dst = slices.Grow(dst, pageBytes)
	data := dst[len(dst) : len(dst)+int(min(pageBytes, p.size-at))]
	begun := time.Now()
	_, err := p.file.ReadAt(data, at)
	if p.cache != nil && time.Since(begun) > diskTime {
		p.cache.waits.Add(1)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		panic(&DamageError{File: p.name, Reason: fmt.Sprintf("page %d cannot be read", i), Err: err})
	}
	if crc32.Checksum(data, castagnoli) != p.sums[i] {
		panic(&DamageError{File: p.name, Reason: fmt.Sprintf("page %d, at byte %d, does not have its checksum", i, at)})
	}
	return dst[:len(dst)+len(data)]
}

// diskTime is how long a read takes at most that need not wait for the disk,
// roughly.
const diskTime = 60 * time.Microsecond

// pageMemory holds what pages of mapped files are checked in.
var pageMemory = sync.Pool{New: func() any { return new([pageBytes]byte) }}

// check compares page i of a mapped file with its sum. It asks the disk with a
// read, which can fail; a look at memory that the disk cannot fill ends a
// program. What is read is what the memory shows: both are the system's one copy
// of the file.
func (p *pages) check(i int) {
	round := p.cache.round.Load()
	b := pageMemory.Get().(*[pageBytes]byte)
	defer pageMemory.Put(b)
	p.read(b[:0], i)
	p.checked[i].Store(round)
	p.cache.touched()
}

// begin is called by a goroutine before it reads. It returns the round of the
// cache; pages that were at hand in another one are not to be used.
func (p *pages) begin() (round uint32) {
	if p.memory == nil {
		return 0
	}
	debug.SetPanicOnFault(true) // see guard
	return p.cache.begin()
}

// close closes the file. Nothing of it may be in use.
func (p *pages) close() error {
	p.cache.leave(p)
	for i := range p.slots {
		p.slots[i].Store(nil)
	}
	var err error
	if p.memory != nil {
		err = p.memory.Close()
	}
	return errors.Join(err, p.file.Close())
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

// view returns n bytes from an offset of the section on: those of the file, if
// they lie side by side in memory, or else a copy in dst.
func (r *reader) view(dst []byte, at int64, n int) []byte {
	if n > 0 && at >= 0 && at+int64(n) <= r.size {
		at := at + r.base
		if at < r.from || at >= r.to {
			r.turn(at)
		}
		if at+int64(n) <= r.to {
			return r.page[at-r.from:][:n:n]
		}
	}
	return r.bytes(dst[:0], at, n)
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
	case interface{ Addr() uintptr }:
		*err = &DamageError{File: file, Reason: "the disk did not give what is mapped into memory"}
	case runtime.Error:
		// Sums are right, so this was written: by another version, or by hand.
		*err = &DamageError{File: file, Reason: "its numbers contradict each other", Err: x}
	default:
		panic(x)
	}
}
