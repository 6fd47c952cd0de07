package dossier

import (
	"slices"
	"strings"
	"time"
)

// A Tenure is a role that somebody had in something, from one event to another.
type Tenure struct {
	Who  Who
	Role string // in the registry's words; "" if it is not said

	Since Mark // zero: from before what the events say
	Until Mark // zero: they have it still

	// Unsure says that an event which it rests on may not have happened, or that
	// it is concluded from what came later.
	Unsure bool

	implied bool // nobody said which role: it follows from who created it
}

// At reports whether the role was had at that moment.
func (t *Tenure) At(at time.Time) bool {
	return !at.Before(t.Since.Time) && (t.Until.IsZero() || at.Before(t.Until.Time))
}

// On reports whether the role was had at some moment of the day, UTC, in which
// at is.
func (t *Tenure) On(at time.Time) bool {
	year, month, day := at.UTC().Date()
	first := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	return t.Since.Time.Before(first.AddDate(0, 0, 1)) && (t.Until.IsZero() || first.Before(t.Until.Time))
}

// Tenures are roles, the newest first.
type Tenures []Tenure

// Now returns the roles that are had still.
func (list Tenures) Now() Tenures {
	return list.those(func(t *Tenure) bool { return t.Until.IsZero() })
}

// At returns the roles that were had at a moment.
func (list Tenures) At(at time.Time) Tenures {
	return list.those(func(t *Tenure) bool { return t.At(at) })
}

// On returns the roles that were had at some moment of a day, UTC.
func (list Tenures) On(day time.Time) Tenures {
	return list.those(func(t *Tenure) bool { return t.On(day) })
}

// as returns the roles that were had when o says.
func (list Tenures) as(o *Options) Tenures {
	if o.Day {
		return list.On(o.At)
	}
	return list.At(o.At)
}

func (list Tenures) those(holds func(t *Tenure) bool) Tenures {
	var some Tenures
	for i := range list {
		if holds(&list[i]) {
			some = append(some, list[i])
		}
	}
	return some
}

// A roll is who has which role in one thing, as events tell it, the oldest
// first.
type roll struct {
	list []*Tenure
}

// has returns the roles that w has, or the one if role is not "".
func (r *roll) has(w Who, role string) []*Tenure {
	var list []*Tenure
	for _, t := range r.list {
		if t.Until.IsZero() && t.Who.is(w) && (role == "" || strings.EqualFold(t.Role, role)) {
			list = append(list, t)
		}
	}
	return list
}

// having returns the roles of that name that anybody has.
func (r *roll) having(role string) []*Tenure {
	var list []*Tenure
	for _, t := range r.list {
		if t.Until.IsZero() && strings.EqualFold(t.Role, role) {
			list = append(list, t)
		}
	}
	return list
}

// begin gives w a role. Who has it already keeps it, since when it was.
func (r *roll) begin(w Who, role string, m Mark, unsure bool) {
	for _, t := range r.has(w, "") {
		switch {
		case strings.EqualFold(t.Role, role):
			t.implied = false
			t.know(w)
			return
		case t.implied && m.Why == "creation": // what creating it came to
			t.implied, t.Role = false, role
			t.know(w)
			return
		case t.implied:
			t.Until = m
		}
	}
	unsure = unsure || w.Ref() == "" // what ends it could not be told from what ends another's
	r.list = append(r.list, &Tenure{Who: w, Role: role, Since: m, Unsure: unsure})
}

// know takes in what another event says of the same person.
func (t *Tenure) know(w Who) {
	if t.Who.ID == "" {
		t.Who.ID = w.ID
	}
	if w.Name != "" {
		t.Who.Name = w.Name
	}
}

// imply gives whoever created something a role, unless they were given one.
func (r *roll) imply(w Who, role string, m Mark, unsure bool) {
	if len(r.has(w, "")) == 0 {
		r.list = append(r.list, &Tenure{Who: w, Role: role, Since: m, Unsure: unsure, implied: true})
	}
}

// end takes a role from w, or all of them if role is "". Who is not known to have
// had it must have had it before. What may not have been taken stays, and is
// not sure.
func (r *roll) end(w Who, role string, m Mark, unsure bool) {
	had := r.has(w, role)
	if len(had) == 0 {
		// The same role may go by another name: who has a single one loses that.
		if had = r.has(w, ""); len(had) != 1 || !had[0].implied {
			had = nil
		}
	}
	for _, t := range had {
		if unsure {
			t.Unsure = true
			continue
		}
		t.Until = m
	}
	if len(had) == 0 && !unsure {
		r.list = append(r.list, &Tenure{Who: w, Role: role, Until: m, Unsure: true})
	}
}

// change gives w another role in place of the one they had.
func (r *roll) change(w Who, old, role string, m Mark, unsure bool) {
	if unsure {
		r.begin(w, role, m, true)
		return
	}
	if len(r.has(w, old)) == 0 {
		old = ""
	}
	if old != "" || len(r.has(w, "")) > 0 {
		r.end(w, old, m, false)
	}
	r.begin(w, role, m, false)
}

// close ends all roles.
func (r *roll) close(m Mark) {
	for _, t := range r.list {
		if t.Until.IsZero() {
			t.Until = m
		}
	}
}

// reopen gives back the roles that ended with the last event of the given tag.
func (r *roll) reopen(tag string, m Mark) {
	var last Mark
	for _, t := range r.list {
		if t.Until.Tag == tag && !t.Until.Time.Before(last.Time) {
			last = t.Until
		}
	}
	if last.IsZero() {
		return
	}
	for _, t := range slices.Clone(r.list) {
		if t.Until.Seq == last.Seq && t.Until.Tag == tag && !t.Since.IsZero() {
			r.list = append(r.list, &Tenure{Who: t.Who, Role: t.Role, Since: m, Unsure: true})
		}
	}
}

// tenures returns the roles, those that are had still first, and of each the
// newest first.
func (r *roll) tenures() Tenures {
	list := make(Tenures, len(r.list))
	for i, t := range r.list {
		list[len(list)-1-i] = *t
	}
	slices.SortStableFunc(list, func(a, b Tenure) int {
		if a.Until.IsZero() != b.Until.IsZero() {
			if a.Until.IsZero() {
				return -1
			}
			return 1
		}
		return b.Since.Time.Compare(a.Since.Time)
	})
	return list
}

// An Invitation is a role that was offered and neither taken nor withdrawn.
type Invitation struct {
	Who     Who
	Role    string
	Made    Mark
	Expires time.Time // zero: not said
}

// An openList is the invitations that are open.
type openList []Invitation

// close takes off the invitations of w.
func (l openList) close(w Who) openList {
	return slices.DeleteFunc(l, func(i Invitation) bool { return i.Who.is(w) })
}

// at returns the invitations that have not run out at that time, newest first.
func (l openList) at(now time.Time) []Invitation {
	list := slices.DeleteFunc(slices.Clone(l), func(i Invitation) bool {
		return !i.Expires.IsZero() && !now.Before(i.Expires)
	})
	slices.Reverse(list)
	return list
}
