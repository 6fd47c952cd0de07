package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// An auditedFile is a file that is read along with what should be in it.
type auditedFile struct {
	name   string
	reader disk.Reader
	offset int64
	size   int64
	span   int64 // records behind one hash
}

// read returns count bytes from offset, or as many as there are.
func (f *auditedFile) read(offset, count int64) ([]byte, error) {
	have := make([]byte, min(count, max(0, f.size-offset)))
	if n, err := f.reader.ReadAt(have, offset); n < len(have) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("tree: %s: %w", f.name, err)
	}
	return have, nil
}

// compare compares the next bytes of the file with want. What is not signed
// over yet may be missing.
func (f *auditedFile) compare(want []byte, signed int64) error {
	if len(want) == 0 {
		return nil
	}
	have, err := f.read(f.offset, int64(len(want)))
	if err != nil {
		return err
	}
	if err := f.same(have, want, f.offset, signed); err != nil {
		return err
	}
	f.offset += int64(len(have))
	return nil
}

// same compares the bytes from offset, of which the file may have too few.
func (f *auditedFile) same(have, want []byte, offset, signed int64) error {
	if !bytes.Equal(have, want[:len(have)]) {
		i := 0
		for have[i] == want[i] {
			i++
		}
		at := offset + int64(i)
		return &FalseError{journal.Seq(at / hashBytes * f.span), "tree/" + f.name, fmt.Sprintf("byte %d is not what the records give", at)}
	}
	first := (offset + int64(len(have))) / hashBytes * f.span
	if len(have) < len(want) && first+f.span <= signed {
		return &FalseError{journal.Seq(first), "tree/" + f.name, "the file ends before what was signed"}
	}
	return nil
}
