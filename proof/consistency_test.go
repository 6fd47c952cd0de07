package proof_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/proof"
)

// TestConsistency checks every pair of sizes of a log against evidence for
// every pair: only the right one convinces.
func TestConsistency(t *testing.T) {
	const most = 9
	key := logKey(t, "log.example", 1)
	l := newSmallLog(t, most)
	for old := int64(0); old <= most; old++ {
		for n := old; n <= most; n++ {
			c := &proof.Consistency{Old: old, Checkpoint: mustSign(t, l.tree(t, n), key.signer)}
			if old > 0 {
				var err error
				if c.Path, err = tlog.ProveTree(n, old, l); err != nil {
					t.Fatal(err)
				}
			}
			convincesFor(t, c, n, l, mustPolicy(t, "%s", key.vkey))
			sameText(t, c)
		}
	}
}

// convincesFor checks that c, about growth to n, convinces who saw c.Old
// records of l, and nobody else.
func convincesFor(t *testing.T, c *proof.Consistency, n int64, l *smallLog, policy *proof.Policy) {
	t.Helper()
	if larger, err := c.Check(policy, l.tree(t, c.Old)); err != nil || larger.N != n {
		t.Errorf("from %d to %d: %v", c.Old, n, err)
	}
	for other := range l.size + 1 {
		if _, err := c.Check(policy, l.tree(t, other)); err == nil && other != c.Old {
			t.Errorf("evidence from %d to %d convinces for %d", c.Old, n, other)
		}
	}
	forked := tlog.Tree{N: c.Old, Hash: sha256.Sum256([]byte("fork"))}
	if _, err := c.Check(policy, forked); err == nil {
		t.Errorf("evidence from %d to %d convinces for a fork", c.Old, n)
	}
	longer := *c
	longer.Path = append(longer.Path, tlog.Hash{})
	if _, err := longer.Check(policy, l.tree(t, c.Old)); err == nil {
		t.Errorf("evidence from %d to %d with a hash too many convinces", c.Old, n)
	}
}

func sameText(t *testing.T, c *proof.Consistency) {
	t.Helper()
	text, err := proof.FormatConsistency(c)
	if err != nil {
		t.Fatalf("FormatConsistency: %v", err)
	}
	again, err := proof.ParseConsistency(text)
	if err != nil || again.Old != c.Old || len(again.Path) != len(c.Path) || !bytes.Equal(again.Checkpoint, c.Checkpoint) {
		t.Errorf("%q is read as %+v, %v", text, again, err)
	}
}

// TestConsistencySizes checks sizes that cannot be.
func TestConsistencySizes(t *testing.T) {
	empty := tlog.Tree{Hash: sha256.Sum256(nil)}
	for _, c := range []struct {
		name        string
		old, larger tlog.Tree
	}{
		{"shrunk", tlog.Tree{N: 2}, tlog.Tree{N: 1}},
		{"negative", tlog.Tree{N: -1}, tlog.Tree{N: 1}},
		{"huge", tlog.Tree{N: 1}, tlog.Tree{N: 1<<62 + 1}},
		{"wrong empty root", tlog.Tree{}, tlog.Tree{N: 1}},
		{"same size, other root", tlog.Tree{N: 1}, tlog.Tree{N: 1, Hash: empty.Hash}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := proof.CheckConsistency(c.old, c.larger, nil); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func FuzzParseConsistency(f *testing.F) {
	key := logKey(f, "log.example", 1)
	l := newSmallLog(f, 5)
	path, err := tlog.ProveTree(5, 3, l)
	if err != nil {
		f.Fatal(err)
	}
	text, err := proof.FormatConsistency(&proof.Consistency{Old: 3, Path: path, Checkpoint: mustSign(f, l.tree(f, 5), key.signer)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := proof.ParseConsistency(text)
		if err != nil {
			return
		}
		if again, err := proof.FormatConsistency(c); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%q is read, and written as %q, %v", text, again, err)
		}
	})
}
