package export

import (
	"io"
	"strconv"
	"time"
)

// An encoder writes rows in one format.
type encoder interface {
	// row takes one row. After an error the file is not one any more.
	row(f *flat) error

	// flush writes all rows taken so far. A format whose files cannot be read
	// before they end writes what it can.
	flush() error

	// close writes what is left.
	close() error
}

// flushBytes is how much text is gathered before it is written.
const flushBytes = 256 << 10 // 256 KiB

// A lines is the encoder of a format of independent lines.
type lines struct {
	out  io.Writer
	line func(dst []byte, f *flat) ([]byte, error) // appends a row and its line end
	buf  []byte
}

func (l *lines) row(f *flat) (err error) {
	if l.buf, err = l.line(l.buf, f); err != nil {
		return err
	}
	if len(l.buf) < flushBytes {
		return nil
	}
	return l.flush()
}

func (l *lines) flush() error {
	if len(l.buf) == 0 {
		return nil
	}
	_, err := l.out.Write(l.buf)
	l.buf = l.buf[:0]
	return err
}

func (l *lines) close() error { return l.flush() }

// jsonLine appends a line of NDJSON.
func jsonLine(dst []byte, f *flat) ([]byte, error) {
	dst, err := appendRow(dst, f.places, f.Row, f.Record.Commitment)
	return append(dst, '\n'), err
}

// The line end of RFC 4180.
const csvLineEnd = "\r\n"

// csvTime is how CSV writes times: always as long, so that they sort as text.
const csvTime = "2006-01-02T15:04:05.000000Z"

// appendCSVHead appends the line of names.
func appendCSVHead(dst []byte) []byte {
	for i := range columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, columns[i].name...)
	}
	return append(dst, csvLineEnd...)
}

// A csvWriter makes lines of CSV.
type csvWriter struct {
	cell []byte // the text of one cell; used again
}

// line appends a line of CSV.
func (w *csvWriter) line(dst []byte, f *flat) (_ []byte, err error) {
	start := len(dst)
	for i := range columns {
		c := &columns[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		if c.whole != nil {
			dst = appendWhole(dst, c, f)
			continue
		}
		if w.cell, err = c.write(w.cell[:0], f); err != nil {
			return nil, err
		}
		dst = appendCell(dst, w.cell)
	}
	if len(dst)-start > maxRowBytes {
		return nil, errTooLong
	}
	return append(dst, csvLineEnd...), nil
}

func appendWhole(dst []byte, c *column, f *flat) []byte {
	v, said := c.whole(f)
	switch {
	case !said:
		return dst
	case c.kind == instant:
		return time.UnixMicro(v).UTC().AppendFormat(dst, csvTime)
	}
	return strconv.AppendInt(dst, v, 10)
}

// appendCell appends the text of one cell, quoted if need be.
//
// A spreadsheet takes a cell for a formula that begins with = + - @, a tab or a
// line end, in their wide forms too, and a formula can send what is in the
// sheet elsewhere. Such a cell gets a ' in front, which spreadsheets take for
// "this is text". So does one that begins with ' itself: whoever takes one '
// from the front of every cell that has one gets the texts back.
func appendCell(dst, cell []byte) []byte {
	if len(cell) == 0 {
		return dst
	}
	quoted := needsQuotes(cell)
	if quoted {
		dst = append(dst, '"')
	}
	if isFormula(cell) {
		dst = append(dst, '\'')
	}
	if !quoted {
		return append(dst, cell...)
	}
	for _, c := range cell {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// isFormula reports whether a cell must not begin as it does.
func isFormula(cell []byte) bool {
	switch cell[0] {
	case '=', '+', '-', '@', '\t', '\r', '\n', '\'':
		return true
	case 0xef:
		if len(cell) < 3 {
			return false
		}
		switch string(cell[:3]) {
		case "＝", "＋", "－", "＠":
			return true
		}
	}
	return false
}

// needsQuotes reports whether a cell would not be read back as it is. A
// semicolon or a tab separates cells for some spreadsheets, and some readers
// take spaces from the ends.
func needsQuotes(cell []byte) bool {
	if cell[0] == ' ' || cell[len(cell)-1] == ' ' {
		return true
	}
	for _, c := range cell {
		switch c {
		case ',', '"', '\r', '\n', ';', '\t':
			return true
		}
	}
	return false
}
