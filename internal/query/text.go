package query

import (
	"bytes"
	"net/netip"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
)

// inText reports whether t's text occurs in a string, a deeper JSON value or
// the address of an event.
func (t *Term) inText(fields event.Fields) bool {
	var short [64]byte // holds any address
	for i := range fields {
		f := &fields[i]
		value := f.Value
		switch f.Type {
		case event.String, event.JSON:
		case event.IP:
			if len(value) != 16 {
				continue
			}
			value = netip.AddrFrom16([16]byte(value)).Unmap().AppendTo(short[:0])
		case event.Int, event.Bool, event.Time:
			continue
		}
		if containsFold(value, t.folded) {
			return true
		}
	}
	return false
}

// containsFold reports whether text contains folded, in any case. What it is
// given as folded is in lower case.
func containsFold(text, folded []byte) bool {
	if len(folded) == 0 {
		return true
	}
	for i := range text {
		if text[i] >= utf8.RuneSelf {
			// A letter beyond ASCII may have a lower case of another length.
			return bytes.Contains(bytes.ToLower(text), folded)
		}
	}
	for i := 0; i+len(folded) <= len(text); i++ {
		if lower(text[i]) == folded[0] && hasFold(text[i+1:], folded[1:]) {
			return true
		}
	}
	return false
}

// hasFold reports whether the ASCII text begins with folded, in any case.
func hasFold(text, folded []byte) bool {
	for i := range folded {
		if lower(text[i]) != folded[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
