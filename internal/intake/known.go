package intake

import (
	"context"
	"fmt"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/custody-log/custody/internal/journal"
)

// A hasher makes the hash under which an event is known. Nobody outside can
// choose events that share one.
type hasher struct {
	sources, ids maphash.Seed
}

func newHasher() hasher { return hasher{maphash.MakeSeed(), maphash.MakeSeed()} }

// source returns the share that the source called name has in the hashes of its
// events.
func (h *hasher) source(name string) uint64 { return maphash.String(h.sources, name) }

// event returns the hash of the event with the given ID and share of its source.
func (h *hasher) event(source uint64, id []byte) uint64 { return source ^ maphash.Bytes(h.ids, id) }

// A loader fills an empty table from several goroutines at once. What comes is
// first put together by shard and then placed shard by shard: to look for each
// place at once would cost a walk through all memory every time.
type loader struct {
	hasher *hasher
	sealed journal.Seq                 // what comes must lie before
	wrong  atomic.Pointer[journal.Seq] // one that does not; nil: there is none

	free  sync.Pool // of *taker
	mu    sync.Mutex
	takes []*taker // all there are
}

// A taker is what one goroutine at a time puts together.
type taker struct {
	source string
	hash   uint64 // of source
	lists  [shardCount][]uint64
}

func newLoader(h *hasher, sealed journal.Seq) *loader {
	l := &loader{hasher: h, sealed: sealed}
	l.free.New = func() any {
		t := new(taker)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.takes = append(l.takes, t)
		return t
	}
	return l
}

// load fills the table with what is sealed.
func (d *Desk) load(ctx context.Context, c *Config) error {
	if c.Sealed == 0 {
		return nil
	}
	l := newLoader(&d.hasher, c.Sealed)
	if err := c.Known(ctx, l.take); err != nil {
		return err
	}
	if wrong := l.wrong.Load(); wrong != nil {
		return fmt.Errorf("record %d is named as one of the %d that are sealed", *wrong, c.Sealed)
	}
	l.fill(&d.known)
	return nil
}

// take takes in that the event of source with the given ID is at seq.
func (l *loader) take(source string, id []byte, seq journal.Seq) {
	if seq < 0 || seq >= l.sealed {
		wrong := seq // so that what is right need not be on the heap
		l.wrong.Store(&wrong)
		return
	}
	own := l.free.Get().(*taker)
	if own.source != source || source == "" {
		own.source, own.hash = source, l.hasher.source(source)
	}
	hash := l.hasher.event(own.hash, id)
	list := &own.lists[shardOf(hash)]
	*list = append(*list, slotOf(hash, seq))
	l.free.Put(own)
}

// fill puts what was taken in into t, on all cores.
func (l *loader) fill(t *table) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for number := int(next.Add(1)) - 1; number < shardCount; number = int(next.Add(1)) - 1 {
				total := 0
				for _, own := range l.takes {
					total += len(own.lists[number])
				}
				slots := make([]uint64, 0, total)
				for _, own := range l.takes {
					slots = append(slots, own.lists[number]...)
					own.lists[number] = nil // so that the memory of all is not needed twice
				}
				t.shards[number].fill(number, slots)
			}
		})
	}
	all.Wait()
}
