package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// Sizes in the file format, in bytes.
const (
	fileHeaderBytes  = 32
	groupHeaderBytes = 32
	frameHeaderBytes = 8
	markBytes        = 8
)

const (
	fileMagic   = "custjrnl"
	fileVersion = 1
	fileSuffix  = ".journal"
	fileDigits  = 20
)

// A kind says what a group is for.
type kind uint32

const (
	kindRecords kind = 0 // records of one append
	kindSeal    kind = 1 // none: all before it was durable when it was written
	kindEnd     kind = 2 // none: the journal goes on in the next file
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A mark is the random beginning of every group of one file. Nobody who
// submits records knows it, so no record can look like a group.
type mark [markBytes]byte

// fileName returns the name of the file whose first record is base.
func fileName(base Seq) string { return fmt.Sprintf("%0*d%s", fileDigits, base, fileSuffix) }

// parseFileName returns the first record of the file of that name.
func parseFileName(name string) (base Seq, ok bool) {
	digits, found := strings.CutSuffix(name, fileSuffix)
	if !found || len(digits) != fileDigits {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || fileName(Seq(n)) != name {
		return 0, false
	}
	return Seq(n), true
}

func appendFileHeader(b []byte, base Seq, m mark) []byte {
	start := len(b)
	b = append(b, fileMagic...)
	b = binary.LittleEndian.AppendUint32(b, fileVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(base))
	b = append(b, m[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseFileHeader returns the mark in header b of the file whose first record
// is base; reason is empty if the header is intact.
func parseFileHeader(b []byte, base Seq) (m mark, reason string) {
	switch {
	case len(b) < fileHeaderBytes:
		return m, "file header is cut short"
	case !intact(b[:fileHeaderBytes]):
		return m, "file header does not match its checksum"
	case string(b[:8]) != fileMagic:
		return m, "not a journal file"
	case binary.LittleEndian.Uint32(b[8:]) != fileVersion:
		return m, fmt.Sprintf("file version %d, this program knows %d", binary.LittleEndian.Uint32(b[8:]), fileVersion)
	case Seq(binary.LittleEndian.Uint64(b[12:])) != base:
		return m, fmt.Sprintf("file of record %d under another name", binary.LittleEndian.Uint64(b[12:]))
	}
	return mark(b[20:28]), ""
}

// A groupHeader stands before the frames of each group.
type groupHeader struct {
	kind    kind
	first   Seq    // position of its first record, or of the next one if it has none
	count   uint32 // records
	payload uint32 // bytes of frames after the header
}

// put writes h into the first groupHeaderBytes of b.
func (h groupHeader) put(b []byte, m mark) {
	copy(b, m[:])
	binary.LittleEndian.PutUint32(b[8:], uint32(h.kind))
	binary.LittleEndian.PutUint32(b[12:], h.count)
	binary.LittleEndian.PutUint64(b[16:], uint64(h.first))
	binary.LittleEndian.PutUint32(b[24:], h.payload)
	binary.LittleEndian.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli))
}

// parseGroupHeader returns the header that b begins with, if it is one and
// says nothing that Append would not have written.
func parseGroupHeader(b []byte, m mark) (h groupHeader, ok bool) {
	if len(b) < groupHeaderBytes || !bytes.Equal(b[:markBytes], m[:]) || !intact(b[:groupHeaderBytes]) {
		return h, false
	}
	h = groupHeader{
		kind:    kind(binary.LittleEndian.Uint32(b[8:])),
		count:   binary.LittleEndian.Uint32(b[12:]),
		first:   Seq(binary.LittleEndian.Uint64(b[16:])),
		payload: binary.LittleEndian.Uint32(b[24:]),
	}
	switch h.kind {
	case kindRecords:
		ok = h.count > 0 && h.payload <= MaxGroupBytes && int64(h.payload) >= int64(h.count)*(frameHeaderBytes+1)
	case kindSeal, kindEnd:
		ok = h.count == 0 && h.payload == 0
	}
	return h, ok && h.first >= 0
}

// intact reports whether the last four bytes of b are the checksum of the rest.
func intact(b []byte) bool {
	n := len(b) - 4
	return crc32.Checksum(b[:n], castagnoli) == binary.LittleEndian.Uint32(b[n:])
}

// parseFrame returns the body of the frame that b begins with; reason is empty
// if it is intact. Without check only its length is looked at.
func parseFrame(b []byte, check bool) (body []byte, reason string) {
	if len(b) < frameHeaderBytes {
		return nil, "frame is cut short"
	}
	length := binary.LittleEndian.Uint32(b)
	if length == 0 || length > MaxRecordBytes || int(length) > len(b)-frameHeaderBytes {
		return nil, fmt.Sprintf("frame of %d bytes where %d are left", length, len(b)-frameHeaderBytes)
	}
	end := frameHeaderBytes + int(length)
	body = b[frameHeaderBytes:end:end]
	if check && crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, "record does not match its checksum"
	}
	return body, ""
}

// Frames are the records of one group in the form in which they are stored,
// after room for the group's header, so that one write stores all.
type frames struct {
	buf  []byte
	ends []int32 // ends[i] is the offset in buf just after record i
}

// reset makes f empty, keeping its memory unless that is unusually much.
func (f *frames) reset() {
	if cap(f.buf) > 2*MaxGatherBytes {
		f.buf = nil
	}
	if cap(f.buf) < groupHeaderBytes {
		f.buf = make([]byte, groupHeaderBytes, 64<<10)
	}
	f.buf = f.buf[:groupHeaderBytes]
	f.ends = f.ends[:0]
}

// add frames bodies. It copies them.
func (f *frames) add(bodies [][]byte) {
	for _, body := range bodies {
		f.buf = binary.LittleEndian.AppendUint32(f.buf, uint32(len(body)))
		f.buf = binary.LittleEndian.AppendUint32(f.buf, crc32.Checksum(body, castagnoli))
		f.buf = append(f.buf, body...)
		f.ends = append(f.ends, int32(len(f.buf)))
	}
}

// body returns record i.
func (f *frames) body(i int) []byte {
	start := int32(groupHeaderBytes)
	if i > 0 {
		start = f.ends[i-1]
	}
	return f.buf[start+frameHeaderBytes : f.ends[i] : f.ends[i]]
}

// seal fills in the header: from now on buf is a whole group.
func (f *frames) seal(k kind, first Seq, m mark) {
	h := groupHeader{kind: k, first: first, count: uint32(len(f.ends)), payload: uint32(len(f.buf) - groupHeaderBytes)}
	h.put(f.buf, m)
}
