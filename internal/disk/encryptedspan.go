package disk

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"sort"
	"sync"
)

// A span is a piece of a file that is encrypted under one key, from at to the
// next span's. It never changes.
type span struct {
	start

	// cipher derives the key when it is first needed: a file may have many
	// spans, and a reader wants one of them.
	cipher func() (cipher.Block, error)
}

func newSpan(key *FileKey, s start) *span {
	return &span{start: s, cipher: sync.OnceValues(func() (cipher.Block, error) {
		secret, err := key.derive(s.salt[:], forSpan, fileKeyBytes)
		if err != nil {
			return nil, err
		}
		return aes.NewCipher(secret)
	})}
}

// xor encrypts src, which stands at offset, into dst, or decrypts it.
func (s *span) xor(dst, src []byte, offset int64) error {
	block, err := s.cipher()
	if err != nil {
		return err
	}
	var counter [aes.BlockSize]byte
	binary.BigEndian.PutUint64(counter[8:], uint64(offset)/aes.BlockSize)
	stream := cipher.NewCTR(block, counter[:])
	var skipped [aes.BlockSize]byte
	skip := skipped[:offset%aes.BlockSize]
	stream.XORKeyStream(skip, skip)
	stream.XORKeyStream(dst, src)
	return nil
}

// Spans are all spans of a file, by where they begin; the first begins at 0.
type spans []*span

// xor decrypts b, which stands at offset, in place.
func (s spans) xor(b []byte, offset int64) error {
	i := sort.Search(len(s), func(i int) bool { return s[i].at > offset }) - 1
	for ; len(b) > 0; i++ {
		end := int64(math.MaxInt64)
		if i+1 < len(s) {
			end = s[i+1].at
		}
		n := int(min(int64(len(b)), end-offset))
		if err := s[i].xor(b[:n], b[:n], offset); err != nil {
			return err
		}
		b, offset = b[n:], offset+int64(n)
	}
	return nil
}

// cut returns the spans of the file as it is when it has size bytes, and room
// for one more.
func (s spans) cut(size int64) spans {
	n := sort.Search(len(s), func(i int) bool { return s[i].at >= size })
	return slices.Grow(slices.Clone(s[:n]), 1)
}

// loadSpans returns the spans of the file of that name salt in dir.
func loadSpans(dir FS, key *FileKey, file salt) (spans, error) {
	starts, err := readSpans(dir, file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", spansName(file), err)
	}
	var all spans
	if len(starts) == 0 || starts[0].at > 0 {
		all = append(all, newSpan(key, start{salt: file}))
	}
	for _, s := range starts {
		all = append(all, newSpan(key, s))
	}
	return all, nil
}

// readSpans returns where spans after the first begin: nowhere, in most files.
func readSpans(dir FS, file salt) ([]start, error) {
	r, err := dir.OpenRead(spansName(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	size, err := r.Size()
	if err != nil {
		return nil, err
	}
	if size > spansHeaderBytes+maxSpans*spanBytes+checksumBytes {
		return nil, fmt.Errorf("a list of spans of %d bytes", size)
	}
	b := make([]byte, size)
	if n, err := r.ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	return parseSpans(b, file)
}

// saveSpans makes the list of spans durable.
func saveSpans(dir FS, file salt, all spans) error {
	if len(all) > maxSpans {
		return fmt.Errorf("disk: the file was opened and appended to %d times, at most %d: a backup that is restored can be again", len(all), maxSpans)
	}
	var starts []start
	for _, s := range all {
		if s.salt != file {
			starts = append(starts, s.start)
		}
	}
	return ReplaceFile(dir, spansName(file), encodeSpans(file, starts))
}
