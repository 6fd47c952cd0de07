package segment

import (
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// byRequest finds candidates by the ID of a request or a trace.
func (e *evaluation) byRequest(t *query.Term) set {
	if t.Prefix {
		return e.having(func(f *kindField) bool { return f.Code() == requestCode || f.Code() == traceCode })
	}
	return listed(e.hashedRows(hashOf(requestHash, t.Key)), false)
}

var (
	requestCode = event.CodeOf("context.request_id")
	traceCode   = event.CodeOf("context.trace_id")
)

// hashedRows returns the rows that may have a text of the given hash in either
// blob.
func (e *evaluation) hashedRows(hash uint32) []uint32 {
	var rows []uint32
	for p := range numParts {
		if v := e.values(p); v != nil {
			rows = union(rows, v.hashed(hash))
		}
	}
	return rows
}

// having returns the rows that have one of certain fields, as candidates.
func (e *evaluation) having(wanted func(f *kindField) bool) set {
	return e.ofKinds(false, func(k *kind) bool {
		for i := range k.fields {
			if wanted(&k.fields[i]) {
				return true
			}
		}
		return false
	})
}

// byMetadata finds candidates by a member of metadata.
func (e *evaluation) byMetadata(t *query.Term) set {
	name := "metadata." + t.Name
	s := e.having(func(f *kindField) bool { return f.Name == name })
	for i, word := range t.Words {
		if i == len(t.Words)-1 && t.Prefix {
			break
		}
		if s.listed && len(s.list) == 0 {
			break
		}
		// The value is a number or a Boolean, or has the word in a blob.
		s = s.and(e.otherOrWord(name, word))
	}
	s.exact = s.listed && len(s.list) == 0
	return s
}

// otherOrWord returns the rows whose value of a field is not text, or that may
// have a word in a blob.
func (e *evaluation) otherOrWord(name string, word []byte) set {
	s := e.having(func(f *kindField) bool {
		return f.Name == name && f.Type != event.String && f.Type != event.JSON
	})
	return s.or(listed(e.hashedRows(hashOf(wordHash, word)), false), e.len())
}

// byText finds candidates by words, and rows by keys.
func (e *evaluation) byText(t *query.Term) set {
	if t.Substring != nil {
		return e.byPart(t.Substring)
	}
	s := e.byKeys(t)
	words := t.Words
	if t.Prefix && len(words) > 0 {
		last := words[len(words)-1]
		words = words[:len(words)-1]
		if len(words) == 0 {
			return e.byPart(last)
		}
	}
	if len(words) == 0 {
		return s
	}
	found := everything(false)
	for _, word := range words {
		if found.listed && len(found.list) == 0 {
			break
		}
		found = found.and(e.withWord(word))
	}
	return s.or(found, e.len())
}

// byKeys finds rows one of whose keys is the whole text.
func (e *evaluation) byKeys(t *query.Term) set {
	s := listed(nil, true)
	var common []*query.Term // about what rows of a kind have in common
	for kind := query.Tag; int(kind) < query.Kinds; kind++ {
		key := t.KeyOf(kind)
		if key == nil {
			continue
		}
		one := &query.Term{Kind: kind, Key: key}
		if kindTerm(kind) {
			common = append(common, one)
			continue
		}
		if kind == query.IP {
			one.Last = key
		}
		s = s.or(e.term(one), e.len())
	}
	return s.or(e.byKinds(common), e.len())
}

// withWord returns the rows that may have a word.
func (e *evaluation) withWord(word []byte) set {
	hash := hashOf(wordHash, word)
	rows := e.hashedRows(hash)
	for p := range numParts {
		v := e.values(p)
		if v == nil {
			continue
		}
		var ids [numDomains][]uint32
		v.worded(hash, func(d domain, id uint32) { ids[d] = append(ids[d], id) })
		for c := range numColumns {
			if list := ids[domainOf[c]]; len(list) > 0 {
				rows = union(rows, v.rows(c, list))
			}
		}
	}
	s := listed(rows, false)
	return s.or(e.ofKinds(false, func(k *kind) bool { return k.hasWord(hash) }), e.len())
}
