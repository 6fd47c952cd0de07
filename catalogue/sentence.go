package catalogue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A description is text with placeholders:
//
//	{name}      the value called name; a neutral phrase where it is not shown
//	{a|b}       the first of these that is shown
//	[ text]     left out unless all placeholders inside are shown
//
// It is taken apart once, when the catalogue is loaded, into clauses.

// A clause is a part of a sentence.
type clause struct {
	optional bool // left out unless every placeholder is shown
	pieces   []piece
}

// A piece is plain text, or placeholders of which the first that is shown stands
// there.
type piece struct {
	text  string
	names []placeholder
}

// A placeholder is a name in a description.
type placeholder struct {
	name     string
	metadata string // what the field of the metadata of that name is called in events
}

// parseSentence takes a description apart.
func parseSentence(description string) ([]clause, error) {
	var clauses []clause
	for rest := description; rest != ""; {
		start := strings.IndexByte(rest, '[')
		plain := rest
		if start >= 0 {
			plain = rest[:start]
		}
		if plain != "" {
			pieces, err := parsePieces(plain)
			if err != nil {
				return nil, err
			}
			clauses = append(clauses, clause{pieces: pieces})
		}
		if start < 0 {
			break
		}
		inside, after, ok := strings.Cut(rest[start+1:], "]")
		if !ok {
			return nil, errors.New("a [ is not closed")
		}
		pieces, err := parsePieces(inside)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(pieces, func(p piece) bool { return p.names != nil }) {
			return nil, fmt.Errorf("[%s] has no placeholder", inside)
		}
		clauses = append(clauses, clause{optional: true, pieces: pieces})
		rest = after
	}
	if !slices.ContainsFunc(clauses, func(c clause) bool { return !c.optional }) {
		return nil, errors.New("everything in it is optional")
	}
	return clauses, checkText(description)
}

// checkText reports what would make every sentence of a description ugly.
func checkText(description string) error {
	if strings.Contains(description, "  ") || strings.TrimSpace(description) != description {
		return errors.New("has a space too many")
	}
	if strings.ContainsAny(description, "\n\t") {
		return errors.New("is more than one line")
	}
	return nil
}

// parsePieces takes text without brackets apart.
func parsePieces(text string) ([]piece, error) {
	if strings.ContainsAny(text, "[]") {
		return nil, errors.New("brackets do not match, or are inside one another")
	}
	var pieces []piece
	for text != "" {
		start := strings.IndexAny(text, "{}")
		if start < 0 {
			return append(pieces, piece{text: text}), nil
		}
		if start > 0 {
			pieces = append(pieces, piece{text: text[:start]})
		}
		inside, rest, ok := strings.Cut(text[start+1:], "}")
		if text[start] != '{' || !ok {
			return nil, errors.New("braces do not match")
		}
		var names []placeholder
		for name := range strings.SplitSeq(inside, "|") {
			if !isWord(name) {
				return nil, fmt.Errorf("{%s} is not a placeholder", inside)
			}
			names = append(names, placeholder{name, "metadata." + name})
		}
		pieces, text = append(pieces, piece{names: names}), rest
	}
	return pieces, nil
}

// checkPlaceholders reports the first placeholder that can never have a value.
func (s *stanza) checkPlaceholders() error {
	for _, c := range s.typ.sentence {
		for _, p := range c.pieces {
			for _, is := range p.names {
				if !s.typ.hasValue(is.name) {
					return s.errorf("tag %s: description: {%s} is no field, subject or change of the type", s.typ.Tag, is.name)
				}
			}
		}
	}
	return nil
}

// hasValue reports whether an event of type t may have a value called name.
func (t *Type) hasValue(name string) bool {
	switch name {
	case "actor", "reason", "fields":
		return true
	case "old", "new":
		if len(t.Changes) > 0 {
			return true
		}
	}
	if changed, _ := changeOf(name); t.changes[changed] != nil {
		return true
	}
	return t.metadata[name] != nil || slices.Contains(t.Subjects, name)
}

// changeOf returns the field of which name is the "old" or "new" value, and
// that word; or "".
func changeOf(name string) (field, word string) {
	if field, ok := strings.CutPrefix(name, "old_"); ok {
		return field, "old"
	}
	if field, ok := strings.CutPrefix(name, "new_"); ok {
		return field, "new"
	}
	return "", ""
}
