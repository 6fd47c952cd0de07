package proxy

import (
	"context"
	"fmt"
)

// Forget makes the proxy forget whose the credentials of the user called name
// are, in memory and in its file, and returns when that is so. It waits for Run,
// which writes the file. What the user presents again is learned again.
func (p *Proxy) Forget(ctx context.Context, name string) error {
	if err := p.who.forgetUser(ctx, name); err != nil {
		return fmt.Errorf("proxy: forget a user: %w", err)
	}
	return nil
}

func (t *identities) forgetUser(ctx context.Context, name string) error {
	t.mu.Lock()
	for item := t.order.Front(); item != nil; {
		next := item.Next()
		if c := item.Value.(*change); c.User == name {
			t.order.Remove(item)
			delete(t.byFP, c.FP)
		}
		item = next
	}
	t.mu.Unlock()
	// Also when none was there: the file may have one that a full queue left in it.
	done := make(chan error, 1)
	select {
	case t.rewrite <- done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
