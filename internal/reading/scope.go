package reading

import (
	"slices"
	"sync"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
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
	own    bool // what the reader sees as anybody does is not asked for
	hidden bool // what query finds depends on what is masked for the reader
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
	if !r.IsStaff() {
		p.own = !names(q.Root)
		if p.own && len(m.parts(r, nil)) == 0 {
			return nil, ErrScope
		}
		p.query = m.scoped(r, q, !p.own)
		return p, nil
	}
	unseen := func(t *query.Term) bool { return !m.Policy.Sees(r, t.Kind, t.Name) }
	p.hidden = q.Touches(unseen)
	p.query = &query.Query{Root: q.Root}
	if p.hidden {
		p.query = m.narrowed(r, q).Monotone(unseen)
	}
	p.query = m.within(r, p.query)
	if len(m.parts(r, nil)) > 0 {
		p.query = &query.Query{Root: query.Or{some(p.query.Root), m.scoped(r, q, false).Root}}
	} else if !p.hidden {
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
	parts := m.parts(r, nil)
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
// disclosed, to whomever it is, and that nothing which may be hidden decides. The
// projects of an event are no secret to who sees all of it, and asks for what it is
// about; of a part they are, and so do not leave it out.
func certain(q *query.Query) *query.Query {
	unsure := func(t *query.Term) bool {
		switch t.Kind { //nolint:exhaustive // the others may be hidden
		case query.Tag, query.Class, query.Severity, query.After, query.Before, query.Project:
			return false
		default:
			return true
		}
	}
	parted := func(t *query.Term) bool { return unsure(t) || t.Kind == query.Project }
	rest, possible := q.Monotone(parted).Given(func(t *query.Term) (holds, known bool) { return true, unsure(t) })
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
		if slices.ContainsFunc(n, names) {
			return true
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

// scoped returns what is certain to find, of the events in which r has a part, what
// q does; public says that those which anybody may see are asked for, too.
func (m *Room) scoped(r *reader.Reader, q *query.Query, public bool) *query.Query {
	rest, tags := cutTags(certain(q).Root)
	parts := m.parts(r, tags)
	if seen, some := m.seenAs(catalogue.Public, tags); public && some {
		parts = append(parts, seen)
	}
	return all(rest, parts)
}

// parts returns what finds the events in which r has a part and of whose tags those
// nodes hold, a node for each kind of reader that they are besides the public.
func (m *Room) parts(r *reader.Reader, tags query.And) (list query.Or) {
	add := func(as catalogue.Readers, kind query.Kind, ids ...string) {
		var any query.Or
		for _, id := range ids {
			if t, err := query.NewTerm(kind, id, time.Time{}); err == nil { // else no event can have it
				any = append(any, t)
			}
		}
		if seen, some := m.seenAs(as, tags); some && len(any) > 0 {
			list = append(list, query.And{either(any), seen})
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

// scopes holds for each kind of reader the tags of the events that they may see.
type scopes struct {
	once sync.Once
	tags map[catalogue.Readers][]string
	all  map[catalogue.Readers]query.Node // that finds them
}

// seenAs returns what finds the types of events of which the given kind of reader
// may see at least a part, and of whose tags those nodes hold; some is false if
// there are none.
//
// Whoever asks for a few types is not asked about all the others that they may see:
// the store would compare each of these in each segment.
func (m *Room) seenAs(as catalogue.Readers, tags query.And) (seen query.Node, some bool) {
	m.scopes.once.Do(func() {
		m.scopes.tags, m.scopes.all = make(map[catalogue.Readers][]string), make(map[catalogue.Readers]query.Node)
		for _, one := range []catalogue.Readers{catalogue.Public, catalogue.Owner, catalogue.Self, catalogue.Org} {
			m.scopes.tags[one] = m.Policy.SeenAs(one)
			m.scopes.all[one] = tagged(m.scopes.tags[one])
		}
	})
	list := m.scopes.tags[as]
	if len(tags) == 0 {
		return m.scopes.all[as], len(list) > 0
	}
	asked := &query.Query{Root: tags}
	var both []string
	for _, tag := range list {
		if asked.Match(event.Fields{event.StringField("tag", tag)}, nil) {
			both = append(both, tag)
		}
	}
	return tagged(both), len(both) > 0
}

// cutTags takes those nodes of root, all of which must hold, apart that nothing but
// the tag of an event decides.
func cutTags(root query.Node) (rest query.Node, tags query.And) {
	nodes, ok := root.(query.And)
	if !ok && root != nil {
		nodes = query.And{root}
	}
	var others query.And
	for _, n := range nodes {
		if one := (&query.Query{Root: n}); one.Touches(func(t *query.Term) bool { return t.Kind != query.Tag && t.Kind != query.Class }) {
			others = append(others, n)
		} else {
			tags = append(tags, n)
		}
	}
	switch len(others) {
	case 0:
		return nil, tags
	case 1:
		return others[0], tags
	}
	return others, tags
}

// tagged returns what finds events of any of the given tags.
func tagged(tags []string) query.Node {
	any := make(query.Or, len(tags))
	for i, tag := range tags {
		any[i] = &query.Term{Kind: query.Tag, Value: tag, Key: []byte(tag)}
	}
	return either(any)
}

// all returns the query that finds what root does, and what one of parts does.
func all(root query.Node, parts query.Or) *query.Query {
	any := either(parts)
	if root == nil {
		return &query.Query{Root: any}
	}
	// In one list the store can begin with what finds least.
	return &query.Query{Root: slices.Concat(conjuncts(root), conjuncts(any))}
}

// either returns what finds what one of nodes does.
func either(nodes query.Or) query.Node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	return nodes
}

// conjuncts returns the nodes all of which hold where n does.
func conjuncts(n query.Node) query.And {
	if and, ok := n.(query.And); ok {
		return and
	}
	return query.And{n}
}

// some returns n, and for nil, which finds everything, a node that does.
func some(n query.Node) query.Node {
	if n == nil {
		return query.And{}
	}
	return n
}
