package registry

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"iter"
	"strings"
)

// MaxInflatedBytes is how much a compressed body may turn into. What follows
// is not decoded: it would cost more than it could tell.
const MaxInflatedBytes = 1 << 30 // 1 GiB

var (
	errInflatedTooMuch = errors.New("registry: decompressing: more than 1 GiB")
	errClosed          = errors.New("registry: decompressing: closed")
)

// Decompressed returns a writer that decompresses what is written to it and
// writes that to w, if it knows the Content-Encoding: none, gzip or deflate. It
// is to be closed. Its Write never fails; what was wrong is told by Close.
func Decompressed(w io.Writer, encoding string) (io.WriteCloser, bool) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return plain{w}, true
	case "gzip", "x-gzip":
		return newInflater(w, func(r *bufio.Reader) (io.Reader, error) { return gzip.NewReader(r) }), true
	case "deflate":
		return newInflater(w, inflateEither), true
	}
	return nil, false
}

// plain hides the methods of a writer but Write.
type plain struct{ io.Writer }

func (plain) Close() error { return nil }

// inflateEither reads zlib, which is what "deflate" means, or bare deflate,
// which is what some send.
func inflateEither(r *bufio.Reader) (io.Reader, error) {
	head, err := r.Peek(2)
	if err != nil {
		return nil, err
	}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(r)
	}
	return flate.NewReader(r), nil
}

// An inflater turns a decompressor, which reads, into a writer: the
// decompressor runs as a coroutine that is resumed with each piece. Nothing
// runs beside the caller.
type inflater struct {
	next  func() (struct{}, bool) // runs the decompressor until it needs more
	stop  func()
	piece []byte // not read yet
	ended bool   // no piece will follow
	err   error
}

func newInflater(w io.Writer, open func(*bufio.Reader) (io.Reader, error)) *inflater {
	z := new(inflater)
	z.next, z.stop = iter.Pull(func(yield func(struct{}) bool) {
		source := bufio.NewReader(&pieces{z, yield})
		r, err := open(source)
		if err == nil {
			var n int64
			if n, err = io.Copy(w, io.LimitReader(r, MaxInflatedBytes)); n == MaxInflatedBytes && err == nil {
				err = errInflatedTooMuch
			}
		}
		z.err = err
	})
	return z
}

// Write decompresses p. It returns no error: the body goes where it was going
// whether or not anybody can read along.
func (z *inflater) Write(p []byte) (int, error) {
	if len(p) > 0 {
		z.piece = p
		z.next()
		z.piece = nil
	}
	return len(p), nil
}

// Close ends the body and returns what was wrong with it.
func (z *inflater) Close() error {
	z.ended = true
	z.next()
	z.stop()
	return z.err
}

// pieces is what the decompressor reads from.
type pieces struct {
	z     *inflater
	yield func(struct{}) bool
}

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.z.piece) == 0 {
		if p.z.ended {
			return 0, io.EOF
		}
		if !p.yield(struct{}{}) {
			return 0, errClosed
		}
	}
	n := copy(b, p.z.piece)
	p.z.piece = p.z.piece[n:]
	return n, nil
}
