package dossier

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
)

// Bounds of the list of a person's tokens.
const (
	UsedTokens  = 20 // of which is said what each did
	askedTokens = 6  // of which a busy person's page asks for each by itself
	tokenTypes  = 5  // most frequent kinds of events that are told of each
)

// tokenTags are the kinds of events in which tokens come, change and go.
var tokenTags = []string{
	"user:token:create", "user:token:edit", "user:token:revoke", "user:token:revoke_leak", "user:token:expire",
}

// mintTags are those with which a token comes, endTags those with which it goes.
var (
	mintTags = []string{"user:token:create", "project:oidc_token:mint", "user:token:exchange"}
	endTags  = []string{"user:token:revoke", "user:token:revoke_leak", "user:token:expire"}
)

// Tokens are the tokens and other credentials of a person, those made last first,
// and then those of which the log knows only that they were used.
type Tokens struct {
	Extent

	List []UserToken

	// Used is how often each ID stands in what the person did.
	Used *Tally
}

// A UserToken is one of them.
type UserToken struct {
	ID     Value
	Name   Value
	Kind   string // such as "granular"; "" if it is not said
	Minted Mark   // zero: the log does not know
	Place  Place  // from which it was minted
	With   Credential
	Ended  Mark // zero: it did not

	Use *Use // nil: not among the first [UsedTokens]
}

// A Use is what was done with a credential. Where Acts is not complete, nothing is
// known of First.
type Use struct {
	Acts        *Tally // by tag
	First, Last *Act   // nil: it was not used

	counted *tally
}

func (a *asker) tokens(ctx context.Context, p *person, u *User) error {
	page, err := a.these(ctx, p, ListEvents, tokenTags...)
	if err != nil {
		return err
	}
	u.Tokens.Extent = page.Extent
	at := make(map[string]int)
	for _, e := range slices.Backward(page.Events) {
		if yes, _ := done(e); yes {
			a.tokenEvent(e, u, at)
		}
	}
	slices.Reverse(u.Tokens.List)
	acted, err := about(query.Actor, p.Ref())
	if err != nil {
		return err
	}
	acts, err := a.actsOfPerson(ctx, p, acted)
	if err != nil {
		return err
	}
	// Who does not work for the registry is answered event by event: to count all
	// there are would take as long as to read them.
	if u.Tokens.Used = tallyIn(acts, "credential.id"); !u.Tokens.Used.Complete && a.reader.IsStaff() {
		counted, err := a.count(ctx, all(acted), store.MaxValues, "token")
		if err != nil {
			return err
		}
		u.Tokens.Used = counted.of("token")
	}
	for _, v := range u.Tokens.Used.Values {
		if _, known := at[v.Value]; !known && len(u.Tokens.List) < ListEvents {
			u.Tokens.List = append(u.Tokens.List, UserToken{ID: Value{Text: v.Value}})
		}
	}
	if err := a.uses(ctx, acts, u.Tokens.List); err != nil {
		return err
	}
	for i := range u.Tokens.List {
		if t := &u.Tokens.List[i]; t.Kind == "" && t.Use != nil && t.Use.Last != nil {
			t.Kind = t.Use.Last.Credential.Kind
		}
	}
	return nil
}

// tokenEvent takes in that a token came, changed or went; at says where each is in
// the list.
func (a *asker) tokenEvent(e *reading.Shown, u *User, at map[string]int) {
	id := tokenIDOf(e)
	i, known := at[id.Text]
	if id.Text == "" || !known {
		i = len(u.Tokens.List)
		u.Tokens.List = append(u.Tokens.List, UserToken{ID: id})
		if id.Text != "" {
			at[id.Text] = i
		}
	}
	t := &u.Tokens.List[i]
	if name := tokenNameOf(e); !name.IsZero() {
		t.Name = name
	}
	switch tag := e.Fields.Text("tag"); {
	case slices.Contains(mintTags, tag):
		t.Minted, t.Place, t.With = markOf(e), a.placeOf(e), credentialOf(e)
		t.Kind = textOf(e, "metadata.kind")
	case slices.Contains(endTags, tag):
		t.Ended = markOf(e)
	}
}

// tokenIDOf returns the ID of the token that e is about.
func tokenIDOf(e *reading.Shown) Value {
	for _, s := range subjectsOf(e, "token") {
		switch {
		case s.ID != "":
			return Value{Text: s.ID}
		case s.Erased:
			return Value{Hidden: Erased}
		}
	}
	return valueOf(e, "metadata.token_id")
}

// tokenNameOf returns what its holder calls it.
func tokenNameOf(e *reading.Shown) Value {
	for _, s := range subjectsOf(e, "token") {
		if s.Name != "" {
			return Value{Text: s.Name}
		}
	}
	return valueOf(e, "metadata.name")
}

// use returns what was done with the credential that has the given ID, and the
// most frequent values of fields in these events, "tag" among them.
func (a *asker) use(ctx context.Context, id string, values int, fields ...string) (*Use, error) {
	term, err := about(query.Token, id)
	if err != nil {
		return nil, err
	}
	q := all(term, not(tagged(tokenTags...)))
	counted, err := a.count(ctx, q, values, append(fields, "tag")...)
	if err != nil {
		return nil, err
	}
	u := &Use{Acts: counted.of("tag"), counted: counted}
	first, err := a.oldest(ctx, q, resolveEvents)
	if err != nil {
		return nil, err
	}
	last, err := a.search(ctx, q, resolveEvents, nil)
	if err != nil {
		return nil, err
	}
	u.First, u.Last = a.usedIn(first, id), a.usedIn(last.Events, id)
	return u, nil
}

// usedIn returns the first of events in which the credential was used.
func (a *asker) usedIn(events []*reading.Shown, id string) *Act {
	for _, e := range events {
		if textOf(e, "credential.id") == id {
			act := a.actOf(e)
			return &act
		}
	}
	return nil
}

// uses fills in what was done with the first of a person's tokens: of the newest
// acts of the person and, where these are not all of them and an index can answer,
// of all.
func (a *asker) uses(ctx context.Context, page *Page, list []UserToken) (err error) {
	looked := 0
	for i := range list[:min(UsedTokens, len(list))] {
		t := &list[i]
		if t.ID.Text == "" {
			continue
		}
		t.Use = a.useIn(page, t.ID.Text)
		if looked++; t.Use.Acts.Complete || !a.reader.IsStaff() || looked > askedTokens {
			continue
		}
		if t.Use, err = a.use(ctx, t.ID.Text, tokenTypes); err != nil {
			return err
		}
	}
	return nil
}

// useIn returns what was done with a credential in the events of a page.
func (a *asker) useIn(page *Page, id string) *Use {
	used := slices.DeleteFunc(slices.Clone(page.Events), func(e *reading.Shown) bool { return textOf(e, "credential.id") != id })
	some := &Page{Extent: page.Extent, Events: used}
	u := &Use{Acts: tallyIn(some, "tag")}
	u.Acts.Values = u.Acts.Values[:min(tokenTypes, len(u.Acts.Values))]
	u.Last = a.usedIn(used, id)
	if slices.Reverse(used); u.Acts.Complete {
		u.First = a.usedIn(used, id)
	}
	return u
}

// tallyIn counts the values of a field in the events of a page.
func tallyIn(page *Page, field string) *Tally {
	counts := make(map[string]int64)
	for _, e := range page.Events {
		if value := textOf(e, field); value != "" {
			counts[value]++
		}
	}
	t := &Tally{Events: int64(len(page.Events)), Complete: !page.Cut() && !page.Late}
	for _, value := range slices.Sorted(maps.Keys(counts)) {
		t.Values = append(t.Values, store.ValueCount{Value: value, Count: counts[value]})
	}
	slices.SortStableFunc(t.Values, func(a, b store.ValueCount) int { return cmp.Compare(b.Count, a.Count) })
	return t
}
