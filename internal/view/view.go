// Package view drives everything that is computed from the journal.
//
// A [View] is a function of the journal's records, with a cursor that says how
// far it has come. Views never call each other and never write to the journal
// behind its back: what they share, they share by reading the same records in
// the same order. So a view can be deleted and grows back the same, a slow one
// delays nobody, and a new one starts at record 0 like all the others did.
package view

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/custody-log/custody/internal/journal"
)

// A View is a deterministic function of the journal.
type View interface {
	// Name identifies the view in logs, metrics and on the status page.
	Name() string

	// Cursor returns how many records the view has taken in, which is the
	// position of the record it wants next.
	Cursor() journal.Seq

	// Apply takes in records, which start at Cursor and have no gaps. Their
	// effect and the new cursor become durable together: if Apply fails, or
	// the process dies in it, the same records come again.
	Apply(ctx context.Context, records []journal.Record) error
}

// A Source is the part of a journal that views read.
type Source interface {
	Read(from journal.Seq, limit int) ([]journal.Record, error)
	Wait(ctx context.Context, n journal.Seq) error
}

// ErrCorrupt is wrapped by Apply when trying again cannot help. Follow stops
// and the operator must look.
var ErrCorrupt = errors.New("view is corrupt")

// Bounds on what Follow does at a time.
const (
	batchRecords = 1024
	gather       = 2 * time.Millisecond // after a batch that was not full, so that the next is larger
	firstRetry   = 100 * time.Millisecond
	lastRetry    = 30 * time.Second
)

// Follow feeds src to v until ctx ends, and then returns nil. A failed Apply
// is tried again, ever more slowly, for as long as it takes.
func Follow(ctx context.Context, log *slog.Logger, src Source, v View) error {
	log = log.With("view", v.Name())
	retry := firstRetry
	for ctx.Err() == nil {
		n, err := step(ctx, src, v)
		if errors.Is(err, ErrCorrupt) {
			return fmt.Errorf("view %s: %w", v.Name(), err)
		}
		if err == nil {
			retry = firstRetry
			if n < batchRecords {
				// Records come in groups, each after its own sync. To wake for every
				// one costs more than taking it in.
				sleep(ctx, gather)
			}
			continue
		}
		if ctx.Err() == nil {
			log.WarnContext(ctx, "view is behind, will retry", "cursor", v.Cursor(), "retry", retry, "err", err)
			sleep(ctx, retry)
			retry = min(2*retry, lastRetry)
		}
	}
	return nil
}

// step waits for records that v has not seen, applies one batch of them, and
// returns how many they were.
func step(ctx context.Context, src Source, v View) (n int, err error) {
	if err := src.Wait(ctx, v.Cursor()); err != nil {
		return 0, err
	}
	records, err := src.Read(v.Cursor(), batchRecords)
	if err != nil {
		return 0, err
	}
	return len(records), v.Apply(ctx, records)
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
