package tree_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
)

// makeEvents returns n records as the journal holds them.
func makeEvents(t fatal, n int) records {
	t.Helper()
	list := make(records, n)
	for i := range list {
		fields, err := event.Parse(fmt.Appendf(nil, `{
			"id": "event-%d", "tag": "project:release:add", "time": "2026-01-02T03:04:05Z",
			"actor": {"type": "user", "id": "7", "name": "alice"},
			"subjects": [{"type": "project", "id": "9", "name": "demo-pkg"}],
			"context": {"ip": "203.0.113.9", "user_agent": "demo/1.0"},
			"metadata": {"version": "1.0.%d", "files": 2}
		}`, i, i))
		if err != nil {
			t.Fatalf("Parse: %v", err)
		}
		secrets := event.Secrets{Open: [16]byte{byte(i), byte(i >> 8), 1}, Private: [16]byte{byte(i), byte(i >> 8), 2}}
		list[i], _ = event.AppendRecord(nil, fields, &secrets)
	}
	return list
}

// auditedLog returns a disk with a tree over events, the first signed of which
// a checkpoint covers, and them.
func auditedLog(t fatal, signed, n int) (*disk.Mem, records) {
	t.Helper()
	list := makeEvents(t, n)
	dir := new(disk.Mem)
	config := testConfig(dir, list)
	config.EntryOf = tree.StoredEntry
	tr, err := tree.Open(t.Context(), config)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	feed(t, tr, list[:signed], 100)
	sign(t, tr)
	feed(t, tr, list, 100)
	return dir, list
}

// TestAuditCountsTheDropped checks that an audit of a log from which records were
// dropped says of how many only the commitment is left.
func TestAuditCountsTheDropped(t *testing.T) {
	policy, _ := testKeys().Policy()
	dir, list := auditedLog(t, 600, 650)
	for _, drop := range [][]int{nil, {0}, {255, 256, 599}, upTo(600)} {
		signed, dropped, err := tree.Audit(t.Context(), dir, without(list, drop...), policy, nil)
		if err != nil || signed.N != 600 || dropped != int64(len(drop)) {
			t.Fatalf("Audit without %d records = %v, %d, %v", len(drop), signed, dropped, err)
		}
	}
}

// TestAuditNamesTheFirstLie changes one thing that an audit reads. Whoever
// checks a copy of the log must be told what is wrong and where.
func TestAuditNamesTheFirstLie(t *testing.T) {
	policy, _ := testKeys().Policy()
	cases := []struct {
		name  string
		harm  func(t *testing.T, dir *disk.Mem, list records) records
		seq   journal.Seq
		where string
	}{
		{"commitment", flip("commitments", 7*32), 7, "tree/commitments"},
		{"last commitment that was signed", flip("commitments", 599*32+31), 599, "tree/commitments"},
		{"commitment that is not signed over yet", flip("commitments", 610*32), 610, "tree/commitments"},
		{"root of a tile", flip("level1", 32), 256, "tree/level1"},
		{"commitments end early", cutTo("commitments", 599*32+5), 599, "tree/commitments"},
		{"commitments go on", longer("commitments"), -1, "tree/commitments"},
		{"level 2 goes on", longer("level2"), -1, "tree/level2"},
		{"level 1 ends early", cutTo("level1", 32), 256, "tree/level1"},
		{"level 1 is gone", gone("level1"), -1, "tree/level1"},
		{"commitments are gone", gone("commitments"), -1, "tree/commitments"},
		{"record", func(_ *testing.T, _ *disk.Mem, list records) records {
			list[300] = append([]byte(nil), list[300]...)
			list[300][len(list[300])-1]++
			return list
		}, 300, "journal"},
		{"another record", func(_ *testing.T, _ *disk.Mem, list records) records {
			list[300] = list[301]
			return list
		}, 300, "tree/commitments"},
		{"commitment of a dropped record", func(_ *testing.T, dir *disk.Mem, list records) records {
			dir.Flip("commitments", 300*32, 1)
			return without(list, 300)
		}, 256, "tree/level1"},
		{"commitment of a dropped record in the last tile", func(_ *testing.T, dir *disk.Mem, list records) records {
			dir.Flip("commitments", 520*32, 1)
			return without(list, 520)
		}, -1, "tree/checkpoint"},
		{"record dropped before it was signed over", func(_ *testing.T, _ *disk.Mem, list records) records {
			return without(list, 600)
		}, 600, "journal"},
		{"dropped, and the commitments end", func(t *testing.T, dir *disk.Mem, list records) records {
			mustCutShort(t, dir, "commitments", 550*32)
			return without(list, upTo(600)...)
		}, 550, "tree/commitments"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir, list := auditedLog(t, 600, 650)
			list = c.harm(t, dir, list)
			_, _, err := tree.Audit(t.Context(), dir, list, policy, nil)
			found, ok := errors.AsType[*tree.FalseError](err)
			if !ok || found.Seq != c.seq || found.Where != c.where {
				t.Errorf("Audit = %v, want record %d in %s", err, c.seq, c.where)
			}
		})
	}
}

type harm = func(t *testing.T, dir *disk.Mem, list records) records

func flip(file string, offset int64) harm {
	return func(_ *testing.T, dir *disk.Mem, list records) records {
		dir.Flip(file, offset, 1)
		return list
	}
}

func cutTo(file string, size int64) harm {
	return func(t *testing.T, dir *disk.Mem, list records) records {
		mustCutShort(t, dir, file, size)
		return list
	}
}

func longer(file string) harm {
	return func(t *testing.T, dir *disk.Mem, list records) records {
		f, err := dir.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		return list
	}
}

func gone(file string) harm {
	return func(t *testing.T, dir *disk.Mem, list records) records {
		if err := dir.Remove(file); err != nil {
			t.Fatal(err)
		}
		return list
	}
}
