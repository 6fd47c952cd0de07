package reading

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/store"
)

// valuesBudget is how long values are collected for who does not see all events.
const valuesBudget = 500 * time.Millisecond

// Values returns up to limit different values of a field that begin with a prefix,
// sorted: those that r may see somewhere. It is for completing what somebody types,
// and may miss some for who does not see everything.
func (m *Room) Values(ctx context.Context, r *reader.Reader, field, prefix string, limit int) ([]string, error) {
	if !slices.Contains(store.Fields(), field) {
		return nil, &store.FieldError{Name: field}
	}
	if r.IsStaff() && m.seesField(r, field) {
		if len(m.Policy.Beyond(r)) == 0 {
			return m.Store.Values(ctx, field, prefix, limit)
		}
		if kind, ok := kindOf[field]; ok {
			return m.valuesWithin(ctx, r, kind, field, prefix, limit)
		}
	}
	values := make(map[string]bool)
	for _, value := range m.declared(r, field) {
		values[value] = true
	}
	if len(values) == 0 {
		if err := m.collect(ctx, r, field, prefix, values); err != nil {
			return nil, err
		}
	}
	list := make([]string, 0, len(values))
	for value := range values {
		if value != "" && strings.HasPrefix(value, prefix) {
			list = append(list, value)
		}
	}
	slices.Sort(list)
	return list[:min(len(list), limit)], nil
}

// valuesWithin returns values that are in events that r, who is staff, sees.
func (m *Room) valuesWithin(ctx context.Context, r *reader.Reader, kind query.Kind, field, prefix string, limit int) ([]string, error) {
	list, err := m.Store.Values(ctx, field, prefix, min(2*limit, store.MaxValues))
	if err != nil {
		return nil, err
	}
	there := []string{}
	for _, value := range list {
		t, err := query.NewTerm(kind, value, time.Now())
		if err != nil {
			continue // nobody can ask for it
		}
		found, err := m.Store.Search(ctx, store.Request{Query: m.within(r, &query.Query{Root: t}), Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(found.Found) > 0 {
			if there = append(there, value); len(there) == limit {
				break
			}
		}
	}
	return there, nil
}

// declared returns the values of a field that r can know without looking at any
// event; nil if it has others.
func (m *Room) declared(r *reader.Reader, field string) (list []string) {
	var of func(*catalogue.Type) string
	switch field {
	case "outcome":
		return []string{string(event.Success), string(event.Failure), string(event.Denied), string(event.Unknown)}
	case "trust":
		return []string{string(event.Witnessed), string(event.Imported)}
	case "tag":
		of = func(t *catalogue.Type) string { return t.Tag }
	case "class":
		of = (*catalogue.Type).Class
	case "severity":
		of = func(t *catalogue.Type) string { return string(t.Severity) }
	default:
		return nil
	}
	as := catalogue.Public
	for kind, is := range map[catalogue.Readers]bool{
		catalogue.Self: r.Self != "", catalogue.Owner: len(r.Projects) > 0, catalogue.Org: len(r.Orgs) > 0, r.Staff: true,
	} {
		if is {
			as |= kind
		}
	}
	for _, t := range m.Catalogue.Types() {
		seen := t.Visibility
		for _, c := range t.Conditions {
			if c.Kind.Partial() {
				seen |= c.Reader
			}
		}
		if seen&as != 0 {
			list = append(list, of(t))
		}
	}
	return list
}

// collect adds values in what r has a part in.
func (m *Room) collect(ctx context.Context, r *reader.Reader, field, prefix string, values map[string]bool) error {
	parts := m.parts(r, nil)
	if len(parts) == 0 {
		return nil
	}
	p := &plan{query: &query.Query{Root: parts}, match: new(query.Query), own: !r.IsStaff()}
	_, _, err := m.each(ctx, r, p, valuesBudget, func(e *Shown) {
		for _, value := range e.values(field, m.Store.Derive()) {
			if strings.HasPrefix(value, prefix) && len(values) < store.MaxValues {
				values[value] = true
			}
		}
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		return nil //nolint:nilerr // what was collected is good enough to type on
	}
	return err
}
