package journal_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
)

// benchBody is about as long as the stored record of an upload.
var benchBody = bytes.Repeat([]byte("0123456789abcde"), 30) // 450 bytes

// BenchmarkAppend appends to files on a real disk, synced, and reports durable
// records per second. The names say how many goroutines append and how many
// records each Append has.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ appenders, records int }{
		{1, 1}, {64, 1}, {1024, 1}, {1, 100}, {8, 100}, {64, 100}, {1, 1000}, {8, 1000}, {1, 10000},
	} {
		b.Run(fmt.Sprintf("appenders=%d/records=%d", c.appenders, c.records), func(b *testing.B) {
			benchAppend(b, c.appenders, c.records)
		})
	}
}

func benchAppend(b *testing.B, appenders, records int) {
	fs, err := disk.Dir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	j, stop := run(b, open(b, fs))
	defer stop()
	bodies := make([][]byte, records)
	for i := range bodies {
		bodies[i] = benchBody
	}
	b.ReportAllocs()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	for range appenders {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := j.Append(context.Background(), bodies...); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkRead reads a journal on a real disk from its beginning, as a view
// does that starts anew, and from its middle, one record at a time.
func BenchmarkRead(b *testing.B) {
	fs, err := disk.Dir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	j, stop := run(b, open(b, fs))
	defer stop()
	bodies := make([][]byte, 10_000)
	for i := range bodies {
		bodies[i] = benchBody
	}
	for range 50 {
		if _, err := j.Append(b.Context(), bodies...); err != nil {
			b.Fatal(err)
		}
	}
	for _, limit := range []int{1, 256, 10_000} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			b.ReportAllocs()
			var from journal.Seq
			total := 0
			for b.Loop() {
				records, err := j.Read(from, limit)
				if err != nil {
					b.Fatal(err)
				}
				total += len(records)
				if from += journal.Seq(len(records)); from >= j.Size() {
					from = 0
				}
			}
			b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkOpen opens a journal whose last file is nearly full.
func BenchmarkOpen(b *testing.B) {
	fs, err := disk.Dir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	j, stop := run(b, open(b, fs))
	bodies := make([][]byte, 1000)
	for i := range bodies {
		bodies[i] = benchBody
	}
	for range 420 { // three files, the last 60 MiB long
		if _, err := j.Append(b.Context(), bodies...); err != nil {
			b.Fatal(err)
		}
	}
	stop()
	for b.Loop() {
		if err := open(b, fs).Close(); err != nil {
			b.Fatal(err)
		}
	}
}
