package tree

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/internal/journal"
)

// readRecords is how many records are asked for at a time.
const readRecords = 256

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

// Open opens the tree in c.Dir. It compares all records that the last signed
// checkpoint covers with it, and refuses with a [*DisagreeError] if they are
// not the same. What it finds wrong with the tree's own files it mends from
// the records.
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
	if t.files, err = openFiles(c.Dir); err != nil {
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
			t.log.WarnContext(ctx, "tree files are damaged, making them anew from the records", "records", signed.N, "damage", why)
			if err := t.rebuild(ctx, c, signed); err != nil {
				return err
			}
		}
	}
	if err := t.mend(); err != nil {
		return fmt.Errorf("tree: cut files to %d records: %w", signed.N, err)
	}
	return nil
}

// damage says what is wrong with the files of the signed tree; nothing if they
// give the signed root and agree with the records.
func (t *Tree) damage(ctx context.Context, c *Config, signed tlog.Tree) (string, error) {
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
	if c.CheckLater {
		return "", nil
	}
	err = t.check(ctx, c.Records, c.EntryOf, signed.N, func(int64) {})
	if disagree := (*DisagreeError)(nil); errors.As(err, &disagree) {
		return disagree.Error(), nil
	}
	return "", err
}

// rebuild makes the files anew from the records, provided that these give the
// signed root. Until that is sure the old files stay: they tell which record
// is not what it was.
func (t *Tree) rebuild(ctx context.Context, c *Config, signed tlog.Tree) error {
	if err := t.compare(ctx, c, signed); err != nil {
		return err
	}
	if err := t.files.cut(0); err != nil {
		return fmt.Errorf("tree: empty files: %w", err)
	}
	e := new(edge)
	var rows []byte
	var out [levels][]byte
	flush := func() error {
		err := t.files.write(rows, &out)
		rows = rows[:0]
		for level := range out {
			out[level] = out[level][:0]
		}
		return err
	}
	err := forEach(ctx, c, signed.N, func(seq journal.Seq, body []byte) error {
		entry, err := c.EntryOf(body)
		if err != nil {
			return fmt.Errorf("tree: record %d: %w", seq, err)
		}
		leaf := leafHash(&entry)
		rows = appendBundle(rows, &entry)
		e.grow(&leaf, &out)
		if len(rows) >= writeBytes {
			return flush()
		}
		return nil
	})
	if err = errors.Join(err, flush()); err != nil {
		return fmt.Errorf("tree: make files anew: %w", err)
	}
	if err := t.files.sync(0, signed.N); err != nil {
		return fmt.Errorf("tree: make files anew: %w", err)
	}
	return nil
}

// compare checks that the records give the signed root. If not, the error
// names the first that differs from what the files have.
func (t *Tree) compare(ctx context.Context, c *Config, signed tlog.Tree) error {
	e := new(edge)
	var out [levels][]byte
	stored := &storedLeaves{files: &t.files}
	first := journal.Seq(-1)
	var reason string
	err := forEach(ctx, c, signed.N, func(seq journal.Seq, body []byte) error {
		entry, err := c.EntryOf(body)
		leaf := leafHash(&entry)
		e.grow(&leaf, &out)
		for level := range out {
			out[level] = out[level][:0]
		}
		if kept, ok := stored.next(); first < 0 && (err != nil || ok && kept != leaf) {
			first, reason = seq, "its commitment is not the one in the tree"
			if err != nil {
				reason = err.Error()
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if e.root() == signed.Hash {
		return nil
	}
	switch {
	case first < 0:
		first = journal.Seq(stored.read)
		reason = "the records do not give the signed root, and the tree's files do not tell which is wrong; all before this one agree with the files"
	case !stored.give(signed):
		reason += "; the tree's files are damaged too, so other records may be wrong and this one right"
	}
	return &DisagreeError{Seq: first, Size: signed.N, Reason: reason}
}

// storedLeaves reads the leaf hashes in the files, which may be too short.
type storedLeaves struct {
	files *files
	row   []byte // read and not yet returned
	read  int64  // leaves returned
	ended bool
}

// next returns the next leaf hash, if there is one.
func (s *storedLeaves) next() (tlog.Hash, bool) {
	if len(s.row) == 0 && !s.ended {
		row := make([]byte, tileWidth*hashBytes)
		n, _ := s.files.levels[0].ReadAt(row, s.read*hashBytes) // what cannot be read is not there
		s.row = row[:n-n%hashBytes]
		s.ended = len(s.row) == 0
	}
	if s.ended {
		return tlog.Hash{}, false
	}
	h := tlog.Hash(s.row[:hashBytes])
	s.row = s.row[hashBytes:]
	s.read++
	return h, true
}

// give reports whether the leaf hashes in the files, all read anew, give the
// signed root: then they are as they were when it was signed.
func (s *storedLeaves) give(signed tlog.Tree) bool {
	e := new(edge)
	var out [levels][]byte
	again := storedLeaves{files: s.files}
	for e.size < signed.N {
		leaf, ok := again.next()
		if !ok {
			return false
		}
		e.grow(&leaf, &out)
		for level := range out {
			out[level] = out[level][:0]
		}
	}
	return e.root() == signed.Hash
}

// forEach calls do with the first n records, in order.
func forEach(ctx context.Context, c *Config, n int64, do func(seq journal.Seq, body []byte) error) error {
	for next := journal.Seq(0); int64(next) < n; {
		if err := ctx.Err(); err != nil {
			return err
		}
		records, err := c.Records.Read(next, int(min(readRecords, n-int64(next))))
		if err != nil {
			return fmt.Errorf("tree: read records from %d: %w", next, err)
		}
		if len(records) == 0 {
			return fmt.Errorf("tree: read records from %d: there are none", next)
		}
		for _, r := range records {
			if r.Seq != next {
				return fmt.Errorf("tree: read records: given %d, want %d", r.Seq, next)
			}
			if err := do(r.Seq, r.Body); err != nil {
				return err
			}
			next++
		}
	}
	return nil
}
