package query_test

import (
	"bytes"
	"testing"

	"github.com/custody-log/custody/internal/query"
)

// BenchmarkWords takes text apart.
func BenchmarkWords(b *testing.B) {
	for name, text := range map[string]string{
		"lower":   "npm 10.2.0 published demo pkg from a laptop, as it does each week; ",
		"mixed":   "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) ",
		"umlauts": "Ärger mit der Straße, über Öl und Äpfel ",
	} {
		b.Run(name, func(b *testing.B) {
			value := bytes.Repeat([]byte(text), 10)
			b.SetBytes(int64(len(value)))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				query.Words(value, func([]byte) { n++ })
			}
		})
	}
}

// BenchmarkMatch matches one event, as a tail does with each.
func BenchmarkMatch(b *testing.B) {
	fields := fieldsOf(b, published)
	for _, text := range []string{"tag:project:release:* -actor:bob", "nobody", "*nowhere*", "ip:203.0.113.0/24 (project:plain OR user:bob) after:-7d"} {
		b.Run(text, func(b *testing.B) {
			q := parse(b, text)
			b.ReportAllocs()
			for b.Loop() {
				q.Match(fields, derive)
			}
		})
	}
}

// BenchmarkKeys collects the keys of one event, as an index does of each.
func BenchmarkKeys(b *testing.B) {
	fields := fieldsOf(b, published)
	var keys query.Keys
	b.ReportAllocs()
	for b.Loop() {
		keys.Reset()
		for i := range fields {
			keys.Add(&fields[i])
		}
		keys.End()
	}
}

// BenchmarkParse reads a query.
func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parse(b, `tag:project:release:* -(actor:alice OR "two words") ip:203.0.113.0/24 after:-7d`)
	}
}
