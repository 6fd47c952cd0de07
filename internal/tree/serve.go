package tree

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/proof"
)

// ErrNoTile means that no signed checkpoint needs the tile.
var ErrNoTile = errors.New("tree: no such tile")

// Latest returns the checkpoint signed last. It is zero before the first,
// which Run signs at once.
func (t *Tree) Latest() Signed {
	t.mu.Lock()
	defer t.mu.Unlock()
	return deref(t.latest)
}

// Checkpoint returns the checkpoint that is public. Its size never shrinks.
// It is zero before the first.
func (t *Tree) Checkpoint() Signed {
	t.mu.Lock()
	defer t.mu.Unlock()
	return deref(t.published)
}

func deref(s *Signed) Signed {
	if s == nil {
		return Signed{}
	}
	return *s
}

// Publish makes msg the public checkpoint: one that this log signed, with any
// cosignatures added. It fails if msg is not that, or smaller than the one
// that is public.
func (t *Tree) Publish(msg []byte) error {
	t.mu.Lock()
	keys, latest := t.keys, t.latest
	t.mu.Unlock()
	policy, err := keys.Policy()
	if err != nil {
		return fmt.Errorf("tree: publish: %w", err)
	}
	c, err := policy.Check(msg)
	if err != nil {
		return fmt.Errorf("tree: publish: %w", err)
	}
	if latest == nil || c.N > latest.N {
		return fmt.Errorf("tree: publish: checkpoint of size %d was not signed here", c.N)
	}
	if err := t.sameRoot(c.Tree); err != nil {
		return fmt.Errorf("tree: publish: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.published != nil && c.N < t.published.N {
		return fmt.Errorf("tree: publish: size %d after %d", c.N, t.published.N)
	}
	t.published = &Signed{Tree: c.Tree, Message: msg}
	close(t.covered)
	t.covered = make(chan struct{})
	return nil
}

// WaitFor blocks until a signed checkpoint covers the record at seq.
func (t *Tree) WaitFor(ctx context.Context, seq journal.Seq) error {
	return t.wait(ctx, func() bool { return t.latest != nil && int64(seq) < t.latest.N })
}

// SignedAt returns when the latest checkpoint was signed; the zero time if this
// run of the program has signed none.
func (t *Tree) SignedAt() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.signedAt
}

// WaitNewer blocks until a checkpoint other than signed is the latest.
func (t *Tree) WaitNewer(ctx context.Context, signed Signed) error {
	return t.wait(ctx, func() bool {
		return t.latest != nil && string(t.latest.Message) != string(signed.Message)
	})
}

// wait blocks until done, which is called with mu held, or ctx ends.
func (t *Tree) wait(ctx context.Context, done func() bool) error {
	for {
		t.mu.Lock()
		ok, covered := done(), t.covered
		t.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-covered:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Prove returns the evidence that the record at seq is in the log: under the
// public checkpoint if it covers the record, else under the latest. Extra is
// left to the caller. Before any covers it, the error is [ErrNotYet].
func (t *Tree) Prove(seq journal.Seq) (*proof.Proof, error) {
	signed := t.Checkpoint()
	if int64(seq) >= signed.N {
		signed = t.Latest()
	}
	return t.ProveAt(seq, signed)
}

// ProveAt is [Tree.Prove] under a checkpoint that the tree returned earlier, so
// that many records can be proved under one. If it does not cover the record,
// the error is [ErrNotYet].
func (t *Tree) ProveAt(seq journal.Seq, signed Signed) (*proof.Proof, error) {
	if seq < 0 || int64(seq) >= signed.N {
		return nil, fmt.Errorf("tree: prove record %d: %w", seq, ErrNotYet)
	}
	path, err := tlog.ProveRecord(signed.N, int64(seq), &t.files)
	if err != nil {
		return nil, fmt.Errorf("tree: prove record %d: %w", seq, err)
	}
	leaf, err := t.files.readHashes(0, int64(seq), 1)
	if err != nil {
		return nil, fmt.Errorf("tree: prove record %d: %w", seq, err)
	}
	if err := tlog.CheckRecord(path, signed.N, signed.Hash, int64(seq), tlog.Hash(leaf)); err != nil {
		return nil, fmt.Errorf("tree: prove record %d: the tree's files are damaged: %w", seq, err)
	}
	return &proof.Proof{Index: int64(seq), Path: path, Checkpoint: signed.Message}, nil
}

// Consistency returns the proof that the tree of size n starts with the tree
// of size old. Neither may be larger than the latest checkpoint.
func (t *Tree) Consistency(old, n int64) (tlog.TreeProof, error) {
	if latest := t.Latest(); old < 0 || old > n || n > latest.N {
		return nil, fmt.Errorf("tree: consistency from %d to %d of %d records: %w", old, n, latest.N, ErrNotYet)
	}
	if old == 0 {
		return nil, nil
	}
	path, err := tlog.ProveTree(n, old, &t.files)
	if err != nil {
		return nil, fmt.Errorf("tree: consistency from %d to %d: %w", old, n, err)
	}
	return path, nil
}

// ReadTile returns the first width hashes of tile n of a level. What no signed
// checkpoint needs is [ErrNoTile].
func (t *Tree) ReadTile(level int, n int64, width int) ([]byte, error) {
	if level < 0 || level >= levels {
		return nil, ErrNoTile
	}
	first, err := t.tileStart(level, n, width)
	if err != nil {
		return nil, err
	}
	row, err := t.files.readHashes(level, first, int64(width))
	if err != nil {
		return nil, fmt.Errorf("tree: tile %d of level %d: %w", n, level, err)
	}
	return row, nil
}

// ReadEntries returns the first width entries of entry bundle n, each after
// its length in two bytes. What no signed checkpoint needs is [ErrNoTile].
func (t *Tree) ReadEntries(n int64, width int) ([]byte, error) {
	first, err := t.tileStart(0, n, width)
	if err != nil {
		return nil, err
	}
	row, err := t.files.readRow(0, first, int64(width))
	if err != nil {
		return nil, fmt.Errorf("tree: entry bundle %d: %w", n, err)
	}
	return bundleOf(row), nil
}

// tileStart returns the position in its level of the first hash of tile n, if
// the latest checkpoint has width hashes from there.
func (t *Tree) tileStart(level int, n int64, width int) (int64, error) {
	have := hashesAt(level, t.Latest().N)
	if width < 1 || width > tileWidth || n < 0 || n > have/tileWidth || n*tileWidth+int64(width) > have {
		return 0, ErrNoTile
	}
	return n * tileWidth, nil
}
