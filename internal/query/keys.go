package query

import (
	"bytes"
	"strings"

	"github.com/custody-log/custody/event"
)

// A Key is a value by which an event is found.
type Key struct {
	Kind  Kind
	Value []byte // of IP: 16 bytes, IPv4 mapped to IPv6
}

// Keys collects the keys of one event: its tag, the actor's id and name, the
// names and package URLs of its projects, the address, the ids of the
// credential and of the tokens it is about, the source and the outcome. Some may be there twice.
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
	case "actor.id", "actor.name":
		k.add(Actor, f.Value)
	case "context.ip":
		k.add(IP, f.Value)
	case "credential.id":
		k.add(Token, f.Value)
	case "source":
		k.add(Source, f.Value)
	case "outcome":
		k.add(Outcome, f.Value)
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
	number, member, _ := strings.Cut(name, ".")
	if number != k.number {
		k.End()
		k.number = number
	}
	switch member {
	case "type":
		k.is = value
	case "id":
		k.id = value
	case "name":
		k.name = value
	}
}

// End says that all fields were added.
func (k *Keys) End() {
	if kind := string(k.is); kind == "project" || kind == "version" || kind == "file" {
		k.project(k.id)
		if kind != "file" { // the name of a file is not that of the project
			k.add(Project, k.name)
		}
	}
	if string(k.is) == "token" { // made, changed or revoked, not used
		k.add(Token, k.id)
	}
	k.number, k.is, k.id, k.name = "", nil, nil, nil
}

var (
	purlPrefix = []byte("pkg:")
	versionAt  = []byte("@")
)

// project adds the keys of the project whose subject, or whose version or
// file, has the given id. Of a package URL these are the URL as it is, without
// version and qualifiers, and the name in it.
func (k *Keys) project(id []byte) {
	if !bytes.HasPrefix(id, purlPrefix) {
		k.add(Project, id)
		return
	}
	id = k.unescape(id)
	k.add(Project, id)
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
		k.add(Project, base)
	}
	if _, name, ok := bytes.Cut(base, []byte("/")); ok {
		k.add(Project, name)
	}
}

// unescape returns s with percent-encoded bytes decoded, so that a package URL
// has one form here however its scope was written.
func (k *Keys) unescape(s []byte) []byte {
	if bytes.IndexByte(s, '%') < 0 {
		return s
	}
	from := len(k.scratch)
	k.scratch = appendUnescaped(k.scratch, s)
	return k.scratch[from:len(k.scratch):len(k.scratch)]
}

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
