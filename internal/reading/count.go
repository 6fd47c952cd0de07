package reading

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/store"
)

// Count counts the events that match and that r may see, and the values of fields
// that they may see. Numbers for staff leave out what they see for no other reason
// than that it is about themselves.
func (m *Room) Count(ctx context.Context, r *reader.Reader, q store.CountRequest) (*store.Count, error) {
	for _, name := range q.Fields {
		if !slices.Contains(store.Fields(), name) {
			return nil, &store.FieldError{Name: name}
		}
	}
	if q.Budget <= 0 {
		q.Budget = store.DefaultBudget
	}
	if seqs, rest, ok := m.named(r, q.Query); ok {
		return m.countNamed(ctx, r, q, seqs, rest)
	}
	p, err := m.plan(r, q.Query)
	if err != nil {
		return nil, err
	}
	if !r.IsStaff() || q.Query.Touches(func(t *query.Term) bool { return !m.Policy.Sees(r, t.Kind, t.Name) }) {
		return m.countEach(ctx, r, p, &q, q.Fields)
	}
	return m.countAll(ctx, r, q)
}

// countAll counts for staff who see all that the query asks about: as the store
// does, but for values of fields that are not shown to them in every event.
func (m *Room) countAll(ctx context.Context, r *reader.Reader, q store.CountRequest) (*store.Count, error) {
	wanted, began := q.Fields, time.Now()
	var unseen []string
	q.Fields = nil
	for _, name := range wanted {
		if m.seesField(r, name) {
			q.Fields = append(q.Fields, name)
		} else {
			unseen = append(unseen, name)
		}
	}
	asked := q
	asked.Query = m.within(r, q.Query)
	n, err := m.Store.Count(ctx, asked)
	if err != nil || len(unseen) == 0 {
		return n, err
	}
	parts := m.parts(r, nil)
	for _, name := range unseen {
		n.Fields[name] = nil
	}
	if len(parts) == 0 {
		return n, nil
	}
	p := &plan{query: all(m.within(r, q.Query).Root, parts), match: q.Query, origin: q.Query.Touches(isOrigin)}
	q.Interval, q.Budget = store.None, max(1, q.Budget-time.Since(began))
	rest, err := m.countEach(ctx, r, p, &q, unseen)
	if err != nil {
		return nil, err
	}
	for _, name := range unseen {
		n.Fields[name] = rest.Fields[name]
	}
	n.Complete = n.Complete && rest.Complete
	return n, nil
}

// countEach counts what is disclosed, event by event.
func (m *Room) countEach(ctx context.Context, r *reader.Reader, p *plan, q *store.CountRequest, fields []string) (*store.Count, error) {
	t := newTally(q, fields)
	taken, complete, err := m.each(ctx, r, p, q.Budget, func(e *Shown) { t.add(e, m.Store.Derive()) })
	if err != nil {
		return nil, err
	}
	return t.count(taken, complete), nil
}

// seesField reports whether r, who is staff, sees the values of a field of counts
// in every event.
func (m *Room) seesField(r *reader.Reader, name string) bool {
	if name == "user_agent" {
		name = "ip" // it is no less personal
	}
	kind, ok := kindOf[name]
	return !ok || m.Policy.Sees(r, kind, "")
}

// kindOf are the kinds of terms that compare what is counted. What is not here is
// one of a few words that say nothing about a person.
var kindOf = map[string]query.Kind{
	"tag": query.Tag, "class": query.Class, "severity": query.Severity, "outcome": query.Outcome, "source": query.Source,
	"trust": query.Trust, "actor": query.Actor, "on_behalf_of": query.OnBehalfOf, "user": query.User, "project": query.Project,
	"org": query.Org, "token": query.Token, "ip": query.IP, "country": query.Country, "client": query.Client,
	"version": query.Version,
}

// A tally counts events as they are shown.
type tally struct {
	request *store.CountRequest
	fields  []string
	values  []map[string]int64 // by field
	events  int64
	times   []int64 // of the events, in microseconds; only for an interval
}

func newTally(q *store.CountRequest, fields []string) *tally {
	t := &tally{request: q, fields: fields}
	for range fields {
		t.values = append(t.values, make(map[string]int64))
	}
	return t
}

// add counts one event: a value once, however often the event has it.
func (t *tally) add(e *Shown, derive *query.Derive) {
	t.events++
	if t.request.Interval != store.None {
		t.times = append(t.times, e.Time().UnixMicro())
	}
	for i, name := range t.fields {
		list := e.values(name, derive)
		for k, value := range list {
			if value != "" && !slices.Contains(list[:k], value) {
				t.values[i][value]++
			}
		}
	}
}

// count returns what was counted.
func (t *tally) count(taken journal.Seq, complete bool) *store.Count {
	n := &store.Count{Events: t.events, Taken: int64(taken), Complete: complete, Fields: make(map[string][]store.ValueCount)}
	for i, name := range t.fields {
		list := make([]store.ValueCount, 0, len(t.values[i]))
		for value, count := range t.values[i] {
			list = append(list, store.ValueCount{Value: value, Count: count})
		}
		slices.SortFunc(list, func(a, b store.ValueCount) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
		})
		n.Fields[name] = list[:min(len(list), t.request.Values)]
	}
	n.Interval, n.Buckets = bucketed(t.times, t.request.Interval)
	return n
}

// values returns the values of a field of counts. Who or what has a name is called
// by it, and by its ID otherwise.
func (e *Shown) values(name string, derive *query.Derive) []string {
	switch name {
	case "class":
		return []string{e.Class}
	case "severity":
		return []string{e.Severity}
	case "actor", "on_behalf_of":
		return []string{e.called(name)}
	case "user":
		return e.subjects("user")
	case "project":
		return e.subjects("project", "version", "file")
	case "org":
		return e.subjects("org", "team")
	case "token":
		return append(e.subjects("token"), e.text("credential.id"))
	case "version":
		return e.versions()
	case "country":
		return []string{e.countryOf(derive)}
	case "client":
		return []string{cmp.Or(string(query.ClientOf([]byte(e.text("context.user_agent")))), e.Client)}
	}
	return []string{e.text(fieldOf[name])}
}

// fieldOf are the fields of events that are counted as they are.
var fieldOf = map[string]string{
	"tag": "tag", "outcome": "outcome", "source": "source", "trust": "trust", "actor_type": "actor.type",
	"credential_kind": "credential.kind", "mfa": "credential.mfa", "origin": "context.origin", "ip": "context.ip",
	"user_agent": "context.user_agent",
}

// text returns the text of a field that is shown, or "".
func (e *Shown) text(name string) string {
	f, ok := e.Fields.Get(name)
	if !ok {
		return ""
	}
	return f.Text()
}

// called returns the name of who or what stands at a place, or else its ID.
func (e *Shown) called(place string) string {
	return cmp.Or(e.text(place+".name"), e.text(place+".id"))
}

// places returns where the subjects of e stand.
func (e *Shown) places(yield func(place, kind string)) {
	for i := range e.Fields {
		f := &e.Fields[i]
		if place, ok := cutSubject(f.Name, ".type"); ok {
			yield(place, string(f.Value))
		}
	}
}

// subjects returns what the subjects of some types are called. The name of a file
// is not that of its project, and a token is known by its ID.
func (e *Shown) subjects(types ...string) (list []string) {
	e.places(func(place, kind string) {
		switch {
		case !slices.Contains(types, kind):
		case kind == "file" || kind == "token":
			list = append(list, e.text(place+".id"))
		default:
			list = append(list, e.called(place))
		}
	})
	return list
}

func (e *Shown) versions() (list []string) {
	for i := range e.Fields {
		if _, ok := cutSubject(e.Fields[i].Name, ".version"); ok {
			list = append(list, e.Fields[i].Text())
		}
	}
	return list
}

func (e *Shown) countryOf(derive *query.Derive) string {
	f, ok := e.Fields.Get("context.ip")
	if !ok || f.Type != event.IP || len(f.Value) != 16 || derive == nil || derive.Country == nil {
		return e.Country
	}
	return derive.Country([16]byte(f.Value))
}
