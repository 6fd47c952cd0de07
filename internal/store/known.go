package store

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/internal/journal"
)

// Known calls yield with the source, the ID and the position of every event
// that is in a segment, from several goroutines at once. id is valid during the
// call. A segment that is damaged is passed over, which [Store.Trouble] then
// says: an event of it that is sent again is recorded again.
func (s *Store) Known(ctx context.Context, yield func(source string, id []byte, seq journal.Seq)) error {
	list := s.acquire()
	defer releaseAll(list)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0)) // some wait for the disk
	for _, h := range list {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if h.Segment == nil {
				return nil // Trouble says so
			}
			return s.setAside(h, h.IDs(func(source string, id []byte, seq int64) { yield(source, id, journal.Seq(seq)) }))
		})
	}
	return g.Wait()
}
