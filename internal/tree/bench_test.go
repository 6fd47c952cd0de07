package tree_test

import (
	"fmt"
	"testing"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
)

func BenchmarkApply(b *testing.B) {
	for _, batch := range []int{1, 64, 256, 1000} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			fs, err := disk.Dir(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			list := makeRecords(b.N)
			config := testConfig(fs, list)
			entry := event.Commitment{}.Entry()
			config.EntryOf = func([]byte) (event.Entry, error) { entry[7]++; return entry, nil }
			tr, err := tree.Open(b.Context(), config)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			feed(b, tr, list, batch)
		})
	}
}

func BenchmarkProve(b *testing.B) {
	tr, _, list := benchLog(b, 200_000)
	for i := 0; b.Loop(); i++ {
		if _, err := tr.Prove(list.Size() * 7 / 13); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	tr, _, list := benchLog(b, 500_000)
	for b.Loop() {
		if _, err := tr.Check(b.Context(), list, entryOf, func(int64) {}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/record")
}

func BenchmarkAudit(b *testing.B) {
	policy, _ := testKeys().Policy()
	dir, list := auditedLog(b, 100_000, 100_000)
	b.ResetTimer()
	for b.Loop() {
		if _, _, err := tree.Audit(b.Context(), dir, list, policy, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/record")
}

// benchLog returns a tree over n signed records, on the disk.
func benchLog(b *testing.B, n int) (*tree.Tree, disk.FS, records) {
	b.Helper()
	list := makeRecords(n)
	fs, err := disk.Dir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	tr := open(b, fs, list)
	feed(b, tr, list, 1000)
	sign(b, tr)
	return tr, fs, list
}

// BenchmarkOpen measures a start that compares no records, one that compares
// them all, and one that makes the levels anew from the commitments.
func BenchmarkOpen(b *testing.B) {
	const n = 1_000_000
	tr, fs, list := benchLog(b, n)
	if err := tr.Close(); err != nil {
		b.Fatal(err)
	}
	start := func(b *testing.B, from journal.Seq) {
		config := testConfig(fs, list)
		config.From = from
		tr, err := tree.Open(b.Context(), config)
		if err == nil {
			err = tr.Close()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("none compared", func(b *testing.B) {
		for b.Loop() {
			start(b, n)
		}
	})
	b.Run("all compared", func(b *testing.B) {
		for b.Loop() {
			start(b, 0)
		}
	})
	b.Run("levels made anew", func(b *testing.B) {
		for b.Loop() {
			if err := fs.Remove("level1"); err != nil {
				b.Fatal(err)
			}
			start(b, n)
		}
	})
}

func BenchmarkReadTile(b *testing.B) {
	tr, _, _ := benchLog(b, 10_000)
	for b.Loop() {
		if _, err := tr.ReadTile(0, 7, 256); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadEntries(b *testing.B) {
	tr, _, _ := benchLog(b, 10_000)
	for b.Loop() {
		if _, err := tr.ReadEntries(7, 256); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommitments(b *testing.B) {
	tr, _, _ := benchLog(b, 100_000)
	var list []event.Commitment
	for b.Loop() {
		var err error
		if list, err = tr.Commitments(1000, 65_536, list[:0]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/record")
}
