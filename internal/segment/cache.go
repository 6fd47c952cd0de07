package segment

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/custody-log/custody/internal/disk"
)

// A Cache keeps pages of segments in memory, up to a limit. It may be shared by
// any number of segments.
//
// Files that the disk can map are mapped: their pages stay where the system
// keeps files anyway, and a page is checked when it is first used. After
// [checkAgain], or once as many pages as the limit allows were used, a round
// ends: the memory is given back, and every page is checked again at its next
// use. Pages of other files, encrypted ones for instance, are copied, and those
// used lately are kept.
type Cache struct {
	limit  int // pages
	mapped bool
	waits  atomic.Int64

	round atomic.Uint32 // from 1
	used  atomic.Int64  // pages of mapped files that were checked in this round

	ends    atomic.Int64 // when the round ends, in nanoseconds since 1970
	roundMu sync.Mutex   // held while a round ends
	maps    map[*pages]struct{}

	mu   sync.Mutex
	ring []*page // clock order
	hand int

	kindMu    sync.Mutex
	kinds     map[string]*kind
	kindBytes int
}

// checkAgain is after how long a page of a mapped file is not trusted any more:
// the system may have read it from the disk anew.
const checkAgain = 10 * time.Minute

// NewCache returns a cache of at most limit bytes, and at least 1 MiB.
func NewCache(limit int64) *Cache {
	c := NewPlainCache(limit)
	c.mapped, c.maps = true, make(map[*pages]struct{})
	c.ends.Store(time.Now().Add(checkAgain).UnixNano())
	c.round.Store(1)
	return c
}

// NewPlainCache returns a cache that maps nothing: for files that are read once.
func NewPlainCache(limit int64) *Cache {
	return &Cache{limit: int(max(limit, 1<<20) / pageBytes)}
}

// Waits returns how many reads of pages took so long that the disk was asked.
func (c *Cache) Waits() int64 { return c.waits.Load() }

// join maps the file of p, if that is wanted and possible.
func (c *Cache) join(p *pages) bool {
	if c == nil || !c.mapped || p.size == 0 {
		return false
	}
	m, ok := p.file.(disk.Mapper)
	if !ok {
		return false
	}
	memory, err := m.Map()
	if err != nil {
		return false // there may be no room for addresses; it can be read all the same
	}
	if int64(len(memory.Bytes())) < p.size { // it was cut since
		_ = memory.Close() // reading will say what is wrong
		return false
	}
	p.memory = memory
	c.roundMu.Lock()
	defer c.roundMu.Unlock()
	c.maps[p] = struct{}{}
	return true
}

func (c *Cache) leave(p *pages) {
	if c == nil || p.memory == nil {
		return
	}
	c.roundMu.Lock()
	defer c.roundMu.Unlock()
	delete(c.maps, p)
}

// touched counts a page that was not in memory in this round.
func (c *Cache) touched() {
	if c.used.Add(1) >= int64(c.limit) {
		c.turn(time.Now(), true)
	}
}

// begin ends the round if its time is up, and returns the one that goes on.
func (c *Cache) begin() uint32 {
	if now := time.Now(); now.UnixNano() >= c.ends.Load() {
		c.turn(now, false)
	}
	return c.round.Load()
}

// turn ends the round if its time is up, or it is full.
func (c *Cache) turn(now time.Time, full bool) {
	c.roundMu.Lock()
	defer c.roundMu.Unlock()
	if full && c.used.Load() < int64(c.limit) || !full && now.UnixNano() < c.ends.Load() {
		return // somebody else did
	}
	c.used.Store(0)
	c.ends.Store(now.Add(checkAgain).UnixNano())
	if c.round.Add(1) == 0 {
		c.round.Add(1) // no page was ever checked in round 0
	}
	for p := range c.maps {
		p.memory.Release()
	}
}

// maxKindMemory bounds the descriptions of kinds that are shared, in bytes as they
// are written.
const maxKindMemory = 8 << 20

// kind returns the kind that key describes. Segments have most of theirs in
// common, and in memory a kind is large.
func (c *Cache) kind(key []byte) *kind {
	if c == nil {
		return parseKind(string(key))
	}
	c.kindMu.Lock()
	defer c.kindMu.Unlock()
	if k, ok := c.kinds[string(key)]; ok {
		return k
	}
	k := parseKind(string(key))
	if c.kindBytes+len(key) <= maxKindMemory {
		if c.kinds == nil {
			c.kinds = make(map[string]*kind)
		}
		c.kinds[k.key] = k
		c.kindBytes += len(key)
	}
	return k
}

// A page is a checked part of a file.
type page struct {
	slot *atomic.Pointer[page]
	used atomic.Bool
	data []byte
}

// add takes in p and lets go of one that was not used lately (the clock
// algorithm, Corbato 1968).
func (c *Cache) add(p *page) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ring) < c.limit {
		c.ring = append(c.ring, p)
		return
	}
	for {
		old := c.ring[c.hand]
		if !old.used.Swap(false) {
			old.slot.CompareAndSwap(old, nil)
			c.ring[c.hand] = p
			c.hand = (c.hand + 1) % len(c.ring)
			return
		}
		c.hand = (c.hand + 1) % len(c.ring)
	}
}
