package proof_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/custody-log/custody/proof"
)

// TestPolicyErrors checks that a policy file that does not say what its author
// meant is refused, with the line.
func TestPolicyErrors(t *testing.T) {
	log := logKey(t, "log.example", 1).vkey
	w1, w2 := witnessKey(t, "w1.example", 5).vkey, witnessKey(t, "w2.example", 6).vkey
	same, plain := witnessKey(t, "renamed.example", 5).vkey, logKey(t, "w.example", 5).vkey
	flipped := strings.Replace(w1, "+", "+0", 1)
	cases := []struct{ name, text, want string }{
		{"empty", "", "no quorum"},
		{"no quorum", "log " + log + "\n", "no quorum"},
		{"unknown word", "log " + log + "\nlogs x\nquorum none\n", "line 2: \"logs\" is not"},
		{"two quorums", "quorum none\nquorum none\n", "line 2: second quorum"},
		{"quorum of nobody", "quorum x\n", "line 1: quorum \"x\" is not defined"},
		{"quorum above its witness", "quorum a\nwitness a " + w1 + "\n", "line 1"},
		{"quorum with two names", "quorum none none\n", "line 1: want"},
		{"log without key", "\n\nlog\nquorum none\n", "line 3: want"},
		{"log with too much", "log " + log + " http://a.example b\nquorum none\n", "line 1: want"},
		{"bad key", "log x\nquorum none\n", "line 1: key"},
		{"damaged key", "witness a " + flipped + "\nquorum none\n", "line 1: key w1.example: hash is"},
		{"witness with a log's key", "witness a " + plain + "\nquorum none\n", "line 1: key of a makes signatures without a time"},
		{"witness without key", "witness a\nquorum none\n", "line 1: want"},
		{"same log twice", "log " + log + "\nlog " + log + "\nquorum none\n", "line 2: another log has the same public key"},
		{"same witness twice", "witness a " + w1 + "\nwitness b " + w1 + "\nquorum none\n", "line 2: another witness"},
		{"same witness renamed", "witness a " + w1 + "\nwitness b " + same + "\nquorum none\n", "line 2: another witness"},
		{"same name twice", "witness a " + w1 + "\nwitness a " + w2 + "\nquorum none\n", "line 2: second definition of \"a\""},
		{"name none", "witness none " + w1 + "\nquorum none\n", "line 1: \"none\" cannot"},
		{"bad address", "witness a " + w1 + " w1.example\nquorum a\n", "line 1: \"w1.example\" is not an http"},
		{"group of nobody", "group g all\nquorum none\n", "line 1: want"},
		{"group of strangers", "group g all x\nquorum g\n", "line 1: group g: \"x\" is not defined"},
		{"group of none", "group g all none\nquorum g\n", "line 1"},
		{"group of itself", "witness a " + w1 + "\ngroup g all a g\nquorum g\n", "line 2: group g: \"g\" is not defined"},
		{"threshold zero", "witness a " + w1 + "\ngroup g 0 a\nquorum g\n", "line 2: group g: \"0\" is not"},
		{"threshold too high", "witness a " + w1 + "\ngroup g 2 a\nquorum g\n", "line 2: group g: \"2\" is not"},
		{"threshold with zero", "witness a " + w1 + "\ngroup g 01 a\nquorum g\n", "line 2"},
		{"member twice", "witness a " + w1 + "\ngroup g any a a\nquorum g\n", "line 2: group g: a is already a member"},
		{"member of two groups", "witness a " + w1 + "\ngroup g any a\ngroup h any a\nquorum g\n", "line 3: group h: a is already a member of group g"},
		{"carriage return", "quorum none\r\n", "line 1: control character '\\r'"},
		{"comment after a line", "quorum none # nobody\n", "line 1: want"},
		{"too long", strings.Repeat("#\n", proof.MaxPolicyBytes), "at most"},
		{"log and witness with one key", "log " + w1 + "\nwitness a " + w1 + "\nquorum a\n", "line 2: key w1.example"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := proof.ParsePolicy([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("ParsePolicy = %v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestPolicyForms checks forms of a policy file that are right.
func TestPolicyForms(t *testing.T) {
	log := logKey(t, "log.example", 1).vkey
	w1, w2 := witnessKey(t, "w1.example", 5).vkey, witnessKey(t, "w2.example", 6).vkey
	p := mustPolicy(t, " \t# Café\n\n \tlog\t%s   https://log.example/x\nwitness \xff %s http://[::1]:7380/w/\n  witness b %s\ngroup g any \xff b\n\tquorum g", log, w1, w2)
	if !slices.Equal(p.Logs(), []string{log}) {
		t.Errorf("logs are %q", p.Logs())
	}
	want := []proof.Witness{{Name: "\xff", Key: w1, URL: "http://[::1]:7380/w"}, {Name: "b", Key: w2}}
	if !slices.Equal(p.Witnesses(), want) {
		t.Errorf("witnesses are %q, want %q", p.Witnesses(), want)
	}
}

// TestQuorum checks nested groups against every set of witnesses.
func TestQuorum(t *testing.T) {
	log := logKey(t, "log.example", 1)
	var lines strings.Builder
	var signers []note.Signer
	for i, name := range []string{"x1", "x2", "x3", "y1", "y2"} {
		k := witnessKey(t, name+".example", byte(10+i))
		signers = append(signers, k.signer)
		fmt.Fprintf(&lines, "witness %s %s\n", name, k.vkey)
	}
	policy := mustPolicy(t, "log %s\n%sgroup X 2 x1 x2 x3\ngroup Y any y1 y2\ngroup both all X Y\nquorum both\n", log.vkey, lines.String())
	msg := mustSign(t, someTree, log.signer)
	for set := range 1 << len(signers) {
		var some []note.Signer
		x, y := 0, 0
		for i := range signers {
			if set>>i&1 == 0 {
				continue
			}
			some = append(some, signers[i])
			if i < 3 {
				x++
			} else {
				y++
			}
		}
		cosigned := msg
		if len(some) > 0 {
			cosigned = cosign(t, msg, some...)
		}
		c, err := policy.Check(cosigned)
		if err != nil {
			t.Fatal(err)
		}
		if want := x >= 2 && y >= 1; c.Witnessed != want {
			t.Errorf("with %d of X and %d of Y witnessed is %v", x, y, c.Witnessed)
		}
	}
}

// TestWithLogs checks that a file of witnesses serves any log.
func TestWithLogs(t *testing.T) {
	log, w := logKey(t, "log.example", 1), witnessKey(t, "w.example", 5)
	base := mustPolicy(t, "witness w %s\nquorum w\n", w.vkey)
	policy, err := base.WithLogs(log.vkey)
	if err != nil {
		t.Fatal(err)
	}
	msg := mustSign(t, someTree, log.signer)
	if _, err := proof.OpenCheckpoint(cosign(t, msg, w.signer), policy); err != nil {
		t.Errorf("witnessed checkpoint: %v", err)
	}
	if _, err := proof.OpenCheckpoint(msg, policy); err == nil {
		t.Error("the quorum was lost")
	}
	if len(base.Logs()) != 0 {
		t.Error("WithLogs changed the policy it was called on")
	}
}

func FuzzParsePolicy(f *testing.F) {
	log, w := logKey(f, "log.example", 1).vkey, witnessKey(f, "w.example", 5).vkey
	f.Add([]byte("log " + log + "\nwitness w " + w + " http://a.example\ngroup g 1 w\nquorum g\n"))
	f.Add([]byte(log))
	f.Add([]byte("quorum none"))
	msg := mustSign(f, someTree, logKey(f, "log.example", 1).signer)
	f.Fuzz(func(_ *testing.T, text []byte) {
		if p, err := proof.ParsePolicy(text); err == nil {
			_, _ = proof.OpenCheckpoint(msg, p) // must not panic
		}
	})
}
