package dossier

import (
	"context"
	"slices"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
)

// wholeEvents is up to how many events a person's history is read in one search,
// from which the lists of their page are made. Most people have fewer; of others
// the newest are their history, and the lists are searched for.
const wholeEvents = 400

// A part is what is known of the events that are about a person.
type part struct {
	page *Page    // the newest of them
	tags []string // of its events; nil: any
}

// lived returns the tags of what a person's page tells of besides sign-ins and acts
// on projects.
func lived() []string {
	return slices.Concat(accountTags, []string{"user:account:create"}, tokenTags, keyTags, factorTags, emailTags, recentTags, lookTags, accountLookTags)
}

// prepare reads what the lists of a person's page are made of, as far as that is not
// too much. Each search has to ask every segment, so lists are asked for together.
func (p *person) prepare(ctx context.Context, a *asker) error {
	if len(p.known) > 0 {
		return nil // there is no more
	}
	page, err := a.search(ctx, all(p.finds), wholeEvents, nil)
	if err != nil {
		return err
	}
	p.known = append(p.known, part{page, nil})
	listed := slices.Concat(lived(), handTags)
	isSignIn := func(e *reading.Shown) bool { return isTagged(e, signInTags) }
	if signIns := len(page.Events) - len(slices.DeleteFunc(slices.Clone(page.Events), isSignIn)); signIns <= SignInEvents {
		listed = append(listed, signInTags...) // else enough of them are known, and they are too many
	}
	for _, tags := range [][]string{listed, lived()} {
		if !page.Cut() || page.Late {
			break
		}
		if page, err = a.newest(ctx, p, ListEvents, tags...); err != nil {
			return err
		}
		p.known = append(p.known, part{page, tags})
	}
	return nil
}

// covers reports whether no event with any of the given tags is left out of the
// events of k for its tag.
func (k *part) covers(tags []string) bool {
	return k.tags == nil || tags != nil && !slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(k.tags, tag) })
}

// known returns what a search for q finds, at most limit events: of what is known
// already as much as is there, and the rest from where that ends. keep reports
// whether an event is found, and tags are those that it can have, nil for any.
func (a *asker) known(ctx context.Context, p *person, q *query.Query, limit int, tags []string, keep func(*reading.Shown) bool) (*Page, error) {
	from := slices.IndexFunc(p.known, func(k part) bool { return k.covers(tags) && !k.page.Late })
	for i := from + 1; from >= 0 && i < len(p.known); i++ {
		if k := &p.known[i]; k.covers(tags) && !k.page.Late {
			from = i // it goes further back
		}
	}
	if from < 0 {
		return a.search(ctx, q, limit, nil)
	}
	k := &p.known[from]
	page := &Page{Extent: Extent{Query: q.String(), Behind: k.page.Behind}}
	for _, e := range k.page.Events {
		if keep(e) {
			page.Events = append(page.Events, e)
		}
	}
	switch n := len(page.Events); {
	case n > limit:
		page.Events = page.Events[:limit]
		last := page.Events[limit-1]
		page.Oldest, page.Next = last.Time(), store.CursorAfter(last.Time(), last.Seq, false).String()
	case n == limit && k.page.Cut():
		return a.search(ctx, q, limit, nil) // whether there are more is not known
	case k.page.Cut():
		if err := a.goOn(ctx, page, q, limit-n, k.page.Next); err != nil {
			return nil, err
		}
	}
	page.Size = len(page.Events)
	return page, nil
}

// goOn adds to p the next events that match, at most limit, from a cursor on.
func (a *asker) goOn(ctx context.Context, p *Page, q *query.Query, limit int, cursor string) error {
	after, err := store.ParseCursor(cursor)
	if err != nil {
		return err
	}
	rest, err := a.search(ctx, q, limit, after)
	if err != nil {
		return err
	}
	p.Events = append(p.Events, rest.Events...)
	p.Next, p.Late, p.Behind = rest.Next, rest.Late, max(p.Behind, rest.Behind)
	if p.Cut() && len(p.Events) > 0 {
		p.Oldest = p.Events[len(p.Events)-1].Time()
	}
	return nil
}

// newest returns the newest events of some tags that are found for p.
func (a *asker) newest(ctx context.Context, p *person, limit int, tags ...string) (*Page, error) {
	q := all(p.finds, tagged(tags...))
	return a.known(ctx, p, q, limit, tags, func(e *reading.Shown) bool { return isTagged(e, tags) })
}

// these returns the newest events of some tags that are about p.
func (a *asker) these(ctx context.Context, p *person, limit int, tags ...string) (*Page, error) {
	page, err := a.newest(ctx, p, limit, tags...)
	if err != nil {
		return nil, err
	}
	return page.kept(p.in), nil
}

// actsOfPerson returns the newest acts of p.
func (a *asker) actsOfPerson(ctx context.Context, p *person, acted *query.Term) (*Page, error) {
	others := slices.Concat(tokenTags, userNoise)
	return a.known(ctx, p, all(acted, not(tagged(others...))), ListEvents, nil, func(e *reading.Shown) bool {
		by := actorOf(e)
		return (by.ID == acted.Value || by.Name == acted.Value) && !isTagged(e, others)
	})
}

// lifeOf returns a page of the history of p.
func (a *asker) lifeOf(ctx context.Context, p *person, o *Options) (*Page, error) {
	q := all(p.finds, not(tagged(userNoise...)))
	if o.After != "" {
		return a.history(ctx, q, o)
	}
	return a.known(ctx, p, q, PageEvents, nil, func(e *reading.Shown) bool { return !isTagged(e, userNoise) })
}
