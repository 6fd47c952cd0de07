package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/custody-log/custody/internal/disk"
)

// A file is sections, then a footer that says where they are:
//
//	sections │ footer │ u32 CRC of each page │ u64 bytes of sections │ u32 bytes of footer │ u32 CRC of all from the footer to here │ "custseg1"
const (
	magic        = "custseg1"
	trailerBytes = 8 + 4 + 4 + len(magic)
)

// A writer makes a file in memory.
type writer struct {
	body   []byte
	footer []byte
}

func (w *writer) num(v uint64) { w.footer = binary.AppendUvarint(w.footer, v) }

func (w *writer) text(s []byte) {
	w.num(uint64(len(s)))
	w.footer = append(w.footer, s...)
}

// section appends data to the file and tells the footer where it is.
func (w *writer) section(data []byte) {
	w.num(uint64(len(w.body)))
	w.num(uint64(len(data)))
	w.body = append(w.body, data...)
}

// finish returns the file.
func (w *writer) finish() []byte {
	file, size := w.body, len(w.body)
	file = append(file, w.footer...)
	for at := 0; at < size; at += pageBytes {
		file = binary.LittleEndian.AppendUint32(file, crc32.Checksum(file[at:min(at+pageBytes, size)], castagnoli))
	}
	file = binary.LittleEndian.AppendUint64(file, uint64(size))
	file = binary.LittleEndian.AppendUint32(file, uint32(len(w.footer)))
	file = binary.LittleEndian.AppendUint32(file, crc32.Checksum(file[size:], castagnoli))
	return append(file, magic...)
}

// A footer is read as it was written.
type footer struct {
	pages *pages
	data  []byte
}

func (f *footer) num() uint64 {
	v, n := binary.Uvarint(f.data)
	if n <= 0 {
		panic(damagef("the footer ends early"))
	}
	f.data = f.data[n:]
	return v
}

// count reads a number that is at most limit.
func (f *footer) count(limit int) int {
	v := f.num()
	if v > uint64(limit) {
		panic(damagef("the footer counts %d, at most %d", v, limit))
	}
	return int(v)
}

func (f *footer) text() []byte {
	n := f.count(len(f.data))
	b := f.data[:n:n]
	f.data = f.data[n:]
	return b
}

// section returns a reader of the next section.
func (f *footer) section() reader {
	at, size := f.num(), f.num()
	if at > uint64(f.pages.size) || size > uint64(f.pages.size)-at {
		panic(damagef("a section of %d bytes at %d, beyond the end at %d", size, at, f.pages.size))
	}
	return reader{pages: f.pages, base: int64(at), size: int64(size)}
}

// openFooter checks and returns the footer of a file.
func openFooter(fs disk.FS, name string, cache *Cache) (f *footer, err error) {
	file, err := fs.OpenRead(name)
	if err != nil {
		return nil, fmt.Errorf("segment: %w", err)
	}
	defer func() {
		if err != nil {
			_ = file.Close() // the first error says more
		}
	}()
	size, err := file.Size()
	if err != nil {
		return nil, fmt.Errorf("segment: %w", err)
	}
	bad := func(reason string) error { return &DamageError{File: name, Reason: reason} }
	if size < int64(trailerBytes) {
		return nil, bad("it is cut short")
	}
	var trailer [trailerBytes]byte
	if _, err := file.ReadAt(trailer[:], size-int64(trailerBytes)); err != nil {
		return nil, &DamageError{File: name, Reason: "its end cannot be read", Err: err}
	}
	body := binary.LittleEndian.Uint64(trailer[:])
	if string(trailer[16:]) != magic || body > uint64(size) {
		return nil, bad("its end is not that of a segment")
	}
	rest := make([]byte, size-int64(body))
	if _, err := file.ReadAt(rest, int64(body)); err != nil {
		return nil, &DamageError{File: name, Reason: "its footer cannot be read", Err: err}
	}
	checked := len(rest) - 4 - len(magic)
	count := int((body + pageBytes - 1) / pageBytes)
	length := int(binary.LittleEndian.Uint32(trailer[8:]))
	if crc32.Checksum(rest[:checked], castagnoli) != binary.LittleEndian.Uint32(trailer[12:]) || length+4*count+trailerBytes != len(rest) {
		return nil, bad("its footer does not have its checksum")
	}
	sums := make([]uint32, count)
	for i := range sums {
		sums[i] = binary.LittleEndian.Uint32(rest[length+4*i:])
	}
	return &footer{pages: newPages(name, file, int64(body), sums, cache), data: rest[:length]}, nil
}
