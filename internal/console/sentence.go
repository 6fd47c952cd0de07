package console

import (
	"html/template"
	"strconv"
	"strings"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/reading"
)

// The characters between which a linked part of a sentence stands while it is
// made: no text has them (Unicode: noncharacters), and if one does, the sentence
// is shown without links. A number stands between them, and the part.
const (
	partStart = '\uFDD0'
	partText  = '\uFDD1'
	partEnd   = '\uFDD2'
)

// maxLinked bounds a part that is linked, in bytes: a sentence cuts what is longer.
const maxLinked = 190

// A linker finds what in a sentence has a page.
type linker struct {
	fields    event.Fields
	subjects  []event.Subject
	addresses []string // of the parts that were marked
}

// sentence returns the sentence about an event, with what has a page linked to
// it. Without the links it is e.Text.
func (c *Console) sentence(e *reading.Shown) template.HTML {
	if strings.ContainsFunc(e.Text, unseen) {
		return seen(e.Text)
	}
	shown := e.Fields.Event()
	l := &linker{fields: e.Fields, subjects: shown.Subjects}
	text := c.Catalogue.Render(e.Fields.Text("tag"), l.get)
	if html, plain := l.html(text); plain == e.Text {
		return html
	}
	return seen(e.Text)
}

// get is a [catalogue.Get] that marks what is to be linked.
func (l *linker) get(name string) (string, bool) {
	f, ok := l.fields.Get(name)
	if !ok {
		return "", false
	}
	text := f.Text()
	if text == "" || len(text) > maxLinked {
		return text, true
	}
	address := l.address(name, text)
	if address == "" {
		return text, true
	}
	l.addresses = append(l.addresses, address)
	return string(partStart) + strconv.Itoa(len(l.addresses)-1) + string(partText) + text + string(partEnd), true
}

var _ catalogue.Get = new(linker).get

// address returns where the field called name leads.
func (l *linker) address(name, text string) string {
	first, rest, _ := strings.Cut(name, ".")
	switch first {
	case "actor", "on_behalf_of":
		if rest == "type" {
			return ""
		}
		return partyURL(l.fields.Text(first+".type"), l.fields.Text(first+".id"), l.fields.Text(first+".name"))
	case "subjects":
		number, member, _ := strings.Cut(rest, ".")
		if member != "id" && member != "name" && member != "version" {
			return ""
		}
		if i, err := strconv.Atoi(number); err == nil && i >= 0 && i < len(l.subjects) {
			return subjectURL(&l.subjects[i])
		}
	case "metadata":
		return l.same(text)
	}
	return ""
}

// same returns where the subject leads that a value of metadata names.
func (l *linker) same(text string) string {
	for i := range l.subjects {
		s := &l.subjects[i]
		if text == s.ID || text == s.Name && s.Version == "" || text == s.Version {
			return subjectURL(s)
		}
	}
	return ""
}

// html returns a marked sentence with links, and without.
func (l *linker) html(text string) (html template.HTML, plain string) {
	var linked, bare strings.Builder
	for {
		before, rest, found := strings.Cut(text, string(partStart))
		linked.WriteString(template.HTMLEscapeString(before))
		bare.WriteString(before)
		if !found {
			break
		}
		number, rest, _ := strings.Cut(rest, string(partText))
		part, after, ok := strings.Cut(rest, string(partEnd))
		i, err := strconv.Atoi(number)
		if !ok || err != nil || i < 0 || i >= len(l.addresses) {
			return "", "" // a character of ours was in a value
		}
		linked.WriteString(string(anchor(l.addresses[i], part)))
		bare.WriteString(part)
		text = after
	}
	return template.HTML(linked.String()), bare.String() //nolint:gosec // escaped
}
