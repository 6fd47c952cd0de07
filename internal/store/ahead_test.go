package store_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/store"
)

// A slowDisk takes its time for every read, once it is slow, and counts how many
// it is asked for at once.
type slowDisk struct {
	disk.FS

	slow      atomic.Bool
	now, most atomic.Int32
}

func (d *slowDisk) OpenRead(name string) (disk.Reader, error) {
	r, err := d.FS.OpenRead(name)
	return &slowReader{r, d}, err
}

type slowReader struct {
	disk.Reader

	disk *slowDisk
}

func (r *slowReader) ReadAt(b []byte, at int64) (int, error) {
	if r.disk.slow.Load() {
		n := r.disk.now.Add(1)
		for most := r.disk.most.Load(); n > most && !r.disk.most.CompareAndSwap(most, n); most = r.disk.most.Load() {
		}
		time.Sleep(200 * time.Microsecond) // as a disk does
		r.disk.now.Add(-1)
	}
	return r.Reader.ReadAt(b, at)
}

// TestReadAhead searches on a disk that has to be waited for. It is asked several
// questions at once, and the answers are those of a fast one.
func TestReadAhead(t *testing.T) {
	const n = 600
	slow := &slowDisk{FS: new(disk.Mem)}
	s, j := plainStore(t, n, func(c *store.Config) { c.Dir, c.CacheBytes = slow, 1 })
	fast, k := plainStore(t, n, nil)
	for at := journal.Seq(60); at <= n; at += 60 {
		feedTo(t, s, j, at)
		sealNow(t, s, j)
		feedTo(t, fast, k, at)
		sealNow(t, fast, k)
	}
	slow.slow.Store(true)
	for _, text := range []string{"", "user:alice", "project:flask", "-actor:alice", "class:project pip"} {
		for _, oldest := range []bool{false, true} {
			for _, limit := range []int{1, 50, 1000} {
				r := store.Request{Query: parse(t, text), Limit: limit, Oldest: oldest, Budget: time.Hour}
				want, err := fast.Search(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				got, err := s.Search(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.EqualFunc(got.Found, want.Found, func(a, b store.Found) bool { return a.Seq == b.Seq && a.Record.Commitment == b.Record.Commitment }) {
					t.Errorf("%q, oldest %t, limit %d: %d events of a slow disk, %d of a fast one, or others", text, oldest, limit, len(got.Found), len(want.Found))
				}
			}
		}
	}
	if most := slow.most.Load(); most < 3 {
		t.Errorf("the disk was asked %d questions at once, want several", most)
	}
}
