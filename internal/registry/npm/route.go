package npm

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// A place is what the path of a request names. What it does not name is empty.
type place struct {
	pkg     string // "name" or "@scope/name"
	version string
	tag     string
	file    string
	rev     string
	user    string
	org     string
	team    string
	id      string
	secret  string // a token
}

// find returns the row for a request, nil if there is none.
func (p *Protocol) find(method string, words []string) (*row, place, error) {
	if len(words) > maxSegments {
		return nil, place{}, nil
	}
	for _, r := range p.rows {
		if r.method != method && r.method != anyMethod {
			continue
		}
		at, ok := r.match(words)
		if !ok {
			continue
		}
		return r, at, at.check()
	}
	return nil, place{}, nil
}

// match reports whether words fit the row's path, and what they name. Fixed
// words match in any case: many registries do not tell cases apart there, and a
// request that they understand must not pass unseen.
func (r *row) match(words []string) (at place, ok bool) {
	for i, want := range r.path {
		if len(words) == 0 {
			return at, false
		}
		taken := 1
		switch {
		case want == "{pkg}":
			last := i == len(r.path)-1
			at.pkg, taken = packageName(words, i == 0, last)
		case want == "{file}":
			at.file, taken = fileName(words)
		case want[0] == '{':
			if !at.set(want, words[0]) {
				return at, false
			}
		case !strings.EqualFold(want, words[0]):
			return at, false
		}
		if taken == 0 {
			return at, false
		}
		words = words[taken:]
	}
	return at, len(words) == 0
}

// packageName returns the name that words start with and how many of them it
// takes, 0 if there is none. A scope and a name may be one word or two.
//
// A path that starts with "-" belongs to the registry's own interface, but
// there is a package with that name, too.
func packageName(words []string, first, last bool) (string, int) {
	w := words[0]
	switch {
	case first && w == "-":
		if len(words) == 1 || !last && (words[1] == "-" || strings.EqualFold(words[1], "-rev")) {
			return w, 1
		}
		return "", 0
	case w[0] != '@' || strings.Contains(w, "/"):
		return w, 1
	case len(words) > 1:
		return w + "/" + words[1], 2
	}
	return w, 1
}

// fileName returns the name of the file that words start with. Some clients
// put the scope before it.
func fileName(words []string) (string, int) {
	if words[0][0] == '@' && !strings.Contains(words[0], "/") && len(words) > 1 {
		return words[0] + "/" + words[1], 2
	}
	return words[0], 1
}

const couchUser = "org.couchdb.user:"

// set puts a word where it belongs. It reports false if it does not fit there.
func (at *place) set(want, word string) bool {
	switch want {
	case "{tag}":
		at.tag = word
		return word[0] != '-'
	case "{rev}":
		at.rev = word
	case "{org}":
		at.org = strings.TrimLeft(word, "@~")
	case "{team}":
		at.team = word
	case "{id}":
		at.id = word
	case "{secret}":
		at.secret = word
	case "{user}":
		n := len(couchUser)
		if len(word) < n || !strings.EqualFold(word[:n], couchUser) {
			return false
		}
		at.user = word[n:]
	}
	return true
}

var (
	errSlash = errors.New("has an encoded slash where none belongs")
	errParam = errors.New("has a semicolon, after which some registries read no further")
	errLong  = errors.New("has a name that is too long")
)

// maxPathName bounds a name in a path. Registries allow 214 bytes.
const maxPathName = 512

// check refuses names that a registry could read differently than we do.
func (at *place) check() error {
	scoped := strings.Count(at.pkg, "/")
	if scoped > 1 || scoped == 1 && (at.pkg[0] != '@' || strings.HasPrefix(at.pkg, "@/") || strings.HasSuffix(at.pkg, "/")) {
		return errSlash
	}
	if f := strings.Count(at.file, "/"); f > 1 || f == 1 && at.file[0] != '@' {
		return errSlash
	}
	for _, s := range []string{at.tag, at.rev, at.org, at.team, at.id, at.user} {
		if strings.Contains(s, "/") {
			return errSlash
		}
	}
	for _, s := range []string{at.pkg, at.file, at.tag, at.org, at.team, at.user} {
		if strings.Contains(s, ";") {
			return errParam
		}
		if len(s) > maxPathName || !utf8.ValidString(s) {
			return errLong
		}
	}
	return nil
}

// escaped returns the name of a package as npm writes it into a path.
func escaped(pkg string) string {
	var b strings.Builder
	for i := range len(pkg) {
		c := pkg[i]
		if c == '@' || c == '-' || c == '.' || c == '_' || c == '~' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			b.WriteByte(c)
			continue
		}
		const hex = "0123456789abcdef"
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// project returns the subject for a package.
func (p *Protocol) project(pkg string) event.Subject {
	return event.Subject{Type: "project", ID: p.url(pkg, ""), Name: clean(pkg)}
}

// version returns the subject for one version of a package.
func (p *Protocol) version(pkg, version string) event.Subject {
	return event.Subject{Type: "version", ID: p.url(pkg, version), Name: clean(pkg), Version: clean(version)}
}

// url returns the package URL. It has the names as they are: cleaned ones could
// be those of others.
func (p *Protocol) url(pkg, version string) string {
	u := registry.Package{Type: "npm", Name: bounded(pkg), Version: bounded(version), Repository: p.opts.Repository}
	if scope, name, ok := strings.Cut(u.Name, "/"); ok {
		u.Namespace, u.Name = scope, name
	}
	return u.URL()
}

// user returns the subject for a user who is called name.
func user(name, role string) event.Subject {
	return event.Subject{Type: "user", Name: clean(name), Role: role}
}

// bounded returns a name that is not too long.
func bounded(name string) string {
	if len(name) > maxPathName {
		return clean(name)
	}
	return name
}

// clean returns a name as it may stand in an event.
func clean(name string) string { return registry.Clean(name, registry.MaxNameBytes) }
