// Package stream writes answers that take long: files in pieces, and events as
// they come. A reader may be slow, or away, and the server may be about to stop.
package stream

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Limits of files.
const (
	pieceBytes    = 256 << 10        // 256 KiB, written to a reader at a time
	maxPieceStall = 30 * time.Second // that a reader may take for a piece
)

// Until returns a context that also ends when stopping is closed. Nil never is.
func Until(ctx context.Context, stopping <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if stopping != nil {
		go func() {
			select {
			case <-stopping:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

// A Pieces writes to a reader in pieces, each of which may take its time.
type Pieces struct {
	Gone bool // the reader cannot be written to

	w       http.ResponseWriter
	control *http.ResponseController
}

// NewPieces returns a Pieces that writes to w.
func NewPieces(w http.ResponseWriter) *Pieces {
	return &Pieces{w: w, control: http.NewResponseController(w)}
}

// Write implements [io.Writer].
func (p *Pieces) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		_ = p.control.SetWriteDeadline(time.Now().Add(maxPieceStall)) // not every connection can
		var some int
		some, err = p.w.Write(b[:min(len(b), pieceBytes)])
		n, b = n+some, b[some:]
	}
	p.Gone = p.Gone || err != nil
	return n, err
}

// Flush hands on what the server gathered.
func (p *Pieces) Flush() error {
	_ = p.control.SetWriteDeadline(time.Now().Add(maxPieceStall)) // as in Write
	err := p.control.Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	p.Gone = p.Gone || err != nil
	return err
}

// BreakOff makes the answer end as if the connection was lost: the server, which
// would otherwise write the end that makes it look whole, has no time for that.
func (p *Pieces) BreakOff() {
	_ = p.control.SetWriteDeadline(time.Unix(1, 0)) // as in Write
}
