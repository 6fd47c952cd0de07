package proof

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
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

// ParsePolicy reads a policy file as in c2sp.org/tlog-policy. Errors name the
// line. A text that has nothing but verifier keys, one a line, is the policy
// [KeyPolicy] makes of them: a log's public key is a policy.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > MaxPolicyBytes {
		return nil, fmt.Errorf("proof: policy of %d bytes, at most %d", len(text), MaxPolicyBytes)
	}
	if vkeys := onlyKeys(text); len(vkeys) > 0 {
		return KeyPolicy(vkeys...)
	}
	r := newPolicyReader()
	for i, line := range strings.Split(string(text), "\n") {
		if err := r.line(line); err != nil {
			return nil, fmt.Errorf("proof: policy: line %d: %w", i+1, err)
		}
	}
	if !r.hasQuorum {
		return nil, errors.New("proof: policy: no quorum line; \"quorum none\" asks for no witness")
	}
	return r.policy, nil
}

// onlyKeys returns the lines of text if each is one word with a plus in it,
// which no line of a policy file is.
func onlyKeys(text []byte) []string {
	var vkeys []string
	for line := range bytes.Lines(text) {
		line = bytes.Trim(line, " \t\n")
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if bytes.ContainsAny(line, " \t") || !bytes.Contains(line, []byte("+")) {
			return nil
		}
		vkeys = append(vkeys, string(line))
	}
	return vkeys
}

// A policyReader is a policy that is being read.
type policyReader struct {
	policy     *Policy
	components map[string]*component
	member     map[string]string // the group that has a name as its member
	publics    map[string]bool   // "log" or "witness" and the public key
	hasQuorum  bool
}

func newPolicyReader() *policyReader {
	return &policyReader{
		policy:     &Policy{verifiers: make(map[keyName]note.Verifier)},
		components: make(map[string]*component),
		member:     make(map[string]string),
		publics:    make(map[string]bool),
	}
}

// line takes in one line without its newline.
func (r *policyReader) line(line string) error {
	if i := strings.IndexFunc(line, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }); i >= 0 {
		return fmt.Errorf("control character %q; lines end in a newline alone", line[i])
	}
	fields := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
	if len(fields) == 0 || fields[0][0] == '#' {
		return nil
	}
	switch args := fields[1:]; fields[0] {
	case "log":
		return r.log(args)
	case "witness":
		return r.witness(args)
	case "group":
		return r.group(args)
	case "quorum":
		return r.quorum(args)
	}
	return fmt.Errorf("%s is not log, witness, group or quorum", strconv.Quote(shorten(fields[0])))
}

// log takes in the key, and optionally the address, of a log.
func (r *policyReader) log(args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("want: log <vkey> [<url>]")
	}
	k, err := parseKey(args[0])
	if err != nil {
		return err
	}
	if err := r.unique("log", k); err != nil {
		return err
	}
	if len(r.policy.logs) == MaxPolicyNames {
		return fmt.Errorf("more than %d logs", MaxPolicyNames)
	}
	r.policy.logs = append(r.policy.logs, k)
	return r.know(k)
}

// witness takes in a witness.
func (r *policyReader) witness(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return errors.New("want: witness <name> <vkey> [<url>]")
	}
	k, err := parseKey(args[1])
	if err != nil {
		return err
	}
	if !k.isCosigner() {
		return fmt.Errorf("key of %s makes signatures without a time; a witness has a cosignature key, of type 4 or 6", args[0])
	}
	w := witness{name: args[0], key: k}
	if len(args) == 3 {
		if w.url, err = parseURL(args[2]); err != nil {
			return err
		}
	}
	if err := r.unique("witness", k); err != nil {
		return err
	}
	if err := r.define(&component{name: w.name, witness: true}); err != nil {
		return err
	}
	if len(r.policy.witnesses) == MaxPolicyNames {
		return fmt.Errorf("more than %d witnesses", MaxPolicyNames)
	}
	r.policy.witnesses = append(r.policy.witnesses, w)
	return r.know(k)
}

func parseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%s is not an http or https address", strconv.Quote(shorten(s)))
	}
	return strings.TrimRight(s, "/"), nil
}

// group takes in a group of names defined before.
func (r *policyReader) group(args []string) error {
	if len(args) < 3 {
		return errors.New("want: group <name> all|any|<k> <name>...")
	}
	g := &component{name: args[0]}
	names := args[2:]
	for _, name := range names {
		member, ok := r.components[name]
		if !ok {
			return fmt.Errorf("group %s: %s is not defined on a line above", g.name, strconv.Quote(name))
		}
		if other, taken := r.member[name]; taken {
			return fmt.Errorf("group %s: %s is already a member of group %s and must count once", g.name, name, other)
		}
		r.member[name] = g.name
		g.members = append(g.members, member)
	}
	switch args[1] {
	case "all":
		g.enough = len(names)
	case "any":
		g.enough = 1
	default:
		k, err := parseDecimal(args[1])
		if err != nil || k < 1 || k > int64(len(names)) {
			return fmt.Errorf("group %s: %s is not all, any or a number from 1 to %d", g.name, strconv.Quote(args[1]), len(names))
		}
		g.enough = int(k)
	}
	return r.define(g)
}

// quorum takes in which component makes a checkpoint witnessed.
func (r *policyReader) quorum(args []string) error {
	if len(args) != 1 {
		return errors.New("want: quorum <name>|none")
	}
	if r.hasQuorum {
		return errors.New("second quorum line")
	}
	r.hasQuorum = true
	if args[0] == "none" {
		return nil
	}
	c, ok := r.components[args[0]]
	if !ok {
		return fmt.Errorf("quorum %s is not defined on a line above", strconv.Quote(args[0]))
	}
	r.policy.quorum = c
	return nil
}

// define adds c to the one namespace of witnesses and groups.
func (r *policyReader) define(c *component) error {
	if c.name == "none" {
		return errors.New("\"none\" cannot be the name of a witness or group")
	}
	if r.components[c.name] != nil {
		return fmt.Errorf("second definition of %s", strconv.Quote(c.name))
	}
	if len(r.components) == 2*MaxPolicyNames {
		return fmt.Errorf("more than %d witnesses and groups", 2*MaxPolicyNames)
	}
	r.components[c.name] = c
	return nil
}

// unique refuses a public key that another log, or another witness, has: it
// would count twice.
func (r *policyReader) unique(role string, k key) error {
	public := role + k.public
	if r.publics[public] {
		return fmt.Errorf("another %s has the same public key as %s", role, k.verifier.Name())
	}
	r.publics[public] = true
	return nil
}

// know makes the signatures of k be checked.
func (r *policyReader) know(k key) error {
	name := nameOf(k.verifier)
	if r.policy.verifiers[name] != nil {
		return fmt.Errorf("key %s is in the policy twice", name)
	}
	r.policy.verifiers[name] = k.verifier
	return nil
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
