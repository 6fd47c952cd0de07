package segment

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Format versions.
const formatVersion = 1

// blobRows is how many rows are compressed together. A look at one row
// decompresses so many.
const blobRows = 16

// An Info says what a segment holds.
type Info struct {
	Rows               int
	FirstSeq, LastSeq  int64
	FirstTime, EndTime int64 // microseconds since 1970, of the oldest and the newest row
}

// Seal returns the two files of a segment of the table's rows. The same rows
// give the same bytes. side is nil if nothing in them is personal. The table is
// not changed. It panics if there are no rows.
func (t *Table) Seal() (mainFile, sideFile []byte, info Info) {
	order := t.order()
	info = t.info(order)
	kinds := t.sealKinds()

	w := &writer{body: make([]byte, 0, len(t.seqs)*80)}
	w.num(formatVersion)
	w.num(uint64(main))
	w.num(uint64(len(order)))
	w.sealKinds(t, kinds, order)
	writeFrame(w, permuted(t.times, order))
	writeFrame(w, permuted(t.seqs, order))
	writeRanks(w, order)
	writeFrame(w, permuted(t.received, order))
	t.sealIDs(w, order)
	t.sealRequests(w, order)
	t.sealOpen(w, order)
	t.parts[main].seal(w, order, len(t.seqs))
	mainFile = w.finish()

	if !t.personal() {
		return mainFile, nil, info
	}
	return mainFile, t.sealSide(order), info
}

// sealSide returns the file of the personal part.
func (t *Table) sealSide(order []uint32) []byte {
	w := &writer{body: make([]byte, 0, len(t.seqs)*60)}
	w.num(formatVersion)
	w.num(uint64(side))
	w.num(uint64(len(order)))
	q := &t.parts[side]
	q.sealSecrets(w, order)
	t.sealExceptions(w, order)
	q.seal(w, order, len(t.seqs))
	return w.finish()
}

// personal reports whether any row has a personal field.
func (t *Table) personal() bool {
	for _, k := range t.kindList {
		for i := range k.fields {
			if k.fields[i].Private {
				return true
			}
		}
	}
	return false
}

// order returns the rows in order of their times, and then of their positions.
func (t *Table) order() []uint32 {
	order := make([]uint32, len(t.seqs))
	for i := range order {
		order[i] = uint32(i)
	}
	if !slices.IsSorted(t.times) {
		slices.SortFunc(order, func(a, b uint32) int { return cmp.Or(cmp.Compare(t.times[a], t.times[b]), cmp.Compare(a, b)) })
	}
	return order
}

func (t *Table) info(order []uint32) Info {
	n := len(order)
	return Info{
		Rows: n, FirstSeq: t.seqs[0], LastSeq: t.seqs[n-1],
		FirstTime: t.times[order[0]], EndTime: t.times[order[n-1]],
	}
}

func permuted[T any](values []T, order []uint32) []T {
	list := make([]T, len(order))
	for i, row := range order {
		list[i] = values[row]
	}
	return list
}

// writeRanks writes for each position, in ascending order, how far its row is
// from where it would be if rows were in that order. Mostly that is nowhere,
// and then nothing is written.
func writeRanks(w *writer, order []uint32) {
	if slices.IsSorted(order) {
		w.num(0)
		return
	}
	w.num(1)
	rows := make([]uint32, len(order)) // table rows are in order of positions
	for row, old := range order {
		rows[old] = uint32(row)
	}
	writePacked(w, rows, uint64(len(rows)-1))
}

// sealKinds returns new numbers for the kinds, in the order of what they are.
func (t *Table) sealKinds() (numbers []uint32) {
	by := make([]uint32, len(t.kindList))
	for i := range by {
		by[i] = uint32(i)
	}
	slices.SortFunc(by, func(a, b uint32) int { return strings.Compare(t.kindList[a].key, t.kindList[b].key) })
	numbers = make([]uint32, len(by))
	for n, old := range by {
		numbers[old] = uint32(n)
	}
	return numbers
}

func (w *writer) sealKinds(t *Table, numbers []uint32, order []uint32) {
	keys := make([]string, len(numbers))
	for old, n := range numbers {
		keys[n] = t.kindList[old].key
	}
	var all []byte
	for _, key := range keys {
		all = binary.AppendUvarint(all, uint64(len(key)))
		all = append(all, key...)
	}
	w.num(uint64(len(keys)))
	w.num(uint64(len(all)))
	w.section(newEncoder(len(all)).EncodeAll(all, nil))
	ids := make([]uint32, len(order))
	for i, row := range order {
		ids[i] = numbers[t.kinds[row]]
	}
	writePacked(w, ids, uint64(len(keys)-1))
}

// sealIDs writes UUIDs; of those that hold the time, if all do, what is not
// time.
func (t *Table) sealIDs(w *writer, order []uint32) {
	cut := 6
	has := make([]bool, len(order))
	for i, row := range order {
		form, ok := t.kindList[t.kinds[row]].idForm()
		has[i] = ok
		if ok && form != idTime {
			cut = 0
		}
	}
	var data []byte
	for i, row := range order {
		if has[i] {
			data = append(data, t.ids[16*row+uint32(cut):16*row+16]...)
		}
	}
	writeFixed(w, has, 16-cut, data)
}

func (k *kind) idForm() (form uint8, ok bool) {
	for i := range k.fields {
		if k.fields[i].where == isID {
			return k.fields[i].form, true
		}
	}
	return 0, false
}

func (t *Table) sealRequests(w *writer, order []uint32) {
	stride := 0
	lengths := make([]int, len(t.kindList))
	for i, k := range t.kindList {
		for j := range k.fields {
			if k.fields[j].where == isRequest {
				lengths[i] = int(k.fields[j].form)
				stride = max(stride, lengths[i])
			}
		}
	}
	has := make([]bool, len(order))
	var data []byte
	for i, row := range order {
		if has[i] = lengths[t.kinds[row]] > 0; has[i] {
			data = append(data, t.requests[16*row:16*row+uint32(stride)]...)
		}
	}
	writeFixed(w, has, stride, data)
}

// sealOpen writes the open secrets that do not follow from ID and source.
func (t *Table) sealOpen(w *writer, order []uint32) {
	has := make([]bool, len(order))
	var data []byte
	for i, row := range order {
		if s, ok := t.ownOpen[row]; ok {
			has[i] = true
			data = append(data, s[:]...)
		}
	}
	writeFixed(w, has, 16, data)
}

// sealSecrets writes the private secrets of the rows that have one.
func (q *tablePart) sealSecrets(w *writer, order []uint32) {
	has := make([]bool, len(order))
	var data []byte
	for i, row := range order {
		s := q.secrets[16*row : 16*row+16]
		if has[i] = [16]byte(s) != [16]byte{}; has[i] {
			data = append(data, s...)
		}
	}
	writeFixed(w, has, 16, data)
}

// sealExceptions writes the rows with erased fields, and what they have.
func (t *Table) sealExceptions(w *writer, order []uint32) {
	list := make([]exception, len(t.exceptions))
	place := make(map[uint32]uint32, len(list))
	for i, row := range order {
		place[row] = uint32(i)
	}
	for i, x := range t.exceptions {
		list[i] = exception{place[x.row], x.fields}
	}
	slices.SortFunc(list, func(a, b exception) int { return cmp.Compare(a.row, b.row) })
	var rows, ends []uint32
	var data []byte
	for _, x := range list {
		rows = append(rows, x.row)
		data = append(data, x.fields...)
		ends = append(ends, uint32(len(data)))
	}
	w.num(uint64(len(list)))
	writePacked(w, rows, uint64(len(order)))
	writePacked(w, ends, uint64(len(data)))
	w.section(data)
}

// seal writes the columns, the blob and what finds values by words and keys.
func (q *tablePart) seal(w *writer, order []uint32, rows int) {
	place := make([]uint32, rows) // of a table's row
	for i, row := range order {
		place[row] = uint32(i)
	}
	var renumbered [numDomains][]uint32
	for d := range q.domains {
		renumbered[d] = q.domains[d].seal(w)
	}
	for c := range q.columns {
		q.columns[c].seal(w, order, place, renumbered[domainOf[c]])
	}
	q.sealBlob(w, order)
	writeHashes(w, q.texts.pairs(func(row uint32) uint32 { return place[row] }), rows)
	var bases [numDomains]uint32
	values := uint32(0)
	for d := range renumbered {
		bases[d] = values
		values += uint32(len(renumbered[d]))
	}
	number := func(item uint32) uint32 {
		d := item >> domainShift
		return bases[d] + renumbered[d][item&(1<<domainShift-1)]
	}
	writeHashes(w, q.valueTexts.pairs(number), int(values))
	writeHashes(w, q.keys.pairs(number), int(values))
	q.sealFilter(w)
}

// seal writes the values in order and returns their new numbers.
func (t *interned) seal(w *writer) (numbers []uint32) {
	// With its first bytes at hand most values need not be looked up.
	type begun struct {
		first uint64
		old   uint32
	}
	by := make([]begun, t.len())
	for i := range by {
		var first [8]byte
		copy(first[:], t.value(uint32(i)))
		by[i] = begun{binary.BigEndian.Uint64(first[:]), uint32(i)}
	}
	slices.SortFunc(by, func(a, b begun) int {
		if a.first != b.first {
			return cmp.Compare(a.first, b.first)
		}
		return bytes.Compare(t.value(a.old), t.value(b.old))
	})
	numbers = make([]uint32, len(by))
	sorted := make([][]byte, len(by))
	for n, x := range by {
		numbers[x.old] = uint32(n)
		sorted[n] = t.value(x.old)
	}
	writeDict(w, sorted)
	return numbers
}

func (k *tableColumn) seal(w *writer, order, place, numbers []uint32) {
	if len(k.ids) == 0 && len(k.extra) == 0 {
		w.num(0)
		return
	}
	w.num(1)
	ids := make([]uint32, len(order))
	for i, row := range order {
		ids[i] = none
		if int(row) < len(k.ids) && k.ids[row] != none {
			ids[i] = numbers[k.ids[row]]
		}
	}
	extra := make([]extraValue, len(k.extra))
	for i, x := range k.extra {
		extra[i] = extraValue{place[x.row], x.slot, numbers[x.id]}
	}
	slices.SortFunc(extra, func(a, b extraValue) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.slot, b.slot)) })
	writeSparse(w, ids, len(numbers))
	w.num(uint64(len(extra)))
	if len(extra) > 0 {
		var rows, slots, values []uint32
		for _, x := range extra {
			rows, slots, values = append(rows, x.row), append(slots, uint32(x.slot)), append(values, x.id)
		}
		writePacked(w, rows, uint64(len(order)))
		writePacked(w, slots, 255)
		writePacked(w, values, uint64(len(numbers)))
	}
	writePostings(w, ids, extra, len(numbers))
}

// sampleBytes is how much of the rows at most is a dictionary for all blocks of
// a blob.
const sampleBytes = 24 << 10

// sealBlob writes the blob in blocks, compressed with S2 and a dictionary: of
// blocks as small as these it makes almost as little as zstd does, and takes them
// apart several times faster.
//
//	block  16 × uvarint bytes of the row │ the rows
func (q *tablePart) sealBlob(w *writer, order []uint32) {
	if len(q.blob) == 0 {
		w.num(0)
		return
	}
	w.num(1)
	sample := q.sample(order)
	dictionary := blobDictionary(sample)
	var raw, data, block []byte
	ends := make([]uint32, 0, len(order)/blobRows+1)
	for i := 0; i < len(order); i += blobRows {
		rows := order[i:min(i+blobRows, len(order))]
		raw = raw[:0]
		for _, r := range rows {
			raw = binary.AppendUvarint(raw, uint64(len(q.row(r))))
		}
		for _, r := range rows {
			raw = append(raw, q.row(r)...)
		}
		block = block[:cap(block)]
		if dictionary == nil {
			block = s2.EncodeBetter(block, raw)
		} else {
			block = dictionary.EncodeBetter(block, raw)
		}
		data = append(data, block...)
		ends = append(ends, uint32(len(data)))
	}
	w.section(s2.EncodeBetter(nil, sample))
	w.num(uint64(len(sample)))
	writePacked(w, ends, uint64(len(data)))
	w.section(data)
}

// row returns the blob of a table's row.
func (q *tablePart) row(i uint32) []byte {
	start := uint32(0)
	if i > 0 {
		start = q.ends[i-1]
	}
	return q.blob[start:q.ends[i]]
}

// sample returns some rows, from everywhere.
func (q *tablePart) sample(order []uint32) (sample []byte) {
	if len(order) < 16*blobRows {
		return nil
	}
	for i := 0; i < len(order) && len(sample) < sampleBytes; i += max(1, len(order)/2000) {
		row := q.row(order[i])
		sample = append(sample, row[:min(len(row), sampleBytes-len(sample))]...)
	}
	return sample
}

// blobDictionary returns the dictionary that a sample is, or nil if it is too
// small for one.
func blobDictionary(sample []byte) *s2.Dict {
	if len(sample) < s2.MinDictSize {
		return nil
	}
	return s2.MakeDictManual(sample, 0)
}

// smallBytes is below how many bytes the tables of the better encoder cost more
// than it saves.
const smallBytes = 128 << 10

// newEncoder returns an encoder for so many bytes, which gives the same bytes for
// the same input.
func newEncoder(size int) *zstd.Encoder {
	level := zstd.SpeedBetterCompression
	if size < smallBytes {
		level = zstd.SpeedFastest
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	if err != nil {
		panic("segment: " + err.Error()) // the options are constant
	}
	return e
}
