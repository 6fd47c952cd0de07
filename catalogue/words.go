package catalogue

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxValueBytes bounds what one value may take of a sentence.
const maxValueBytes = 200

const somebody = "somebody"

// actorPhrases stand for an actor of whom only the type is shown.
var actorPhrases = map[string]string{
	"user":              somebody,
	"token":             "the holder of a token",
	"trusted_publisher": "a trusted publisher",
	"service":           "a service",
	"admin":             "an administrator",
	"system":            "the registry",
	"anonymous":         "an anonymous client",
}

// absentPhrases stand for what is not shown and is not declared by a field.
var absentPhrases = map[string]string{
	"user":        somebody,
	"target_user": somebody,
	"org":         "an organization",
	"file":        "a file",
	"fields":      "some fields",
	"reason":      "a reason not shown",
	"old":         "another value",
	"new":         "another value",
}

// absent returns the phrase that stands for the value called name.
func (s *scene) absent(name string) string {
	if name == "actor" {
		phrase, _ := s.actor()
		return phrase
	}
	field, declared := s.typ.metadata[name]
	if declared && field.Absent != "" {
		return field.Absent
	}
	if phrase, ok := absentPhrases[name]; ok {
		return phrase
	}
	if declared {
		switch field.Type {
		case Int:
			return "a number of"
		case Time:
			return "a time not shown"
		case IP:
			return "an address"
		case List:
			return "some " + strings.ReplaceAll(name, "_", " ")
		case String, Text, Enum, Digest, Bool:
		}
	}
	return article(strings.ReplaceAll(name, "_", " "))
}

// article returns words with "a" or "an" before them.
func article(words string) string {
	if words != "" && strings.IndexByte("aeio", words[0]) >= 0 {
		return "an " + words
	}
	return "a " + words
}

// capital returns phrase with its first letter in upper case.
func capital(phrase string) string {
	r, size := utf8.DecodeRuneInString(phrase)
	return string(unicode.ToUpper(r)) + phrase[size:]
}

// clean returns value made fit for a sentence: on one line, without characters
// that change how the text around them looks, cut to [maxValueBytes]. It returns
// false if nothing is left.
func clean(value string) (string, bool) {
	if plain(value) {
		return value, true
	}
	var b strings.Builder
	space := false
	for _, r := range value {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			space = b.Len() > 0
			continue
		case unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs):
			r = utf8.RuneError
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		if b.Len()+utf8.RuneLen(r) > maxValueBytes {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return b.String(), b.Len() > 0
}

// plain reports whether value is short and has nothing to clean, as most have.
func plain(value string) bool {
	if value == "" || len(value) > maxValueBytes {
		return false
	}
	for i := range len(value) {
		if value[i] <= ' ' || value[i] >= 0x7f {
			return false
		}
	}
	return true
}

// listOf returns the items of a list in JSON as people write them. What is not
// such a list is returned as it is.
func listOf(raw string) (string, bool) {
	var items []json.RawMessage
	if json.Unmarshal([]byte(raw), &items) != nil {
		return clean(raw)
	}
	var words []string
	for _, item := range items {
		var word string
		if json.Unmarshal(item, &word) != nil {
			word = string(item)
		}
		if word, ok := clean(word); ok {
			words = append(words, word)
		}
	}
	return listed(words, ", "), len(words) > 0
}

// listed returns the first of words, joined, and how many more there are.
func listed(words []string, joint string) string {
	if more := len(words) - maxListed; more > 0 {
		return strings.Join(words[:maxListed], ", ") + " and " + strconv.Itoa(more) + " more"
	}
	if joint == ", " || len(words) < 2 {
		return strings.Join(words, joint)
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + joint + words[last]
}
