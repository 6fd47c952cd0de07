package catalogue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits on tags.
const (
	MaxTagBytes  = 100 // a whole tag
	MaxTagWords  = 5
	maxWordBytes = 64
)

// classes are the first words of tags.
var classes = []string{"user", "project", "org", "system", "audit"}

// Classes returns the classes of events, in the order of the documentation.
// "audit" is the log about itself.
func Classes() []string { return slices.Clone(classes) }

// ClassOf returns the class of tag: what stands before its first colon.
func ClassOf(tag string) string {
	class, _, _ := strings.Cut(tag, ":")
	return class
}

// ValidTag returns nil if s can be the tag of an event: two to five words with
// colons between them, the first of which is a class, each of lower-case
// letters, digits and underscores.
func ValidTag(s string) error {
	if len(s) > MaxTagBytes {
		return fmt.Errorf("catalogue: tag of %d bytes, want at most %d", len(s), MaxTagBytes)
	}
	if s == "" {
		return errors.New("catalogue: tag is empty")
	}
	words := 0
	for word := range strings.SplitSeq(s, ":") {
		words++
		if !isWord(word) {
			return fmt.Errorf("catalogue: tag %q: %q is not a word of lower-case letters, digits and underscores", s, word)
		}
	}
	if words < 2 || words > MaxTagWords {
		return fmt.Errorf("catalogue: tag %q has %d words, want 2 to %d", s, words, MaxTagWords)
	}
	if !slices.Contains(classes, ClassOf(s)) {
		return fmt.Errorf("catalogue: tag %q does not begin with one of the classes %s", s, strings.Join(classes, ", "))
	}
	return nil
}

// isWord reports whether s is 1 to 64 lower-case letters, digits and underscores.
func isWord(s string) bool {
	if s == "" || len(s) > maxWordBytes {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
