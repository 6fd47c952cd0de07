package tree

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/proof"
)

// SignInterval is the least time between two signatures.
const SignInterval = 100 * time.Millisecond

// ErrForked is returned by Run when the tree signed last is not the start of
// the tree now. The process must end; the next Open finds out what differs.
var ErrForked = errors.New("tree: the files no longer give the root that was signed")

// Run signs a checkpoint whenever there is something new, until ctx ends, and
// then returns nil. Any error ends signing for good: what the disk holds is
// then unknown, and the process must end too.
func (t *Tree) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if !t.waitForNews(ctx) {
			return nil
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		if err := t.sign(); err != nil {
			return err
		}
		timer.Reset(SignInterval)
	}
}

// waitForNews blocks until there is something to sign. It reports whether
// there is, or ctx ended.
func (t *Tree) waitForNews(ctx context.Context) bool {
	for ctx.Err() == nil {
		t.mu.Lock()
		news := t.latest == nil || t.size > t.latest.N || !t.latest.signedBy(t.keys)
		grown := t.grown
		t.mu.Unlock()
		if news {
			return true
		}
		select {
		case <-grown:
		case <-ctx.Done():
		}
	}
	return false
}

// sign makes the files durable, and then signs, keeps and publishes the root
// of what they hold.
func (t *Tree) sign() error {
	t.mu.Lock()
	size, last, keys := t.size, t.latest, t.keys
	t.mu.Unlock()

	var old Signed
	if last != nil {
		old = *last
	}
	if err := t.files.sync(old.N, size); err != nil {
		return fmt.Errorf("tree: sync files of %d records: %w", size, err)
	}
	if last != nil {
		if err := t.sameRoot(old.Tree); err != nil {
			return err
		}
	}
	root, err := t.files.root(size)
	if err != nil {
		return fmt.Errorf("tree: root of %d records: %w", size, err)
	}
	tree := tlog.Tree{N: size, Hash: root}
	msg, err := proof.SignCheckpoint(tree, keys.Signers()...)
	if err != nil {
		return fmt.Errorf("tree: %w", err)
	}
	if err := t.head.Swap(old.Message, msg); err != nil {
		return fmt.Errorf("tree: checkpoint of size %d: %w", size, err)
	}
	t.publish(&Signed{Tree: tree, Message: msg})
	return nil
}

// sameRoot checks that the files still give the root of signed.
func (t *Tree) sameRoot(signed tlog.Tree) error {
	root, err := t.files.root(signed.N)
	if err != nil {
		return fmt.Errorf("tree: root of %d records: %w", signed.N, err)
	}
	if root != signed.Hash {
		return fmt.Errorf("%w: %v for %d records, signed was %v", ErrForked, root, signed.N, signed.Hash)
	}
	return nil
}

// publish makes s the latest signed checkpoint, which is kept durably.
func (t *Tree) publish(s *Signed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latest, t.signedAt = s, time.Now()
	if !t.witnessed {
		t.published = s
	}
	close(t.covered)
	t.covered = make(chan struct{})
}
