package console

import (
	"html/template"
	"net/url"
	"strings"
	"unicode"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reading"
)

// thingFuncs are the functions that templates about one thing may call besides
// those of all pages, mostly for the parts in templates/things.html.
func thingFuncs() template.FuncMap {
	return template.FuncMap{
		"notes":      notesOf,
		"moreURL":    moreURL,
		"whoURL":     whoURL,
		"receiptURL": receiptURL,
		"sessionURL": func(id string) string { return searchURL("token", id) },
		"factor":     factorOf,
		"plain":      plainText,
		"field":      fieldText,
	}
}

// notesOf returns what the reader should know of a part of a page, a sentence
// each.
func notesOf(x dossier.Extent) []dossier.Note { return x.Notes() }

// moreURL returns the address of the search that goes on where a part of a page
// ends; "" if it is whole, or no query finds the rest.
func moreURL(x dossier.Extent) string {
	if x.Next == "" || x.Query == "" {
		return ""
	}
	return "/search?" + url.Values{"q": {x.Query}, "cursor": {x.Next}}.Encode()
}

// receiptURL returns the address of the evidence for an event.
func receiptURL(seq journal.Seq) string { return eventURL(seq) + "/receipt" }

// whoURL returns the address of the page about somebody; "" if they have none.
func whoURL(w dossier.Who) string {
	switch w.Type {
	case "org", "team":
		return orgURL(w.Ref())
	case "project":
		return projectURL(w.Ref())
	case "":
		return userURL(w.Ref())
	}
	return partyURL(w.Type, w.ID, w.Name)
}

// factorOf says in words with which second factor a credential was got. Who
// trusts a workflow asks nobody for one.
func factorOf(c dossier.Credential) string {
	if c.Kind == "oidc" && (c.SecondFactor == "none" || c.SecondFactor == "") {
		return "a workflow: nobody was asked for one"
	}
	return secondFactor(c.SecondFactor)
}

// plainText returns text for where no markup can stand, such as a title: in place
// of characters that cannot be seen, or change how the text around them looks, it
// has a mark.
func plainText(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Co) || unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// fieldText returns a field of an event as people write it, whatever its type; ""
// if it is not shown.
func fieldText(e *reading.Shown, name string) string {
	f, ok := e.Fields.Get(name)
	if !ok {
		return ""
	}
	return f.Text()
}
