package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/proof"
)

// storedEvents is how many events the log has that is checked.
const (
	storedEvents      = 500_000
	storedEventsQuick = 100_000
)

// receipts is how many different receipts are checked in turn.
const receipts = 1000

// store makes a log of many events in t.dir. Before it is closed, look may look.
func (t *trial) store(ctx context.Context, look func(*log) error) (events int, err error) {
	events = storedEvents
	if t.quick {
		events = storedEventsQuick
	}
	l, err := openLog(ctx, t.dir, withTree)
	if err != nil {
		return 0, err
	}
	fill := func() error {
		pool := batchSupplies(l.catalogue, 1)[0]
		for range events / batchEvents {
			if _, err := l.desk.AcceptBatch(ctx, from, pool.one(), event.NDJSON); err != nil {
				return err
			}
		}
		if err := l.settle(ctx); err != nil {
			return err
		}
		return look(l)
	}
	return events, errors.Join(fill(), l.stop())
}

// verifyLog measures what custody verify does with a data directory: it reads
// every byte and computes every commitment and every hash anew.
func verifyLog(ctx context.Context, t *trial) error {
	var policy *proof.Policy
	events, err := t.store(ctx, func(l *log) (err error) {
		policy, err = l.keys.Policy()
		return err
	})
	if err != nil {
		return err
	}
	err = t.measure(ctx, load{workers: 1, events: events, call: func(int) error {
		return audit(ctx, t.dir, policy, events)
	}})
	if err != nil {
		return err
	}
	return t.weigh(t.dir, float64(events))
}

func audit(ctx context.Context, dir string, policy *proof.Policy, events int) error {
	records, err := sub(dir, "journal")
	if err != nil {
		return err
	}
	if _, err := journal.Check(ctx, records); err != nil {
		return err
	}
	files, err := journal.ReadFiles(records)
	if err != nil {
		return err
	}
	trees, err := sub(dir, "tree")
	if err != nil {
		return err
	}
	signed, _, err := tree.Audit(ctx, trees, journal.New(files), policy, nil)
	if err != nil {
		return err
	}
	if signed.N != int64(events) {
		return fmt.Errorf("checked %d events, want %d", signed.N, events)
	}
	return files.Close()
}

// verifyReceipt measures what custody verify does with a receipt that shows
// all fields, on one core.
func verifyReceipt(ctx context.Context, t *trial) error {
	var (
		policy *proof.Policy
		texts  [][]byte
	)
	_, err := t.store(ctx, func(l *log) (err error) {
		if policy, err = l.keys.Policy(); err != nil {
			return err
		}
		for i := range receipts {
			text, err := l.receipt(journal.Seq(i * 97))
			if err != nil {
				return err
			}
			texts = append(texts, text)
		}
		return nil
	})
	if err != nil {
		return err
	}
	n := 0
	return t.measure(ctx, load{workers: 1, events: 1, call: func(int) error {
		n = (n + 1) % len(texts)
		r, err := proof.ParseReceipt(texts[n])
		if err != nil {
			return err
		}
		_, err = r.Verify(policy)
		return err
	}})
}

// receipt returns the text of the receipt for the event at seq.
func (l *log) receipt(seq journal.Seq) ([]byte, error) {
	p, err := l.tree.Prove(seq)
	if err != nil {
		return nil, err
	}
	records, err := l.journal.Read(seq, 1)
	if err != nil {
		return nil, err
	}
	r, err := event.DecodeRecord(records[0].Body)
	if err != nil {
		return nil, err
	}
	all := func(*event.Field) bool { return true }
	return proof.NewReceipt(proof.Disclose(r, all), *p).Format()
}

// restart measures what a start does with the records: it compares them with
// the tree, and reads and checks all of them for the desk.
func restart(ctx context.Context, t *trial) error {
	var again *log
	events, err := t.store(ctx, func(l *log) error {
		again = l
		return nil
	})
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	return t.measure(ctx, load{workers: 1, events: events, call: func(int) error {
		j, stop, err := openJournal(ctx, t.dir)
		if err != nil {
			return err
		}
		trees, err := sub(t.dir, "tree")
		if err != nil {
			return errors.Join(err, stop())
		}
		tr, err := tree.Open(ctx, tree.Config{
			Dir: trees, Head: tree.FileHead(trees), Keys: again.keys, Records: j, EntryOf: tree.StoredEntry, Log: quiet,
		})
		if err != nil {
			return errors.Join(err, stop())
		}
		_, err = intake.Open(ctx, intake.Config{Log: quiet, Journal: j, Catalogue: again.catalogue}, nil)
		return errors.Join(err, tr.Close(), stop())
	}})
}
