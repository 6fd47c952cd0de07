package proxy

import (
	"sync"
	"time"

	"github.com/custody-log/custody/event"
)

// A dropCount counts events of class Read that were lost, until the log has
// been told. The zero value has nothing to tell.
type dropCount struct {
	mu    sync.Mutex
	count int
	since time.Time
}

func (d *dropCount) add(n int, since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.count == 0 || since.Before(d.since) {
		d.since = since
	}
	d.count += n
}

func (d *dropCount) size() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// take returns what has been counted and starts anew. A caller who cannot tell
// the log adds it again.
func (d *dropCount) take() (n int, since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, since = d.count, d.since
	d.count = 0
	return n, since
}

// dropNotice tells the log that n events were lost.
func (p *Proxy) dropNotice(n int, since time.Time) *event.Event {
	return p.ownEvent(tagDrop, map[string]any{
		"count":    n,
		"since":    since.UTC().Format(time.RFC3339Nano),
		"protocol": p.cfg.Protocol.Name(),
	})
}
