package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/journal/journaltest"
)

// TestDoors checks every door there is, local files on both disks and with
// files so short that each few appends begin a new one.
func TestDoors(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		journaltest.Test(t, func(*testing.T) func() journal.Door {
			list := new(memory)
			return func() journal.Door { return &memoryDoor{memory: list} }
		})
	})
	t.Run("files on a memory disk", func(t *testing.T) {
		journaltest.Test(t, func(t *testing.T) func() journal.Door {
			fs := new(disk.Mem)
			return func() journal.Door { return open(t, fs) }
		})
	})
	t.Run("files on a real disk", func(t *testing.T) {
		journaltest.Test(t, func(t *testing.T) func() journal.Door {
			fs, err := disk.Dir(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return func() journal.Door { return open(t, fs) }
		})
	})
	t.Run("short files", func(t *testing.T) {
		journaltest.Test(t, func(t *testing.T) func() journal.Door {
			fs := new(disk.Mem)
			return func() journal.Door { return openShort(t, fs, 200) }
		})
	})
}

// A memory keeps records as long as the process lives.
type memory struct {
	mu      sync.Mutex
	records [][]byte
	appends int
}

// A memoryDoor is the least that a door can be.
type memoryDoor struct {
	*memory
	closed bool                              // guarded by mu
	before func(at journal.Seq, n int) error // called by each Append, if not nil
}

func (d *memoryDoor) Append(ctx context.Context, expectedNext journal.Seq, records [][]byte) error {
	if d.before != nil {
		if err := d.before(expectedNext, len(records)); err != nil {
			return err
		}
	}
	total := 0
	for _, r := range records {
		if len(r) == 0 || len(r) > journal.MaxRecordBytes {
			return fmt.Errorf("record of %d bytes", len(r))
		}
		total += len(r) + 8
	}
	if len(records) == 0 || len(records) > journal.MaxAppendRecords || total > journal.MaxGroupBytes {
		return fmt.Errorf("%d records of %d bytes", len(records), total)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return journal.ErrStopped
	case ctx.Err() != nil:
		return ctx.Err()
	case expectedNext != journal.Seq(len(d.records)):
		return journal.ErrConflict
	}
	for _, r := range records {
		d.records = append(d.records, bytes.Clone(r))
	}
	d.appends++
	return nil
}

func (d *memoryDoor) Read(from journal.Seq, limit int) ([]journal.Record, error) {
	if from < 0 {
		return nil, errors.New("negative position")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var records []journal.Record
	total := 0
	for from < journal.Seq(len(d.records)) && len(records) < limit {
		if total >= journal.MaxReadBytes {
			break
		}
		total += len(d.records[from])
		records = append(records, journal.Record{Seq: from, Body: d.records[from]})
		from++
	}
	return records, nil
}

func (d *memoryDoor) First() journal.Seq { return 0 }

func (d *memoryDoor) Next() journal.Seq {
	d.mu.Lock()
	defer d.mu.Unlock()
	return journal.Seq(len(d.records))
}

func (d *memoryDoor) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return nil
}
