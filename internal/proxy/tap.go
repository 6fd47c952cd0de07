package proxy

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/custody-log/custody/internal/registry"
)

// maxLastWords bounds what is still read of an answer, for the record, when
// the client has gone away in the middle of it.
const maxLastWords = 64 << 10 // 64 KiB

// A tap passes a body on and copies what passes to a writer.
type tap struct {
	body   io.ReadCloser
	x      *passage
	answer bool           // it is the answer's body, not the request's
	to     io.WriteCloser // nil: nobody listens, or not any more; guarded by x.mu
}

// newTap returns a tap on body that copies to sink what it decompresses. What
// it cannot decompress, it does not copy.
func newTap(x *passage, body io.ReadCloser, sink io.Writer, encoding string) *tap {
	t := &tap{body: body, x: x}
	if sink != nil {
		if to, ok := registry.Decompressed(sink, encoding); ok {
			t.to = to
		}
	}
	return t
}

// Read implements [io.Reader].
func (t *tap) Read(buf []byte) (int, error) {
	n, err := t.body.Read(buf)
	t.x.dog.progress()
	t.x.mu.Lock()
	defer t.x.mu.Unlock()
	if t.to != nil && n > 0 {
		_, _ = t.to.Write(buf[:n]) // a copy that cannot be read delays nobody
	}
	if err != nil {
		t.end()
		t.x.complete = t.x.complete || t.answer && err == io.EOF
	}
	return n, err
}

// end lets go of the writer. The caller holds x.mu.
func (t *tap) end() {
	if t != nil && t.to != nil {
		_ = t.to.Close() // what was wrong with the encoding is the registry's business
		t.to = nil
	}
}

// Close implements [io.Closer].
func (t *tap) Close() error {
	if t.answer && t.x.guarded() && !t.x.heardAll() {
		_, _ = io.CopyN(io.Discard, t, maxLastWords)
	}
	t.x.mu.Lock()
	t.end()
	t.x.mu.Unlock()
	return t.body.Close()
}

// heardAll reports whether the answer has come to its end.
func (x *passage) heardAll() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.complete
}

// idleTimeout is how long nothing may move in a passage: neither a byte of a
// body nor the header of the answer. A body as a whole has no limit.
const idleTimeout = 5 * time.Minute

// lastWordsTimeout is how long the client then has to take an answer of ours.
const lastWordsTimeout = 5 * time.Second

// A watchdog cuts a passage in which nothing moves.
type watchdog struct {
	x     *passage
	conn  *http.ResponseController
	last  atomic.Int64 // when something moved, as Unix nanoseconds
	timer *time.Timer

	mu      sync.Mutex
	stopped bool
}

func (d *watchdog) start(x *passage, w http.ResponseWriter) {
	d.x, d.conn = x, http.NewResponseController(w)
	d.progress()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timer = time.AfterFunc(x.p.idle, d.look)
}

func (d *watchdog) progress() { d.last.Store(time.Now().UnixNano()) }

// look cuts the passage or comes back later.
func (d *watchdog) look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return
	}
	quiet := time.Since(time.Unix(0, d.last.Load()))
	if left := d.x.p.idle - quiet; left > 0 {
		d.timer.Reset(left)
		return
	}
	d.x.p.metrics.stalled.Inc()
	_ = d.conn.SetReadDeadline(time.Unix(1, 0)) // where there are no deadlines, cancel must do
	_ = d.conn.SetWriteDeadline(time.Now().Add(lastWordsTimeout))
	d.x.cancel()
}

func (d *watchdog) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	d.timer.Stop()
}
