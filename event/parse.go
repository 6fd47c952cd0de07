package event

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parse reads one event as JSON into its fields. It is strict: members that
// are not in [Event], names given twice, invalid UTF-8, lone surrogates, null,
// values of the wrong type and values over a limit are refused with an
// [*InvalidError] that names the member. An empty string says nothing and is
// left out, except in metadata and changes. An event of more than
// [MaxJSONBytes] is refused with a [*LimitError].
//
// The fields keep pointing into data.
func Parse(data []byte) (Fields, error) {
	return new(Parser).Parse(data)
}

// A Parser parses many events with the same memory. It is for one goroutine.
type Parser struct {
	// Added are fields that the log adds to every event. Of them, outcome is
	// only for events that state none; no event can state the others.
	Added Fields

	scanner
	sorter
	fields Fields            // as they come
	stated bool              // the event states its outcome
	keys   map[string]string // "metadata.KEY" by KEY
	tags   map[string]bool   // that were found good
}

// maxKept bounds Parser.keys and Parser.tags, each.
const maxKept = 4096

// Parse is [Parse], but the fields are valid only until the next call.
func (p *Parser) Parse(data []byte) (Fields, error) {
	p.reset(data)
	if err := CheckSize(len(data)); err != nil {
		return nil, err
	}
	p.event()
	p.end()
	if err := p.finish(); err != nil {
		return nil, err
	}
	return p.sorted, nil
}

// reset makes p ready to read data.
func (p *Parser) reset(data []byte) {
	p.scanner = scanner{data: data, arena: p.arena[:0]}
	p.fields = p.fields[:0]
	if p.keys == nil {
		p.keys, p.tags = make(map[string]string), make(map[string]bool)
	}
}

// finish checks the event as a whole.
func (p *Parser) finish() *InvalidError {
	if p.err != nil {
		return p.err
	}
	if len(p.fields) > maxFieldsAccepted {
		return &InvalidError{Index: -1, Reason: tooMany}
	}
	for i := range p.Added {
		f := &p.Added[i]
		f.lookUp() // here and not in the copy: Added is for many events
		if !p.stated || f.Name != "outcome" {
			p.fields = append(p.fields, *f)
		}
	}
	p.sort(p.fields)
	return nil
}

// add appends a field.
func (p *Parser) add(name string, code int, t Type, value []byte) {
	p.fields = append(p.fields, Field{Name: name, Type: t, Value: value, code: uint16(code), rank: uint16(table.ranks[code])})
}

// addCode appends a field whose name has a code.
func (p *Parser) addCode(code int, t Type, value []byte) {
	p.add(table.byCode[code], code, t, value)
}

// at prefixes the path of an error that happened since before.
func (p *Parser) at(path string) {
	if p.err == nil {
		return
	}
	switch {
	case p.err.Path == "":
		p.err.Path = path
	case strings.HasPrefix(p.err.Path, "["):
		p.err.Path = path + p.err.Path
	default:
		p.err.Path = path + "." + p.err.Path
	}
}

// A shape lists the members that an object may have, in any order.
type shape struct {
	members []string
	codes   []int // codes[i] is the name of members[i]; unused where the caller reads the member itself

	slots  [64]int8 // place in members + 1, by slot of the name
	factor [3]int   // of the name's length, first and last byte in its slot
}

// shapeOf returns the shape of the object at prefix.
func shapeOf(prefix string, members ...string) *shape {
	s := &shape{members: members}
	for _, m := range members {
		s.codes = append(s.codes, table.codes[prefix+m])
	}
	for s.factor[0] = range 64 {
		for s.factor[1] = range 64 {
			for s.factor[2] = range 64 {
				if s.place() {
					return s
				}
			}
		}
	}
	panic("event: two members of " + prefix + " share a slot whatever the factors")
}

// place gives each member its slot. It reports whether no two have the same.
func (s *shape) place() bool {
	s.slots = [64]int8{}
	for i, m := range s.members {
		slot := s.slot([]byte(m))
		if s.slots[slot] != 0 {
			return false
		}
		s.slots[slot] = int8(i + 1)
	}
	return true
}

func (s *shape) slot(name []byte) int {
	return (len(name)*s.factor[0] + int(name[0])*s.factor[1] + int(name[len(name)-1])*s.factor[2]) % 64
}

// find returns the place of the member called name, or -1.
func (s *shape) find(name []byte) int {
	if len(name) == 0 {
		return -1
	}
	if i := int(s.slots[s.slot(name)]) - 1; i >= 0 && s.members[i] == string(name) {
		return i
	}
	return -1
}

var (
	eventShape = shapeOf("", "id", "tag", "time", "outcome", "actor", "on_behalf_of", "credential", "oidc", "subjects", "context",
		"changes", "metadata", "reason", "reason_internal", "source_seq", "received", "source", "trust", "seq")
	actorShape      = shapeOf("actor.", "type", "id", "name")
	onBehalfOfShape = shapeOf("on_behalf_of.", "type", "id", "name")
	credentialShape = shapeOf("credential.", "kind", "id", "name", "mfa", "session")
	oidcShape       = shapeOf("oidc.", "issuer", "subject", "repository", "workflow_ref", "ref", "sha", "run_id", "environment")
	contextShape    = shapeOf("context.", "user_agent", "request_id", "trace_id", "origin", "ip")
	subjectShape    = shapeOf("subjects.0.", subjectMembers...)
	changeShape     = shapeOf("changes.0.", changeMembers...)
)

// object reads an object of the given shape and calls read with the place of
// each member in it; read must read the member's value. It returns which
// members were there, a bit each.
func (p *Parser) object(sh *shape, read func(i int)) (seen uint64) {
	if !p.take('{', `"{"`) {
		return 0
	}
	for first := true; p.next(first, '}'); first = false {
		k := p.key()
		if p.err != nil {
			return seen
		}
		i := sh.find(k)
		switch {
		case i < 0:
			p.fail("is not a member of an event; registry-specific values belong in metadata")
			p.at(printable(k))
			return seen
		case seen&(1<<i) != 0:
			p.fail("is there twice")
			p.at(sh.members[i])
			return seen
		}
		seen |= 1 << i
		if read(i); p.err != nil {
			p.at(sh.members[i])
			return seen
		}
	}
	return seen
}

// printable returns name cut to a length that fits an error.
func printable(name []byte) string {
	if len(name) > 40 {
		name = name[:40]
	}
	q := strconv.Quote(string(name))
	return q[1 : len(q)-1]
}

// event reads the whole event.
func (p *Parser) event() {
	p.stated = false
	if p.space() != '{' || p.pos >= len(p.data) {
		p.failSyntax("an object")
		return
	}
	seen := p.object(eventShape, p.eventMember)
	if p.err != nil {
		return
	}
	for _, i := range []int{0, 1, 2, 4} { // id, tag, time, actor
		if seen&(1<<i) == 0 {
			p.fail("is missing")
			p.at(eventShape.members[i])
			return
		}
	}
}

// eventMember reads the value of a member of the event.
func (p *Parser) eventMember(i int) {
	code := eventShape.codes[i]
	switch name := eventShape.members[i]; name {
	case "id":
		p.limited(code, MaxIDBytes)
	case "tag":
		p.tag(code)
	case "time":
		p.time(code)
	case "outcome":
		p.oneOf(code, outcomes)
		p.stated = true
	case "actor":
		p.party(actorShape, true)
	case "on_behalf_of":
		p.party(onBehalfOfShape, false)
	case "credential":
		p.credential()
	case "oidc":
		p.object(oidcShape, func(i int) { p.optional(oidcShape.codes[i]) })
	case "subjects":
		p.list(MaxSubjects, p.subject)
	case "context":
		p.context()
	case "changes":
		p.list(MaxChanges, p.change)
	case "metadata":
		p.metadata()
	case "reason", "reason_internal":
		p.optional(code)
	case "source_seq":
		p.sourceSeq(code)
	default: // received, source, trust, seq
		p.fail("is set by the log and cannot be sent")
	}
}

var outcomes = []string{string(Success), string(Failure), string(Denied), string(Unknown)}

// bounded reads a string of at most limit bytes.
func (p *Parser) bounded(limit int) []byte {
	if p.space() != '"' {
		p.fail("must be a string")
		return nil
	}
	b := p.text()
	if len(b) > limit {
		p.fail("is longer than " + strconv.Itoa(limit) + " bytes")
	}
	return b
}

// optional reads a string and adds it unless it is empty.
func (p *Parser) optional(code int) {
	if b := p.bounded(MaxTextBytes); len(b) > 0 {
		p.addCode(code, String, b)
	}
}

// limited reads a string that must be there.
func (p *Parser) limited(code, limit int) {
	b := p.bounded(limit)
	if p.err == nil && len(b) == 0 {
		p.fail("is empty")
	}
	p.addCode(code, String, b)
}

// oneOf reads one of the words of list.
func (p *Parser) oneOf(code int, list []string) {
	b := p.bounded(MaxTextBytes)
	if p.err != nil {
		return
	}
	if !slices.Contains(list, string(b)) {
		p.fail("must be one of " + strings.Join(list, ", "))
		return
	}
	p.addCode(code, String, b)
}

func (p *Parser) tag(code int) {
	b := p.bounded(MaxTextBytes)
	if p.err != nil {
		return
	}
	if !p.tags[string(b)] {
		tag := string(b)
		if reason := CheckTag(tag); reason != "" {
			p.fail(reason)
			return
		}
		if len(p.tags) < maxKept {
			p.tags[tag] = true
		}
	}
	p.addCode(code, String, b)
}

// Times outside 1970 to 9999 are mistakes of a unit or of a clock.
var lastMicro = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() - 1

func (p *Parser) time(code int) {
	b := p.bounded(MaxTextBytes)
	if p.err != nil {
		return
	}
	micros, ok := parseTime(b)
	if !ok {
		p.fail(`must be a time with zone as in RFC 3339, for example "2026-11-02T12:30:00.25Z"`)
		return
	}
	if micros < 0 || micros > lastMicro {
		p.fail("must be between 1970 and 9999")
		return
	}
	p.addCode(code, Time, p.keepInt(micros))
}

// party reads an actor, or whom it acted for.
func (p *Parser) party(sh *shape, required bool) {
	seen := p.object(sh, func(i int) {
		if i == 0 {
			p.oneOf(sh.codes[i], PartyTypes)
			return
		}
		p.optional(sh.codes[i])
	})
	if p.err == nil && seen&1 == 0 && (required || seen != 0) {
		p.fail("is missing")
		p.at("type")
	}
}

func (p *Parser) credential() {
	p.object(credentialShape, func(i int) {
		if i == 0 {
			p.oneOf(credentialShape.codes[i], CredentialKinds)
			return
		}
		p.optional(credentialShape.codes[i])
	})
}

func (p *Parser) context() {
	p.object(contextShape, func(i int) {
		code := contextShape.codes[i]
		switch contextShape.members[i] {
		case "ip":
			p.ip(code)
		case "origin":
			p.oneOf(code, Origins)
		default:
			p.optional(code)
		}
	})
}

func (p *Parser) ip(code int) {
	b := p.bounded(MaxTextBytes)
	if p.err != nil || len(b) == 0 {
		return
	}
	addr, err := netip.ParseAddr(string(b))
	if err != nil || addr.Zone() != "" {
		p.fail("must be an IP address without port or zone")
		return
	}
	a := addr.As16()
	p.addCode(code, IP, p.keep(a[:]...))
}

// list reads an array of at most limit objects.
func (p *Parser) list(limit int, element func(n int)) {
	if !p.take('[', "an array") {
		return
	}
	n := 0
	for first := true; p.next(first, ']'); first = false {
		if n == limit {
			p.fail("has more than " + strconv.Itoa(limit) + " elements")
			return
		}
		if element(n); p.err != nil {
			p.at("[" + strconv.Itoa(n) + "]")
			return
		}
		n++
	}
}

func (p *Parser) subject(n int) {
	seen := p.object(subjectShape, func(i int) {
		code := subjectShape.codes[i] + 8*n
		if i > 0 {
			p.optional(code)
			return
		}
		b := p.bounded(MaxTextBytes)
		if p.err == nil && !isWord(string(b)) {
			p.fail("must be a word of lower-case letters, digits and _")
		}
		p.addCode(code, String, b)
	})
	if p.err == nil && seen&1 == 0 {
		p.fail("is missing")
		p.at("type")
	}
}

func (p *Parser) change(n int) {
	seen := p.object(changeShape, func(i int) {
		code := changeShape.codes[i] + 4*n
		if i == 0 {
			p.limited(code, MaxNameBytes)
			return
		}
		p.typed(table.byCode[code], code)
	})
	if p.err == nil && seen&1 == 0 {
		p.fail("is missing")
		p.at("field")
	}
}

// typed reads any value but null and adds it under name.
func (p *Parser) typed(name string, code int) {
	if p.space() == 'n' {
		p.fail("is null; leave it out")
		return
	}
	t, value := p.value()
	if p.err == nil && len(value) > MaxTextBytes {
		p.fail("is longer than " + strconv.Itoa(MaxTextBytes) + " bytes")
	}
	p.add(name, code, t, value)
}

func (p *Parser) metadata() {
	if !p.take('{', `"{"`) {
		return
	}
	from := len(p.fields)
	for first := true; p.next(first, '}'); first = false {
		key := p.key()
		if p.err != nil {
			return
		}
		if !isMetadataKey(key) {
			p.fail("is not a name of 1 to " + strconv.Itoa(maxMetadataKey) + " letters, digits, _, - and .")
			p.at(printable(key))
			return
		}
		name := p.metadataName(key)
		for i := from; i < len(p.fields); i++ {
			if p.fields[i].Name == name {
				p.fail("is there twice")
			}
		}
		if len(p.fields)-from == MaxMetadata {
			p.fail("has more than " + strconv.Itoa(MaxMetadata) + " members")
			return
		}
		if p.typed(name, MetadataCode); p.err != nil {
			p.at(name[len(metadataPrefix):])
			return
		}
	}
}

// metadataName returns "metadata.KEY".
func (p *Parser) metadataName(key []byte) string {
	if name, ok := p.keys[string(key)]; ok {
		return name
	}
	name := metadataPrefix + string(key)
	if len(p.keys) < maxKept {
		p.keys[name[len(metadataPrefix):]] = name
	}
	return name
}

func isMetadataKey(key []byte) bool {
	if len(key) == 0 || len(key) > maxMetadataKey {
		return false
	}
	for _, c := range key {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func (p *Parser) sourceSeq(code int) {
	v := p.integer()
	if p.err == nil && v < 1 {
		p.fail("must be 1 or more")
	}
	p.addCode(code, Int, p.keepInt(v))
}
