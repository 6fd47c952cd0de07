package keeper

import (
	"maps"
	"slices"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/retain"
)

// Shown appends to fields, which may be memory of the caller's and is empty, those
// of a record as readers see them: what is not erased, and pseudonyms as the names
// of who was. They share their values with the record. It also returns the names of
// the fields that are erased, or past their time. A nil Keeper knows no pseudonyms.
func (k *Keeper) Shown(fields event.Fields, seq journal.Seq, record *event.Record) (_ event.Fields, erased []string) {
	for i := range record.Fields {
		if f := &record.Fields[i]; !f.Erased {
			fields = append(fields, f.Field)
		}
	}
	if len(fields) == len(record.Fields) {
		return fields, nil
	}
	for i := range record.Fields {
		f := &record.Fields[i]
		if !f.Erased {
			continue
		}
		erased = append(erased, f.Name)
		slot, ok := slotOf(f.Name)
		if !ok || k == nil {
			continue
		}
		name := slot.String() + ".name"
		if _, there := fields.Get(name); there {
			continue
		}
		if pseudonym, ok := k.state.Ledger.PseudonymOf(int64(seq), slot); ok {
			fields = append(fields, event.StringField(name, pseudonym))
		}
	}
	return fields, erased
}

// slotOf returns whose ID or name the field called name is.
func slotOf(name string) (retain.Slot, bool) {
	for _, member := range []string{".id", ".name"} {
		if n := len(name) - len(member); n > 0 && name[n:] == member {
			return retain.SlotNamed(name[:n])
		}
	}
	return 0, false
}

// Pseudonym returns, if q asks for somebody by a pseudonym that the ledger knows,
// the positions of the events in which it stands, the newest first, and what q
// asks for besides. A nil Keeper knows no pseudonyms.
func (k *Keeper) Pseudonym(q *query.Query) (seqs []journal.Seq, rest *query.Query, ok bool) {
	if k == nil {
		return nil, nil, false
	}
	terms := query.And{q.Root}
	if and, is := q.Root.(query.And); is {
		terms = and
	}
	for i, n := range terms {
		term, is := n.(*query.Term)
		if !is || term.Prefix || term.Kind != query.Actor && term.Kind != query.OnBehalfOf && term.Kind != query.User {
			continue
		}
		where := k.state.Ledger.Pseudonymous(term.Value)
		if where == nil {
			continue
		}
		return positions(where, term.Kind), without(terms, i), true
	}
	return nil, nil, false
}

// positions returns where somebody stands who is looked for by kind.
func positions(where map[retain.Slot][]int64, kind query.Kind) []journal.Seq {
	all := make(map[journal.Seq]bool)
	for slot, seqs := range where {
		if kind == query.Actor && slot != retain.Actor || kind == query.OnBehalfOf && slot != retain.OnBehalfOf {
			continue
		}
		for _, seq := range seqs {
			all[journal.Seq(seq)] = true
		}
	}
	list := slices.Sorted(maps.Keys(all))
	slices.Reverse(list)
	return list
}

// without returns what the other terms ask for.
func without(terms query.And, i int) *query.Query {
	switch rest := slices.Delete(slices.Clone(terms), i, i+1); len(rest) {
	case 0:
		return new(query.Query)
	case 1:
		return &query.Query{Root: rest[0]}
	default:
		return &query.Query{Root: rest}
	}
}
