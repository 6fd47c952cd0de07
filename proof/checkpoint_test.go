package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"strings"
	"testing"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/proof"
)

// A testKey is a key pair. Keys are the same in every run.
type testKey struct {
	signer note.Signer
	vkey   string
}

func logKey(t testing.TB, name string, seed byte) testKey {
	t.Helper()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 64)), name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return testKey{signer, vkey}
}

func witnessKey(t testing.TB, name string, seed byte) testKey {
	t.Helper()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 64)), name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := cosignature.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	if vkey, err = cosignature.VKeyToCosignatureV1(vkey); err != nil {
		t.Fatal(err)
	}
	return testKey{signer, vkey}
}

func postQuantumKey(t testing.TB, name string) testKey {
	t.Helper()
	skey, vkey, err := cosignature.GenerateMLDSAKey(name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := cosignature.NewMLDSASigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return testKey{signer, vkey}
}

// signText signs any text, as a program that keeps no rules would.
func signText(t testing.TB, text string, signers ...note.Signer) []byte {
	t.Helper()
	msg, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// cosign adds signatures to a checkpoint.
func cosign(t testing.TB, msg []byte, signers ...note.Signer) []byte {
	t.Helper()
	text, _, _ := strings.Cut(string(msg), "\n\n")
	_, lines, _ := bytes.Cut(signText(t, text+"\n", signers...), []byte("\n\n"))
	return append(bytes.Clone(msg), lines...)
}

func mustPolicy(t testing.TB, format string, args ...any) *proof.Policy {
	t.Helper()
	p, err := proof.ParsePolicy(fmt.Appendf(nil, format, args...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var someTree = tlog.Tree{N: 7, Hash: sha256.Sum256([]byte("root"))}

func mustSign(t testing.TB, tree tlog.Tree, signers ...note.Signer) []byte {
	t.Helper()
	msg, err := proof.SignCheckpoint(tree, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// TestCheckpoint checks who is believed, signing what.
func TestCheckpoint(t *testing.T) {
	log, next := logKey(t, "log.example", 1), logKey(t, "log.example", 2)
	other := logKey(t, "other.example", 3)
	msg := mustSign(t, someTree, log.signer, next.signer)
	for _, policy := range []string{log.vkey, next.vkey + "\n", log.vkey + "\n# old\n" + next.vkey, "log " + log.vkey + "\nquorum none"} {
		c, err := proof.OpenCheckpoint(msg, mustPolicy(t, "%s", policy))
		if err != nil {
			t.Errorf("policy %q: %v", policy, err)
			continue
		}
		if c.Origin != "log.example" || c.Tree != someTree || c.Extension != "" {
			t.Errorf("opened %+v", c)
		}
	}
	if _, err := proof.OpenCheckpoint(msg, mustPolicy(t, "%s", other.vkey)); err == nil || !strings.Contains(err.Error(), "none of which the policy knows") {
		t.Errorf("with a stranger's key = %v", err)
	}
	if _, err := proof.OpenCheckpoint(msg, mustPolicy(t, "quorum none")); err == nil {
		t.Error("a policy without logs believes a checkpoint")
	}
	// A log of the policy signs in the name of another.
	forged := signText(t, fmt.Sprintf("log.example\n%d\n%v\n", someTree.N, someTree.Hash), other.signer)
	if _, err := proof.OpenCheckpoint(forged, mustPolicy(t, "%s\n%s", log.vkey, other.vkey)); err == nil || !strings.Contains(err.Error(), "origin") {
		t.Errorf("checkpoint in another log's name = %v", err)
	}
	if _, err := proof.SignCheckpoint(someTree, log.signer, other.signer); err == nil {
		t.Error("SignCheckpoint signed with keys of two logs")
	}
}

// TestCheckpointForms checks that only the exact form is accepted, even when
// the log itself signed another.
func TestCheckpointForms(t *testing.T) {
	log := logKey(t, "log.example", 1)
	policy := mustPolicy(t, "%s", log.vkey)
	hash := someTree.Hash.String()
	empty := base64.StdEncoding.EncodeToString(new(tlog.Hash)[:])
	spare := hash[:len(hash)-2] + "F=" // the same 32 bytes in another spelling
	if hash[len(hash)-2] != 'E' {
		spare = hash[:len(hash)-2] + string(hash[len(hash)-2]+1) + "="
	}
	nothing := tlog.Hash(sha256.Sum256(nil)).String()
	cases := []struct {
		name, text string
		good       bool
	}{
		{"plain", "log.example\n7\n" + hash + "\n", true},
		{"extension", "log.example\n7\n" + hash + "\nmore\nand more\n", true},
		{"empty tree", "log.example\n0\n" + nothing + "\n", true},
		{"empty tree, wrong root", "log.example\n0\n" + hash + "\n", false},
		{"two lines", "log.example\n7\n", false},
		{"empty origin", "\n7\n" + hash + "\n", false},
		{"other origin", "log.example \n7\n" + hash + "\n", false},
		{"leading zero", "log.example\n07\n" + hash + "\n", false},
		{"plus", "log.example\n+7\n" + hash + "\n", false},
		{"negative", "log.example\n-7\n" + hash + "\n", false},
		{"hex", "log.example\n0x7\n" + hash + "\n", false},
		{"huge", "log.example\n4611686018427387905\n" + hash + "\n", false},
		{"beyond int64", "log.example\n9223372036854775808\n" + hash + "\n", false},
		{"short root", "log.example\n7\n" + hash[4:] + "\n", false},
		{"root with spare bits", "log.example\n7\n" + spare + "\n", false},
		{"zero root", "log.example\n7\n" + empty + "\n", true}, // unlikely, not impossible
		{"empty extension line", "log.example\n7\n" + hash + "\n\nmore\n", false},
		{"extension ends empty", "log.example\n7\n" + hash + "\nmore\n\n", false},
		{"space after size", "log.example\n7 \n" + hash + "\n", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := proof.OpenCheckpoint(signText(t, c.text, log.signer), policy)
			if (err == nil) != c.good {
				t.Errorf("OpenCheckpoint = %v, want accepted %v", err, c.good)
			}
		})
	}
}

// TestChangedByte changes each byte of a checkpoint. None may be
// accepted: somebody is shown this to be convinced that nothing was changed.
func TestChangedByte(t *testing.T) {
	log, w := logKey(t, "log.example", 1), witnessKey(t, "w.example", 5)
	msg := cosign(t, mustSign(t, someTree, log.signer), w.signer)
	policy := mustPolicy(t, "log %s\nwitness w %s\nquorum w\n", log.vkey, w.vkey)
	if _, err := proof.OpenCheckpoint(msg, policy); err != nil {
		t.Fatal(err)
	}
	for i := range msg {
		for changed := range changes(msg, i) {
			if _, err := proof.OpenCheckpoint(changed, policy); err == nil {
				t.Fatalf("byte %d changed from %q to %q is accepted", i, msg[i], changed[i])
			}
		}
	}
	for i := range msg {
		if _, err := proof.OpenCheckpoint(msg[:i], policy); err == nil {
			t.Fatalf("the first %d bytes are accepted", i)
		}
	}
	lines := strings.SplitAfter(string(msg), "\n")
	for name, more := range map[string]string{
		"newline": "\n", "text": "x\n", "repeated signature": lines[4], "repeated cosignature": lines[5],
		"bad signature of a known key": strings.Replace(lines[4], "A", "B", 1),
	} {
		if _, err := proof.OpenCheckpoint(append(bytes.Clone(msg), more...), policy); err == nil {
			t.Errorf("with %s appended it is accepted", name)
		}
	}
	stranger := witnessKey(t, "stranger.example", 9)
	if _, err := proof.OpenCheckpoint(cosign(t, msg, stranger.signer), policy); err != nil {
		t.Errorf("a signature by an unknown key is not ignored: %v", err)
	}
	if _, err := proof.OpenCheckpoint(append(bytes.Clone(msg), make([]byte, proof.MaxCheckpointBytes)...), policy); err == nil {
		t.Error("a checkpoint beyond the limit is accepted")
	}
}

// changes yields text with byte i changed: every bit of it; and near the end
// of a line, where base64 may have bits to spare, to every other byte.
func changes(text []byte, i int) iter.Seq[[]byte] {
	const near = 4 // bytes before the newline
	return func(yield func([]byte) bool) {
		end := bytes.IndexByte(text[i:], '\n')
		for flip := 1; flip < 256; flip++ {
			if bits.OnesCount(uint(flip)) > 1 && (end < 0 || end > near) {
				continue
			}
			changed := bytes.Clone(text)
			changed[i] ^= byte(flip)
			if !yield(changed) {
				return
			}
		}
	}
}

// TestCosignatures checks which cosignatures count, and that their time is
// theirs.
func TestCosignatures(t *testing.T) {
	log := logKey(t, "log.example", 1)
	w1, w2, w3 := witnessKey(t, "w1.example", 5), witnessKey(t, "w2.example", 6), postQuantumKey(t, "w3.example")
	policy := mustPolicy(t, "log %s\nwitness a %s\nwitness b %s https://w2.example/\nwitness c %s\ngroup g 2 a b c\nquorum g\n",
		log.vkey, w1.vkey, w2.vkey, w3.vkey)
	msg := mustSign(t, someTree, log.signer)

	if _, err := proof.OpenCheckpoint(cosign(t, msg, w1.signer), policy); err == nil || !strings.Contains(err.Error(), "cosigned by [a], not by [b c]") {
		t.Errorf("with one of two = %v", err)
	}
	if _, err := proof.OpenCheckpoint(cosign(t, msg, w1.signer, w1.signer), policy); err == nil {
		t.Error("one witness counts twice")
	}
	before := time.Now().Add(-time.Second)
	c, err := proof.OpenCheckpoint(cosign(t, msg, w3.signer, w1.signer), policy)
	if err != nil {
		t.Fatalf("with two of two: %v", err)
	}
	if len(c.Cosignatures) != 2 || c.Cosignatures[0].Witness != "a" || c.Cosignatures[1].Witness != "c" {
		t.Errorf("cosignatures are %+v", c.Cosignatures)
	}
	for _, s := range c.Cosignatures {
		if s.Time.Before(before) || s.Time.After(time.Now().Add(time.Second)) {
			t.Errorf("%s signed at %v", s.Witness, s.Time)
		}
	}
	// The time is covered by the signature, and may neither be left out nor be
	// beyond what the format allows.
	for _, seconds := range []uint64{0, 1 << 63} {
		odd := &oddTime{name: "w1.example", seed: bytes.Repeat([]byte{5}, ed25519.SeedSize), seconds: seconds}
		if _, err := proof.OpenCheckpoint(cosign(t, msg, w2.signer, odd), policy); err == nil {
			t.Errorf("a cosignature at second %d is accepted", seconds)
		}
	}
	good := &oddTime{name: "w1.example", seed: bytes.Repeat([]byte{5}, ed25519.SeedSize), seconds: 1}
	if _, err := proof.OpenCheckpoint(cosign(t, msg, w2.signer, good), policy); err != nil {
		t.Errorf("a cosignature at second 1: %v", err)
	}
	good.lies = true
	if _, err := proof.OpenCheckpoint(cosign(t, msg, w2.signer, good), policy); err == nil {
		t.Error("a cosignature with another time than was signed is accepted")
	}
	// Nothing by a witness replaces the log's own signature.
	alone := signText(t, strings.SplitAfter(string(msg), "\n\n")[0][:len("log.example\n7\n")]+someTree.Hash.String()+"\n", w1.signer, w2.signer)
	if _, err := proof.OpenCheckpoint(alone, policy); err == nil {
		t.Error("a checkpoint without the log's signature is accepted")
	}
}

// An oddTime is a witness whose clock says what it is told.
type oddTime struct {
	name    string
	seed    []byte
	seconds uint64
	lies    bool // about the time it signed
}

func (o *oddTime) key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(o.seed) }

func (o *oddTime) Name() string { return o.name }

func (o *oddTime) KeyHash() uint32 {
	sum := sha256.Sum256(append([]byte(o.name+"\n\x04"), o.key()[32:]...))
	return binary.BigEndian.Uint32(sum[:])
}

func (o *oddTime) Sign(text []byte) ([]byte, error) {
	sig := ed25519.Sign(o.key(), fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", o.seconds, text))
	seconds := o.seconds
	if o.lies {
		seconds++
	}
	return append(binary.BigEndian.AppendUint64(nil, seconds), sig...), nil
}
