package disk

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"sync"
	"sync/atomic"
)

// pieceBytes is how much is encrypted and written at once: what a core keeps near.
const pieceBytes = 64 << 10

// A sealed is one encrypted file, shared by all who have it open.
type sealed struct {
	dir   *encryptedDir
	salt  salt // of the header
	refs  int  // who has it open; guarded by the mu of the vault
	spans atomic.Pointer[spans]

	// mu is held by whoever writes or cuts, across the write: where bytes will
	// stand must be known to encrypt them.
	mu sync.Mutex
	// own says that this process began the last span, and so knows how far it
	// was used: nothing was ever encrypted in it from used on.
	own  bool
	used int64
	buf  []byte // for what is written next
}

// An encryptedReader is an encrypted file open for reading.
type encryptedReader struct {
	dir    *encryptedDir
	name   string
	base   Reader
	sealed atomic.Pointer[sealed] // nil while the file has no header, and once closed
}

// load returns what the reader shares with others who have the file open, or
// nil if the file has no header yet.
func (r *encryptedReader) load() (*sealed, error) {
	if s := r.sealed.Load(); s != nil {
		return s, nil
	}
	header, ok, err := readSeal(r.base)
	switch key := r.dir.vault.key; {
	case err != nil:
		return nil, r.errorf("%w", err)
	case !ok:
		return nil, nil
	case header.key != key.id:
		return nil, r.errorf("%w: encrypted with key %s, this is %s", ErrFileKey, header.key, key.id)
	}
	r.dir.vault.mu.Lock()
	defer r.dir.vault.mu.Unlock()
	return r.share(header)
}

// share takes part in the sealed of that header, making it if the vault has
// none. The caller holds the mu of the vault.
func (r *encryptedReader) share(header seal) (*sealed, error) {
	if s := r.sealed.Load(); s != nil {
		return s, nil
	}
	v := r.dir.vault
	s := v.files[r.dir.path+string(header.salt[:])]
	switch {
	case s == nil:
		all, err := loadSpans(r.dir.base, v.key, header.salt)
		if err != nil {
			return nil, r.errorf("%w", err)
		}
		s = &sealed{dir: r.dir, salt: header.salt}
		s.spans.Store(&all)
		v.files[s.id()] = s
	case s.refs == 0:
		v.closed--
	}
	s.refs++
	r.sealed.Store(s)
	return s, nil
}

func (r *encryptedReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > math.MaxInt64-sealBytes {
		return 0, r.errorf("read at %d: %w", off, fs.ErrInvalid)
	}
	n, readErr := r.base.ReadAt(p, off+sealBytes)
	if n == 0 {
		return 0, readErr
	}
	// Only now look at the spans: a span is known to all before anything is
	// written to it.
	s, err := r.load()
	switch {
	case err != nil:
		return 0, err
	case s == nil:
		clear(p[:n]) // what it was a power cut has taken
		return n, readErr
	}
	if err := (*s.spans.Load()).xor(p[:n], off); err != nil {
		return 0, err
	}
	return n, readErr
}

func (r *encryptedReader) Size() (int64, error) {
	size, err := r.base.Size()
	return max(0, size-sealBytes), err
}

func (r *encryptedReader) Close() error {
	if s := r.sealed.Swap(nil); s != nil {
		s.leave()
	}
	return r.base.Close()
}

// errorf returns an error that names the file.
func (r *encryptedReader) errorf(format string, args ...any) error {
	return fmt.Errorf("disk: %s%s: %w", r.dir.path, r.name, fmt.Errorf(format, args...))
}

// id returns what the vault knows the file by. The name may change.
func (s *sealed) id() string { return s.dir.path + string(s.salt[:]) }

// leave ends the part that a reader has taken.
func (s *sealed) leave() {
	v := s.dir.vault
	v.mu.Lock()
	defer v.mu.Unlock()
	if s.refs--; s.refs > 0 {
		return
	}
	s.mu.Lock()
	s.buf = nil
	s.mu.Unlock()
	if v.closed++; v.closed > maxClosed {
		maps.DeleteFunc(v.files, func(_ string, s *sealed) bool { return s.refs == 0 })
		v.closed = 0
	}
}

// An encryptedFile is an encrypted file open for reading and appending.
type encryptedFile struct {
	encryptedReader

	file File
}

func (f *encryptedFile) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return f.file.Write(p)
	}
	s, err := f.create()
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	if !s.own || size < s.used {
		if err := s.begin(f.file, size); err != nil {
			return 0, f.errorf("begin a span at %d: %w", size, err)
		}
	}
	return s.append(f.file, p, size)
}

// create is load for a file that must have a header from now on.
func (f *encryptedFile) create() (*sealed, error) {
	if s, err := f.load(); s != nil || err != nil {
		return s, err
	}
	f.dir.vault.mu.Lock()
	defer f.dir.vault.mu.Unlock()
	header, ok, err := readSeal(f.base) // again, as others may have written it
	if err != nil {
		return nil, f.errorf("%w", err)
	}
	if ok {
		return f.share(header)
	}
	switch size, err := f.base.Size(); {
	case err != nil:
		return nil, err
	case size > sealBytes:
		return nil, f.errorf("write: a power cut has taken its beginning: cut it to 0 bytes or remove it")
	case size > 0:
		if err := f.file.Truncate(0); err != nil { // the beginning of a header
			return nil, err
		}
	}
	header = seal{key: f.dir.vault.key.id}
	if _, err := rand.Read(header.salt[:]); err != nil {
		return nil, f.errorf("%w", err)
	}
	if _, err := f.file.Write(header.encode()); err != nil {
		return nil, err
	}
	s, err := f.share(header)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.own = true
	}
	return s, err
}

// begin begins a span after size bytes of file. The caller holds mu.
//
// The list that names it is durable before anything is written to it. Before
// that, the file is: if a power cut undid a cut after the list said that what
// was cut off belongs to another span, bytes that are durable would be lost.
func (s *sealed) begin(file File, size int64) error {
	if err := file.Sync(); err != nil {
		return err
	}
	next := start{at: size}
	if _, err := rand.Read(next.salt[:]); err != nil {
		return err
	}
	all := append((*s.spans.Load()).cut(size), newSpan(s.dir.vault.key, next))
	if err := saveSpans(s.dir.base, s.salt, all); err != nil {
		return err
	}
	s.spans.Store(&all)
	s.own, s.used = true, size
	return nil
}

// append writes p behind the size bytes that file has. The caller holds mu.
func (s *sealed) append(file File, p []byte, size int64) (written int, err error) {
	all := *s.spans.Load()
	last := all[len(all)-1]
	if n := min(len(p), pieceBytes); cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	for written < len(p) {
		piece := p[written:min(written+pieceBytes, len(p))]
		b := s.buf[:len(piece)]
		at := size + int64(written)
		if err := last.xor(b, piece, at); err != nil {
			return written, err
		}
		s.used = at + int64(len(piece)) // whatever the disk takes of it
		n, err := file.Write(b)
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (f *encryptedFile) Truncate(size int64) error {
	s, err := f.load()
	if err != nil {
		return err
	}
	if s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	now, err := f.Size()
	switch {
	case err != nil:
		return err
	case size < 0 || size > now:
		return f.errorf("truncate to %d of %d bytes: %w", size, now, fs.ErrInvalid)
	case s == nil && size == 0:
		return f.file.Truncate(0) // a header comes with the next write
	}
	return f.file.Truncate(sealBytes + size)
}

func (f *encryptedFile) Sync() error { return f.file.Sync() }
