package query

// Monotone returns a query that every event matches of which q matches a part:
// what is left of its fields after some were taken away. Who shows people parts
// of events finds with it, in an index over whole ones, all that can be an
// answer; and that an event is among them tells nothing about what was taken
// away, but for what q asks for.
//
// hidden says of a term that what it compares may be taken away. Such a term
// counts for nothing where it stands under an odd number of negations: that it
// holds for the whole event is no reason to leave the event out. All other terms
// stay. q is not changed; the two share terms.
func (q *Query) Monotone(hidden func(*Term) bool) *Query {
	rest, possible := q.replace(func(t *Term, negated bool) verdict {
		if negated && hidden(t) {
			return no
		}
		return open
	})
	if !possible {
		return &Query{Root: Or{}} // which q is, too
	}
	return rest
}

// Given returns what is left of q where it is known of some terms, from
// elsewhere than the fields, whether they hold for an event: rest matches it if
// q does. If possible is false, q does not, whatever the rest says.
func (q *Query) Given(knows func(*Term) (holds, known bool)) (rest *Query, possible bool) {
	return q.replace(func(t *Term, _ bool) verdict {
		switch holds, known := knows(t); {
		case !known:
			return open
		case holds:
			return yes
		}
		return no
	})
}

// Touches reports whether q has a term for which f is true.
func (q *Query) Touches(f func(*Term) bool) bool { return q.Root != nil && touches(q.Root, f) }

func touches(n Node, f func(*Term) bool) bool {
	var inner []Node
	switch n := n.(type) {
	case *Term:
		return f(n)
	case *Not:
		return touches(n.Node, f)
	case And:
		inner = n
	case Or:
		inner = n
	}
	for _, one := range inner {
		if touches(one, f) {
			return true
		}
	}
	return false
}

// A verdict says whether a node holds for every event.
type verdict uint8

const (
	open verdict = iota // it depends on the event
	yes
	no
)

// not returns the verdict on the Not of a node.
func (v verdict) not() verdict {
	switch v {
	case yes:
		return no
	case no:
		return yes
	case open:
	}
	return open
}

// replace returns q with terms replaced by what decide says of them: negated is
// true under an odd number of negations. possible is false if nothing can match
// any more.
func (q *Query) replace(decide func(t *Term, negated bool) verdict) (rest *Query, possible bool) {
	if q.Root == nil {
		return &Query{}, true
	}
	root, v := simplified(q.Root, false, decide)
	if v != open {
		root = nil
	}
	return &Query{Root: root}, v != no
}

// simplified returns n with terms replaced, in the form that a parsed query has.
// The node is only there if the verdict is open.
func simplified(n Node, negated bool, decide func(t *Term, negated bool) verdict) (Node, verdict) {
	each := func(n Node) (Node, verdict) { return simplified(n, negated, decide) }
	switch n := n.(type) {
	case *Term:
		return n, decide(n, negated)
	case *Not:
		inner, v := simplified(n.Node, !negated, decide)
		if v != open {
			return nil, v.not()
		}
		if twice, ok := inner.(*Not); ok {
			return twice.Node, open
		}
		return &Not{inner}, open
	case And:
		kept, v := reduced(n, no, each)
		if v == open && len(kept) > 1 {
			return And(kept), open
		}
		return first(kept), v
	case Or:
		kept, v := reduced(n, yes, each)
		if v == open && len(kept) > 1 {
			return Or(kept), open
		}
		return first(kept), v
	}
	panic("query: a node that is no And, Or, Not or Term")
}

// reduced returns the nodes of an And, which one that is a no decides, or of an
// Or, which a yes decides, without those that make no difference. Nodes in a node
// of the same type come in its place.
func reduced(nodes []Node, decisive verdict, each func(Node) (Node, verdict)) ([]Node, verdict) {
	var kept []Node
	for _, n := range nodes {
		node, v := each(n)
		switch v {
		case decisive:
			return nil, decisive
		case open:
			kept = append(kept, within(node, decisive)...)
		case yes, no: // the other
		}
	}
	if len(kept) == 0 {
		return nil, decisive.not()
	}
	return kept, open
}

// within returns the nodes of n if it is an And, or an Or, as the decisive
// verdict tells; else n.
func within(n Node, decisive verdict) []Node {
	switch n := n.(type) {
	case And:
		if decisive == no {
			return n
		}
	case Or:
		if decisive == yes {
			return n
		}
	}
	return []Node{n}
}

// first returns the only node there is, or nil.
func first(nodes []Node) Node {
	if len(nodes) == 0 {
		return nil
	}
	return nodes[0]
}
