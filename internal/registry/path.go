package registry

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// MaxPathBytes bounds an escaped path. Tokens, which some clients put into
// paths, are shorter.
const MaxPathBytes = 8 << 10 // 8 KiB

// Segments returns the decoded segments of an escaped path. A slash at the end
// makes no difference. It returns a [*PathError] for a path that two programs
// could read in two ways: the log would then name another object than the
// registry changed.
//
// An encoded slash stays inside its segment; whoever calls decides whether it
// may be there.
func Segments(path string) ([]string, error) {
	if reason := unsafe(path); reason != "" {
		return nil, &PathError{Path: path, Reason: reason}
	}
	if path == "/" {
		return nil, nil
	}
	raw := strings.Split(strings.TrimSuffix(path[1:], "/"), "/")
	for i, s := range raw {
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return nil, &PathError{Path: path, Reason: "has a broken percent-encoding"}
		}
		if reason := unsafeSegment(decoded); reason != "" {
			return nil, &PathError{Path: path, Reason: reason}
		}
		raw[i] = decoded
	}
	return raw, nil
}

// unsafe says what is wrong with the bytes of an escaped path, or "".
func unsafe(path string) string {
	if path == "" || path[0] != '/' {
		return "does not start with a slash"
	}
	if len(path) > MaxPathBytes {
		return "is longer than 8 KiB"
	}
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '%':
			if reason := unsafeEscape(path[i:]); reason != "" {
				return reason
			}
			i += 2
		case c == '\\':
			return "has a backslash"
		case c == '?' || c == '#':
			return "has a query or fragment"
		case c <= ' ' || c == 0x7f:
			return "has a space or control character"
		case c >= utf8.RuneSelf:
			return "has a character that must be percent-encoded"
		}
	}
	return ""
}

// unsafeEscape says what is wrong with the percent-encoded byte that s starts
// with, or "".
func unsafeEscape(s string) string {
	c, ok := unhex(s)
	switch {
	case !ok:
		return "has a broken percent-encoding"
	case c < ' ' || c == 0x7f:
		return "has an encoded control character"
	case c == '\\':
		return "has an encoded backslash"
	case isUnreserved(c):
		// Nobody has a reason to do that, except hiding ".." or a word.
		return "encodes a character that needs no encoding"
	case c == '%':
		if _, twice := unhex("%" + s[3:]); twice {
			return "is encoded twice"
		}
	}
	return ""
}

// unhex decodes the percent-encoded byte that s starts with.
func unhex(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	hi, lo := hexDigit(s[1]), hexDigit(s[2])
	return byte(hi<<4 | lo), hi >= 0 && lo >= 0
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// isUnreserved reports whether c never needs percent-encoding (RFC 3986, 2.3).
func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// unsafeSegment says what is wrong with a decoded segment, or "".
func unsafeSegment(s string) string {
	if s == "" {
		return "has an empty segment"
	}
	if !utf8.ValidString(s) {
		return "is not UTF-8"
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "." || part == ".." {
			return "has a dot segment"
		}
	}
	return ""
}
