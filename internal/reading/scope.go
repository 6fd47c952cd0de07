package reading

import (
	"sync"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
)

// A plan says how a question is answered for a reader.
type plan struct {
	// query is what the store, which knows all fields, is asked.
	query *query.Query

	// match is what must match what is disclosed of each event that the store
	// finds; nil: that is not needed, as the reader sees all that query compares.
	match *query.Query

	origin bool // match has a term for which isOrigin is true
}

// plan returns how q is answered for r.
//
// Who works for the registry sees some of every event, but for the types beyond
// them: the store is asked what they ask, without what would leave out an event
// because of what is masked in it. Anybody else is shown what they have a part in,
// and the store is asked for that, and for what is no secret to who sees an event
// at all. Nothing that is hidden decides then which events are looked at, and how
// far.
func (m *Room) plan(r *reader.Reader, q *query.Query) (*plan, error) {
	p := &plan{match: q, origin: q.Touches(isOrigin)}
	parts := m.parts(r)
	if !r.IsStaff() {
		if names(q.Root) {
			parts = append(parts, m.seenAs(catalogue.Public))
		}
		if len(parts) == 0 {
			return nil, ErrScope
		}
		p.query = all(certain(q).Root, parts)
		return p, nil
	}
	unseen := func(t *query.Term) bool { return !m.Policy.Sees(r, t.Kind, t.Name) }
	touched := q.Touches(unseen)
	p.query = &query.Query{Root: q.Root}
	if touched {
		p.query = m.narrowed(r, q).Monotone(unseen)
	}
	p.query = m.within(r, p.query)
	if len(parts) > 0 {
		p.query = &query.Query{Root: query.Or{some(p.query.Root), all(certain(q).Root, parts).Root}}
	} else if !touched {
		p.match = nil
	}
	return p, nil
}

// Check returns [ErrScope] if r has to say more narrowly what they ask for.
func (m *Room) Check(r *reader.Reader, q *query.Query) error {
	if r.IsStaff() {
		return nil
	}
	_, err := m.plan(r, q)
	return err
}

// within returns what q finds among the events that r, who is staff, sees as such.
func (m *Room) within(r *reader.Reader, q *query.Query) *query.Query {
	beyond := m.Policy.Beyond(r)
	if len(beyond) == 0 {
		return q
	}
	return all(q.Root, query.Or{&query.Not{Node: tagged(beyond)}})
}

// narrowed returns q with addresses, which r is shown only in what they have a
// part in, asked for only there: elsewhere the answer would be as many events as
// have the address, of which none is shown.
func (m *Room) narrowed(r *reader.Reader, q *query.Query) *query.Query {
	parts := m.parts(r)
	if m.Policy.Sees(r, query.IP, "") {
		return q
	}
	return &query.Query{Root: replace(some(q.Root), func(t *query.Term) query.Node {
		if t.Kind != query.IP {
			return t
		}
		return query.And{t, parts}
	})}
}

// replace returns n with each term replaced by what with returns.
func replace(n query.Node, with func(*query.Term) query.Node) query.Node {
	each := func(nodes []query.Node) []query.Node {
		list := make([]query.Node, len(nodes))
		for i := range nodes {
			list[i] = replace(nodes[i], with)
		}
		return list
	}
	switch n := n.(type) {
	case *query.Term:
		return with(n)
	case *query.Not:
		return &query.Not{Node: replace(n.Node, with)}
	case query.And:
		return query.And(each(n))
	case query.Or:
		return query.Or(each(n))
	}
	return n
}

// certain returns a query that every event matches of which q matches what is
// disclosed, to whomever it is, and that nothing which may be hidden decides.
func certain(q *query.Query) *query.Query {
	unsure := func(t *query.Term) bool {
		switch t.Kind { //nolint:exhaustive // the others may be hidden
		case query.Tag, query.Class, query.Severity, query.After, query.Before, query.Project:
			return false
		default:
			return true
		}
	}
	rest, possible := q.Monotone(unsure).Given(func(t *query.Term) (holds, known bool) { return true, unsure(t) })
	if !possible {
		return &query.Query{Root: query.Or{}}
	}
	return rest
}

// names reports whether n finds nothing but events of projects that it names.
func names(n query.Node) bool {
	switch n := n.(type) {
	case *query.Term:
		return n.Kind == query.Project && !n.Prefix
	case query.And:
		for _, one := range n {
			if names(one) {
				return true
			}
		}
	case query.Or:
		for _, one := range n {
			if !names(one) {
				return false
			}
		}
		return len(n) > 0
	}
	return false
}

// parts returns what finds the events in which r has a part, a node for each kind
// of reader that they are besides the public.
func (m *Room) parts(r *reader.Reader) (list query.Or) {
	add := func(as catalogue.Readers, kind query.Kind, ids ...string) {
		var any query.Or
		for _, id := range ids {
			if t, err := query.NewTerm(kind, id, time.Time{}); err == nil { // else no event can have it
				any = append(any, t)
			}
		}
		if len(any) > 0 {
			list = append(list, query.And{any, m.seenAs(as)})
		}
	}
	add(catalogue.Self, query.User, r.Self)
	add(catalogue.Owner, query.Project, idsOf(r.Projects)...)
	add(catalogue.Org, query.Org, idsOf(r.Orgs)...)
	return list
}

func idsOf(refs []reader.Ref) []string {
	ids := make([]string, len(refs))
	for i := range refs {
		ids[i] = refs[i].ID
	}
	return ids
}

// scopes holds for each kind of reader what finds the events that they may see.
type scopes struct {
	once sync.Once
	tags map[catalogue.Readers]query.Node
}

// seenAs returns what finds the types of events of which the given kind of reader
// may see at least a part.
func (m *Room) seenAs(as catalogue.Readers) query.Node {
	m.scopes.once.Do(func() {
		m.scopes.tags = make(map[catalogue.Readers]query.Node)
		for _, one := range []catalogue.Readers{catalogue.Public, catalogue.Owner, catalogue.Self, catalogue.Org} {
			m.scopes.tags[one] = tagged(tagsSeenAs(m.Catalogue, one))
		}
	})
	return m.scopes.tags[as]
}

func tagsSeenAs(c *catalogue.Catalogue, as catalogue.Readers) (tags []string) {
	for _, t := range c.Types() {
		condition, ok := t.Condition(as)
		if t.Visibility&as != 0 || ok && condition.Partial() {
			tags = append(tags, t.Tag)
		}
	}
	return tags
}

// tagged returns what finds events of any of the given tags.
func tagged(tags []string) query.Node {
	any := make(query.Or, len(tags))
	for i, tag := range tags {
		any[i] = &query.Term{Kind: query.Tag, Value: tag, Key: []byte(tag)}
	}
	return any
}

// all returns the query that finds what root does, and what one of parts does.
func all(root query.Node, parts query.Or) *query.Query {
	var any query.Node = parts
	if len(parts) == 1 {
		any = parts[0]
	}
	if root == nil {
		return &query.Query{Root: any}
	}
	return &query.Query{Root: query.And{root, any}}
}

// some returns n, and for nil, which finds everything, a node that does.
func some(n query.Node) query.Node {
	if n == nil {
		return query.And{}
	}
	return n
}
