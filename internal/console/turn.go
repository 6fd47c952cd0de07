package console

import (
	"context"
	"time"
)

// Limits of how many are answered at once. Visitors whom nobody knows have places of
// their own: however many they are, who is signed in gets in.
const (
	maxLooks         = 16 // pages that look for events; others wait
	maxStrangerLooks = 8
	maxLookWait      = 5 * time.Second

	maxTails         = 64 // pages that follow the log
	maxStrangerTails = 16
)

// places are those that are taken.
type places struct {
	known, strangers chan struct{} // holds a token for each
}

func newPlaces(known, strangers int) places {
	return places{make(chan struct{}, known), make(chan struct{}, strangers)}
}

// of returns the places of visitors who are known, or of those who are not.
func (p *places) of(known bool) chan struct{} {
	if known {
		return p.known
	}
	return p.strangers
}

// turn waits, for a while, until not too many others look for events. The caller
// calls done when it has looked.
func (c *Console) turn(ctx context.Context, known bool) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, maxLookWait)
	defer cancel()
	taken := c.looks.of(known)
	select {
	case taken <- struct{}{}:
		return func() { <-taken }, nil
	case <-ctx.Done():
		return nil, errBusy
	}
}
