package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/internal/view"
)

// parts says which parts a log has, besides desk and journal.
type parts int

const (
	deskOnly parts = iota
	withTree
	withSearch // and the tree
)

// origin is the name of the log that is measured.
const origin = "bench.example/log"

// from is where all events come from.
var from = intake.Origin{Source: "bench", Trust: event.Witnessed}

// A log is what the server puts together, without its doors.
type log struct {
	catalogue *catalogue.Catalogue
	journal   *journal.Journal
	desk      *intake.Desk
	tree      *tree.Tree   // nil without one
	store     *store.Store // likewise
	keys      *tree.Keys
	views     []view.View

	stop func() error
}

// openLog makes a log in dir and runs it until stop is called.
func openLog(ctx context.Context, dir string, p parts) (*log, error) {
	l := new(log)
	var err error
	if l.catalogue, err = catalogue.Load(); err != nil {
		return nil, err
	}
	j, stopJournal, err := openJournal(ctx, dir)
	if err != nil {
		return nil, err
	}
	l.journal = j
	quiet := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c := intake.Config{Log: quiet, Journal: j, Catalogue: l.catalogue}
	if p >= withSearch {
		if err := l.openStore(dir, quiet); err != nil {
			return nil, errors.Join(err, stopJournal())
		}
		c.OpenKey = l.store.OpenKey()
	}
	if l.desk, err = intake.Open(ctx, c, nil); err != nil {
		return nil, errors.Join(err, stopJournal())
	}
	if p >= withTree {
		if err := l.openTree(ctx, dir, quiet); err != nil {
			return nil, errors.Join(err, stopJournal())
		}
		l.views = append(l.views, l.tree)
	}
	if l.store != nil {
		l.views = append(l.views, l.store)
	}
	l.follow(ctx, quiet, stopJournal)
	return l, nil
}

func (l *log) openStore(dir string, quiet *slog.Logger) error {
	data, err := disk.Dir(dir)
	if err != nil {
		return err
	}
	files, err := data.Sub("store")
	if err != nil {
		return err
	}
	l.store, err = store.Open(store.Config{Dir: files, Log: quiet, Family: l.catalogue.RetentionOf})
	if err == nil {
		l.store.Connect(store.Parts{Journal: l.journal})
	}
	return err
}

func (l *log) openTree(ctx context.Context, dir string, quiet *slog.Logger) (err error) {
	if l.keys, err = tree.GenerateKeys(origin); err != nil {
		return err
	}
	data, err := disk.Dir(dir)
	if err != nil {
		return err
	}
	files, err := data.Sub("tree")
	if err != nil {
		return err
	}
	l.tree, err = tree.Open(ctx, tree.Config{
		Dir: files, Head: tree.FileHead(files), Keys: l.keys, Records: l.journal, EntryOf: tree.StoredEntry, Log: quiet,
	})
	return err
}

// follow runs the views, and sets what stops them and the journal.
func (l *log) follow(ctx context.Context, quiet *slog.Logger, stopJournal func() error) {
	ctx, cancel := context.WithCancel(ctx)
	g, ctx := errgroup.WithContext(ctx)
	for _, v := range l.views {
		g.Go(func() error { return view.Follow(ctx, quiet, l.journal, v) })
	}
	if l.tree != nil {
		g.Go(func() error { return l.tree.Run(ctx) })
	}
	if l.store != nil {
		g.Go(func() error { return l.store.Run(ctx) })
	}
	g.Go(func() error { return l.desk.Run(ctx) })
	l.stop = func() error {
		cancel()
		errs := []error{g.Wait(), stopJournal()}
		if l.tree != nil {
			errs = append(errs, l.tree.Close())
		}
		return errors.Join(errs...)
	}
}

// settle waits until all views have taken in all records, and a signed
// checkpoint covers them.
func (l *log) settle(ctx context.Context) error {
	last := l.journal.Size() - 1
	for _, v := range l.views {
		if err := caughtUp(ctx, v, last); err != nil {
			return err
		}
	}
	if l.tree == nil {
		return nil
	}
	return l.tree.WaitFor(ctx, last)
}

// logBatches measures a log whose submitters send batches.
func logBatches(p parts) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		return t.withLog(ctx, p, func(l *log) error {
			pool := batchSupplies(l.catalogue, submitters)
			return t.measure(ctx, load{
				workers: submitters, events: batchEvents, settle: func() error { return l.settle(ctx) },
				call: func(worker int) error {
					_, err := l.desk.AcceptBatch(ctx, from, pool[worker].one(), event.NDJSON)
					return err
				},
			})
		})
	}
}

// logSingle measures a log to which that many submitters send one event each
// and wait.
func logSingle(p parts, waiting int) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		return t.withLog(ctx, p, func(l *log) error {
			pool := supplies(l.catalogue, waiting)
			return t.measure(ctx, load{
				workers: waiting, events: 1, settle: func() error { return l.settle(ctx) },
				call: func(worker int) error {
					_, err := l.desk.Accept(ctx, from, pool[worker].one())
					return err
				},
			})
		})
	}
}

// withLog lets do use a new log.
func (t *trial) withLog(ctx context.Context, p parts, do func(*log) error) error {
	l, err := openLog(ctx, t.dir, p)
	if err != nil {
		return err
	}
	if err := errors.Join(do(l), l.stop()); err != nil {
		return err
	}
	return t.weigh(t.dir, float64(l.journal.Size()))
}

// caughtUp waits until v has taken in the record at last.
func caughtUp(ctx context.Context, v view.View, last journal.Seq) error {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for v.Cursor() <= last {
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
