package console

import (
	"html/template"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
)

// term returns a qualifier with a value as a query has it, quoted as needed; ""
// if no query can have it.
func term(qualifier, value string) string {
	for kind := range query.Metadata {
		if kind.String() != qualifier {
			continue
		}
		t, err := query.NewTerm(kind, value, time.Time{})
		if err != nil {
			return ""
		}
		return t.String()
	}
	return ""
}

// queryURL returns the address of the search for q.
func queryURL(q string) string { return "/search?" + encoded(url.Values{"q": {q}}) }

// readable undoes the escapes that parameters do not need: people read addresses.
var readable = strings.NewReplacer("%3A", ":", "%2F", "/", "%40", "@", "%2A", "*", "%28", "(", "%29", ")")

// encoded returns the parameters of an address.
func encoded(values url.Values) string { return readable.Replace(values.Encode()) }

// searchURL returns the address of the search for events that have a value; ""
// if no query can have it.
func searchURL(qualifier, value string) string {
	t := term(qualifier, value)
	if t == "" {
		return ""
	}
	return queryURL(t)
}

// eventURL returns the address of the page about an event.
func eventURL(seq journal.Seq) string { return "/event/" + strconv.FormatInt(int64(seq), 10) }

// The addresses of pages about one thing; "" if it has none.
func projectURL(id string) string { return thingURL("project", id) }
func userURL(id string) string    { return thingURL("user", id) }
func tokenURL(id string) string   { return thingURL("token", id) }
func orgURL(id string) string     { return thingURL("org", id) }
func networkURL(id string) string { return thingURL("network", id) }

// thingURL returns the address of the page about the thing with an id. Slashes
// stay as they are, as in the names of packages. An id whose parts a browser
// would take for steps in the path has the page of its search instead.
func thingURL(kind, id string) string {
	if id == "" {
		return ""
	}
	parts := strings.Split(id, "/")
	for i, part := range parts {
		switch strings.ToLower(part) {
		case "", ".", "..", "%2e", "%2e%2e", ".%2e", "%2e.":
			if kind == "network" {
				kind = "ip"
			}
			return searchURL(kind, id)
		}
		parts[i] = strings.ReplaceAll(url.PathEscape(part), "%40", "@")
	}
	return "/" + kind + "/" + strings.Join(parts, "/")
}

// partyURL returns the address of the page about somebody who acted; "" if they
// have none.
func partyURL(typ, id, name string) string {
	if id == "" {
		id = name
	}
	switch typ {
	case "user", "admin":
		return userURL(id)
	case "token":
		return tokenURL(id)
	case "anonymous":
		return ""
	}
	return searchURL("actor", id)
}

// subjectURL returns the address of the page about a subject; "" if it has none.
func subjectURL(s *event.Subject) string {
	id := s.ID
	if id == "" {
		id = s.Name
	}
	switch s.Type {
	case "user":
		return userURL(id)
	case "project":
		return projectURL(id)
	case "version", "file":
		return versionURL(s)
	case "org":
		return orgURL(id)
	case "team":
		return searchURL("org", id)
	case "token":
		return tokenURL(id)
	}
	return ""
}

// versionURL returns the search for what happened with a version of a project.
func versionURL(s *event.Subject) string {
	project := projectOf(s)
	if project == "" {
		return ""
	}
	terms := term("project", project)
	if s.Version != "" {
		terms += " " + term("version", s.Version)
	}
	return queryURL(strings.TrimSpace(terms))
}

// projectOf returns the id, without a version, of the project that a subject is
// or belongs to; "" if it does not say.
func projectOf(s *event.Subject) (id string) {
	query.ProjectKeys([]byte(s.ID), nil, s.Type == "file", func(key []byte) {
		if text := string(key); strings.HasPrefix(text, "pkg:") || id == "" {
			id = text // the last of the URLs is the one without a version
		}
	})
	if id == "" && s.Type != "file" {
		id = s.Name
	}
	return id
}

// networkOf returns the network around an address that accounts nearby share: the
// /24 of IPv4, the /48 of IPv6; "" if it is no address.
func networkOf(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	a = a.Unmap()
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// anchor returns a link whose text stands by itself whatever its direction; the
// text alone if there is no address.
func anchor(address, text string) template.HTML {
	inner := seen(text)
	if address == "" {
		return inner
	}
	return template.HTML(`<a href="`+template.HTMLEscapeString(address)+`">`) + inner + "</a>" //nolint:gosec // escaped, and ours: see thingURL
}
