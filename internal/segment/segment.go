// Package segment is the store's file format: many records, sealed, in columns,
// compressed, and found by what they hold. A [Table] is the same in memory for
// records that are not sealed yet.
//
// A segment is two files. The main part holds what lasts. The side part holds
// personal fields and the secrets of their salts: without it, and with the
// digests of what was in it, every proof about the rest still holds.
//
// # Promises
//
//   - The same records give the same bytes.
//   - What is read is what was written, or an error names the file: every page
//     is checked against its checksum when it comes from the disk.
//   - A row gives back the fields, secrets and erasures of its record, byte for
//     byte. The commitment is kept by the tree.
//   - A lookup finds every row that holds what is asked for. It says whether
//     others may be among them.
//
// The format is in docs/format/segment.md.
package segment

import (
	"encoding/binary"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/custody-log/custody/internal/disk"
)

// A Segment is a sealed segment that is open. Its methods may be called
// concurrently, until Close.
type Segment struct {
	rows     int
	openKey  [16]byte
	kinds    []*kind
	kindIDs  column
	times    frame
	seqs     frame
	straight bool   // rows are in the order of their positions
	ranks    column // if not: the row of each position, in ascending order
	received frame
	ids      fixed
	requests fixed
	open     fixed

	secrets    fixed // of the side part
	exceptions exceptions

	parts   [numParts]segmentPart
	readers sync.Pool // of *Reader
}

// A segmentPart is the columns of one part.
type segmentPart struct {
	pages   *pages // nil: there is no such part
	rows    int
	domains [numDomains]dict
	columns [numColumns]segmentColumn
	blob    blob
	texts   hashes
	values  hashes
	keys    hashes
	filter  filter
}

type segmentColumn struct {
	there     bool
	ids       sparse
	extraRows column
	slots     column
	extraIDs  column
	postings  postings
}

// exceptions are the rows with erased fields.
type exceptions struct {
	rows column
	ends column
	data reader
}

// A blob is compressed rows.
type blob struct {
	there bool
	rows  int
	ends  column
	data  reader

	sample reader
	size   int

	mu         sync.Mutex // held while the dictionary is made
	dictionary atomic.Pointer[s2.Dict]
}

// maxRows bounds the rows of a segment.
const maxRows = 1 << 26

// Open opens a segment whose files are in fs. sideName is "" if it has no side
// part. cache may be nil.
func Open(fs disk.FS, mainName, sideName string, openKey [16]byte, cache *Cache) (*Segment, error) {
	s := &Segment{openKey: openKey}
	err := s.openMain(fs, mainName, cache)
	if err == nil && sideName != "" {
		err = s.openSide(fs, sideName, cache)
	}
	if err != nil {
		_ = s.Close() // the first error says more
		return nil, err
	}
	return s, nil
}

// start reads what every file begins with.
func (f *footer) start(p part) (rows int) {
	if v := f.num(); v != formatVersion {
		panic(damagef("it is of version %d; this program knows %d", v, formatVersion))
	}
	if part(f.num()) != p {
		panic(damagef("it is the other part of a segment"))
	}
	return f.count(maxRows)
}

func (s *Segment) openMain(fs disk.FS, name string, cache *Cache) (err error) {
	defer guard(name, &err)
	f, err := openFooter(fs, name, cache)
	if err != nil {
		return err
	}
	q := &s.parts[main]
	q.pages = f.pages
	s.rows = f.start(main)
	s.kinds, s.kindIDs = f.kinds(s.rows)
	s.times = f.frame(s.rows)
	s.seqs = f.frame(s.rows)
	if s.straight = f.num() == 0; !s.straight {
		s.ranks = f.packed(s.rows)
	}
	s.received = f.frame(s.rows)
	s.ids = f.fixed(s.rows)
	s.requests = f.fixed(s.rows)
	s.open = f.fixed(s.rows)
	q.open(f, s.rows)
	return nil
}

func (s *Segment) openSide(fs disk.FS, name string, cache *Cache) (err error) {
	defer guard(name, &err)
	f, err := openFooter(fs, name, cache)
	if err != nil {
		return err
	}
	q := &s.parts[side]
	q.pages = f.pages
	if rows := f.start(side); rows != s.rows {
		panic(damagef("it has %d rows, its main part has %d", rows, s.rows))
	}
	s.secrets = f.fixed(s.rows)
	n := f.count(s.rows)
	s.exceptions = exceptions{f.packed(n), f.packed(n), f.section()}
	q.open(f, s.rows)
	return nil
}

// Bounds of kinds.
const maxKindBytes = 1 << 28

func (f *footer) kinds(rows int) ([]*kind, column) {
	n := f.count(rows)
	size := f.count(maxKindBytes)
	section := f.section()
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxKindBytes))
	if err != nil {
		panic(damagef("kinds: %v", err))
	}
	defer decoder.Close()
	all, err := decoder.DecodeAll(section.whole(), make([]byte, 0, size))
	if err != nil || len(all) != size {
		panic(damagef("the kinds cannot be decompressed: %v", err))
	}
	list := footer{data: all}
	kinds := make([]*kind, n)
	for i := range kinds {
		kinds[i] = f.pages.cache.kind(list.text())
	}
	return kinds, f.packed(rows)
}

// open reads where the columns of a part are.
func (q *segmentPart) open(f *footer, rows int) {
	q.rows = rows
	for d := range q.domains {
		q.domains[d] = f.dict()
	}
	for c := range q.columns {
		q.columns[c] = f.column(rows, q.domains[domainOf[c]].n)
	}
	q.blob.open(f, rows)
	q.texts, q.values, q.keys = f.hashes(), f.hashes(), f.hashes()
	q.filter = f.filter()
}

func (f *footer) column(rows, values int) segmentColumn {
	if f.num() == 0 {
		return segmentColumn{}
	}
	c := segmentColumn{there: true, ids: f.sparse(rows)}
	if n := f.count(rows * 64); n > 0 {
		c.extraRows, c.slots, c.extraIDs = f.packed(n), f.packed(n), f.packed(n)
		if c.extraRows.w == 0 { // as many as it likes
			panic(damagef("%d further values in rows of no bits", n))
		}
	}
	c.postings = f.postings(values, rows)
	return c
}

func (b *blob) open(f *footer, rows int) {
	if f.num() == 0 {
		return
	}
	b.there, b.rows = true, rows
	b.sample, b.size = f.section(), f.count(1<<20)
	b.ends = f.packed((rows + blobRows - 1) / blobRows)
	b.data = f.section()
}

// ready returns the dictionary, which is not needed for most lookups and therefore
// made for the first that does; nil if there is none. What keeps it from being
// made may not be there the next time.
func (b *blob) ready() *s2.Dict {
	if b.size == 0 {
		return nil
	}
	if d := b.dictionary.Load(); d != nil {
		return d
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dictionary.Load() == nil {
		b.dictionary.Store(b.newDictionary())
	}
	return b.dictionary.Load()
}

func (b *blob) newDictionary() *s2.Dict {
	packed := b.sample.whole()
	if n, err := s2.DecodedLen(packed); err != nil || n != b.size {
		panic(damagef("the dictionary of a blob does not have its size"))
	}
	sample, err := s2.Decode(nil, packed)
	if err != nil {
		panic(damagef("the dictionary of a blob cannot be decompressed: %v", err))
	}
	d := blobDictionary(sample)
	if d == nil {
		panic(damagef("the dictionary of a blob is too small"))
	}
	return d
}

// maxBlockBytes bounds a decompressed block: rows of the largest records.
const maxBlockBytes = blobRows << 20

// block returns block i, decompressed into dst, and where each of its rows
// ends in it.
func (b *blob) block(dst []byte, ends []int, i int, ends0 *column, data *reader) ([]byte, []int) {
	start := 0
	if i > 0 {
		start = int(ends0.get(i - 1))
	}
	size := int(ends0.get(i)) - start
	raw, err := b.decompress(dst, data.view(nil, int64(start), size))
	if err != nil {
		panic(damagef("block %d cannot be decompressed: %v", i, err))
	}
	n := min(blobRows, b.rows-i*blobRows)
	ends = ends[:0]
	at, total := 0, 0
	for range n {
		v, k := binary.Uvarint(raw[at:])
		if k <= 0 {
			panic(damagef("block %d ends early", i))
		}
		at += k
		total += int(v)
		ends = append(ends, total)
	}
	if at+total != len(raw) {
		panic(damagef("block %d has %d bytes, want %d", i, len(raw), at+total))
	}
	for k := range ends {
		ends[k] += at
	}
	return raw, append(ends, at) // the last is where the first row begins
}

func (b *blob) decompress(dst, packed []byte) ([]byte, error) {
	switch n, err := s2.DecodedLen(packed); {
	case err != nil:
		return nil, err
	case n > maxBlockBytes:
		return nil, fmt.Errorf("%d bytes, at most %d", n, maxBlockBytes)
	}
	if d := b.ready(); d != nil {
		return d.Decode(dst[:cap(dst)], packed)
	}
	return s2.Decode(dst[:cap(dst)], packed)
}

// Len returns the number of rows.
func (s *Segment) Len() int { return s.rows }

// Close closes the files.
func (s *Segment) Close() error {
	var first error
	for p := range s.parts {
		q := &s.parts[p]
		if q.pages == nil {
			continue
		}
		if err := q.pages.close(); err != nil && first == nil {
			first = fmt.Errorf("segment: close %s: %w", q.pages.name, err)
		}
	}
	return first
}

// HasSide reports whether the personal part is there.
func (s *Segment) HasSide() bool { return s.parts[side].pages != nil }

// find returns the exception of a row.
func (x *exceptions) find(row int) (data []byte, ok bool) {
	if x.rows.n == 0 {
		return nil, false
	}
	rows, ends := x.rows, x.ends
	low := sort.Search(rows.n, func(i int) bool { return int(rows.get(i)) >= row })
	if low == rows.n || int(rows.get(low)) != row {
		return nil, false
	}
	start := 0
	if low > 0 {
		start = int(ends.get(low - 1))
	}
	from := x.data
	return from.bytes(nil, int64(start), int(ends.get(low))-start), true
}
