package intake

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/journal"
)

// TestTable holds the table against a map, with hashes that share a shard, a
// way or all their bits. If a position were lost, its event would be recorded
// twice.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tab table
		want := make(map[uint64][]journal.Seq)
		hashes := rapid.OneOf(
			rapid.Uint64Range(0, 2000), // side by side in one shard, at its start
			rapid.Map(rapid.Uint32(), func(low uint32) uint64 { return uint64(low) | 0xFF<<56 }),          // all over one shard
			rapid.Map(rapid.Uint64Range(0, 40), func(n uint64) uint64 { return n%3<<56 | 1<<32 - 1 - n }), // at the end, so that they go round
			rapid.Just[uint64](7),
		)
		for seq := range rapid.IntRange(1, 3000).Draw(t, "events") {
			hash := hashes.Draw(t, "hash")
			tab.add(hash, journal.Seq(seq))
			want[hash] = append(want[hash], journal.Seq(seq))
		}
		for hash, seqs := range want {
			got := tab.all(hash)
			slices.Sort(got)
			if tab.count(hash) != len(seqs) || !slices.Equal(got, seqs) {
				t.Fatalf("under %x are %v (%d), want %v", hash, got, tab.count(hash), seqs)
			}
		}
		if n := tab.count(1 << 40); n > 0 && want[1<<40] == nil && want[0] == nil {
			t.Fatalf("%d positions under a hash that was never added", n)
		}
	})
}

// TestLoad checks that what several goroutines tell a loader is in the table, and
// that the table goes on growing from there.
func TestLoad(t *testing.T) {
	for _, sealed := range []int{0, 1, 5000, 100_000} {
		h := newHasher()
		l := newLoader(&h, journal.Seq(sealed))
		var all sync.WaitGroup
		for part := range 4 {
			all.Go(func() {
				for n := part; n < sealed; n += 4 {
					l.take("registry", fmt.Append(nil, n), journal.Seq(n))
				}
			})
		}
		all.Wait()
		var tab table
		l.fill(&tab)
		if used := tab.bytes(); used > 12*sealed && sealed > 5000 {
			t.Errorf("%d events take %d bytes, want at most 12 each", sealed, used)
		}
		for n := sealed; n < sealed+10_000; n++ {
			tab.add(h.event(h.source("registry"), fmt.Append(nil, n)), journal.Seq(n))
		}
		for n := range sealed + 10_000 {
			if !slices.Contains(tab.all(h.event(h.source("registry"), fmt.Append(nil, n))), journal.Seq(n)) {
				t.Fatalf("%d events: %d is not in the table", sealed, n)
			}
		}
	}
}

// TestFullLog checks that the log is full where positions end, counting what is
// in flight: one more would be taken for an early one.
func TestFullLog(t *testing.T) {
	d := &Desk{next: MaxEvents - 3}
	d.pending.put(1, make(chan struct{}))
	for _, tt := range []struct {
		events []drafted
		want   error
	}{
		{make([]drafted, 2), nil},
		{make([]drafted, 3), ErrFull},
		{[]drafted{{duplicate: true}, {duplicate: true}, {duplicate: true}}, nil},
		{[]drafted{{duplicate: true}, {}, {}}, nil},
	} {
		if err := d.refusal(&draft{events: tt.events}); !errors.Is(err, tt.want) {
			t.Errorf("refusal of %v = %v, want %v", tt.events, err, tt.want)
		}
	}
}

// TestFullLogCountsWhatIsDecided checks that events which were recorded bring the
// log nearer to its end, in whatever order they are decided.
func TestFullLogCountsWhatIsDecided(t *testing.T) {
	d := &Desk{watch: newWatch(make(sources), nil)}
	for _, first := range []journal.Seq{MaxEvents - 4, 100} {
		d.decide(&draft{events: []drafted{{hash: 1}, {hash: 2}, {hash: 3}}}, make(chan struct{}), first, nil)
	}
	for fresh, want := range []error{nil, nil, ErrFull} {
		if err := d.refusal(&draft{events: make([]drafted, fresh)}); !errors.Is(err, want) {
			t.Errorf("refusal of %d events = %v, want %v", fresh, err, want)
		}
	}
}

// TestTableKeepsTheHighestPosition checks the edge of what a slot holds.
func TestTableKeepsTheHighestPosition(t *testing.T) {
	var tab table
	tab.add(1<<64-1, MaxEvents-1)
	tab.add(0, 0)
	if got := tab.all(1<<64 - 1); !slices.Equal(got, []journal.Seq{MaxEvents - 1}) {
		t.Errorf("all = %v, want %d", got, journal.Seq(MaxEvents-1))
	}
	if got := tab.all(0); !slices.Equal(got, []journal.Seq{0}) {
		t.Errorf("all = %v, want 0", got)
	}
}

// TestEqualHashes adds many events under one hash, which is slow and must be
// nothing worse.
func TestEqualHashes(t *testing.T) {
	const events = 5000
	var tab table
	for seq := range events {
		tab.add(0xABCD<<48|42, journal.Seq(seq))
	}
	if n := len(tab.all(0xABCD<<48 | 42)); n != events {
		t.Errorf("%d positions, want %d", n, events)
	}
	if n := tab.count(0xABCD<<48 | 43); n != 0 {
		t.Errorf("%d positions under another hash, want none", n)
	}
}

// TestTableMemory checks, at every size, that the table takes at most 12 bytes
// an event, also while it grows: else a log of a size that fits its machine
// might not start on it.
func TestTableMemory(t *testing.T) {
	const events = 1_000_000
	var tab table
	random := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= events; n++ {
		hash := random.Uint64()
		before := len(tab.shards[shardOf(hash)].slots)
		tab.add(hash, journal.Seq(n))
		if n < 100_000 || before == len(tab.shards[shardOf(hash)].slots) {
			continue
		}
		if peak := tab.bytes() + slotBytes*before; peak > 12*n {
			t.Fatalf("%d bytes for %d events while a shard grows, want at most 12 each", peak, n)
		}
	}
	perEvent := float64(tab.bytes()) / events
	if perEvent > 12 {
		t.Errorf("%.1f bytes an event, want at most 12", perEvent)
	}
	t.Logf("%.1f bytes an event", perEvent)
}

// TestShardsGrowOneByOne checks that growth is spread: where all shards grew
// together, everybody would wait for all of them.
func TestShardsGrowOneByOne(t *testing.T) {
	const events = 1_000_000
	var tab table
	random := rand.New(rand.NewPCG(3, 4))
	const window = events / 20 // in which about a quarter of the shards is to grow
	grown, most := 0, 0
	for n := range events {
		hash := random.Uint64()
		s := &tab.shards[shardOf(hash)]
		before := s.level
		tab.add(hash, journal.Seq(n))
		if n < events*3/4 {
			continue
		}
		if n%window == 0 {
			grown = 0
		}
		grown += s.level - before
		most = max(most, grown)
	}
	if most > shardCount/2 {
		t.Errorf("%d of %d shards grew within 5%% more events, want them spread", most, shardCount)
	}
}

// BenchmarkTable measures, with ten million events in the table, what it costs to
// add one, and to look for one that is not there.
func BenchmarkTable(b *testing.B) {
	const events = 10_000_000
	for range b.N {
		var tab table
		random := rand.New(rand.NewPCG(5, 6))
		start := time.Now()
		for n := range events {
			tab.add(random.Uint64(), journal.Seq(n))
		}
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/events, "ns/add")
		start = time.Now()
		for range events {
			tab.count(random.Uint64())
		}
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/events, "ns/count")
		b.ReportMetric(float64(tab.bytes())/events, "B/event")
	}
}

// BenchmarkGrow measures the longest pause at ten million events: one shard of
// them grows.
func BenchmarkGrow(b *testing.B) {
	var before shard
	random := rand.New(rand.NewPCG(7, 8))
	for n := 0; n < 10_000_000/shardCount || !full(before.used, len(before.slots)); n++ {
		if full(before.used, len(before.slots)) {
			before.grow(0)
		}
		before.put(slotOf(random.Uint64(), journal.Seq(n)))
		before.used++
	}
	for b.Loop() {
		s := before
		s.grow(0)
	}
}

// BenchmarkLoad measures how long a desk takes to learn of ten million events
// that are sealed, from two goroutines.
func BenchmarkLoad(b *testing.B) {
	const events = 10_000_000
	for range b.N {
		h := newHasher()
		l := newLoader(&h, events)
		var all sync.WaitGroup
		for half := range 2 {
			all.Go(func() {
				id := []byte("0193a7c2-7b1e-7c3a-9d2f-000000000000")
				for n := half; n < events; n += 2 {
					binary.BigEndian.PutUint64(id[24:], uint64(n))
					l.take("registry", id, journal.Seq(n))
				}
			})
		}
		all.Wait()
		l.fill(new(table))
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/10M")
}

// bytes returns how much memory the slots take.
func (t *table) bytes() (n int) {
	for i := range t.shards {
		n += slotBytes * len(t.shards[i].slots)
	}
	return n
}
