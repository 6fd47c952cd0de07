package dossier

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reading"
)

// A Value is one value of an event, or why it is not shown. The zero Value says
// that there is none, or none that the reader knows of.
type Value struct {
	Text   string
	Hidden State // "", [Masked] or [Erased]
}

// String returns the text, or in parentheses why it is not shown.
func (v Value) String() string {
	if v.Hidden != "" {
		return "(" + string(v.Hidden) + ")"
	}
	return v.Text
}

// IsZero reports whether there is nothing to show, not even that it is hidden.
func (v Value) IsZero() bool { return v == Value{} }

// valueOf returns the first of the fields of e with these names of which
// anything is known.
func valueOf(e *reading.Shown, names ...string) Value {
	for _, name := range names {
		if f, ok := e.Fields.Get(name); ok {
			return Value{Text: f.Text()}
		}
	}
	for _, name := range names {
		switch {
		case slices.Contains(e.Erased, name):
			return Value{Hidden: Erased}
		case slices.Contains(e.Masked, name):
			return Value{Hidden: Masked}
		}
	}
	return Value{}
}

// textOf returns the field of e called name as people write it, or "".
func textOf(e *reading.Shown, name string) string { return valueOf(e, name).Text }

// changeOf returns the values of the change of the given field.
func changeOf(e *reading.Shown, field string) (was, is Value, ok bool) {
	for i := range event.MaxChanges {
		at := "changes." + strconv.Itoa(i)
		f, there := e.Fields.Get(at + ".field")
		if !there {
			return Value{}, Value{}, false
		}
		if string(f.Value) == field {
			return valueOf(e, at+".old"), valueOf(e, at+".new"), true
		}
	}
	return Value{}, Value{}, false
}

// listOf returns the elements of the list called name, and of text that is not a
// list the text.
func listOf(e *reading.Shown, name string) []string {
	f, ok := e.Fields.Get(name)
	if !ok {
		return nil
	}
	var elements []json.RawMessage
	if f.Type != event.JSON || json.Unmarshal(f.Value, &elements) != nil {
		return []string{f.Text()}
	}
	list := make([]string, len(elements))
	for i, element := range elements {
		if json.Unmarshal(element, &list[i]) != nil {
			list[i] = string(element)
		}
	}
	return list
}

// A Who is somebody, or something, that stands in an event.
type Who struct {
	Type string // as parties and subjects have it; "" if that is not known
	ID   string // "" if there is none, or it is not for the reader
	Name string

	Erased bool // who it was was erased; Name is a pseudonym, or ""
}

// IsZero reports whether nothing is known, not even of which type it is.
func (w Who) IsZero() bool { return w == Who{} }

// Ref returns what w is looked for by: its ID, else its name, else "".
func (w Who) Ref() string {
	if w.ID != "" {
		return w.ID
	}
	return w.Name
}

// String returns the name, else the ID, else words for one whose name is not
// shown.
func (w Who) String() string {
	switch {
	case w.Name != "":
		return w.Name
	case w.ID != "":
		return w.ID
	case w.Type == "admin":
		return "an administrator of the registry"
	case w.Type == "system":
		return "the log"
	case w.Type == "anonymous":
		return "somebody who was not signed in"
	case w.Type == "" || w.Type == "user":
		return "somebody"
	}
	words := strings.ReplaceAll(w.Type, "_", " ")
	if strings.ContainsRune("aeiou", rune(words[0])) {
		return "an " + words
	}
	return "a " + words
}

// is reports whether w and other are the same: they have the same ID, or, where
// one of them has none, the same name. A name that was given up may be somebody
// else's now, so of two IDs that differ names decide nothing.
func (w Who) is(other Who) bool {
	if w.ID != "" && other.ID != "" {
		return w.ID == other.ID
	}
	return w.Name != "" && w.Name == other.Name
}

// whoAt returns who stands in e under a prefix such as "actor" or "subjects.0".
func whoAt(e *reading.Shown, at string) Who {
	w := Who{Type: e.Fields.Text(at + ".type"), ID: e.Fields.Text(at + ".id"), Name: e.Fields.Text(at + ".name")}
	w.Erased = slices.Contains(e.Erased, at+".id") || slices.Contains(e.Erased, at+".name")
	return w
}

// actorOf returns who did it.
func actorOf(e *reading.Shown) Who { return whoAt(e, "actor") }

// personOf returns the person who did it, or for whom it was done.
func personOf(e *reading.Shown) Who {
	if w := whoAt(e, "on_behalf_of"); w.Type == "user" {
		return w
	}
	return actorOf(e)
}

// A subject is what an event is about.
type subject struct {
	Who

	Version string
	Role    string
}

// subjectOr returns the first subject of e of a type, or who a field names where the
// event has none.
func subjectOr(e *reading.Shown, kind, field string) Who {
	if list := subjectsOf(e, kind); len(list) > 0 {
		return list[0].Who
	}
	return Who{Type: kind, Name: textOf(e, field)}
}

// subjectsOf returns the subjects of e, of the given type if that is not "".
func subjectsOf(e *reading.Shown, kind string) []subject {
	var list []subject
	for i := range event.MaxSubjects {
		at := "subjects." + strconv.Itoa(i)
		w := whoAt(e, at)
		if w.IsZero() {
			continue
		}
		if kind == "" || w.Type == kind {
			list = append(list, subject{w, textOf(e, at+".version"), textOf(e, at+".role")})
		}
	}
	return list
}

// targetOf returns whom e is about: the subject of type user that plays the
// part of the target, else the first; of one with a name only, or none, the name
// that metadata has for it.
func targetOf(e *reading.Shown) (w Who, ok bool) {
	users := subjectsOf(e, "user")
	i := slices.IndexFunc(users, func(s subject) bool { return s.Role == "target" })
	if i < 0 && len(users) > 0 {
		i = 0
	}
	if i >= 0 {
		w = users[i].Who
	}
	if w.Name == "" {
		w.Name = textOf(e, "metadata.target_user")
	}
	if w.Type == "" && w.Name != "" {
		w.Type = "user"
	}
	return w, !w.IsZero()
}

// A Place is where something was done from, as far as it is shown: an address
// and a user agent, or only the country and the program.
type Place struct {
	Address Value
	Country string // two capital letters (ISO 3166-1); "" if it is not known

	Agent  Value
	Client string // the program
	Origin string // web, cli, ...
}

// IsZero reports whether nothing is known of the place.
func (p Place) IsZero() bool { return p == Place{} }

// placeOf returns where e was done from.
func (a *asker) placeOf(e *reading.Shown) Place {
	p := Place{
		Address: valueOf(e, "context.ip"), Country: e.Country,
		Agent: valueOf(e, "context.user_agent"), Client: e.Client, Origin: textOf(e, "context.origin"),
	}
	if f, ok := e.Fields.Get("context.ip"); ok && p.Country == "" && a.country != nil && len(f.Value) == 16 {
		p.Country = a.country([16]byte(f.Value))
	}
	if p.Client == "" && p.Agent.Text != "" {
		p.Client = string(query.ClientOf([]byte(p.Agent.Text)))
	}
	return p
}

// A Credential is what the actor showed, as far as it is shown.
type Credential struct {
	Kind         string // one of [event.CredentialKinds]
	ID           Value
	Name         Value
	SecondFactor string // "none" when there was none; "" if that is not known
	Session      Value
}

// credentialOf returns the credential of e. A session that was shown itself is
// one by its ID.
func credentialOf(e *reading.Shown) Credential {
	c := Credential{
		Kind: textOf(e, "credential.kind"), ID: valueOf(e, "credential.id"), Name: valueOf(e, "credential.name"),
		SecondFactor: textOf(e, "credential.mfa"), Session: valueOf(e, "credential.session"),
	}
	if c.Kind == "session" && c.Session.IsZero() {
		c.Session = c.ID
	}
	return c
}
