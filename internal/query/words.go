package query

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
)

// MaxWordBytes is where words are cut, in bytes of UTF-8: what differs only
// behind it is one word.
const MaxWordBytes = 64

// Words calls yield with each word of value in order: the longest runs of
// letters and digits, in lower case, cut before the character that would go
// over [MaxWordBytes]. Canonical JSON is taken apart as the text it is.
//
// A word is valid until yield returns, and must not be changed.
func Words(value []byte, yield func(word []byte)) {
	var buffer *[MaxWordBytes]byte // for words that are not in the value as they are
	for i := 0; i < len(value); {
		start := i
		for i < len(value) && asciiClass[value[i]] == lowerOrDigit {
			i++
		}
		if i == len(value) || asciiClass[value[i]] == between {
			if i > start {
				yield(value[start:min(i, start+MaxWordBytes)])
			}
			i++
			continue
		}
		if buffer == nil {
			buffer = wordBuffers.Get().(*[MaxWordBytes]byte)
		}
		var n int
		if n, i = lowerWord(buffer, value, start); n > 0 {
			yield(buffer[:n])
		}
	}
	if buffer != nil {
		wordBuffers.Put(buffer)
	}
}

var wordBuffers = sync.Pool{New: func() any { return new([MaxWordBytes]byte) }}

// lowerWord writes the word of value that begins at i into buffer. It returns
// its length and where what may be the next begins, which is after i.
func lowerWord(buffer *[MaxWordBytes]byte, value []byte, i int) (n, next int) {
	full := false // what comes is cut off
	for i < len(value) {
		if c := value[i]; c < utf8.RuneSelf {
			i++
			if asciiClass[c] == between {
				return n, i
			}
			if full = full || n == MaxWordBytes; !full {
				buffer[n] = lowerASCII(c)
				n++
			}
			continue
		}
		r, size := utf8.DecodeRune(value[i:])
		i += size
		if !isWordRune(r) {
			return n, i
		}
		r = unicode.ToLower(r)
		if full = full || n+utf8.RuneLen(r) > MaxWordBytes; !full {
			n += utf8.EncodeRune(buffer[n:], r)
		}
	}
	return n, i
}

func lowerASCII(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

// isWordRune reports whether r is part of a word.
func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// What a byte is to a word.
const (
	between      = iota // ASCII, no part of one
	lowerOrDigit        // ASCII, stays as it is
	other               // upper case, or of a character beyond ASCII
)

var asciiClass = newASCIIClass()

func newASCIIClass() *[256]byte {
	c := new([256]byte)
	for b := range c {
		switch {
		case b >= 'a' && b <= 'z' || b >= '0' && b <= '9':
			c[b] = lowerOrDigit
		case b >= 'A' && b <= 'Z' || b >= utf8.RuneSelf:
			c[b] = other
		}
	}
	return c
}

// IsText reports whether f is one of the values that are searched for words:
// strings and deeper JSON of metadata, changes, reasons, names, versions, roles,
// the workload, the client and where the request came from.
func IsText(f *event.Field) bool {
	if f.Type != event.String && f.Type != event.JSON {
		return false
	}
	top, rest, _ := strings.Cut(f.Name, ".")
	switch top {
	case "metadata", "changes", "reason", "reason_internal", "oidc":
		return true
	case "context":
		return rest == "user_agent" || rest == "origin"
	case "actor", "on_behalf_of", "credential":
		return rest == "name"
	case "subjects":
		_, member, _ := strings.Cut(rest, ".")
		return member == "name" || member == "version" || member == "role"
	}
	return false
}

// hasWords reports whether t's words stand one after another in value. It looks
// at each word of value once, however often it is a false start.
func (t *Term) hasWords(value []byte) (found bool) {
	at := 0 // words of t that the last ones of value are
	Words(value, func(word []byte) {
		for at > 0 && !found && !t.isWord(at, word) {
			at = t.back[at]
		}
		if !found && t.isWord(at, word) {
			at++
			found = at == len(t.Words)
		}
	})
	return found
}

// isWord reports whether word can stand in the place of t.Words[i].
func (t *Term) isWord(i int, word []byte) bool {
	if t.Prefix && i == len(t.Words)-1 {
		return len(word) >= len(t.Words[i]) && string(word[:len(t.Words[i])]) == string(t.Words[i])
	}
	return string(word) == string(t.Words[i])
}

// retry returns the table by which a search for words goes on after a false
// start (Knuth, Morris, Pratt): after i words that fit and one that does not,
// the last retry[i] of those that fit are the first of another try.
func retry(words [][]byte) []int {
	back := make([]int, len(words)+1)
	for i, k := 1, 0; i < len(words); i++ {
		for k > 0 && string(words[i]) != string(words[k]) {
			k = back[k]
		}
		if string(words[i]) == string(words[k]) {
			k++
		}
		back[i+1] = k
	}
	return back
}

// AppendLower appends text in lower case to dst.
func AppendLower(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			dst = append(dst, lowerASCII(c))
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		i += size
	}
	return dst
}
