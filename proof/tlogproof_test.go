package proof_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/custody-log/custody/proof"
)

// A smallLog is a log of entries in memory.
type smallLog struct {
	hashes []tlog.Hash
	size   int64
}

func (l *smallLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x >= int64(len(l.hashes)) {
			return nil, errors.New("no such hash")
		}
		list[i] = l.hashes[x]
	}
	return list, nil
}

func entryAt(i int64) []byte { return fmt.Appendf(nil, "entry %d", i) }

func newSmallLog(t testing.TB, n int64) *smallLog {
	t.Helper()
	l := new(smallLog)
	for ; l.size < n; l.size++ {
		hashes, err := tlog.StoredHashes(l.size, entryAt(l.size), l)
		if err != nil {
			t.Fatal(err)
		}
		l.hashes = append(l.hashes, hashes...)
	}
	return l
}

func (l *smallLog) tree(t testing.TB, n int64) tlog.Tree {
	t.Helper()
	root, err := tlog.TreeHash(n, l)
	if err != nil {
		t.Fatal(err)
	}
	return tlog.Tree{N: n, Hash: root}
}

func (l *smallLog) prove(t testing.TB, n, index int64, key testKey) *proof.Proof {
	t.Helper()
	path, err := tlog.ProveRecord(n, index, l)
	if err != nil {
		t.Fatal(err)
	}
	return &proof.Proof{Index: index, Path: path, Checkpoint: mustSign(t, l.tree(t, n), key.signer)}
}

// TestProofIsAboutOneEntry checks that a proof convinces for its entry at its
// position and for nothing else.
func TestProofIsAboutOneEntry(t *testing.T) {
	key := logKey(t, "log.example", 1)
	policy := mustPolicy(t, "%s", key.vkey)
	for _, n := range []int64{1, 2, 3, 7, 8, 9, 20} {
		l := newSmallLog(t, n)
		for index := range n {
			onlyFor(t, l.prove(t, n, index, key), n, policy)
		}
	}
}

// onlyFor checks that p, from a log of n entries, convinces for the entry at
// its index, and there.
func onlyFor(t *testing.T, p *proof.Proof, n int64, policy *proof.Policy) {
	t.Helper()
	if c, err := p.Check(policy, tlog.RecordHash(entryAt(p.Index))); err != nil || c.N != n {
		t.Fatalf("entry %d of %d: %v", p.Index, n, err)
	}
	for other := range n + 2 {
		if other == p.Index {
			continue
		}
		if _, err := p.Check(policy, tlog.RecordHash(entryAt(other))); err == nil {
			t.Errorf("proof of %d convinces for %d", p.Index, other)
		}
		moved := *p
		moved.Index = other
		if _, err := moved.Check(policy, tlog.RecordHash(entryAt(p.Index))); err == nil {
			t.Errorf("entry %d convinces at %d of %d", p.Index, other, n)
		}
	}
}

// TestProofRoundTrip checks that a proof is what it was after being kept.
func TestProofRoundTrip(t *testing.T) {
	key := logKey(t, "log.example", 1)
	checkpoint := mustSign(t, someTree, key.signer)
	rapid.Check(t, func(t *rapid.T) {
		p := &proof.Proof{
			Index:      rapid.Int64Min(0).Draw(t, "index"),
			Extra:      rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "extra"),
			Path:       rapid.SliceOfN(rapid.Custom(drawHash), 0, proof.MaxPathHashes).Draw(t, "path"),
			Checkpoint: checkpoint,
		}
		if len(p.Extra) == 0 {
			p.Extra = nil
		}
		if len(p.Path) == 0 {
			p.Path = nil
		}
		text, err := proof.FormatProof(p)
		if err != nil {
			t.Fatalf("FormatProof: %v", err)
		}
		again, err := proof.ParseProof(text)
		if err != nil {
			t.Fatalf("ParseProof: %v", err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	})
}

func drawHash(t *rapid.T) (h tlog.Hash) {
	copy(h[:], rapid.SliceOfN(rapid.Byte(), tlog.HashSize, tlog.HashSize).Draw(t, "hash"))
	return h
}

// TestChangedProof changes each byte of a proof, and leaves bytes out. With the
// leaf made from the extra, as callers do, none may convince.
func TestChangedProof(t *testing.T) {
	key := logKey(t, "log.example", 1)
	policy := mustPolicy(t, "%s", key.vkey)
	p := newSmallLog(t, 5).prove(t, 5, 3, key)
	p.Extra = entryAt(3)
	text, err := proof.FormatProof(p)
	if err != nil {
		t.Fatal(err)
	}
	convinces := func(text []byte) bool {
		p, err := proof.ParseProof(text)
		if err != nil {
			return false
		}
		_, err = p.Check(policy, tlog.RecordHash(p.Extra))
		return err == nil
	}
	if !convinces(text) {
		t.Fatal("the proof does not convince")
	}
	for i := range text {
		for changed := range changes(text, i) {
			if convinces(changed) {
				t.Fatalf("byte %d changed from %q to %q is accepted", i, text[i], changed[i])
			}
		}
		if convinces(append(bytes.Clone(text[:i]), text[i+1:]...)) || convinces(text[:i]) {
			t.Fatalf("without byte %d, or without all after it, it is accepted", i)
		}
	}
}

// TestProofForms checks forms that are refused although they could be read.
func TestProofForms(t *testing.T) {
	key := logKey(t, "log.example", 1)
	checkpoint := string(mustSign(t, someTree, key.signer))
	hash := someTree.Hash.String()
	const head = "c2sp.org/tlog-proof@v1\n"
	cases := []struct {
		name, text string
		good       bool
	}{
		{"plain", head + "index 3\n" + hash + "\n\n" + checkpoint, true},
		{"no path", head + "index 0\n\n" + checkpoint, true},
		{"extra", head + "extra YQ==\nindex 0\n\n" + checkpoint, true},
		{"empty extra", head + "extra \nindex 0\n\n" + checkpoint, false},
		{"extra with spare bits", head + "extra YR==\nindex 0\n\n" + checkpoint, false},
		{"extra with carriage return", head + "extra YQ\r==\nindex 0\n\n" + checkpoint, false},
		{"extra without padding", head + "extra YQ\nindex 0\n\n" + checkpoint, false},
		{"two extras", head + "extra YQ==\nextra YQ==\nindex 0\n\n" + checkpoint, false},
		{"extra after index", head + "index 0\nextra YQ==\n\n" + checkpoint, false},
		{"other version", "c2sp.org/tlog-proof@v2\nindex 0\n\n" + checkpoint, false},
		{"carriage returns", strings.ReplaceAll(head+"index 0\n\n", "\n", "\r\n") + checkpoint, false},
		{"leading zero", head + "index 00\n\n" + checkpoint, false},
		{"plus", head + "index +1\n\n" + checkpoint, false},
		{"negative", head + "index -1\n\n" + checkpoint, false},
		{"space", head + "index 1 \n\n" + checkpoint, false},
		{"short hash", head + "index 0\n" + hash[4:] + "\n\n" + checkpoint, false},
		{"too many hashes", head + "index 0\n" + strings.Repeat(hash+"\n", proof.MaxPathHashes+1) + "\n" + checkpoint, false},
		{"no empty line", head + "index 0\n" + checkpoint, false},
		{"two empty lines", head + "index 0\n\n\n" + checkpoint, false},
		{"no checkpoint", head + "index 0\n\n", false},
		{"text after", head + "index 0\n\n" + checkpoint + "x", false},
		{"newline after", head + "index 0\n\n" + checkpoint + "\n", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := proof.ParseProof([]byte(c.text)); (err == nil) != c.good {
				t.Errorf("ParseProof = %v, want accepted %v", err, c.good)
			}
		})
	}
}

// TestProofLimits checks that what is beyond a limit is neither written nor
// read.
func TestProofLimits(t *testing.T) {
	checkpoint := mustSign(t, someTree, logKey(t, "log.example", 1).signer)
	good := proof.Proof{Extra: make([]byte, proof.MaxExtraBytes), Path: make([]tlog.Hash, proof.MaxPathHashes), Checkpoint: checkpoint}
	if _, err := proof.FormatProof(&good); err != nil {
		t.Errorf("at the limits: %v", err)
	}
	for name, change := range map[string]func(p *proof.Proof){
		"extra":      func(p *proof.Proof) { p.Extra = append(p.Extra, 0) },
		"path":       func(p *proof.Proof) { p.Path = append(p.Path, tlog.Hash{}) },
		"index":      func(p *proof.Proof) { p.Index = -1 },
		"checkpoint": func(p *proof.Proof) { p.Checkpoint = []byte("log.example\n") },
	} {
		bad := good
		change(&bad)
		if _, err := proof.FormatProof(&bad); err == nil {
			t.Errorf("%s beyond its limit is written", name)
		}
	}
	huge := "c2sp.org/tlog-proof@v1\nextra " + base64.StdEncoding.EncodeToString(make([]byte, proof.MaxExtraBytes+1)) + "\nindex 0\n\n" + string(checkpoint)
	if _, err := proof.ParseProof([]byte(huge)); err == nil {
		t.Error("extra beyond its limit is read")
	}
}

func FuzzParseProof(f *testing.F) {
	key := logKey(f, "log.example", 1)
	policy := mustPolicy(f, "%s", key.vkey)
	p := newSmallLog(f, 5).prove(f, 5, 3, key)
	p.Extra = []byte("extra")
	text, err := proof.FormatProof(p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\nlog.example\n1\nAAAA\n\n— a AAAA\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := proof.ParseProof(text)
		if err != nil {
			return
		}
		again, err := proof.FormatProof(p)
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("%q is read, and written as %q, %v", text, again, err)
		}
		_, _ = p.Check(policy, tlog.Hash{}) // must not panic or hang
	})
}
