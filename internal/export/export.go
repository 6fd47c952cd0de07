// Package export writes events to files that other programs read, and files
// that prove what is in them.
//
// # Promises
//
//   - A file is a function of its rows: the same rows give the same bytes.
//   - Rows are in the order of (time, seq) that was asked for, and none is there
//     twice: a row out of order is refused.
//   - A line of NDJSON is the event as the API shows it.
//   - An export that was interrupted, by a power cut too, goes on where it was
//     last marked, and gives the bytes that it would have given.
//   - An export has a manifest only if it is finished, and the manifest names
//     each file with its length and hash.
//   - 64 MiB of memory suffice for Parquet, less for the others, however many
//     rows there are: a file of Parquet in a [Set] has an end, and the index at
//     the end of one that a [Writer] makes grows by kilobytes a 100,000 rows.
//   - A bundle in which any byte was changed is refused. One that is accepted
//     has, for every row, a receipt that proves just what the row says.
//
// Who can change a file and its manifest can make them say anything. Who can
// change a bundle can take events out of it and hide fields, and cannot put an
// event in or change one. See docs/export.md and docs/format/bundle.md.
//
//	rows ─► Writer          one file, to any io.Writer
//	rows ─► Set             files and manifest in a directory; can be resumed
//	rows, receipts ─► BundleWriter ─► OpenBundle ─► Check
package export

import (
	"errors"
	"fmt"
	"time"

	"github.com/custody-log/custody/event"
)

// A Row is one event of an export.
type Row struct {
	Seq    int64 // position in the log
	Record *event.Record

	// What is derived from the event: the log does not prove it.
	Class    string
	Severity string
	Text     string // the event as a sentence
}

// A Meta says of what events an export is.
type Meta struct {
	Origin  string // the log
	Version string // of the program that exports
	Query   string // in the query language; "" for all events

	// The times between which events were asked for, beside Query; zero for no
	// bound.
	From, To time.Time

	Order Order
}

// An End says how an export ended.
type End struct {
	// Complete says that there are no more events that were asked for.
	Complete bool

	Created time.Time

	// Checkpoint is the signed tree head up to which the log was read; nil if
	// there is none. An export is no proof of it; a bundle is.
	Checkpoint []byte

	// Notes are sentences for whoever reads the export, for example what the
	// reader was not allowed to see.
	Notes []string
}

// A Format is the form of a file of events.
type Format string

// The formats.
const (
	NDJSON  Format = "ndjson"  // an object a line
	CSV     Format = "csv"     // RFC 4180, one line of names first
	Parquet Format = "parquet" // the columns of CSV, typed

	bundle Format = "bundle" // only in a manifest
)

// ParseFormat returns the format called s.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case NDJSON, CSV, Parquet:
		return f, nil
	case bundle:
	}
	return "", fmt.Errorf("export: format %q: want ndjson, csv or parquet", short(s))
}

// An Order is the order of rows, by time and, of one time, by seq.
type Order string

// The orders.
const (
	Oldest Order = "oldest" // first
	Newest Order = "newest" // first
)

// ParseOrder returns the order called s.
func ParseOrder(s string) (Order, error) {
	switch o := Order(s); o {
	case Oldest, Newest:
		return o, nil
	}
	return "", fmt.Errorf("export: order %q: want oldest or newest", short(s))
}

// maxRowBytes bounds one row in any format. A record at its limit, of
// characters that JSON writes in six, fits.
const maxRowBytes = 4 << 20 // 4 MiB

var errTooLong = fmt.Errorf("row of more than %d bytes", maxRowBytes)

// ErrOrder means that a row is not after the one before it. Whoever made the
// rows has a fault.
var ErrOrder = errors.New("row is out of order, or there twice")

// A place is where a row stands in the order of rows.
type place struct {
	Micros int64 `json:"micros"`
	Seq    int64 `json:"seq"`
}

// follows reports whether p comes after q in order o.
func (p place) follows(q place, o Order) bool {
	if o == Newest {
		p, q = q, p
	}
	return p.Micros > q.Micros || p.Micros == q.Micros && p.Seq > q.Seq
}

// short bounds what an error repeats of its input.
func short(s string) string {
	const most = 80 // bytes
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
