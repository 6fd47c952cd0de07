package dossier

import (
	"context"
	"slices"
	"time"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
)

// RuleEvents is how many changes of its rules an organization's page shows.
const RuleEvents = 50

// rosterTags are the kinds of events that say who is in an organization, and what
// belongs to it; ruleTags those about its rules.
var (
	rosterTags = []string{
		"org:create", "org:delete", "org:rename", "org:member:*", "org:team:*", "org:service_account:*", "org:mfa_requirement_change",
		"project:org:*", "project:team_role:*",
	}
	ruleTags = []string{
		"org:mfa_requirement_change", "org:sso:*", "org:ip_allowlist_change", "org:token_policy_change", "org:security_policy:*",
		"org:oidc_publisher:*", "org:namespace:*", "org:domain:verify", "org:contact:change", "org:deactivate",
	}
)

// An Organization is what the page of an organization shows.
type Organization struct {
	Ref   reader.Ref
	Name  string
	Query string // that finds all of its history

	Created Mark
	Gone    Mark // zero: it is there, as far as the log says

	Extent  Extent // of what Roster, Invited and Changes are made of
	Roster  Roster // of all times
	Invited []Invitation
	Changes []Act // newest first, refused attempts too, at most [ListEvents]

	At   time.Time // the past moment that was asked for; zero: none
	Day  bool
	Then Roster // as it was then

	Rules   []Act // the newest changes of its rules, newest first
	History Page
}

// A Roster is who and what is in an organization.
type Roster struct {
	Members  Tenures // people and services
	Teams    []Team  // the newest first
	Projects Tenures // stand in the place of people
}

// A Team is one of an organization's.
type Team struct {
	Who     Who
	Created Mark // zero: the log does not say
	Gone    Mark // zero: it is there
	Members Tenures
	Roles   Tenures // on projects, which stand in the place of people
}

// Now returns the roster without what is past.
func (r *Roster) Now() Roster {
	return r.those(Tenures.Now, func(t *Team) bool { return t.Gone.IsZero() })
}

// as returns the roster as it was when o says.
func (r *Roster) as(o *Options) Roster {
	return r.those(func(list Tenures) Tenures { return list.as(o) }, func(t *Team) bool {
		there := Tenures{{Since: t.Created, Until: t.Gone}}
		return len(there.as(o)) > 0
	})
}

func (r *Roster) those(some func(Tenures) Tenures, there func(*Team) bool) Roster {
	then := Roster{Members: some(r.Members), Projects: some(r.Projects)}
	for _, t := range r.Teams {
		if there(&t) {
			t.Members, t.Roles = some(t.Members), some(t.Roles)
			then.Teams = append(then.Teams, t)
		}
	}
	return then
}

// NewOrganization returns the dossier of the organization that has the ID of ref,
// or is called so.
func NewOrganization(ctx context.Context, room Room, r *reader.Reader, ref reader.Ref, o Options) (*Organization, error) {
	a := newAsker(room, r, &o)
	org, is, err := a.organization(ctx, ref)
	if err != nil {
		return nil, err
	}
	now, err := a.roster(ctx, is, time.Time{})
	if err != nil {
		return nil, err
	}
	org.Extent, org.Changes = now.page.Extent, a.actsOf(now.page.Events, ListEvents)
	org.Roster, org.Invited = now.roster(), now.invited.at(time.Now())
	org.Created, org.Gone = now.created, now.gone
	if org.At, org.Day = o.At, o.Day; !o.At.IsZero() {
		then := now
		if now.page.Cut() && !now.page.Oldest.Before(o.At) {
			if then, err = a.roster(ctx, is, o.end()); err != nil {
				return nil, err
			}
		}
		all := then.roster()
		org.Then = all.as(&o)
	}
	rules, err := a.search(ctx, all(is.finds, tagged(ruleTags...)), RuleEvents, nil)
	if err != nil {
		return nil, err
	}
	org.Rules = a.actsOf(rules.Events, RuleEvents)
	history, err := a.history(ctx, all(is.finds, not(tagged(noise...))), &o)
	if err != nil {
		return nil, err
	}
	org.History = *history
	return org, nil
}

// organization returns what an organization is called, and what finds it.
func (a *asker) organization(ctx context.Context, ref reader.Ref) (*Organization, *person, error) {
	term, err := about(query.Org, ref.ID)
	if err != nil {
		return nil, nil, err
	}
	page, err := a.search(ctx, all(term), resolveEvents, nil)
	if err != nil {
		return nil, nil, err
	}
	is := &person{finds: term}
	for _, e := range page.Events {
		for _, s := range subjectsOf(e, "org") {
			if is.Type == "" && (s.ID == ref.ID || s.Name == ref.ID) {
				is.Who = s.Who
			}
		}
	}
	if is.Type == "" {
		return nil, nil, none(&page.Extent)
	}
	if is.ID != "" && is.ID != ref.ID {
		if term, err = about(query.Org, is.ID); err != nil {
			return nil, nil, err
		}
		is.finds = term
	}
	return &Organization{Ref: reader.Ref{Type: "org", ID: is.Ref()}, Name: is.String(), Query: all(is.finds).String()}, is, nil
}

// roster computes who is in an organization or, if end is not zero, was up to that
// moment.
func (a *asker) roster(ctx context.Context, is *person, end time.Time) (*rosterFold, error) {
	q := all(is.finds, tagged(rosterTags...))
	if !end.IsZero() {
		q = all(is.finds, tagged(rosterTags...), until(end))
	}
	page, err := a.search(ctx, q, FoldEvents, nil)
	if err != nil {
		return nil, err
	}
	page.kept(func(e *reading.Shown) bool {
		orgs := subjectsOf(e, "org")
		return len(orgs) == 0 || slices.ContainsFunc(orgs, func(s subject) bool { return is.is(s.Who) })
	})
	fold := &rosterFold{page: page}
	for _, e := range slices.Backward(page.Events) {
		fold.take(e)
	}
	return fold, nil
}
