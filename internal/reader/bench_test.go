package reader_test

import (
	"testing"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/reader"
)

// BenchmarkDisclose shows one event of 22 fields, as is done with every event of
// every answer.
func BenchmarkDisclose(b *testing.B) {
	policy := newPolicy(b)
	fields := fieldsOf(b, released)
	var secrets event.Secrets
	body, _ := event.AppendRecord(nil, fields, &secrets)
	record, err := event.DecodeRecord(body)
	if err != nil {
		b.Fatal(err)
	}
	fields = record.Open()
	for name, r := range map[string]*reader.Reader{"public": public, "self": bob, "owner": owner, "admin": admin, "clear": clear} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := policy.Disclose(r, fields); !ok {
					b.Fatal("nothing is disclosed")
				}
			}
			b.ReportMetric(float64(len(fields)), "fields")
		})
	}
}
