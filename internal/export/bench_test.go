package export_test

import (
	"io"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/export"
)

// BenchmarkWriter writes rows of a registry's events, as fast as one core can.
func BenchmarkWriter(b *testing.B) {
	rows := makeRows(b, 2000)
	for _, f := range []export.Format{export.NDJSON, export.CSV, export.Parquet} {
		b.Run(string(f), func(b *testing.B) {
			w, err := export.NewWriter(io.Discard, f, export.Oldest)
			if err != nil {
				b.Fatal(err)
			}
			later := newClock(rows)
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Write(later.next()); err != nil {
					b.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(w.File("x").Bytes)/float64(b.N), "B/row")
		})
	}
}

// A clock makes endless rows of a few, each later than the one before.
type clock struct {
	rows  []*export.Row
	times []*event.StoredField
	n     int
}

func newClock(rows []*export.Row) *clock {
	c := &clock{rows: rows}
	for _, r := range rows {
		for i := range r.Record.Fields {
			if f := &r.Record.Fields[i]; f.Name == "time" {
				c.times = append(c.times, f)
			}
		}
	}
	return c
}

func (c *clock) next() *export.Row {
	i := c.n % len(c.rows)
	c.rows[i].Seq = int64(c.n)
	c.times[i].Value = event.TimeField("time", start.Add(time.Duration(c.n)*time.Millisecond)).Value
	c.n++
	return c.rows[i]
}
