package segment

import (
	"bytes"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// An index is the rows of a table, or of a segment as one goroutine reads it.
type index interface {
	len() int
	kindOf(row uint32) uint32
	kindsThere() []*kind
	micros(row uint32) int64
	values(p part) values // nil if there is no such part

	// blobHas reports whether a row may have a part of a text in its blobs or in
	// its request ID.
	blobHas(row uint32, s *blobScan) bool
}

// A values finds values of a part, and the rows they are in.
type values interface {
	// keyed returns the values of d that may have the given key.
	keyed(d domain, key []byte) []uint32

	// may reports whether any value of d may have the given key.
	may(d domain, key []byte) bool

	// between returns the values of d from first to last.
	between(d domain, first, last []byte) []uint32

	// each calls yield with all values of d that any row has.
	each(d domain, yield func(id uint32, value []byte))

	// value returns a value; it is valid until the next call.
	value(d domain, id uint32) []byte

	// rows returns the rows that have one of the values in a column.
	rows(c Column, ids []uint32) []uint32

	// hashed returns the rows whose blob may have a text of the given hash.
	hashed(hash uint32) []uint32

	// worded calls yield with the values that may have the word of the given hash.
	worded(hash uint32, yield func(d domain, id uint32))
}

// An evaluation finds the rows of one index that match a query.
type evaluation struct {
	index
	derive *query.Derive
	bare   bool // as if there were no personal fields
	few    bool // what is evaluated is asked of listed rows only: kinds are looked at as they come

	// Rows are in order of time, and only those from first to before end are asked
	// about.
	ordered    bool
	first, end int

	attributes map[query.Kind]bool // whether all kinds know theirs, once that was asked
	name       []byte
	id         []byte
	lower      []byte
}

// values returns those of a part, or nil if there is no such part or it is not
// to be looked at.
func (e *evaluation) values(p part) values {
	if e.bare && p == side {
		return nil
	}
	return e.index.values(p)
}

// eval returns the rows that match a node.
func (e *evaluation) eval(n query.Node) set {
	switch n := n.(type) {
	case nil:
		return everything(true)
	case *query.Term:
		return e.term(n)
	case *query.Not:
		s := e.eval(n.Node)
		return s.not(e.len())
	case query.And:
		s := everything(true)
		for _, part := range cheapFirst(n) {
			if s.listed && len(s.list) == 0 {
				break
			}
			few := e.few
			e.few = few || s.listed
			s = s.and(e.eval(part))
			e.few = few
		}
		return s
	case query.Or:
		if terms := kindTerms(n); terms != nil {
			return e.byKinds(terms)
		}
		s := listed(nil, true)
		for _, part := range n {
			s = s.or(e.eval(part), e.len())
		}
		return s
	}
	return everything(false)
}

// kindTerms returns nodes as terms, if all of them ask for what all rows of a kind
// have in common; otherwise nil.
func kindTerms(nodes query.Or) []*query.Term {
	terms := make([]*query.Term, len(nodes))
	for i, n := range nodes {
		t, ok := n.(*query.Term)
		if !ok || !kindTerm(t.Kind) {
			return nil
		}
		terms[i] = t
	}
	return terms
}

func kindTerm(k query.Kind) bool {
	switch k { //nolint:exhaustive // the others are alike
	case query.Tag, query.Class, query.Outcome, query.Severity, query.Source, query.Trust:
		return true
	default:
		return false
	}
}

// cheapFirst returns nodes with those first that often find nothing.
func cheapFirst(nodes query.And) []query.Node {
	var first, rest []query.Node
	for _, n := range nodes {
		t, ok := n.(*query.Term)
		if ok && !t.Prefix && (domainTerm(t.Kind) || t.Kind == query.Request) {
			first = append(first, n)
		} else {
			rest = append(rest, n)
		}
	}
	return append(first, rest...)
}

func domainTerm(k query.Kind) bool {
	switch k { //nolint:exhaustive // the others are alike
	case query.Actor, query.OnBehalfOf, query.User, query.Project, query.Org, query.IP, query.Token, query.Version:
		return true
	default:
		return false
	}
}

func (e *evaluation) term(t *query.Term) set {
	switch t.Kind {
	case query.Tag, query.Class, query.Outcome, query.Severity, query.Source, query.Trust:
		return e.byKinds([]*query.Term{t})
	case query.After, query.Before:
		return e.byTime(t)
	case query.Actor:
		return e.byColumns(t, Actor)
	case query.OnBehalfOf:
		return e.byColumns(t, OnBehalfOf)
	case query.User:
		return e.byColumns(t, Actor, OnBehalfOf, User)
	case query.Project:
		return e.byColumns(t, Project)
	case query.Org:
		return e.byColumns(t, Org)
	case query.Token:
		return e.byColumns(t, Credential, Token)
	case query.Version:
		return e.byColumns(t, Version)
	case query.IP:
		return e.byAddress(t)
	case query.Client:
		return e.byClient(t)
	case query.Country:
		return e.byDerived(IP, func(value []byte) bool {
			return len(value) == 16 && e.derive != nil && e.derive.Country != nil && t.Matches([]byte(e.derive.Country([16]byte(value))))
		})
	case query.Request:
		return e.byRequest(t)
	case query.Metadata:
		return e.byMetadata(t)
	case query.Text:
		return e.byText(t)
	}
	return everything(false)
}

// byTime finds rows by their time. Rows that are in its order need not be asked
// one by one if it is the same for the first and the last of those that are
// looked at.
func (e *evaluation) byTime(t *query.Term) set {
	if e.ordered && e.first < e.end {
		first, last := t.Holds(e.micros(uint32(e.first))), t.Holds(e.micros(uint32(e.end-1)))
		switch {
		case first && last:
			return everything(true)
		case !first && !last:
			return listed(nil, true)
		}
	}
	return set{test: func(row uint32) bool { return t.Holds(e.micros(row)) }, exact: true}
}

// byKinds finds rows by what all rows of a kind have in common: those for which one
// of the terms holds.
func (e *evaluation) byKinds(terms []*query.Term) set {
	exact := true
	for _, t := range terms {
		exact = exact && e.allSure(t.Kind)
	}
	if !e.few {
		return e.ofKinds(exact, func(k *kind) bool { return e.kindHoldsAny(terms, k) == kindMatches })
	}
	kinds := e.kindsThere()
	holds := make([]byte, len(kinds))
	return set{exact: exact, test: func(row uint32) bool {
		n := e.kindOf(row)
		if holds[n] == 0 {
			holds[n] = e.kindHoldsAny(terms, kinds[n])
		}
		return holds[n] == kindMatches
	}}
}

// ofKinds returns the rows of those kinds for which holds does.
func (e *evaluation) ofKinds(exact bool, holds func(k *kind) bool) set {
	kinds := e.kindsThere()
	s := &kindSet{e.index, make([]bool, len(kinds))}
	for i, k := range kinds {
		s.wanted[i] = holds(k)
	}
	return s.set(exact)
}

// What is known of a kind, once it was asked.
const (
	kindMatches = 1
	kindDoesNot = 2
)

func (e *evaluation) kindHoldsAny(terms []*query.Term, k *kind) byte {
	for _, t := range terms {
		if holds, _ := e.kindHolds(t, k); holds {
			return kindMatches
		}
	}
	return kindDoesNot
}

// allSure reports whether of every kind it is known whether its rows match terms
// like t.
func (e *evaluation) allSure(t query.Kind) bool {
	sure, known := e.attributes[t]
	if known {
		return sure
	}
	sure = true
	for _, k := range e.kindsThere() {
		at := k.attribute(t)
		sure = sure && (at < 0 || k.fields[at].where == inKind)
	}
	if e.attributes == nil {
		e.attributes = make(map[query.Kind]bool)
	}
	e.attributes[t] = sure
	return sure
}

// attribute returns the field that terms of a sort are compared with; -1 if k has
// none.
func (k *kind) attribute(t query.Kind) int {
	switch t { //nolint:exhaustive // the others are alike
	case query.Outcome:
		return k.outcome
	case query.Source:
		return k.source
	case query.Trust:
		return k.trust
	default:
		return k.tag
	}
}

// kindHolds reports whether rows of a kind may match t, and if so, whether all
// do.
func (e *evaluation) kindHolds(t *query.Term, k *kind) (holds, sure bool) {
	at := k.attribute(t.Kind)
	if at < 0 {
		return false, true
	}
	f := &k.fields[at]
	if f.where != inKind {
		return true, false
	}
	value := f.Value
	switch t.Kind { //nolint:exhaustive // the others are alike
	case query.Class:
		value, _, _ = bytes.Cut(value, []byte(":"))
	case query.Severity:
		if e.derive == nil || e.derive.Severity == nil {
			return false, true
		}
		value = []byte(e.derive.Severity(string(value)))
	default:
	}
	return t.Matches(value), true
}

var (
	tagCode     = event.CodeOf("tag")
	outcomeCode = event.CodeOf("outcome")
	trustCode   = event.CodeOf("trust")
)

// byColumns finds rows by a value or an entity in one of columns of one domain.
func (e *evaluation) byColumns(t *query.Term, columns ...Column) set {
	d := domainOf[columns[0]]
	var rows []uint32
	for p := range numParts {
		v := e.values(p)
		if v == nil || !t.Prefix && !v.may(d, t.Key) {
			continue
		}
		ids := e.matching(v, d, t)
		if len(ids) == 0 {
			continue
		}
		for _, c := range columns {
			rows = union(rows, v.rows(c, ids))
		}
	}
	return listed(rows, true)
}

// matching returns the values of d for which t holds.
func (e *evaluation) matching(v values, d domain, t *query.Term) []uint32 {
	var ids []uint32
	if !t.Prefix {
		for _, id := range v.keyed(d, t.Key) {
			if e.holds(d, v.value(d, id), t) {
				ids = append(ids, id)
			}
		}
		return ids
	}
	v.each(d, func(id uint32, value []byte) {
		if e.holds(d, value, t) {
			ids = append(ids, id)
		}
	})
	return ids
}

// holds reports whether t holds for a value of d.
func (e *evaluation) holds(d domain, value []byte, t *query.Term) bool {
	switch d { //nolint:exhaustive // the others are alike
	case people, orgs:
		e.name, e.id = splitEntity(e.name[:0], e.id[:0], value)
		return len(e.name) > 0 && t.Matches(e.name) || len(e.id) > 0 && t.Matches(e.id)
	case projects:
		e.name, e.id = splitEntity(e.name[:0], e.id[:0], value)
		found := false
		query.ProjectKeys(e.id, e.name, len(e.name) == 0, func(key []byte) { found = found || t.Matches(key) })
		return found
	case tokens:
		e.id = unpackHex(e.id[:0], value)
		return t.Matches(e.id)
	}
	return t.Matches(value)
}

// byAddress finds rows by a range of addresses.
func (e *evaluation) byAddress(t *query.Term) set {
	last := t.Last
	if last == nil {
		last = t.Key
	}
	var rows []uint32
	for p := range numParts {
		if v := e.values(p); v != nil {
			if ids := v.between(addresses, t.Key, last); len(ids) > 0 {
				rows = union(rows, v.rows(IP, ids))
			}
		}
	}
	return listed(rows, true)
}

// byDerived finds rows by something computed from the value of a column.
func (e *evaluation) byDerived(c Column, holds func(value []byte) bool) set {
	var rows []uint32
	for p := range numParts {
		v := e.values(p)
		if v == nil {
			continue
		}
		var ids []uint32
		v.each(domainOf[c], func(id uint32, value []byte) {
			if holds(value) {
				ids = append(ids, id)
			}
		})
		if len(ids) > 0 {
			rows = union(rows, v.rows(c, ids))
		}
	}
	return listed(rows, true)
}

// byClient finds rows by the program that a user agent names. What a program is
// called is among the words of the user agent, which are found without looking at
// all of them.
func (e *evaluation) byClient(t *query.Term) set {
	holds := func(value []byte) bool { return t.Matches(query.ClientOf(value)) }
	hash, found := uint32(0), false
	query.Words(t.Key, func(word []byte) {
		if !found {
			hash, found = hashOf(wordHash, word), true
		}
	})
	if t.Prefix || !found {
		return e.byDerived(UserAgent, holds)
	}
	var rows []uint32
	for p := range numParts {
		v := e.values(p)
		if v == nil {
			continue
		}
		var ids []uint32
		v.worded(hash, func(d domain, id uint32) {
			if d == agents && holds(v.value(d, id)) {
				ids = append(ids, id)
			}
		})
		if len(ids) > 0 {
			rows = union(rows, v.rows(UserAgent, ids))
		}
	}
	return listed(rows, true)
}
