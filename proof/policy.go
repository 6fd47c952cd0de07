package proof

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Limits of a policy. The specification asks for at least 32 of each.
const (
	MaxPolicyBytes = 256 << 10 // 256 KiB: room for 64 post-quantum keys and their comments
	MaxPolicyNames = 64        // logs, witnesses and groups, of each
)

// A Policy says when a checkpoint is to be believed: which logs may sign it,
// which witnesses are known, and which of them are enough. A Policy never
// changes.
type Policy struct {
	logs      []key
	witnesses []witness
	quorum    *component // nil: no cosignature is asked for
	verifiers map[keyName]note.Verifier
}

// A Witness is a witness of a policy.
type Witness struct {
	Name string // in the policy
	Key  string // its verifier key
	URL  string // where it takes checkpoints, without a trailing slash; may be empty
}

type witness struct {
	name string
	key  key
	url  string
}

// A component is a witness or a group of components.
type component struct {
	name    string
	witness bool
	enough  int          // members that make the group
	members []*component // of a group
}

// KeyPolicy returns the policy that asks for a signature by one of vkeys and
// for no cosignature. Several keys are the keys of one log while it changes
// them, or of several logs.
func KeyPolicy(vkeys ...string) (*Policy, error) {
	return new(Policy).WithLogs(vkeys...)
}

// WithLogs returns the policy that has the witnesses and quorum of p and asks
// for a signature by one of vkeys.
func (p *Policy) WithLogs(vkeys ...string) (*Policy, error) {
	r := newPolicyReader()
	for _, w := range p.witnesses {
		if err := r.know(w.key); err != nil {
			return nil, fmt.Errorf("proof: policy: %w", err)
		}
	}
	r.policy.witnesses, r.policy.quorum = p.witnesses, p.quorum
	for _, vkey := range vkeys {
		if err := r.log([]string{vkey}); err != nil {
			return nil, fmt.Errorf("proof: policy: %w", err)
		}
	}
	return r.policy, nil
}

// Logs returns the verifier keys of the logs that may sign.
func (p *Policy) Logs() []string {
	vkeys := make([]string, 0, len(p.logs))
	for _, k := range p.logs {
		vkeys = append(vkeys, k.vkey)
	}
	return vkeys
}

// Witnesses returns the witnesses of the policy, in its order.
func (p *Policy) Witnesses() []Witness {
	list := make([]Witness, 0, len(p.witnesses))
	for _, w := range p.witnesses {
		list = append(list, Witness{Name: w.name, Key: w.key.vkey, URL: w.url})
	}
	return list
}

// Verifier implements [note.Verifiers].
func (p *Policy) Verifier(name string, hash uint32) (note.Verifier, error) {
	if v := p.verifiers[keyName{name, hash}]; v != nil {
		return v, nil
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

// reached reports whether the cosignatures of c are enough.
func (p *Policy) reached(c *Checkpoint) bool {
	return p.quorum == nil || p.quorum.reached(c)
}

func (m *component) reached(c *Checkpoint) bool {
	if m.witness {
		return slices.ContainsFunc(c.Cosignatures, func(s Cosignature) bool { return s.Witness == m.name })
	}
	count := 0
	for _, member := range m.members {
		if member.reached(c) {
			count++
		}
	}
	return count >= m.enough
}

// missing says why the cosignatures of c are not enough.
func (p *Policy) missing(c *Checkpoint) string {
	var signed, unsigned []string
	for _, w := range p.witnesses {
		if slices.ContainsFunc(c.Cosignatures, func(s Cosignature) bool { return s.Witness == w.name }) {
			signed = append(signed, w.name)
		} else {
			unsigned = append(unsigned, w.name)
		}
	}
	return fmt.Sprintf("quorum %s is not reached: cosigned by [%s], not by [%s]",
		p.quorum.name, strings.Join(signed, " "), strings.Join(unsigned, " "))
}

// explain makes the error for a note without a known signature say whose
// signatures it has.
func (p *Policy) explain(err error) error {
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return err
	}
	var have []string
	for _, s := range unverified.Note.UnverifiedSigs {
		have = append(have, keyName{shorten(s.Name), s.Hash}.String())
	}
	return fmt.Errorf("signed by %s, none of which the policy knows", strings.Join(have, ", "))
}

// A keyName is what a signature says of the key that made it.
type keyName struct {
	name string
	hash uint32
}

func nameOf(v note.Verifier) keyName { return keyName{v.Name(), v.KeyHash()} }

func (n keyName) String() string { return fmt.Sprintf("%s+%08x", n.name, n.hash) }
