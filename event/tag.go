package event

import "strings"

// Classes are the first words of tags. "audit" is the log about itself.
var Classes = []string{"user", "project", "org", "system", "audit"}

// CheckTag returns why tag cannot be the tag of an event, or "". A tag is two
// to five words joined by ":", each of lower-case letters, digits and "_"; the
// first is one of [Classes].
func CheckTag(tag string) (reason string) {
	if tag == "" {
		return "is missing"
	}
	if len(tag) > MaxTagBytes {
		return "is longer than 100 bytes"
	}
	class, rest, ok := strings.Cut(tag, ":")
	if !ok {
		return `must look like "class:subject:verb"`
	}
	known := false
	for _, c := range Classes {
		known = known || c == class
	}
	if !known {
		return `must start with user:, project:, org:, system: or audit:`
	}
	words := 1
	for word := range strings.SplitSeq(rest, ":") {
		words++
		if !isWord(word) {
			return "must be made of lower-case letters, digits and _ between colons"
		}
	}
	if words > 5 {
		return "has more than 5 words"
	}
	return ""
}

// isWord reports whether s is a lower-case word of at most 64 bytes.
func isWord(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
