package export

import (
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	compress "github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// Limits of Parquet files. What is not yet written of a row group is in memory:
// compressed pages, and for each column one that is not compressed.
const (
	groupRows  = 100_000
	groupBytes = 16 << 20  // 16 MiB compressed; a group with more ends early
	pageBytes  = 128 << 10 // 128 KiB, one page of one column before compression
	batchBytes = 512 << 10 // 512 KiB, rows that are handed on together
)

// A parquetWriter is the encoder of Parquet.
type parquetWriter struct {
	file  *parquet.GenericWriter[any]
	meter meter

	rows  []parquet.Row // handed on together; their memory is used again
	arena []byte        // the texts of rows[:count]
	cells []cell        // of the row being made
	count int
	group int // rows of the group
}

// A cell is the place of a text in the arena.
type cell struct{ from, to int }

func newParquetWriter(out io.Writer) *parquetWriter {
	w := &parquetWriter{cells: make([]cell, len(columns))}
	options := []parquet.WriterOption{
		parquet.Compression(&w.meter),
		parquet.PageBufferSize(pageBytes),
		parquet.CreatedBy("custody", "1", "export"),
	}
	for _, c := range columns {
		if c.kind == text || c.kind == object {
			// The least and greatest text of each page would stay in memory
			// until the end.
			options = append(options, parquet.SkipPageBounds(c.name))
		}
	}
	w.meter.encoder = newEncoder()
	w.file = parquet.NewGenericWriter[any](out, append(options, parquetSchema)...)
	return w
}

// parquetSchema are the columns as Parquet knows them.
var parquetSchema = parquet.NewSchema("event", newOrdered())

// An ordered is a group whose members stay in the order of columns; a
// [parquet.Group] puts them in that of their names.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

func (o ordered) Fields() []parquet.Field { return o.fields }

func newOrdered() ordered {
	o := ordered{Group: make(parquet.Group), fields: make([]parquet.Field, len(columns))}
	for _, c := range columns {
		o.Group[c.name] = c.node()
	}
	for _, field := range o.Group.Fields() {
		o.fields[slices.IndexFunc(columns, func(c column) bool { return c.name == field.Name() })] = field
	}
	return o
}

// node returns the type of a column.
func (c *column) node() parquet.Node {
	switch c.kind {
	case number:
		if c.name == "seq" {
			return parquet.Int(64)
		}
		return parquet.Optional(parquet.Int(64))
	case instant:
		return parquet.Optional(parquet.Timestamp(parquet.Microsecond))
	case word:
		return parquet.Optional(parquet.Encoded(parquet.String(), &parquet.RLEDictionary))
	case object:
		return parquet.Optional(parquet.Encoded(parquet.JSON(), &parquet.Plain))
	case text:
	}
	return parquet.Optional(parquet.Encoded(parquet.String(), &parquet.Plain)) // which every reader knows
}

func (w *parquetWriter) row(f *flat) (err error) {
	start := len(w.arena)
	for i := range columns {
		if columns[i].whole != nil {
			continue
		}
		from := len(w.arena)
		arena, err := columns[i].write(w.arena, f)
		if err != nil {
			return err
		}
		w.arena, w.cells[i] = arena, cell{from, len(arena)}
	}
	if len(w.arena)-start > maxRowBytes {
		return errTooLong
	}
	if w.count == len(w.rows) {
		w.rows = append(w.rows, make(parquet.Row, len(columns)))
	}
	row := w.rows[w.count]
	for i := range columns {
		row[i] = w.value(i, f)
	}
	w.count++
	if len(w.arena) >= batchBytes {
		return w.handOn()
	}
	return nil
}

// value returns the value of column i. It points into the arena as it is now:
// when the arena moves, the old one stays.
func (w *parquetWriter) value(i int, f *flat) parquet.Value {
	const null, there = 0, 1 // definition levels
	if columns[i].whole != nil {
		v, said := columns[i].whole(f)
		switch {
		case columns[i].name == "seq":
			return parquet.Int64Value(v).Level(0, 0, i)
		case said:
			return parquet.Int64Value(v).Level(0, there, i)
		}
		return parquet.NullValue().Level(0, null, i)
	}
	c := w.cells[i]
	if c.from == c.to {
		return parquet.NullValue().Level(0, null, i)
	}
	return parquet.ByteArrayValue(w.arena[c.from:c.to]).Level(0, there, i)
}

// handOn gives the rows gathered to the library, which copies them, and ends
// the group when it is full.
func (w *parquetWriter) handOn() error {
	for from := 0; from < w.count; {
		n := min(w.count-from, groupRows-w.group)
		written, err := w.file.WriteRows(w.rows[from : from+n])
		if err != nil {
			return err
		}
		if written != n {
			return fmt.Errorf("parquet: %d of %d rows written", written, n)
		}
		from += n
		w.group += n
		if w.group == groupRows || w.meter.bytes.Load() >= groupBytes {
			if err := w.endGroup(); err != nil {
				return err
			}
		}
	}
	w.count, w.arena = 0, w.arena[:0]
	return nil
}

func (w *parquetWriter) endGroup() error {
	w.group = 0
	err := w.file.Flush()
	w.meter.bytes.Store(0)
	return err
}

// flush does nothing: a group that ends early makes the file larger, and no
// part of it can be read before its end is there.
func (w *parquetWriter) flush() error { return nil }

func (w *parquetWriter) close() error {
	if err := w.handOn(); err != nil {
		return err
	}
	return w.file.Close()
}

// A meter compresses, and counts what comes out: what a group that has not
// ended takes in memory.
type meter struct {
	zstd.Codec // for reading, and to say what it is
	encoder    *compress.Encoder
	bytes      atomic.Int64
}

// newEncoder returns an encoder that remembers no more than it needs for pages
// of the size they have here; the library's own takes 16 MiB.
func newEncoder() *compress.Encoder {
	const window = 512 << 10 // 512 KiB
	e, err := compress.NewWriter(nil, compress.WithEncoderConcurrency(1), compress.WithWindowSize(window),
		compress.WithLowerEncoderMem(true), compress.WithZeroFrames(true), compress.WithEncoderCRC(false))
	if err != nil {
		panic("export: options of zstd: " + err.Error())
	}
	return e
}

// Encode implements the library's Codec.
func (m *meter) Encode(dst, src []byte) ([]byte, error) {
	out := m.encoder.EncodeAll(src, dst[:0])
	m.bytes.Add(int64(len(out)))
	return out, nil
}
