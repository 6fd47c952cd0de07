package reader

import (
	"bytes"
	"strings"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
)

// A sighting is what of an event decides who sees what of the rest.
type sighting struct {
	tag       []byte
	parties   [maxParties]party
	last      int                // of the parties that are there
	changed   [maxChanges][]byte // what each change changed
	ip, agent []byte
}

// A party is somebody who acts, or a subject.
type party struct {
	typ, id, name []byte
	kind          int  // number of typ, see [rules]
	hasID         bool // be it erased
}

// key returns what the party is known by: its ID or, where the event says none,
// its name. A name alone reaches nothing that has an ID: a name that was given up
// may be somebody else's now.
func (p *party) key() []byte {
	if p.hasID {
		return p.id
	}
	return p.name
}

// sight collects from fields what decides.
func (t *table) sight(e *sighting, fields event.Fields) {
	for i := range fields {
		f := fields[i] // a copy, because Code writes into it
		code := f.Code()
		switch code {
		case codeTag:
			e.tag = f.Value
		case codeIP:
			e.ip = f.Value
		case codeAgent:
			e.agent = f.Value
		}
		at := &t.places[code]
		p := &e.parties[at.party]
		switch at.member {
		case typeMember:
			p.typ, p.kind = f.Value, t.rules.types.of(f.Value)
		case idMember:
			p.id, p.hasID = f.Value, true
		case nameMember:
			p.name = f.Value
		case fieldMember:
			e.changed[at.change] = f.Value
		case otherMember, valueMember:
			continue
		}
		e.last = max(e.last, at.party)
	}
}

var codeTag = event.CodeOf("tag")

// A relation is what a reader has to do with an event.
type relation struct {
	is    catalogue.Readers
	acted bool // or was acted for, by whoever is no administrator
}

// relate returns what r has to do with e, an event of the given class. In the log
// about itself only whom an event is about is concerned: who looked does not
// become somebody else by it. Where an administrator acts as somebody, that is the
// administrator's address, and not that person's.
func (r *Reader) relate(e *sighting, class string) relation {
	to := relation{is: catalogue.Public | r.staff()}
	concerned, took := false, false
	for i := theActor; i <= e.last; i++ {
		p := &e.parties[i]
		switch {
		case i >= firstSubject:
			concerned = concerned || r.isUser(p)
			to.is |= r.roles(p)
		case r.isUser(p):
			took = true
			to.acted = to.acted || i == theActor || string(e.parties[theActor].typ) != "admin"
		}
	}
	if concerned || took && class != "audit" {
		to.is |= catalogue.Self
	}
	return to
}

// isUser reports whether p is r.
func (r *Reader) isUser(p *party) bool {
	return r.Self != "" && string(p.typ) == "user" && string(p.key()) == r.Self
}

// roles returns which roles r has in a subject.
func (r *Reader) roles(p *party) (is catalogue.Readers) {
	switch string(p.typ) {
	case "project", "version", "file":
		if r.owns(p) {
			return catalogue.Owner
		}
	case "org", "team":
		for i := range r.Orgs {
			if o := &r.Orgs[i]; o.ID != "" && o.Type == string(p.typ) && o.ID == string(p.key()) {
				return catalogue.Org
			}
		}
	}
	return 0
}

// owns reports whether a subject is a project of r's, or a version or file of one,
// which only a package URL tells.
func (r *Reader) owns(p *party) bool {
	if len(r.Projects) == 0 {
		return false
	}
	key, isProject := p.key(), string(p.typ) == "project"
	var url []byte // of the project; nil: the event says none
	if p.hasID && bytes.HasPrefix(key, packageURL) {
		url = projectOf(key)
	}
	escaped := bytes.IndexByte(url, '%') >= 0
	for i := range r.Projects {
		o := &r.Projects[i]
		switch {
		case o.Type != "project" || o.ID == "":
		case isProject && o.ID == string(key), url != nil && o.ID == string(url):
			return true
		case url != nil && (escaped || strings.IndexByte(o.ID, '%') >= 0) && sameURL(o.ID, url):
			return true
		}
	}
	return false
}

var packageURL = []byte("pkg:")

// projectOf returns a package URL without qualifiers and version. What is
// percent-encoded separates nothing.
func projectOf(url []byte) []byte {
	if i := bytes.IndexAny(url, "?#"); i >= 0 {
		url = url[:i]
	}
	// A scope begins with @ too, but has a slash after it.
	name := bytes.LastIndexByte(url, '/') + 1
	if i := bytes.LastIndexByte(url[name:], '@'); i > 0 {
		return url[:name+i]
	}
	return url
}

// sameURL reports whether a and b are equal once percent-encoding is undone: a
// package URL has many forms, and its sources choose.
func sameURL(a string, b []byte) bool {
	i, k := 0, 0
	for i < len(a) && k < len(b) {
		one, width := unescaped(a[i:min(i+3, len(a))])
		i += width
		other, width := unescaped(string(b[k:min(k+3, len(b))]))
		k += width
		if one != other {
			return false
		}
	}
	return i == len(a) && k == len(b)
}

// unescaped returns the first byte of s, and how many bytes say it.
func unescaped(s string) (c byte, width int) {
	if len(s) == 3 && s[0] == '%' {
		high, low := strings.IndexByte(hexDigits, s[1]|0x20), strings.IndexByte(hexDigits, s[2]|0x20)
		if high >= 0 && low >= 0 {
			return byte(high<<4 | low), 3
		}
	}
	return s[0], 1
}

const hexDigits = "0123456789abcdef"
