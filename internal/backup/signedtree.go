package backup

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
)

// parseHead reads a checkpoint, without its signatures.
func parseHead(msg []byte) (origin string, head tlog.Tree, err error) {
	origin, rest, _ := strings.Cut(string(msg), "\n")
	head, err = tlog.ParseTree([]byte("go.sum database tree\n" + rest)) // that form has a first line of its own
	return origin, head, err
}

// A signedTree is the directory of a tree as it was when a checkpoint was
// signed, whatever was added since.
type signedTree struct {
	disk.FS

	head []byte // the checkpoint
	size int64
	rows disk.Reader // of the commitments; nil if there are none

	instead map[int64]*event.Commitment // in place of those in the file
}

// OpenRead implements [disk.FS].
func (t *signedTree) OpenRead(name string) (disk.Reader, error) {
	if name == checkpointName {
		return memory(t.head), nil
	}
	r, err := t.FS.OpenRead(name)
	if err != nil {
		return nil, err
	}
	size, err := r.Size()
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if n := treeBytes(name, t.size); n >= 0 {
		size = min(size, n)
	}
	p := &prefix{Reader: r, size: size}
	if name == commitmentsName {
		p.instead = t.instead
	}
	return p, nil
}

// A prefix is the start of a file, of which some commitments are others.
type prefix struct {
	disk.Reader

	size    int64
	instead map[int64]*event.Commitment
}

// Size implements [disk.Reader].
func (p *prefix) Size() (int64, error) { return p.size, nil }

// ReadAt implements [io.ReaderAt].
func (p *prefix) ReadAt(b []byte, at int64) (n int, err error) {
	if at >= p.size {
		return 0, io.EOF
	}
	n, err = p.Reader.ReadAt(b[:min(int64(len(b)), p.size-at)], at)
	for seq, c := range p.instead {
		if first := seq * int64(len(c)); first >= at && first+int64(len(c)) <= at+int64(n) { // they are read whole
			copy(b[first-at:], c[:])
		}
	}
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return n, err
}

// windowBytes is how much of the commitments is read at once: what a segment
// wants next is mostly near.
const windowBytes = 8 << 10

// commitments returns what finds commitments that are signed over, for one
// goroutine.
func (t *signedTree) commitments() func(seq int64, c *event.Commitment) (bool, error) {
	window, first, have := make([]byte, windowBytes), int64(-1), 0
	return func(seq int64, c *event.Commitment) (bool, error) {
		if seq >= t.size || t.rows == nil { // the check of the tree says it if it should be there
			return false, nil
		}
		at := seq * int64(len(c))
		if start := at - at%windowBytes; start != first {
			n, err := t.rows.ReadAt(window, start)
			if err != nil && !errors.Is(err, io.EOF) {
				return false, fmt.Errorf("backup: %s: %w", join(treeDir, commitmentsName), err)
			}
			first, have = start, n
		}
		if at-first+int64(len(c)) > int64(have) {
			return false, nil
		}
		copy(c[:], window[at-first:])
		return true, nil
	}
}
