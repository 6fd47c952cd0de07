package store

import (
	"context"
	"slices"
	"strings"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
)

// Values returns up to limit different values of a field that begin with a
// prefix, sorted. It is for completing what somebody types.
func (s *Store) Values(ctx context.Context, name, prefix string, limit int) ([]string, error) {
	f, ok := fields[name]
	if !ok {
		return nil, &FieldError{name}
	}
	v := &valueSet{field: f, prefix: prefix, limit: limit, derive: s.cfg.Derive, seen: make(map[string]bool)}
	list, err := v.tables(s)
	defer releaseAll(list)
	if err != nil {
		return nil, err
	}
	for _, h := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l := s.limits(h.Family, s.now())
		l.held = nil // what is held is not offered to who types
		if h.EndTime < l.events {
			continue // past its time
		}
		if err := h.usable(); err != nil {
			return nil, err
		}
		r, _ := l.request(new(query.Query), nil)
		x, err := h.Reader().Select(r)
		if err == nil {
			err = v.take(x, true)
		}
		if err != nil {
			return nil, h.noted(err)
		}
	}
	return v.sorted(), nil
}

// A valueSet collects values.
type valueSet struct {
	field  field
	prefix string
	limit  int
	derive *query.Derive
	seen   map[string]bool
}

func (v *valueSet) tables(s *Store) (list []*handle, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list = s.hold()
	for family, table := range s.tables() {
		l := s.limits(family, s.now())
		l.held = nil
		r, _ := l.request(new(query.Query), nil)
		x, err := table.Select(r)
		if err == nil {
			err = v.take(x, false)
		}
		if err != nil {
			return list, err
		}
	}
	return list, nil
}

// take adds the first values of one table or segment, all of them if they do
// not come sorted.
func (v *valueSet) take(x *segment.Selection, sorted bool) error {
	if v.field.kind != "" {
		for _, value := range x.Kinds(v.field.kind) {
			v.add(value)
		}
		return nil
	}
	for _, c := range v.field.columns {
		prefix, fresh := v.prefix, 0
		if v.field.derive != asIs {
			prefix = ""
		}
		err := x.Names(c, prefix, func(value string) bool {
			if v.add(value) {
				fresh++
			}
			return !sorted || v.field.derive != asIs || fresh < v.limit
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// add adds a value and reports whether it has the prefix.
func (v *valueSet) add(value string) bool {
	value = v.field.derive.of(value, v.derive)
	if value == "" || !strings.HasPrefix(value, v.prefix) {
		return false
	}
	v.seen[value] = true
	return true
}

func (v *valueSet) sorted() []string {
	list := make([]string, 0, len(v.seen))
	for value := range v.seen {
		list = append(list, value)
	}
	slices.Sort(list)
	return list[:min(len(list), v.limit)]
}
