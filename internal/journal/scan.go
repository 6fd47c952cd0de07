package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/custody-log/custody/internal/disk"
)

// scanBytes is how much of a file is read at a time when it is scanned.
const scanBytes = 1 << 20

// A scan walks the groups of one file from its beginning.
type scan struct {
	name string
	mark mark
	size int64 // of the file
	file io.ReaderAt
	in   *bufio.Reader

	off     int64 // of the next group
	next    Seq   // position of the next record
	last    kind  // of the group before
	payload []byte
	ends    []int32
}

// A group is what one step of a scan found.
type group struct {
	first Seq
	count int // records
	off   int64
	ends  []int32       // of the intact frames, relative to off; valid until the next step
	bad   *CorruptError // the first damaged frame, nil if all are intact
}

// readFileHeader returns the mark and the size of the file whose first record
// is base. If the header is damaged the error is a [*CorruptError].
func readFileHeader(file disk.Reader, base Seq) (m mark, size int64, err error) {
	size, err = file.Size()
	if err != nil {
		return m, 0, fmt.Errorf("journal: size of %s: %w", fileName(base), err)
	}
	header := make([]byte, min(size, fileHeaderBytes))
	if _, err := file.ReadAt(header, 0); err != nil && !errors.Is(err, io.EOF) {
		return m, 0, fmt.Errorf("journal: read %s: %w", fileName(base), err)
	}
	m, reason := parseFileHeader(header, base)
	if reason != "" {
		return m, 0, &CorruptError{File: fileName(base), Seq: base, Reason: reason}
	}
	return m, size, nil
}

// newScan starts a scan of the file whose first record is base. If the file
// header is damaged the error is a [*CorruptError].
func newScan(file disk.Reader, base Seq) (*scan, error) {
	m, size, err := readFileHeader(file, base)
	if err != nil {
		return nil, err
	}
	groups := io.NewSectionReader(file, fileHeaderBytes, size-fileHeaderBytes)
	return &scan{
		name: fileName(base), mark: m, size: size, file: file,
		in:  bufio.NewReaderSize(groups, int(min(scanBytes, size))),
		off: fileHeaderBytes, next: base,
	}, nil
}

// step takes in the next group. At the end of the file it returns [io.EOF]; if
// there is no whole group, a [*CorruptError], and then the scan is over.
func (s *scan) step() (group, error) {
	if s.off == s.size {
		return group{}, io.EOF
	}
	if s.last == kindEnd {
		return group{}, s.corrupt("bytes after the end of the file")
	}
	if s.size-s.off < groupHeaderBytes {
		return group{}, s.corrupt("group header is cut short")
	}
	var header [groupHeaderBytes]byte
	if err := s.fill(header[:]); err != nil {
		return group{}, err
	}
	h, ok := parseGroupHeader(header[:], s.mark)
	switch {
	case !ok:
		return group{}, s.corrupt("no group begins here")
	case h.first != s.next:
		return group{}, s.corrupt(fmt.Sprintf("group begins with record %d", h.first))
	case int64(h.payload) > s.size-s.off-groupHeaderBytes:
		return group{}, s.corrupt(fmt.Sprintf("group of %d bytes where %d are left", h.payload, s.size-s.off-groupHeaderBytes))
	}
	if cap(s.payload) < int(h.payload) {
		s.payload = make([]byte, h.payload)
	}
	if err := s.fill(s.payload[:h.payload]); err != nil {
		return group{}, err
	}
	g := group{first: h.first, count: int(h.count), off: s.off}
	g.bad = s.frames(h)
	g.ends = s.ends
	s.off += groupHeaderBytes + int64(h.payload)
	s.next += Seq(h.count)
	s.last = h.kind
	return g, nil
}

// frames collects the ends of the frames in payload, up to the first that is
// damaged.
func (s *scan) frames(h groupHeader) *CorruptError {
	s.ends = s.ends[:0]
	rest := s.payload[:h.payload]
	end := int32(groupHeaderBytes)
	for i := range h.count {
		body, reason := parseFrame(rest, true)
		if reason == "" && i == h.count-1 && frameHeaderBytes+len(body) != len(rest) {
			reason = "bytes after the last record of a group"
		}
		if reason != "" {
			return &CorruptError{File: s.name, Offset: s.off + int64(end), Seq: h.first + Seq(i), Reason: reason}
		}
		rest = rest[frameHeaderBytes+len(body):]
		end += frameHeaderBytes + int32(len(body))
		s.ends = append(s.ends, end)
	}
	return nil
}

// corrupt says that the scan cannot go on.
func (s *scan) corrupt(reason string) *CorruptError {
	return &CorruptError{File: s.name, Offset: s.off, Seq: s.next, Reason: reason}
}

// fill reads the next bytes of the file. That they cannot be read says nothing
// about what they are, so the error is never a CorruptError.
func (s *scan) fill(b []byte) error {
	if _, err := io.ReadFull(s.in, b); err != nil {
		return fmt.Errorf("journal: read %s: %w", s.name, err)
	}
	return nil
}

// laterGroup returns the header of the first group that begins after off,
// wherever it begins. A group is only ever written once all before it are
// durable: if there is one, what is before it was not torn but damaged.
func (s *scan) laterGroup(off int64) (h groupHeader, at int64, found bool, err error) {
	window := make([]byte, min(scanBytes+groupHeaderBytes, s.size-off))
	for start := off + 1; start+groupHeaderBytes <= s.size; start += scanBytes {
		n, err := s.file.ReadAt(window[:min(int64(len(window)), s.size-start)], start)
		if err != nil && !errors.Is(err, io.EOF) {
			return h, 0, false, fmt.Errorf("journal: read %s: %w", s.name, err)
		}
		for i := 0; ; i++ {
			step := bytes.Index(window[i:n], s.mark[:])
			if step < 0 {
				break
			}
			i += step
			if h, ok := parseGroupHeader(window[i:n], s.mark); ok {
				return h, start + int64(i), true, nil
			}
		}
	}
	return h, 0, false, nil
}
