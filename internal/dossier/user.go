package dossier

import (
	"context"
	"slices"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
)

// A User is what the page of a person shows.
type User struct {
	Who    Who
	Others []string // IDs of other people who are or were called as the one that was asked for
	Query  string   // that finds all of their history
	Self   bool     // it is the reader

	Created Mark
	State   []Act // the newest events about the account itself, newest first

	SignIns  SignIns
	Tokens   Tokens
	Keys     Keys
	Factors  Factors
	Emails   Emails
	Projects UserProjects
	Recent   Recent // "was this you?"
	Looks    Looks  // who has looked at their data
	History  Page
}

// Kinds of events about accounts.
var accountTags = []string{
	"user:account:rename", "user:account:freeze", "user:account:unfreeze", "user:account:cooldown:*", "user:account:recovery:*",
	"user:account:delete*", "user:account:restore", "user:account:convert_to_org", "user:admin:*",
}

// userNoise would drown a person's history, as noise does a project's.
var userNoise = []string{"project:file:download", "project:release:scan_result", "user:email:sent", "user:token:list"}

// A person is whom a dossier is about, and what finds their events.
type person struct {
	Who

	finds query.Node
	self  bool   // it is the reader
	known []part // of what is about them, see [person.prepare]
}

// in reports whether e is about p: an event that says another ID is not, however
// the person is called in it.
func (p *person) in(e *reading.Shown) bool {
	if p.is(actorOf(e)) || p.is(whoAt(e, "on_behalf_of")) {
		return true
	}
	if e.Partial != "" && e.As.Has(catalogue.Self) && p.self {
		return true // they are told that it is about them, not of whom it is
	}
	return slices.ContainsFunc(subjectsOf(e, ""), func(s subject) bool { return s.Type == p.Type && p.is(s.Who) })
}

// NewUser returns the dossier of the person who has the given ID, or is called so.
// Of several who are, it is the one about whom something happened last.
func NewUser(ctx context.Context, room Room, r *reader.Reader, ref string, o Options) (*User, error) {
	a := newAsker(room, r, &o)
	u := new(User)
	p, err := a.person(ctx, ref, u)
	if err != nil {
		return nil, err
	}
	u.Who, u.Query, u.Self = p.Who, all(p.finds).String(), p.self
	if err := p.prepare(ctx, a); err != nil {
		return nil, err
	}
	for _, part := range []func(context.Context, *person, *User) error{
		a.account, a.signIns, a.tokens, a.keys, a.factors, a.emails, a.userProjects, a.recent, a.looks,
	} {
		if err := part(ctx, p, u); err != nil {
			return nil, err
		}
	}
	history, err := a.lifeOf(ctx, p, &o)
	if err != nil {
		return nil, err
	}
	u.History = *history.kept(p.in)
	return u, nil
}

// person finds out who ref is.
func (a *asker) person(ctx context.Context, ref string, u *User) (*person, error) {
	term, err := about(query.User, ref)
	if err != nil {
		return nil, err
	}
	page, err := a.search(ctx, all(term), resolveEvents, nil)
	if err != nil {
		return nil, err
	}
	p := &person{finds: term}
	p.Who, u.Others = called(ref, page.Events)
	if p.Type == "" {
		return nil, none(&page.Extent)
	}
	p.self = a.reader.Self != "" && a.reader.Self == p.ID
	var any query.Or
	for _, value := range []string{p.ID, p.Name} {
		if value == "" || p.ID == p.Name && len(any) > 0 {
			continue
		}
		one, err := about(query.User, value)
		if err != nil {
			return nil, err
		}
		any = append(any, one)
	}
	if len(any) > 1 {
		p.finds = any
	} else if !page.Cut() && !page.Late {
		p.known = []part{{page: page}} // what was found is called so, and by nothing else
	}
	return p, nil
}

// called returns who has the given ID or name in events, the newest first; of
// several, the first of whom an ID is known, and the IDs of the others.
func called(ref string, events []*reading.Shown) (who Who, others []string) {
	for _, e := range events {
		for _, w := range append(whosOf(subjectsOf(e, "")), actorOf(e), whoAt(e, "on_behalf_of")) {
			switch {
			case w.ID != ref && w.Name != ref || w.Type == "" || !isPerson(w.Type):
			case who.Type == "" || who.ID == "" && w.ID != "":
				who = w
			case w.ID != "" && w.ID != who.ID && !slices.Contains(others, w.ID):
				others = append(others, w.ID)
			}
		}
	}
	return who, others
}

// isPerson reports whether a party or subject of the given type can have a page
// as a person has.
func isPerson(kind string) bool {
	switch kind {
	case "project", "version", "file", "org", "team", "token", "key", "session":
		return false
	}
	return true
}

func whosOf(list []subject) []Who {
	whos := make([]Who, len(list))
	for i := range list {
		whos[i] = list[i].Who
	}
	return whos
}

// account fills in what is known about the account itself.
func (a *asker) account(ctx context.Context, p *person, u *User) error {
	first, err := a.these(ctx, p, ListEvents, "user:account:create")
	if err != nil {
		return err
	}
	for _, e := range first.Events {
		if yes, _ := done(e); yes {
			u.Created = markOf(e) // the oldest comes last
		}
	}
	state, err := a.these(ctx, p, stateEvents, accountTags...)
	if err != nil {
		return err
	}
	u.State = a.actsOf(state.Events, stateEvents)
	return nil
}

// Bounds of the list of recent acts.
const (
	RecentEvents = 50
	RecentDays   = 90
)

// recentTags are the kinds of events after which whoever took an account over has
// more than before, or the person less.
var recentTags = []string{
	"user:login:new_device", "user:mfa:disable", "user:mfa:method_add", "user:mfa:method_remove", "user:mfa:level_change",
	"user:mfa:recovery_codes_generate", "user:mfa:recovery_codes_view", "user:mfa:recovery_code_use", "user:email:add",
	"user:email:remove", "user:email:primary_change", "user:password:change", "user:password:reset", "user:password:disable",
	"user:token:create", "user:token:edit", "user:token:new_network_use", "user:token:revoke_leak", "user:key:add",
	"user:oauth_app:authorize", "user:association:add", "user:account:recovery:*", "user:account:rename", "user:account:export",
	"user:account:delete*", "user:impersonation:*",
}

// Recent is what the person themself should know again, the newest first: what
// happened in the last [RecentDays].
type Recent struct {
	Extent

	List []Act
}

func (a *asker) recent(ctx context.Context, p *person, u *User) error {
	from := time.Now().AddDate(0, 0, -RecentDays)
	page, err := a.these(ctx, p, RecentEvents, recentTags...)
	if err != nil {
		return err
	}
	page.kept(func(e *reading.Shown) bool { return !e.Time().Before(from) })
	if u.Recent.Extent = page.Extent; u.Recent.Oldest.Before(from) {
		u.Recent.Next = "" // what is left out is too old anyway
	}
	after, err := about(query.After, from.UTC().Format(time.RFC3339))
	if err != nil {
		return err
	}
	u.Recent.Query, u.Recent.Size = all(p.finds, tagged(recentTags...), after).String(), len(page.Events)
	u.Recent.List = a.actsOf(page.Events, RecentEvents)
	for _, s := range u.SignIns.List {
		if s.NewPlace && !s.Time.Before(from) && s.Tag != "user:login:new_device" && len(u.Recent.List) < RecentEvents+SignInEvents {
			u.Recent.List = append(u.Recent.List, s.Act)
		}
	}
	slices.SortStableFunc(u.Recent.List, func(a, b Act) int { return b.Time.Compare(a.Time) })
	return nil
}
