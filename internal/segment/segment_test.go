package segment_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/segment"
)

func table(t testing.TB, list []*event.Record) *segment.Table {
	t.Helper()
	tab := segment.NewTable(openKey)
	for i, r := range list {
		if err := tab.Add(int64(i), r); err != nil {
			t.Fatal(err)
		}
	}
	return tab
}

func open(t testing.TB, main, side []byte) *segment.Segment {
	t.Helper()
	fs := new(disk.Mem)
	if err := disk.ReplaceFile(fs, "main", main); err != nil {
		t.Fatal(err)
	}
	sideName := ""
	if side != nil {
		sideName = "side"
		if err := disk.ReplaceFile(fs, "side", side); err != nil {
			t.Fatal(err)
		}
	}
	s, err := segment.Open(fs, "main", sideName, openKey, segment.NewCache(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// equal says how two records differ, but for their commitments.
func differ(a, b *event.Record) string {
	if a.Secrets != b.Secrets {
		return fmt.Sprintf("secrets %x, want %x", a.Secrets, b.Secrets)
	}
	if len(a.Fields) != len(b.Fields) {
		return fmt.Sprintf("%d fields, want %d", len(a.Fields), len(b.Fields))
	}
	for i := range a.Fields {
		x, y := &a.Fields[i], &b.Fields[i]
		if x.Name != y.Name || x.Type != y.Type || x.Private != y.Private || x.Erased != y.Erased || x.Explicit != y.Explicit ||
			x.Salt() != y.Salt() || x.Digest() != y.Digest() || !bytes.Equal(x.Value, y.Value) {
			return fmt.Sprintf("field %+v %q, want %+v %q", x, x.Value, y, y.Value)
		}
	}
	return ""
}

func TestRowsAreTheirRecords(t *testing.T) {
	list := records(t, 5000)
	tab := table(t, list)
	main, side, info := tab.Seal()
	t.Logf("%d + %d bytes, %.1f a row; %+v", len(main), len(side), float64(len(main)+len(side))/5000, info)
	s := open(t, main, side)
	r := s.Reader()
	var got event.Record
	for i, want := range list {
		seq, err := r.Record(i, &got)
		if err != nil {
			t.Fatal(err)
		}
		if seq != int64(i) {
			t.Fatalf("row %d is record %d", i, seq)
		}
		if d := differ(&got, want); d != "" {
			t.Fatalf("record %d: %s", i, d)
		}
		got.Commitment = want.Commitment
		if err := got.Verify(); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	list := records(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		table(b, list)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e5, "ns/row")
}

func BenchmarkSeal(b *testing.B) {
	list := records(b, 100_000)
	tab := table(b, list)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		m, s, _ := tab.Seal()
		n = len(m) + len(s)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e5, "ns/row")
	b.ReportMetric(float64(n)/1e5, "B/row")
}

func BenchmarkRecord(b *testing.B) {
	list := records(b, 100_000)
	main, side, _ := table(b, list).Seal()
	s := open(b, main, side)
	r := s.Reader()
	var got event.Record
	i := 0
	for b.Loop() {
		if _, err := r.Record(i%100_000, &got); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
