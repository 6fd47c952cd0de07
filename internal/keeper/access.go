package keeper

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/retain"
	"github.com/custody-log/custody/internal/store"
)

// A Mention is what one event says about a person.
type Mention struct {
	Seq       journal.Seq    `json:"seq"`
	Tag       string         `json:"tag"`
	Retention string         `json:"retention"` // class
	Time      time.Time      `json:"time"`
	Personal  map[string]any `json:"personal"` // what an erasure would take, by name of the field

	KeptUntil     time.Time `json:"kept_until,omitzero"`     // by its policy; zero: for ever
	PersonalUntil time.Time `json:"personal_until,omitzero"` // what is personal in it
	Holds         []string  `json:"holds,omitempty"`         // that keep it longer
}

// Mentions is what an access report comes to.
type Mentions struct {
	Events  int64            `json:"events"`
	Fields  int64            `json:"fields"`
	Classes map[string]int64 `json:"classes"` // events by class of retention
	Taken   journal.Seq      `json:"taken"`   // events of the log that were searched
}

// Access calls yield with each event about p that readers may see, the oldest
// first. That the report was made is an event, which comes before it.
func (k *Keeper) Access(ctx context.Context, by By, p retain.Person, yield func(*Mention) error) (sum Mentions, err error) {
	sum.Classes = make(map[string]int64)
	if err := checkPerson(p); err != nil {
		return sum, err
	}
	if err := k.record(ctx, by, revealed(p)); err != nil {
		return sum, err
	}
	policies := make(map[string]retain.Policy)
	for _, policy := range k.Policies() {
		policies[policy.Class] = policy
	}
	r := store.Request{Query: about(p), Oldest: true, Limit: store.MaxFound}
	for {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		a, err := k.parts.Store.Search(ctx, r)
		if err != nil {
			return sum, fmt.Errorf("keeper: access report: %w", err)
		}
		for _, found := range a.Found {
			m := k.mention(found, p, policies)
			if m == nil {
				continue
			}
			sum.Events++
			sum.Fields += int64(len(m.Personal))
			sum.Classes[m.Retention]++
			if err := yield(m); err != nil {
				return sum, err
			}
		}
		sum.Taken = a.Taken
		if a.Next == nil {
			return sum, nil
		}
		r.After = a.Next
	}
}

// revealed returns the event of a report about p.
func revealed(p retain.Person) *event.Event {
	name := p.Name
	if name == "" {
		name = p.ID
	}
	return &event.Event{
		Tag:      "audit:reveal_pii",
		Outcome:  event.Success,
		Subjects: []event.Subject{{Type: p.Type, ID: p.ID, Name: p.Name}},
		Metadata: map[string]any{"subject": name, "reason": "access report"},
	}
}

// mention returns what an event says about p, or nil if that is nothing.
func (k *Keeper) mention(found store.Found, p retain.Person, policies map[string]retain.Policy) *Mention {
	numbers, _ := retain.PersonalFields(found.Record, p)
	if len(numbers) == 0 {
		return nil
	}
	fields := found.Record.Open()
	m := &Mention{Seq: found.Seq, Tag: fields.Text("tag"), Retention: k.classOf(found.Record), Personal: make(map[string]any)}
	for _, i := range numbers {
		f := &found.Record.Fields[i].Field
		if f.Type == event.JSON {
			m.Personal[f.Name] = json.RawMessage(f.Value)
			continue
		}
		m.Personal[f.Name] = f.Text()
	}
	if at, ok := fields.Get("time"); ok {
		m.Time = at.Time()
	}
	policy := policies[m.Retention]
	m.KeptUntil = policy.Keep.After(m.Time)
	m.PersonalUntil = policy.KeepPersonal.After(m.Time)
	if m.PersonalUntil.IsZero() || !m.KeptUntil.IsZero() && m.KeptUntil.Before(m.PersonalUntil) {
		m.PersonalUntil = m.KeptUntil
	}
	m.Holds = k.state.Holds.Holding(fields, time.Now())
	return m
}
