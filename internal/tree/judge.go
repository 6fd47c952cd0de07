package tree

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
)

const notInTree = "its commitment is not the one in the tree"

// agree returns a [*DisagreeError] unless the record in body has the commitment
// want. A record that was dropped has it.
func agree(entryOf EntryOf, seq, size int64, body []byte, want *event.Commitment) error {
	if body == nil {
		return nil
	}
	reason := notInTree
	c, err := entryOf.commitmentOf(body)
	if err != nil {
		reason = err.Error()
	} else if c == *want {
		return nil
	}
	return &DisagreeError{Seq: journal.Seq(seq), Size: size, Reason: reason}
}

// judge checks that the records, and what is kept of those that were dropped,
// give the signed root. If not, its error says which is wrong, as well as can
// be told: the commitments that are kept do not give it either.
func (t *Tree) judge(ctx context.Context, c *Config, signed tlog.Tree) error {
	j := &judge{files: &t.files, signed: signed, edge: new(edge), kept: keptRow{files: &t.files}}
	j.tile.start(0)
	err := forEach(ctx, c.Records, 0, signed.N, func(seq int64, body []byte) error {
		return j.take(c.EntryOf, seq, body)
	})
	if err != nil {
		return err
	}
	return j.verdict()
}

// A judge takes in records and finds the tile that is not as it was signed. A
// full tile has a root in level1, which tells the right of two rows.
type judge struct {
	files  *files
	signed tlog.Tree
	edge   *edge
	out    [levels][]byte
	kept   keptRow
	tile   judgedTile

	culprit    error // about a tile whose right row is known
	suspect    error // about one that is not as its root has it
	unreadable error // about a record that is none: with it no root is right
}

// A judgedTile is what is known of the tile being taken in.
type judgedTile struct {
	first   int64
	kept    []byte // commitments that the file has
	differs error  // about the first record that differs from them
	dropped int64  // the first record that was dropped, -1 if none was
}

func (t *judgedTile) start(first int64) { *t = judgedTile{first: first, kept: t.kept[:0], dropped: -1} }

// take takes in a record.
func (j *judge) take(entryOf EntryOf, seq int64, body []byte) error {
	kept, ok := j.kept.next()
	it := kept
	switch {
	case body == nil && !ok:
		return &LostError{journal.Seq(seq), journal.Seq(seq), j.signed.N}
	case body == nil && j.tile.dropped < 0:
		j.tile.dropped = seq
	case body != nil:
		var err error
		it, err = entryOf.commitmentOf(body)
		if err != nil && j.unreadable == nil {
			j.unreadable = agree(entryOf, seq, j.signed.N, body, &kept)
		}
		if ok && j.tile.differs == nil && (err != nil || it != kept) {
			j.tile.differs = agree(entryOf, seq, j.signed.N, body, &kept)
		}
	}
	if ok {
		j.tile.kept = append(j.tile.kept, kept[:]...)
	}
	clearRows(&j.out)
	j.edge.grow(&it, &j.out)
	if len(j.out[1]) > 0 {
		j.endTile(tlog.Hash(j.out[1]))
		j.tile.start(seq + 1)
	}
	return nil
}

// endTile looks at a full tile, whose root should be root.
func (j *judge) endTile(root tlog.Hash) {
	var want tlog.Hash
	if row, err := j.files.readRow(1, j.tile.first/tileWidth, 1); err == nil {
		want = tlog.Hash(row)
	}
	if root == want {
		return
	}
	if j.culprit == nil && len(j.tile.kept) == tileWidth*hashBytes {
		hashLeaves(j.tile.kept)
		if perfectRoot(j.tile.kept) == want {
			j.culprit = j.tile.differs
		}
	}
	if j.suspect != nil {
		return
	}
	end := j.tile.first + tileWidth
	if j.suspect = j.tile.suspicion(j.signed.N, end); j.suspect == nil {
		reason := fmt.Sprintf("it, or another before record %d, does not give the root in tree/%s", end, fileName(1))
		j.suspect = &DisagreeError{Seq: journal.Seq(j.tile.first), Size: j.signed.N, Reason: reason}
	}
}

// suspicion says what may be wrong with a tile that ends before record end.
func (t *judgedTile) suspicion(size, end int64) error {
	if t.dropped >= 0 {
		return &LostError{journal.Seq(t.dropped), journal.Seq(end - 1), size}
	}
	return t.differs
}

// verdict says what is wrong, if something is.
func (j *judge) verdict() error {
	if j.unreadable == nil && j.edge.root() == j.signed.Hash {
		return nil
	}
	if j.culprit != nil {
		return j.culprit
	}
	if j.tile.differs != nil && j.edge.size == j.tile.first+int64(len(j.tile.kept))/hashBytes {
		other := *j.edge
		hashLeaves(j.tile.kept)
		other.tiles[0] = j.tile.kept
		if other.root() == j.signed.Hash {
			return j.tile.differs
		}
	}
	if j.suspect == nil {
		j.suspect = j.tile.suspicion(j.signed.N, j.edge.size)
	}
	return j.doubt()
}

// doubt says what is wrong when nothing tells for sure.
func (j *judge) doubt() error {
	found, ok := j.suspect.(*DisagreeError) //nolint:errorlint // made here, and never wrapped
	switch {
	case j.suspect == nil && j.unreadable != nil:
		return j.unreadable
	case j.suspect == nil:
		return &DisagreeError{
			Seq: journal.Seq(j.kept.read), Size: j.signed.N,
			Reason: "the records do not give the signed root, and the tree's files do not tell which is wrong; all before this one agree with the files",
		}
	case !ok:
		return j.suspect
	}
	return &DisagreeError{
		Seq: found.Seq, Size: found.Size,
		Reason: fmt.Sprintf("%s; the tree's files are damaged too, so other records may be wrong and this one right", found.Reason),
	}
}
