package custody

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
)

// The files of a buffer:
//
//	lock                          held by the process that has the buffer
//	00000000000000000000.spool    frames, from the position in the name on; append-only
//	sent                          position before which all events are in the log; may be old
//	refused.ndjson                events that the log refused, and why
//
// A frame is big-endian:
//
//	magic[4] │ i64 position │ i64 put, µs since 1970 │ u32 length │ u32 CRC-32C of all the rest │ event as JSON
//
// The magic's first bytes are not valid UTF-8, so it is in no event.
const (
	spoolSuffix = ".spool"
	sentFile    = "sent"

	frameMagic     = "\xC5SP\x01"
	frameHeadBytes = 4 + 8 + 8 + 4 + 4
	maxFrameBytes  = frameHeadBytes + event.MaxJSONBytes
)

// A frame is one event in the spool.
type frame struct {
	position int64
	put      time.Time
	data     []byte // the event as it is sent
	end      int64  // offset in the file after the frame
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends the frame of the event whose JSON is the pieces.
func appendFrame(b []byte, position int64, put time.Time, pieces ...string) []byte {
	start := len(b)
	b = append(b, frameMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(position))
	b = binary.BigEndian.AppendUint64(b, uint64(put.UnixMicro()))
	b = append(b, make([]byte, 8)...) // length and sum, below
	for _, p := range pieces {
		b = append(b, p...)
	}
	f := b[start:]
	binary.BigEndian.PutUint32(f[20:], uint32(len(f)-frameHeadBytes))
	binary.BigEndian.PutUint32(f[24:], frameSum(f))
	return b
}

func frameSum(f []byte) uint32 {
	return crc32.Update(crc32.Checksum(f[:24], castagnoli), castagnoli, f[frameHeadBytes:])
}

// nextFrame returns the first whole frame in data at or after place at. What
// lies before it is damaged.
func nextFrame(data []byte, at int) (f frame, found bool) {
	for {
		i := bytes.Index(data[at:], []byte(frameMagic))
		if i < 0 {
			return frame{}, false
		}
		at += i
		if size, whole := frameSize(data[at:]); whole {
			b := data[at : at+size]
			return frame{
				position: int64(binary.BigEndian.Uint64(b[4:])),
				put:      time.UnixMicro(int64(binary.BigEndian.Uint64(b[12:]))),
				data:     b[frameHeadBytes:],
				end:      int64(at + size),
			}, true
		}
		at += len(frameMagic)
	}
}

// frameSize returns the size of the frame at the start of b, if it is whole.
func frameSize(b []byte) (int, bool) {
	if len(b) < frameHeadBytes {
		return 0, false
	}
	n := binary.BigEndian.Uint32(b[20:])
	if n > event.MaxJSONBytes || int(n) > len(b)-frameHeadBytes {
		return 0, false
	}
	size := frameHeadBytes + int(n)
	return size, frameSum(b[:size]) == binary.BigEndian.Uint32(b[24:])
}

// A segment is one file of frames.
type segment struct {
	first int64 // position of its first frame
	end   int64 // bytes that are durable
}

func (s segment) name() string { return fmt.Sprintf("%020d%s", s.first, spoolSuffix) }

// A place is where a frame starts.
type place struct {
	segment int64 // its first
	offset  int64
}

// A spool is what was found on disk.
type spool struct {
	segments []segment // in order; the last is written to
	next     int64     // position of the next event
	sent     int64     // position of the first event that is to be sent
	from     place     // where that event is, or will be
	oldest   time.Time // when that event was put; zero if there is none
}

// recoverSpool reads the files in dir.
func recoverSpool(dir disk.FS) (*spool, error) {
	firsts, err := listSegments(dir)
	if err != nil {
		return nil, err
	}
	s := new(spool)
	if s.sent, err = readSent(dir); err != nil {
		return nil, err
	}
	if len(firsts) > 0 {
		s.sent = max(s.sent, firsts[0])
	}
	s.next = s.sent
	for _, first := range firsts {
		if err := s.scan(dir, first); err != nil {
			return nil, fmt.Errorf("%s: %w", segment{first: first}.name(), err)
		}
	}
	if len(s.segments) == 0 {
		s.segments = []segment{{first: s.next}}
	}
	if err := s.settle(dir); err != nil {
		return nil, err
	}
	if s.oldest.IsZero() {
		last := s.segments[len(s.segments)-1]
		s.from = place{last.first, last.end}
	}
	return s, nil
}

// settle makes the last file durable as it was read, creating it if there is
// none: a process that was killed may have left events that the disk does not
// have yet, and what is sent must keep its number.
func (s *spool) settle(dir disk.FS) error {
	file, err := dir.Open(s.segments[len(s.segments)-1].name())
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close(), dir.Sync())
}

// scan takes in one file. What a power cut left of frames that nobody was told
// of is passed over, like damage, and new frames follow it.
func (s *spool) scan(dir disk.FS, first int64) error {
	seg := segment{first: first}
	data, err := disk.ReadFile(dir, seg.name())
	if err != nil {
		return err
	}
	s.next = max(s.next, first)
	end := 0
	for {
		f, found := nextFrame(data, end)
		if !found {
			break
		}
		if f.position >= s.sent && s.oldest.IsZero() {
			// From the end of the frame before, so that damage is seen.
			s.from, s.oldest = place{first, int64(end)}, f.put
		}
		end = int(f.end)
		s.next = max(s.next, f.position+1)
	}
	seg.end = int64(len(data))
	s.segments = append(s.segments, seg)
	return nil
}

// listSegments returns the positions that the files of dir start with.
func listSegments(dir disk.FS) ([]int64, error) {
	names, err := dir.List()
	if err != nil {
		return nil, err
	}
	var firsts []int64
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, spoolSuffix)
		if !ok {
			continue
		}
		first, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || first < 0 || name != (segment{first: first}).name() {
			return nil, fmt.Errorf("%s: not a name of this buffer's", name)
		}
		firsts = append(firsts, first)
	}
	slices.Sort(firsts)
	return firsts, nil
}

// formatSent returns the content of the file that says what was sent.
func formatSent(n int64) []byte {
	return fmt.Appendf(nil, "%d %08x\n", n, crc32.Checksum(strconv.AppendInt(nil, n, 10), castagnoli))
}

// readSent returns the position before which all events are in the log. If
// the file is damaged that is 0: events are sent again, and the log recognises
// them.
func readSent(dir disk.FS) (int64, error) {
	text, err := disk.ReadFile(dir, sentFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	digits, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || !bytes.Equal(text, formatSent(n)) {
		n = 0
	}
	return n, nil
}
