package tree

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/internal/journal"
)

// readRecords is how many records are asked for at a time.
const readRecords = tileWidth

// A DisagreeError says that a record is not the one that was signed over.
// Start must be refused, and somebody must look: the records were changed, or
// lost, after they were promised to the world.
type DisagreeError struct {
	Seq    journal.Seq // the first record that disagrees
	Size   int64       // of the checkpoint it disagrees with
	Reason string
}

// Error implements error.
func (e *DisagreeError) Error() string {
	return fmt.Sprintf("tree: record %d disagrees with the checkpoint signed for %d records: %s", e.Seq, e.Size, e.Reason)
}

// A LostError says that the tree's files no longer tell the commitment of a
// record that retention dropped, so that nothing does. Start must be refused
// until tree/commitments is put back from a backup; one that ends earlier will
// do, if it has all dropped records.
type LostError struct {
	Seq  journal.Seq // the first record of which it may be
	Last journal.Seq // the last; Seq if it is known which
	Size int64       // of the checkpoint that covers it
}

// Error implements error.
func (e *LostError) Error() string {
	what := fmt.Sprintf("record %d was dropped by retention, and tree/commitments does not hold its commitment", e.Seq)
	if e.Last > e.Seq {
		what = fmt.Sprintf("tree/commitments is wrong about a record that was dropped by retention, one of %d to %d", e.Seq, e.Last)
	}
	return fmt.Sprintf("tree: %s as the checkpoint of %d records has it: put a backup of tree/commitments in its place", what, e.Size)
}

// Open opens the tree in c.Dir. It compares the tree's files with the last
// signed checkpoint, and with them the records from c.From on; and refuses with
// a [*DisagreeError] if a record is not the one that was signed over. What it
// finds wrong with the tree's own files it mends, from the records where it
// must. Only if it takes the commitment of a dropped record to do so, and the
// files no longer hold it, it refuses with a [*LostError].
//
// Then let [view.Follow] feed it records, and [Tree.Run] sign.
func Open(ctx context.Context, c Config) (*Tree, error) {
	signed, err := loadSigned(c.Head, c.Keys)
	if err != nil {
		return nil, err
	}
	t := &Tree{
		head:      c.Head,
		entryOf:   c.EntryOf,
		log:       c.Log,
		witnessed: c.Witnessed,
		keys:      c.Keys,
		latest:    signed,
		size:      deref(signed).N,
		grown:     make(chan struct{}),
		covered:   make(chan struct{}),
	}
	t.files.dir = c.Dir
	if err = t.files.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("tree: open files: %w", err), t.files.close())
	}
	if !c.Witnessed {
		t.published = signed
	}
	if err := t.recover(ctx, &c); err != nil {
		return nil, errors.Join(err, t.files.close())
	}
	return t, nil
}

// loadSigned returns the last signed checkpoint, nil if there is none.
func loadSigned(head Head, keys *Keys) (*Signed, error) {
	msg, err := head.Load()
	if err != nil || msg == nil {
		return nil, err
	}
	policy, err := keys.Policy()
	if err != nil {
		return nil, fmt.Errorf("tree: %w", err)
	}
	c, err := policy.Check(msg)
	if err != nil {
		return nil, fmt.Errorf("tree: the last signed checkpoint is not by this log's keys: %w", err)
	}
	return &Signed{Tree: c.Tree, Message: msg}, nil
}

// recover makes the files hold exactly the records that were signed. What a
// power cut left beyond them is not to be trusted: later parts of a file may
// have reached the disk before earlier ones.
func (t *Tree) recover(ctx context.Context, c *Config) error {
	signed := deref(t.latest).Tree
	if have := c.Records.Size(); int64(have) < signed.N {
		return &DisagreeError{Seq: have, Size: signed.N, Reason: "it is missing, as is all that came after"}
	}
	if t.latest != nil {
		why, err := t.damage(ctx, c, signed)
		if err != nil {
			return err
		}
		if why != "" {
			t.log.WarnContext(ctx, "tree files are damaged, making them anew", "records", signed.N, "damage", why)
			if err := t.remake(ctx, c, signed); err != nil {
				return err
			}
		}
	}
	if err := t.mend(); err != nil {
		return fmt.Errorf("tree: cut files to %d records: %w", signed.N, err)
	}
	if err := t.files.tidy(ctx, t.log); err != nil {
		return fmt.Errorf("tree: tidy: %w", err)
	}
	return nil
}

// damage says what is wrong with the files of the signed tree; nothing if they
// give the signed root and agree with the records from c.From on.
func (t *Tree) damage(ctx context.Context, c *Config, signed tlog.Tree) (string, error) {
	if interrupted, err := t.files.interrupted(); err != nil {
		return "", fmt.Errorf("tree: list files: %w", err)
	} else if interrupted {
		return "making them anew was interrupted", nil
	}
	enough, err := t.files.hold(signed.N)
	if err != nil {
		return "", fmt.Errorf("tree: size of files: %w", err)
	}
	if !enough {
		return "they are too short", nil
	}
	root, err := t.files.root(signed.N)
	if err != nil {
		return "", fmt.Errorf("tree: root of %d records: %w", signed.N, err)
	}
	if root != signed.Hash {
		return "they do not give the signed root", nil
	}
	_, err = t.check(ctx, c.Records, c.EntryOf, firstCompared(c), signed.N, func(int64) {})
	if disagree := (*DisagreeError)(nil); errors.As(err, &disagree) {
		return disagree.Error(), nil
	}
	return "", err
}

// firstCompared returns the first record that is compared when nothing is wrong.
func firstCompared(c *Config) int64 { return max(0, int64(c.From)) }
