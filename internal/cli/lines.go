package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// A lineReader reads lines of bounded length.
type lineReader struct {
	r    *bufio.Reader
	max  int
	line int
}

func newLineReader(r io.Reader, longest int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, longest+2), max: longest}
}

// next returns the next line with its end, which is valid until the next call;
// with the last one comes [io.EOF].
func (l *lineReader) next() ([]byte, error) {
	l.line++
	line, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("line %d has more than %d bytes", l.line, l.max)
	}
	return line, err
}
