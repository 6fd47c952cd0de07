package dossier

import (
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reading"
)

// about returns the term that finds what is called value. What no event can be
// called is not there.
func about(kind query.Kind, value string) (*query.Term, error) {
	t, err := query.NewTerm(kind, value, time.Now())
	if err != nil {
		return nil, ErrNone
	}
	return t, nil
}

// tagged returns what finds events of any of the given tags. A * at the end of
// one stands for any rest.
func tagged(tags ...string) query.Node {
	var any query.Or
	for _, tag := range tags {
		value, prefix := strings.CutSuffix(tag, "*")
		any = append(any, &query.Term{Kind: query.Tag, Value: value, Key: []byte(value), Prefix: prefix})
	}
	if len(any) == 1 {
		return any[0]
	}
	return any
}

// isTagged reports whether e has any of the given tags, as [tagged] has it.
func isTagged(e *reading.Shown, tags []string) bool {
	is := e.Fields.Text("tag")
	return slices.ContainsFunc(tags, func(tag string) bool {
		beginning, prefix := strings.CutSuffix(tag, "*")
		return is == tag || prefix && strings.HasPrefix(is, beginning)
	})
}

// not returns what finds all that n does not.
func not(n query.Node) query.Node { return &query.Not{Node: n} }

// all returns the query that finds what each of nodes does. A nil node finds
// everything.
func all(nodes ...query.Node) *query.Query {
	nodes = slices.DeleteFunc(nodes, func(n query.Node) bool { return n == nil })
	switch len(nodes) {
	case 0:
		return new(query.Query)
	case 1:
		return &query.Query{Root: nodes[0]}
	}
	return &query.Query{Root: query.And(nodes)}
}

// until returns the term that finds what happened up to a moment.
func until(at time.Time) query.Node {
	end := at.UTC().Truncate(time.Microsecond).Add(time.Microsecond)
	return &query.Term{Kind: query.Before, Value: end.Format(time.RFC3339Nano), Micros: end.UnixMicro()}
}
