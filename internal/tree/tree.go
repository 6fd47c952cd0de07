// Package tree is the view that makes the journal tamper-evident: a Merkle
// tree over the commitments of its records, in flat files, and a signed
// checkpoint of the latest root.
//
// # Promises
//
//   - The log never signs two roots for one size, whatever fails, and whatever
//     a power cut leaves of the tree's files.
//   - It signs a root only over records that are durable, only if the tree it
//     signed last is still the start of it, and at most every [SignInterval].
//   - A checkpoint is seen by nobody before it is kept durably.
//   - [Open] refuses records that are fewer than those of the last signed
//     checkpoint and, of those from [Config].From on, such as differ from them,
//     and says which differs first. It mends the tree's own files, as far as it
//     sees that they are damaged, and says so. [Tree.Check] sees all of it.
//   - Whatever is mended, the commitment of a record that retention dropped is
//     never given up: it is nowhere but here.
//   - As long as no record was dropped, deleting the files and starting again
//     gives the same tree. The last signed checkpoint is always more than a
//     function of the records: see [Head].
//   - Tiles and entry bundles are those of C2SP tlog-tiles, for every size that
//     was ever signed.
//
// # Files
//
// See docs/format/tree.md. One file holds the commitment of each record, the
// others the roots of full tiles. Leaf hashes and entries are made from the
// commitments when asked for. Who can write to the directory can at most make
// the log refuse to start, or a receipt be refused.
package tree

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/view"
)

// ErrNotYet means that no checkpoint covers the record yet. One will, if there
// is such a record: see [Tree.WaitFor].
var ErrNotYet = errors.New("tree: record is not covered by a checkpoint yet")

// A Source is the records the tree is made from, from the first on. A record
// whose body is nil was dropped by retention: only its commitment is left, in
// the tree's files. A record may be dropped once a signed checkpoint covers it.
type Source interface {
	Size() journal.Seq
	Read(from journal.Seq, limit int) ([]journal.Record, error)
}

// An EntryOf returns the tree's entry of a record: 0x01 and its commitment.
type EntryOf func(body []byte) (event.Entry, error)

// StoredEntry is the EntryOf that believes the commitment in the record.
func StoredEntry(body []byte) (event.Entry, error) {
	c, err := event.StoredCommitment(body)
	return c.Entry(), err
}

// commitmentOf returns the commitment in the entry of the record in body.
func (entryOf EntryOf) commitmentOf(body []byte) (c event.Commitment, err error) {
	entry, err := entryOf(body)
	if err != nil {
		return c, err
	}
	if c = event.Commitment(entry[1:]); c.Entry() != entry {
		return c, fmt.Errorf("an entry that starts with %#x is not one this version knows", entry[0])
	}
	return c, nil
}

// A Config is what a tree is opened with.
type Config struct {
	Dir     disk.FS // for the tree's files
	Head    Head    // where the last signed checkpoint is kept
	Keys    *Keys   // with which checkpoints are signed
	Records Source  // all records, for checking and mending
	EntryOf EntryOf // usually StoredEntry
	Log     *slog.Logger

	// From is the record from which on Open compares records with the tree.
	// Those before are not read unless the tree's files must be made anew, so
	// that a start takes no longer than its tail is. 0 compares all records, and
	// every byte of the files.
	From journal.Seq

	// Witnessed makes checkpoints public only through [Tree.Publish]. Without
	// it each is public as soon as it is signed.
	Witnessed bool
}

// A Signed is a signed checkpoint and the tree it is of.
type Signed struct {
	tlog.Tree
	Message []byte // never modified
}

// A Tree is a [view.View]. Its methods may be called concurrently, except
// Apply, which has one caller.
type Tree struct {
	files     files
	head      Head
	entryOf   EntryOf
	log       *slog.Logger
	witnessed bool

	// Used by Apply only.
	edge *edge // nil after a failed write: the files are to be cut first
	out  [levels][]byte

	mu        sync.Mutex
	keys      *Keys
	size      int64         // records in the files
	latest    *Signed       // nil before the first is signed
	signedAt  time.Time     // when latest was; zero if another run of the program signed it
	published *Signed       // nil before the first is public
	grown     chan struct{} // closed and replaced when size or keys change
	covered   chan struct{} // closed and replaced when latest or published change
}

// Name implements [view.View].
func (t *Tree) Name() string { return "tree" }

// Cursor implements [view.View].
func (t *Tree) Cursor() journal.Seq {
	t.mu.Lock()
	defer t.mu.Unlock()
	return journal.Seq(t.size)
}

// Apply implements [view.View]. After a restart the cursor is the size of the
// last signed checkpoint; records after it are taken in again.
func (t *Tree) Apply(_ context.Context, records []journal.Record) error {
	if err := t.mend(); err != nil {
		return fmt.Errorf("tree: cut files after a failed write: %w", err)
	}
	if err := t.write(records); err != nil {
		t.edge = nil
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.size = t.edge.size
	close(t.grown)
	t.grown = make(chan struct{})
	return nil
}

// mend brings files and edge back to the cursor after a failed write.
func (t *Tree) mend() error {
	if t.edge != nil {
		return nil
	}
	size := int64(t.Cursor())
	if err := t.files.cut(size); err != nil {
		return err
	}
	edge, err := t.files.edge(size)
	if err != nil {
		return err
	}
	t.edge = edge
	return nil
}

// write appends records to the edge and the files.
func (t *Tree) write(records []journal.Record) error {
	clearRows(&t.out)
	for _, r := range records {
		if int64(r.Seq) != t.edge.size || r.Seq >= MaxRecords {
			return fmt.Errorf("tree: %w: given record %d, want %d, below %d", view.ErrCorrupt, r.Seq, t.edge.size, int64(MaxRecords))
		}
		if r.Body == nil {
			return fmt.Errorf("tree: %w: record %d was dropped before a checkpoint covered it", view.ErrCorrupt, r.Seq)
		}
		c, err := t.entryOf.commitmentOf(r.Body)
		if err != nil {
			return fmt.Errorf("tree: %w: record %d: %w", view.ErrCorrupt, r.Seq, err)
		}
		t.edge.grow(&c, &t.out)
	}
	if err := t.files.write(&t.out); err != nil {
		return fmt.Errorf("tree: write records %d to %d: %w", t.Cursor(), t.edge.size, err)
	}
	return nil
}

// SetKeys makes the tree sign with keys from now on, and at once. Their origin
// must be that of the keys before.
func (t *Tree) SetKeys(keys *Keys) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if keys.Origin() != t.keys.Origin() {
		return fmt.Errorf("tree: keys of %s given to the log %s", keys.Origin(), t.keys.Origin())
	}
	t.keys = keys
	close(t.grown)
	t.grown = make(chan struct{})
	return nil
}

// Keys returns the keys that sign.
func (t *Tree) Keys() *Keys {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keys
}

// Close closes the tree's files. Nothing may use the tree any more.
func (t *Tree) Close() error { return t.files.close() }

// signedBy reports whether s is signed by each of keys that signs and by none
// that is retired.
func (s *Signed) signedBy(keys *Keys) bool {
	policy, err := keys.Policy()
	if err != nil {
		return false
	}
	c, err := policy.Check(s.Message)
	return err == nil && slices.Equal(c.Signers, signerNames(keys))
}

func signerNames(keys *Keys) []string {
	var names []string
	for _, s := range keys.Signers() {
		names = append(names, fmt.Sprintf("%s+%08x", s.Name(), s.KeyHash()))
	}
	return names
}
