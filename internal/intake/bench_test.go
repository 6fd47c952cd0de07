package intake_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
)

// typical is an event of about 500 bytes; %d makes its ID.
const typical = `{"id":"0193a7c2-7b1e-7c3a-9d2f-%012d","tag":"project:release:add","time":"2026-03-31T00:21:00.123456Z","outcome":"success",` +
	`"actor":{"type":"user","id":"u100042","name":"user_00042"},"credential":{"kind":"token","id":"tok_9f86d081884c7d65"},` +
	`"subjects":[{"type":"project","id":"pkg:npm/left-pad-7","name":"left-pad-7"},{"type":"version","name":"left-pad-7","version":"4.17.21"}],` +
	`"context":{"ip":"203.0.113.9","user_agent":"npm/10.8.2 node/v22.5.1 linux x64","request_id":"01J9ZK4M2N8Q6R5T3V7W1X0Y12"},` +
	`"metadata":{"via":"token","attested":false}}`

// BenchmarkAccept measures parsing, committing and recording, on a real disk.
func BenchmarkAccept(b *testing.B) {
	for _, batch := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) { benchmarkAccept(b, batch) })
	}
}

func benchmarkAccept(b *testing.B, batch int) {
	fs, err := disk.Dir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	files, err := journal.OpenFiles(fs)
	if err != nil {
		b.Fatal(err)
	}
	j := journal.New(files)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go j.Run(ctx)
	cat, err := catalogue.Load()
	if err != nil {
		b.Fatal(err)
	}
	d, err := intake.Open(ctx, intake.Config{Log: slog.New(slog.DiscardHandler), Journal: j, Catalogue: cat}, nil)
	if err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		var buf bytes.Buffer
		for pb.Next() {
			buf.Reset()
			for range batch {
				fmt.Fprintf(&buf, typical+"\n", n.Add(1))
			}
			if _, err := d.AcceptBatch(ctx, from, buf.Bytes(), event.NDJSON); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
}
