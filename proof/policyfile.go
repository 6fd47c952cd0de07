package proof

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

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
		return errors.New("want: group <name> all|any|<k> <member> and more members")
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
