package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// A bar shows the progress of long work on a terminal.
type bar struct {
	w    io.Writer
	what string

	mu    sync.Mutex
	start time.Time
	last  time.Time
}

// Bounds of a bar.
const (
	barWidth    = 30
	barPatience = 500 * time.Millisecond // work that is done sooner shows none
	barInterval = 100 * time.Millisecond
)

func newBar(w io.Writer, what string) *bar {
	return &bar{w: w, what: what, start: time.Now()}
}

// show says that done of all is done. The last call is with done == all.
func (b *bar) show(done, all int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.start) < barPatience || all == 0 || done < all && now.Sub(b.last) < barInterval {
		return
	}
	b.last = now
	full := int(int64(barWidth) * done / all)
	rate := float64(done) / now.Sub(b.start).Seconds()
	fmt.Fprintf(b.w, "\r%s [%s%s] %d of %d, %.0f/s ", b.what, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), done, all, rate)
	if done >= all {
		fmt.Fprintln(b.w)
	}
}
