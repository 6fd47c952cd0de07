package main

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// journalBatches measures appends of batchEvents records, several at once.
func journalBatches(ctx context.Context, t *trial) error {
	return t.withJournal(ctx, func(j *journal.Journal) error {
		bodies := make([][]byte, batchEvents)
		for i := range bodies {
			bodies[i] = randomRecord()
		}
		return t.measure(ctx, load{workers: submitters, events: batchEvents, call: func(int) error {
			_, err := j.Append(ctx, bodies...)
			return err
		}})
	})
}

// journalSingle measures appends of one record by waiting submitters at once.
func journalSingle(waiting int) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		return t.withJournal(ctx, func(j *journal.Journal) error {
			body := randomRecord()
			return t.measure(ctx, load{workers: waiting, events: 1, call: func(int) error {
				_, err := j.Append(ctx, body)
				return err
			}})
		})
	}
}

func randomRecord() []byte {
	b := make([]byte, recordBytes)
	rand.Read(b) // never fails
	return b
}

// withJournal lets do use a new journal.
func (t *trial) withJournal(ctx context.Context, do func(*journal.Journal) error) error {
	j, stop, err := openJournal(ctx, t.dir)
	if err != nil {
		return err
	}
	if err := errors.Join(do(j), stop()); err != nil {
		return err
	}
	return t.weigh(t.dir, float64(j.Size()))
}

// openJournal opens the journal of the log in dir and runs it until stop is
// called.
func openJournal(ctx context.Context, dir string) (j *journal.Journal, stop func() error, err error) {
	data, err := disk.Dir(dir)
	if err != nil {
		return nil, nil, err
	}
	sub, err := data.Sub("journal")
	if err != nil {
		return nil, nil, err
	}
	files, err := journal.OpenFiles(sub)
	if err != nil {
		return nil, nil, err
	}
	j = journal.New(files)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- j.Run(ctx) }()
	return j, func() error {
		cancel()
		return errors.Join(<-ended, files.Close())
	}, nil
}

// sub returns the named directory of the log in dir.
func sub(dir, name string) (disk.FS, error) { return disk.Dir(filepath.Join(dir, name)) }
