package registry

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits on text that goes from a request or an answer into an event.
const (
	MaxNameBytes  = 256 // a name of a user, package, version, tag or file
	MaxErrorBytes = 200 // what a registry said when it refused
)

// cut stands at the end of a text that was longer.
const cut = "…"

// Clean returns s as text that an event can hold: valid UTF-8 on one line, of at
// most limit bytes. What cannot be seen is replaced by something that can: two
// different names must not look the same.
func Clean(s string, limit int) string {
	long := len(s) > 4*limit
	if long {
		s = s[:4*limit] // what follows cannot matter
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
	if len(s) <= limit && !long {
		return s
	}
	s = s[:min(len(s), limit-len(cut))]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + cut
}

// hidden stands where a secret was.
const hidden = "[hidden]"

// minSecretBytes is how long a secret must be to be looked for in a text.
// Shorter ones would take words out of every sentence; digits are hidden anyway.
const minSecretBytes = 4

// Scrub returns text, cleaned and bounded, without any of secrets and without
// whatever looks like a credential, a one-time password or an e-mail address.
// It hides too much rather than too little.
func Scrub(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= minSecretBytes {
			text = strings.ReplaceAll(text, s, hidden)
		}
	}
	words := strings.Fields(Clean(text, 8*MaxErrorBytes))
	for i, w := range words {
		if isSecretLooking(strings.Trim(w, `"'.,;:()[]{}<>`)) {
			words[i] = hidden
		}
	}
	return Clean(strings.Join(words, " "), MaxErrorBytes)
}

// Longest runs that are let through.
const (
	maxCleanRun  = 24 // bytes of letters and digits without a break
	minOTPDigits = 6
)

// isSecretLooking reports whether a word could be a credential: a long run of
// letters and digits, a well-known prefix, digits only, or an address.
func isSecretLooking(w string) bool {
	if at := strings.IndexByte(w, '@'); at > 0 && strings.Contains(w[at:], ".") && !strings.Contains(w[:at], "/") && isHost(w[at+1:]) {
		return true
	}
	for _, prefix := range []string{"npm_", "eyJ", "ghp_", "ghs_", "pypi-", "otpauth:", "rubygems_"} {
		if strings.Contains(w, prefix) {
			return true
		}
	}
	run, digits := 0, 0
	for i := range len(w) {
		c := w[i]
		if c >= '0' && c <= '9' {
			digits++
		}
		if isUnreserved(c) && c != '.' && c != '-' || c == '+' || c == '=' {
			run++
		} else {
			run = 0
		}
		if run > maxCleanRun {
			return true
		}
	}
	return digits >= minOTPDigits && digits == len(w)
}

// isHost reports whether s could be the host of an e-mail address. A version,
// as in "name@1.2.3", cannot.
func isHost(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	return last != "" && strings.Trim(last, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
