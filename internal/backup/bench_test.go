package backup_test

import (
	"context"
	"testing"

	"github.com/custody-log/custody/internal/backup"
	"github.com/custody-log/custody/internal/disk"
)

// BenchmarkCheck checks a log: an operator does it with all of it at night.
func BenchmarkCheck(b *testing.B) {
	const n = 300_000
	data := new(disk.Mem)
	r := runWith(b, data, 1<<17)
	for range 30 {
		r.add(b, n/30)
	}
	if _, err := r.Seal(context.Background()); err != nil {
		b.Fatal(err)
	}
	r.stop()
	for b.Loop() {
		report, err := backup.Check(context.Background(), backup.Checking{Data: data})
		if err != nil || report.Wrong > 0 {
			b.Fatal(report, err)
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
