package reading

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/store"
)

// MaxReasonBytes bounds the reason for a look.
const MaxReasonBytes = 500

// Limits of what the event of a look says.
const (
	maxNamesBytes  = 200 // of who is concerned, in the sentence
	maxFieldsShown = 100
)

// A Look says at what somebody looks who asks to see what is masked, and why.
type Look struct {
	Reason string // 1 to [MaxReasonBytes] bytes, not blank

	// What is looked at; what is nil or zero is left out. The people in events,
	// and the one whom a query names, are concerned, as Subject is.
	Query   *query.Query
	Events  []journal.Seq
	Subject event.Subject

	// How the reader came here.
	Credential event.Credential
	Context    event.Context
}

// CheckReason returns [ErrReason] if nobody may look for such a reason.
func CheckReason(reason string) error {
	if strings.TrimSpace(reason) == "" || len(reason) > MaxReasonBytes || !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl) {
		return ErrReason
	}
	return nil
}

// Reveal records that r looks, and returns a copy of r for whom nothing is masked.
// Who sees everything unmasked as it is gets r back, and nothing is recorded. It
// returns [ErrNone] if r may not see one of the events.
//
// A look at what a query finds is about whom the query names. What it finds
// besides is not looked through for people.
func (m *Room) Reveal(ctx context.Context, r *reader.Reader, look Look) (*reader.Reader, error) {
	if err := CheckReason(look.Reason); err != nil {
		return nil, err
	}
	if !r.IsStaff() {
		return nil, ErrNotStaff
	}
	if r.Clear {
		return r, nil
	}
	c := &concerned{}
	c.add(look.Subject)
	for _, seq := range look.Events {
		shown, record, err := m.event(ctx, r, seq)
		if err != nil {
			return nil, err
		}
		c.addAll(record.Open())
		c.masked = append(c.masked, shown.Masked...)
	}
	if look.Query != nil {
		if err := m.addNamed(ctx, c, look.Query); err != nil {
			return nil, err
		}
	}
	for _, e := range c.events(r, &look) {
		if _, err := m.Desk.Record(ctx, intake.OwnSource, e); err != nil {
			return nil, fmt.Errorf("reading: record %s: %w", e.Tag, err)
		}
	}
	clear := *r
	clear.Clear = true
	return &clear, nil
}

// A concerned is who and what a look is about.
type concerned struct {
	people []event.Subject
	masked []string
}

// add adds a person.
func (c *concerned) add(s event.Subject) {
	s = event.Subject{Type: s.Type, ID: s.ID, Name: s.Name}
	same := func(o event.Subject) bool {
		return o.Type == s.Type && o.ID == s.ID && (s.ID != "" || o.Name == s.Name)
	}
	if s.ID+s.Name == "" || slices.ContainsFunc(c.people, same) {
		return
	}
	c.people = append(c.people, s)
}

// addAll adds the people in an event.
func (c *concerned) addAll(fields event.Fields) {
	people(fields, c.add)
}

// people calls yield with each user in an event.
func people(fields event.Fields, yield func(event.Subject)) {
	for i := range fields {
		place, ok := strings.CutSuffix(fields[i].Name, ".type")
		if ok && string(fields[i].Value) == "user" {
			yield(event.Subject{Type: "user", ID: fields.Text(place + ".id"), Name: fields.Text(place + ".name")})
		}
	}
}

// events returns the events of a look: one, or as many as it takes to name all whom
// it concerns.
func (c *concerned) events(r *reader.Reader, look *Look) (list []*event.Event) {
	slices.Sort(c.masked)
	masked := slices.Compact(c.masked)
	for rest := c.people; len(list) == 0 || len(rest) > 0; {
		people := rest[:min(len(rest), event.MaxSubjects)]
		rest = rest[len(people):]
		e := &event.Event{
			Tag: lookTag, Outcome: event.Success, Actor: r.By, Credential: look.Credential, Context: look.Context,
			Subjects: people, Metadata: map[string]any{"reason": look.Reason},
		}
		if look.Query != nil && look.Query.String() != "" {
			e.Metadata["query"] = look.Query.String()
		}
		if names := namesOf(people); names != "" {
			e.Metadata["subject"] = names
		}
		if len(masked) > 0 {
			e.Metadata["fields"] = masked[:min(len(masked), maxFieldsShown)]
		}
		list = append(list, e)
	}
	return list
}

// namesOf returns people as a sentence has them.
func namesOf(people []event.Subject) string {
	var names []string
	room := maxNamesBytes
	for _, p := range people {
		name := cmp.Or(p.Name, p.ID)
		if room -= len(name) + 2; room < 0 && len(names) > 0 {
			names = append(names, "others")
			break
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// addNamed adds who a query names: as the log knows them, if it does.
func (m *Room) addNamed(ctx context.Context, c *concerned, q *query.Query) error {
	for _, name := range wantedPeople(q.Root, true, nil) {
		s, err := m.person(ctx, name)
		if err != nil {
			return err
		}
		c.add(s)
	}
	return nil
}

// wantedPeople appends to names those of the people that n asks for, each once;
// wanted is false within what is to be left out.
func wantedPeople(n query.Node, wanted bool, names []string) []string {
	var inner []query.Node
	switch n := n.(type) {
	case *query.Term:
		asks := n.Kind == query.Actor || n.Kind == query.OnBehalfOf || n.Kind == query.User
		if asks && wanted && !n.Prefix && !slices.Contains(names, n.Value) {
			names = append(names, n.Value)
		}
	case *query.Not:
		return wantedPeople(n.Node, !wanted, names)
	case query.And:
		inner = n
	case query.Or:
		inner = n
	}
	for _, one := range inner {
		names = wantedPeople(one, wanted, names)
	}
	return names
}

// personBudget is how long a person is looked for.
const personBudget = time.Second

// person returns the user who has an ID or a name, the newest of several.
func (m *Room) person(ctx context.Context, called string) (event.Subject, error) {
	s := event.Subject{Type: "user", ID: called}
	t, err := query.NewTerm(query.User, called, time.Now())
	if err != nil {
		return s, nil //nolint:nilerr // no event can have it, and so nobody does
	}
	found, err := m.Store.Search(ctx, store.Request{Query: &query.Query{Root: t}, Limit: leastPage, Budget: personBudget})
	if err != nil {
		return s, err
	}
	var known []event.Subject
	for _, f := range found.Found {
		people(f.Record.Open(), func(p event.Subject) {
			if p.ID != "" && (p.ID == called || p.Name == called) {
				known = append(known, p)
			}
		})
	}
	if i := slices.IndexFunc(known, func(p event.Subject) bool { return p.ID == called }); i >= 0 {
		return known[i], nil
	}
	if len(known) > 0 {
		return known[0], nil
	}
	return s, nil
}
