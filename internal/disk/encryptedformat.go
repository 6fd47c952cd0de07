package disk

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// Sizes in the file formats, in bytes.
const (
	sealBytes = 40 // the header of every encrypted file
	saltBytes = 16

	spansHeaderBytes = 32
	spanBytes        = 8 + saltBytes
	checksumBytes    = 4

	// maxSpans bounds how often a file can be appended to anew.
	maxSpans = 1 << 16
)

const (
	sealMagic   = "custcryp"
	spansMagic  = "custspan"
	sealVersion = 1
	spansSuffix = ".spans"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A salt is random and names what it makes the key of: a file, or a span.
type salt [saltBytes]byte

// A seal is the header of an encrypted file.
type seal struct {
	key  keyID
	salt salt // names the file; the key of its first span comes from it
}

func (s seal) encode() []byte {
	b := append(make([]byte, 0, sealBytes), sealMagic...)
	b = binary.LittleEndian.AppendUint32(b, sealVersion)
	b = append(b, s.key[:]...)
	b = append(b, s.salt[:]...)
	return appendChecksum(b)
}

// readSeal reads the header of file. There is none, and ok is false, in a file
// to which nothing was written yet, or nothing that a power cut has left: its
// first write was never synced.
func readSeal(file Reader) (s seal, ok bool, err error) {
	b := make([]byte, sealBytes)
	n, err := file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return s, false, err
	}
	b = b[:n]
	switch {
	case len(bytes.Trim(b, "\x00")) == 0:
		return s, false, nil // empty, or a sector that was never written
	case !bytes.HasPrefix([]byte(sealMagic), b[:min(n, len(sealMagic))]):
		return s, false, fmt.Errorf("%w: the file is not encrypted", ErrFileKey)
	case n < sealBytes:
		return s, false, nil
	case !intact(b):
		return s, false, errors.New("the header of the encrypted file does not match its checksum")
	case binary.LittleEndian.Uint32(b[8:]) != sealVersion:
		return s, false, fmt.Errorf("encrypted file of version %d, this program knows %d", binary.LittleEndian.Uint32(b[8:]), sealVersion)
	}
	return seal{key: keyID(b[12:20]), salt: salt(b[20:36])}, true, nil
}

// A start is where a span begins: in bytes of content, from 0.
type start struct {
	at   int64
	salt salt
}

// spansName returns the name of the file that lists the spans of a file.
func spansName(file salt) string { return hex.EncodeToString(file[:]) + spansSuffix }

// isSpansName reports whether name is one that spansName returns.
func isSpansName(name string) bool {
	digits, ok := strings.CutSuffix(name, spansSuffix)
	raw, err := hex.DecodeString(digits)
	return ok && err == nil && len(raw) == saltBytes && spansName(salt(raw)) == name
}

// encodeSpans returns the content of the list of spans.
func encodeSpans(file salt, starts []start) []byte {
	b := append(make([]byte, 0, spansHeaderBytes+len(starts)*spanBytes+checksumBytes), spansMagic...)
	b = binary.LittleEndian.AppendUint32(b, sealVersion)
	b = append(b, file[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(starts)))
	for _, s := range starts {
		b = binary.LittleEndian.AppendUint64(b, uint64(s.at))
		b = append(b, s.salt[:]...)
	}
	return appendChecksum(b)
}

// parseSpans reads what encodeSpans returns.
func parseSpans(b []byte, file salt) ([]start, error) {
	switch {
	case len(b) < spansHeaderBytes+checksumBytes || !intact(b):
		return nil, errors.New("the list of spans does not match its checksum")
	case string(b[:8]) != spansMagic:
		return nil, errors.New("not a list of spans")
	case binary.LittleEndian.Uint32(b[8:]) != sealVersion:
		return nil, fmt.Errorf("list of spans of version %d, this program knows %d", binary.LittleEndian.Uint32(b[8:]), sealVersion)
	case salt(b[12:28]) != file:
		return nil, errors.New("the list of spans of another file")
	}
	count := binary.LittleEndian.Uint32(b[28:])
	b = b[spansHeaderBytes : len(b)-checksumBytes]
	if count > maxSpans || len(b) != int(count)*spanBytes {
		return nil, fmt.Errorf("a list of %d spans in %d bytes", count, len(b))
	}
	starts := make([]start, 0, count)
	last := int64(-1)
	for ; len(b) > 0; b = b[spanBytes:] {
		s := start{at: int64(binary.LittleEndian.Uint64(b)), salt: salt(b[8:spanBytes])}
		if s.at <= last {
			return nil, fmt.Errorf("a span that begins at %d after one that begins at %d", s.at, last)
		}
		starts, last = append(starts, s), s.at
	}
	return starts, nil
}

func appendChecksum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// intact reports whether the last four bytes of b are the checksum of the rest.
func intact(b []byte) bool {
	n := len(b) - checksumBytes
	return crc32.Checksum(b[:n], castagnoli) == binary.LittleEndian.Uint32(b[n:])
}
