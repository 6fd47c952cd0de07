package export

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// A Writer writes rows as one file. It is for one goroutine.
//
// After an error the file is of no use, and every later call returns the error.
type Writer struct {
	format  Format
	order   Order
	tally   *tally
	encoder encoder

	file File   // what was written, without name, bytes and hash
	last *place // of the last row; nil before the first
	from places // memory
	err  error
}

// A tally counts and hashes what is written through it.
type tally struct {
	out   io.Writer
	hash  hash.Hash // SHA-256
	bytes int64
}

func (t *tally) Write(b []byte) (int, error) {
	n, err := t.out.Write(b)
	t.hash.Write(b[:n])
	t.bytes += int64(n)
	return n, err
}

// NewWriter returns a writer to out.
func NewWriter(out io.Writer, f Format, o Order) (*Writer, error) {
	if _, err := ParseFormat(string(f)); err != nil {
		return nil, err
	}
	if _, err := ParseOrder(string(o)); err != nil {
		return nil, err
	}
	w := &Writer{format: f, order: o, tally: &tally{out: out, hash: sha256.New()}}
	w.start()
	return w, nil
}

// start makes the encoder. A file that has content has had its head.
func (w *Writer) start() {
	switch w.format {
	case NDJSON:
		w.encoder = &lines{out: w.tally, line: jsonLine}
	case CSV:
		l := &lines{out: w.tally, line: new(csvWriter).line}
		if w.tally.bytes == 0 {
			l.buf = appendCSVHead(l.buf)
		}
		w.encoder = l
	case Parquet:
		w.encoder = newParquetWriter(w.tally)
	case bundle:
		panic("export: a bundle is no file of rows")
	}
}

// Write writes one row. It keeps nothing of r.
func (w *Writer) Write(r *Row) error {
	if w.err != nil {
		return w.err
	}
	if err := w.write(r); err != nil {
		w.err = fmt.Errorf("export: event %d: %w", r.Seq, err)
	}
	return w.err
}

func (w *Writer) write(r *Row) error {
	if r.Record == nil {
		return errors.New("row without a record: what retention dropped has none, and is no row")
	}
	w.from.fill(r.Record)
	at, err := w.next(r.Seq)
	if err != nil {
		return err
	}
	if err := w.encoder.row(&flat{r, &w.from}); err != nil {
		return err
	}
	w.last = &at
	w.file.add(r.Seq, w.from.erased)
	return nil
}

// next returns the place of the row in w.from, which must follow the last.
func (w *Writer) next(seq int64) (place, error) {
	micros, ok := w.from.micros(timeCode)
	if !ok {
		return place{}, errors.New("event without a time")
	}
	at := place{micros, seq}
	if seq < 0 || w.last != nil && !at.follows(*w.last, w.order) {
		return place{}, ErrOrder
	}
	return at, nil
}

// Flush hands on all rows written so far. A reader of a Parquet file has use of
// them only after Close.
func (w *Writer) Flush() error {
	if w.err == nil {
		w.fail(w.encoder.flush())
	}
	return w.err
}

// Close ends the file. What is written to is left open.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	if w.fail(w.encoder.close()); w.err != nil {
		return w.err
	}
	w.err = errors.New("export: writer is closed")
	return nil
}

func (w *Writer) fail(err error) {
	if err != nil {
		w.err = fmt.Errorf("export: %w", err)
	}
}

// File returns what a manifest says of the file, which must be closed, under
// the given name.
func (w *Writer) File(name string) File {
	f := w.file
	f.Name, f.Bytes, f.SHA256 = name, w.tally.bytes, hex.EncodeToString(w.tally.hash.Sum(nil))
	return f
}
