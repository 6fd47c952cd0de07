package query

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
)

// A Key is a value by which an event is found.
type Key struct {
	Kind  Kind   // Tag to Trust, but for the derived ones
	Value []byte // of IP: 16 bytes, IPv4 mapped to IPv6
}

// Keys collects the keys of one event, see [Kind]. Some may be there twice, and
// who is an Actor or OnBehalfOf is a User too. What is derived has no keys:
// Class, Severity, Country.
//
// Call Add with each field in order, then End. The zero Keys is ready for use.
type Keys struct {
	List []Key // valid until the next Reset, and as long as the fields are

	number  string // of the subject being read
	is      []byte // its type
	id      []byte
	name    []byte
	scratch []byte
}

// Reset makes k ready for another event.
func (k *Keys) Reset() {
	k.List = k.List[:0]
	k.scratch = k.scratch[:0]
	k.number, k.is, k.id, k.name = "", nil, nil, nil
}

// Add takes in the next field of the event.
func (k *Keys) Add(f *event.Field) {
	switch f.Name {
	case "tag":
		k.add(Tag, f.Value)
	case "outcome":
		k.add(Outcome, f.Value)
	case "actor.id", "actor.name":
		k.add(Actor, f.Value)
		k.add(User, f.Value)
	case "on_behalf_of.id", "on_behalf_of.name":
		k.add(OnBehalfOf, f.Value)
		k.add(User, f.Value)
	case "context.ip":
		k.add(IP, f.Value)
	case "context.user_agent":
		from := len(k.scratch)
		k.scratch = AppendLower(k.scratch, product(f.Value))
		k.add(Client, k.scratch[from:len(k.scratch):len(k.scratch)])
	case "context.request_id", "context.trace_id":
		k.add(Request, f.Value)
	case "credential.id":
		k.add(Token, f.Value)
	case "source":
		k.add(Source, f.Value)
	case "trust":
		k.add(Trust, f.Value)
	default:
		if rest, ok := strings.CutPrefix(f.Name, "subjects."); ok {
			k.subject(rest, f.Value)
		}
	}
}

func (k *Keys) add(kind Kind, value []byte) {
	if len(value) > 0 {
		k.List = append(k.List, Key{kind, value})
	}
}

// subject takes in a member of a subject, named by its number and member.
func (k *Keys) subject(name string, value []byte) {
	dot := max(strings.IndexByte(name, '.'), 0)
	number, member := name[:dot], name[dot:]
	if number != k.number {
		k.End()
		k.number = number
	}
	switch member {
	case ".type":
		k.is = value
	case ".id":
		k.id = value
	case ".name":
		k.name = value
	case ".version":
		k.add(Version, value)
	}
}

// End says that all fields were added.
func (k *Keys) End() {
	switch kind := string(k.is); kind {
	case "project", "version", "file":
		k.scratch = projectKeys(k.scratch, k.id, k.name, kind == "file", func(key []byte) { k.add(Project, key) })
	case "user":
		k.add(User, k.id)
		k.add(User, k.name)
	case "org", "team":
		k.add(Org, k.id)
		k.add(Org, k.name)
	case "token": // made, changed or revoked, not used
		k.add(Token, k.id)
	}
	k.number, k.is, k.id, k.name = "", nil, nil, nil
}

// ProjectKeys calls yield with the keys of the project whose subject, or whose
// version or file, has the given id and name. Of a package URL these are the URL
// as it is, without version and qualifiers, and the name in it, all with
// percent-encoding undone. The name of a file is not that of the project.
// Either may be empty. Some keys may come twice.
func ProjectKeys(id, name []byte, isFile bool, yield func(key []byte)) {
	projectKeys(nil, id, name, isFile, yield)
}

var (
	purlPrefix = []byte("pkg:")
	versionAt  = []byte("@")
)

// projectKeys is [ProjectKeys], with memory for what is not in the id as it is.
// It returns the memory that is left.
func projectKeys(scratch, id, name []byte, isFile bool, yield func(key []byte)) []byte {
	switch {
	case bytes.HasPrefix(id, purlPrefix):
		if bytes.IndexByte(id, '%') >= 0 {
			from := len(scratch)
			scratch = appendUnescaped(scratch, id)
			id = scratch[from:len(scratch):len(scratch)]
		}
		purlKeys(id, yield)
	case len(id) > 0:
		yield(id)
	}
	if len(name) > 0 && !isFile {
		yield(name)
	}
	return scratch
}

// purlKeys yields the keys in a package URL.
func purlKeys(id []byte, yield func(key []byte)) {
	yield(id)
	base := id
	if i := bytes.IndexAny(base, "?#"); i >= 0 {
		base = base[:i]
	}
	// A scope begins with @ too, but has a slash after it.
	name := bytes.LastIndexByte(base, '/') + 1
	if i := bytes.LastIndex(base[name:], versionAt); i > 0 {
		base = base[:name+i]
	}
	if len(base) < len(id) {
		yield(base)
	}
	if _, name, ok := bytes.Cut(base, []byte("/")); ok && len(name) > 0 {
		yield(name)
	}
}

// appendUnescaped appends s with percent-encoded bytes decoded, so that a
// package URL has one form here however its scope was written.
func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high >= 0 && low >= 0 {
				dst = append(dst, byte(high<<4|low))
				i += 2
				continue
			}
		}
		dst = append(dst, s[i])
	}
	return dst
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// ClientOf returns the program that calls itself userAgent: the name of its
// first product (RFC 9110, section 10.1.5) in lower case, "npm" of
// "npm/10.2.0 node/v20". It returns nil if there is none. Its words are words of
// userAgent.
func ClientOf(userAgent []byte) []byte {
	name := product(userAgent)
	if len(name) == 0 {
		return nil
	}
	return AppendLower(make([]byte, 0, len(name)), name)
}

// product returns the name of the first product as it is written. What goes on in
// other letters than a product may have is none.
func product(userAgent []byte) []byte {
	userAgent = bytes.TrimLeft(userAgent, " \t")
	for i, c := range userAgent {
		if c >= utf8.RuneSelf {
			return nil
		}
		if c == 0x7f || c <= ' ' || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 { // what no token holds
			return userAgent[:i]
		}
	}
	return userAgent
}
