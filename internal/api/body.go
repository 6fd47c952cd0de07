package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/custody-log/custody/event"
)

// Limits of request bodies.
const (
	maxBodyBytes  = event.MaxBatchBytes // of a submission, as sent and also after decompression
	maxSmallBytes = 128 << 10           // 128 KiB; a body beyond it, or compressed, needs one of maxLarge places
	maxLarge      = 32                  // bodies in memory at once, 8 MiB each
	maxLargeTime  = time.Minute         // from having a place to the end of the body
	maxWindow     = 8 << 20             // 8 MiB, which a zstd frame may look back
	maxAdminBytes = 16 << 10            // 16 KiB, of any other body
	firstBytes    = 4 << 10             // what a buffer begins with
	maxKeptBytes  = 4 << 20             // a larger buffer is not used again
)

// The limits as an answer names them.
var (
	bodyLimit  = fmt.Sprintf("batch of at most %d bytes after decompression", maxBodyBytes)
	wireLimit  = fmt.Sprintf("request of at most %d bytes", maxBodyBytes)
	adminLimit = fmt.Sprintf("request of at most %d bytes", maxAdminBytes)
	largeLimit = fmt.Sprintf("%d large or compressed requests at once", maxLarge)
)

// bodies reads request bodies into memory that is used again.
type bodies struct {
	buffers sync.Pool     // of *body
	gzips   sync.Pool     // of *gzip.Reader
	zstds   sync.Pool     // of *zstd.Decoder
	large   chan struct{} // holds a token for each large body
}

func newBodies() *bodies {
	return &bodies{large: make(chan struct{}, maxLarge)}
}

// A body is a request body that was read.
type body struct {
	bytes []byte // valid until free
	from  *bodies
	large bool
}

// free gives back the memory.
func (b *body) free() {
	if b.large {
		<-b.from.large
		b.large = false
	}
	if cap(b.bytes) <= maxKeptBytes {
		b.bytes = b.bytes[:0]
		b.from.buffers.Put(b)
	}
}

// read reads and decompresses the body of r. The caller frees it.
func (s *bodies) read(w http.ResponseWriter, r *http.Request) (*body, error) {
	if r.ContentLength > maxBodyBytes {
		return nil, &event.LimitError{Index: -1, Limit: wireLimit}
	}
	b, ok := s.buffers.Get().(*body)
	if !ok {
		b = &body{from: s}
	}
	if err := b.decode(w, r); err != nil {
		b.free()
		return nil, err
	}
	return b, nil
}

// decode reads the body of r, undoing its content encoding.
func (b *body) decode(w http.ResponseWriter, r *http.Request) error {
	encoding := r.Header["Content-Encoding"]
	if len(encoding) == 0 || len(encoding) == 1 && strings.EqualFold(encoding[0], "identity") {
		return b.fill(w, r, r.Body)
	}
	name := strings.ToLower(strings.Join(encoding, ", "))
	if name != "gzip" && name != "zstd" {
		w.Header().Set("Accept-Encoding", "gzip, zstd")
		return unsupported("Content-Encoding", name, "send gzip, zstd or no Content-Encoding")
	}
	// Decompressing needs memory from its first byte on.
	if err := b.enlarge(w, r); err != nil {
		return err
	}
	wire := &io.LimitedReader{R: r.Body, N: maxBodyBytes + 1}
	var err error
	if name == "gzip" {
		err = b.gunzip(w, r, wire)
	} else {
		err = b.unzstd(w, r, wire)
	}
	if wire.N == 0 {
		return &event.LimitError{Index: -1, Limit: wireLimit}
	}
	return err
}

func (b *body) gunzip(w http.ResponseWriter, r *http.Request, wire io.Reader) error {
	z, ok := b.from.gzips.Get().(*gzip.Reader)
	if !ok {
		z = new(gzip.Reader)
	}
	defer b.from.gzips.Put(z)
	if err := z.Reset(wire); err != nil {
		return unreadable(r, err)
	}
	return b.fill(w, r, z)
}

func (b *body) unzstd(w http.ResponseWriter, r *http.Request, wire io.Reader) error {
	z, ok := b.from.zstds.Get().(*zstd.Decoder)
	if !ok {
		var err error
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return fmt.Errorf("api: zstd: %w", err)
		}
	}
	defer func() {
		_ = z.Reset(nil) // lets go of the request; there is nothing to fail
		b.from.zstds.Put(z)
	}()
	if err := z.Reset(wire); err != nil {
		return unreadable(r, err)
	}
	return b.fill(w, r, z)
}

// fill reads all of src. Memory grows with what has arrived, never with what
// was announced.
func (b *body) fill(w http.ResponseWriter, r *http.Request, src io.Reader) error {
	for {
		if len(b.bytes) == cap(b.bytes) {
			if err := b.grow(w, r); err != nil {
				return err
			}
		}
		n, err := src.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if len(b.bytes) > maxBodyBytes {
			return &event.LimitError{Index: -1, Limit: bodyLimit}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return unreadable(r, err)
		}
	}
}

// grow makes room for more.
func (b *body) grow(w http.ResponseWriter, r *http.Request) error {
	size := max(firstBytes, min(4*cap(b.bytes), maxBodyBytes+1))
	if size > maxSmallBytes {
		if err := b.enlarge(w, r); err != nil {
			return err
		}
	}
	bytes := make([]byte, len(b.bytes), size)
	copy(bytes, b.bytes)
	b.bytes = bytes
	return nil
}

// enlarge waits for a place among the large bodies, and gives the client a
// bounded time for what it still has to send.
func (b *body) enlarge(w http.ResponseWriter, r *http.Request) error {
	if b.large {
		return nil
	}
	wait, cancel := context.WithTimeout(r.Context(), maxLargeTime)
	defer cancel()
	select {
	case b.from.large <- struct{}{}:
		b.large = true
	case <-wait.Done():
		if err := r.Context().Err(); err != nil {
			return err
		}
		return busy(largeLimit)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxLargeTime)) // not every connection can
	return nil
}

// unreadable is the problem of a body that ended early or is not what its
// Content-Encoding says.
func unreadable(r *http.Request, err error) error {
	switch {
	case r.Context().Err() != nil:
		return r.Context().Err()
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return &event.LimitError{Index: -1, Limit: fmt.Sprintf("zstd window of at most %d bytes", maxWindow)}
	case r.Header.Get("Content-Encoding") != "":
		return badRequest("the body ends early or is not what its Content-Encoding says")
	}
	return badRequest("the body ends early")
}

// mediaType returns the media type of the body of r, which must be one of
// want, without parameters but for charset=utf-8.
func mediaType(r *http.Request, want ...string) (string, error) {
	given := r.Header["Content-Type"]
	hint := "send Content-Type: " + strings.Join(want, " or ")
	if len(given) != 1 {
		return "", unsupported("Content-Type", strings.Join(given, ", "), hint)
	}
	for _, t := range want {
		if given[0] == t {
			return t, nil
		}
	}
	kind, params, err := mime.ParseMediaType(given[0])
	if charset, ok := params["charset"]; err != nil || ok && !strings.EqualFold(charset, "utf-8") {
		return "", unsupported("Content-Type", given[0], hint)
	}
	for _, t := range want {
		if kind == t {
			return t, nil
		}
	}
	return "", unsupported("Content-Type", given[0], hint)
}
