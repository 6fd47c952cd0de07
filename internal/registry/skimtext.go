package registry

import "bytes"

func (s *Skimmer) beginString() {
	s.inName = s.state == atName || s.state == atMember
	if !s.inName && !s.wantsValue() {
		s.fail(errNotJSON)
		return
	}
	s.keep = s.skip == 0 && (s.inName || s.depth == 0 || s.nameOK)
	s.begin(inString)
}

func (s *Skimmer) begin(next state) {
	s.raw, s.length, s.escapes, s.pending = s.raw[:0], 0, false, false
	s.state = next
}

// readString reads up to the end of the string. Nearly all bytes of a
// published package pass here, and are only looked at for quotes and
// backslashes. Each byte is looked at a fixed number of times, whatever it is.
func (s *Skimmer) readString(p []byte) []byte {
	if s.pending {
		s.pending = false
		s.take(p[:1])
		p = p[1:]
	}
	quote := bytes.IndexByte(p, '"')
	for {
		end := quote
		if end < 0 {
			end = len(p)
		}
		slash := bytes.IndexByte(p[:end], '\\')
		if slash < 0 {
			s.take(p[:end])
			if quote < 0 {
				return nil
			}
			s.endString()
			return p[end+1:]
		}
		s.escapes = true
		if slash+1 == len(p) {
			s.take(p)
			s.pending = true
			return nil
		}
		s.take(p[:slash+2])
		p = p[slash+2:]
		if quote -= slash + 2; quote == -1 {
			quote = bytes.IndexByte(p, '"') // the one that was found was escaped
		} else if quote < -1 {
			quote = -1 // there is none in p
		}
	}
}

// take keeps b if it is part of something to be kept.
func (s *Skimmer) take(b []byte) {
	s.length += int64(len(b))
	if s.keep && s.length <= MaxStringBytes {
		s.raw = append(s.raw, b...)
	}
}

func (s *Skimmer) endString() {
	v := Value{Kind: String, Length: s.length, Dropped: s.length > MaxStringBytes}
	if s.keep && !v.Dropped {
		v.Text = s.raw
		if s.escapes {
			ok := false
			if v.Text, ok = unescape(s.raw); !ok {
				s.fail(errNotJSON)
				return
			}
		}
	}
	if s.inName {
		s.state = atColon
		if s.skip == 0 {
			s.nameOK = !v.Dropped && len(v.Text) <= MaxMemberBytes
			s.path.name(v.Text, s.nameOK)
		}
		return
	}
	if s.keep {
		s.visitor.Value(&s.path, v)
	}
	s.endValue()
}

func (s *Skimmer) beginWord() {
	if !s.wantsValue() {
		s.fail(errNotJSON)
		return
	}
	s.keep = true
	s.begin(inWord)
}

// readWord reads a number, true, false or null up to the byte after it.
func (s *Skimmer) readWord(p []byte) []byte {
	for i, c := range p {
		if !isWordByte(c) {
			s.endWord()
			return p[i:]
		}
		if s.length++; s.length <= maxNumberBytes {
			s.raw = append(s.raw, c)
		}
	}
	return nil
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

func (s *Skimmer) endWord() {
	v := Value{Text: s.raw, Dropped: s.length > maxNumberBytes}
	switch word := string(s.raw); {
	case word == "null":
		v.Kind = Null
	case word == "true":
		v.Kind = True
	case word == "false":
		v.Kind = False
	case len(word) > 0 && isNumber(word):
		v.Kind = Number
	default:
		s.fail(errNotJSON)
		return
	}
	if s.skip == 0 && (s.depth == 0 || s.nameOK) {
		s.visitor.Value(&s.path, v)
	}
	s.endValue()
}

// isNumber reports whether word has only bytes that numbers have.
func isNumber(word string) bool {
	if word[0] != '-' && (word[0] < '0' || word[0] > '9') {
		return false
	}
	for i := range len(word) {
		if c := word[i]; c >= 'a' && c != 'e' {
			return false
		}
	}
	return true
}
