package proof

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxConsistencyHashes bounds a consistency proof. The witness protocol sets
// it.
const MaxConsistencyHashes = 63

// A Consistency is the evidence that a log of size Old grew to the size of
// Checkpoint by appending only. Its text is what a witness is asked with, see
// c2sp.org/tlog-witness:
//
//	old 20852014
//	PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
//	…
//	(an empty line)
//	(the checkpoint)
type Consistency struct {
	Old        int64
	Path       tlog.TreeProof
	Checkpoint []byte // the signed tree head of the larger tree
}

// FormatConsistency returns the text of c. It fails if c is beyond the limits
// or its checkpoint is not a signed note.
func FormatConsistency(c *Consistency) ([]byte, error) {
	b := fmt.Appendf(nil, "old %d\n", c.Old)
	b = appendHashes(b, c.Path)
	b = append(b, '\n')
	b = append(b, c.Checkpoint...)
	if _, err := ParseConsistency(b); err != nil {
		return nil, fmt.Errorf("proof: format: what was given has no form: %w", err)
	}
	return b, nil
}

// ParseConsistency reads what [FormatConsistency] returns and nothing else.
// The result is not to be believed before [Consistency.Check].
func ParseConsistency(text []byte) (*Consistency, error) {
	line, rest, found := strings.Cut(string(text), "\n")
	number, isOld := strings.CutPrefix(line, "old ")
	if !found || !isOld {
		return nil, errors.New("proof: consistency: does not start with an \"old\" line")
	}
	old, err := parseDecimal(number)
	if err != nil {
		return nil, fmt.Errorf("proof: consistency: old size: %w", err)
	}
	path, rest, err := cutHashes(rest, MaxConsistencyHashes)
	if err != nil {
		return nil, fmt.Errorf("proof: consistency: path: %w", err)
	}
	if err := checkNote(rest); err != nil {
		return nil, fmt.Errorf("proof: consistency: %w", err)
	}
	return &Consistency{Old: old, Path: path, Checkpoint: []byte(rest)}, nil
}

// Check returns the larger checkpoint if policy believes it, and the tree it
// commits to starts with exactly the records of old.
func (c *Consistency) Check(policy *Policy, old tlog.Tree) (*Checkpoint, error) {
	larger, err := OpenCheckpoint(c.Checkpoint, policy)
	if err != nil {
		return nil, err
	}
	if c.Old != old.N {
		return nil, fmt.Errorf("proof: consistency: evidence is for a log of size %d, not %d", c.Old, old.N)
	}
	if err := CheckConsistency(old, larger.Tree, c.Path); err != nil {
		return nil, err
	}
	return larger, nil
}

// CheckConsistency checks that the tree larger starts with exactly the records
// of the tree old. The empty tree is a start of every tree, with no path.
func CheckConsistency(old, larger tlog.Tree, path tlog.TreeProof) error {
	var err error
	switch {
	case old.N < 0 || old.N > larger.N || larger.N > MaxTreeSize:
		return fmt.Errorf("proof: consistency: a log of size %d cannot have grown to %d", old.N, larger.N)
	case old.N == 0:
		if len(path) != 0 || old.Hash != sha256.Sum256(nil) {
			err = errors.New("a path from the empty tree, or a wrong root of it")
		}
	default:
		err = tlog.CheckTree(path, larger.N, larger.Hash, old.N, old.Hash)
	}
	if err != nil {
		return fmt.Errorf("proof: consistency: the log of size %d is not the start of the log of size %d: %w",
			old.N, larger.N, err)
	}
	return nil
}
