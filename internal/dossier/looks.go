package dossier

import (
	"context"
	"slices"

	"github.com/custody-log/custody/internal/reading"
)

// LookEvents is how many looks a page shows.
const LookEvents = 50

// lookTags are the kinds of events that say that somebody looked at data of a
// person. accountLookTags are those that are about an account.
var (
	lookTags        = []string{"audit:reveal_pii", "user:impersonation:start", "user:impersonation:end"}
	accountLookTags = []string{"user:account:export"}
)

// Looks are the times somebody looked at a person's data, the newest first.
type Looks struct {
	Extent

	List []Look
}

// A Look is one of them, as far as it is shown: the person themself is told what
// was looked at and why, not by whom.
type Look struct {
	Act

	Fields []string // what was looked at
	Why    Value
}

func (a *asker) looks(ctx context.Context, p *person, u *User) error {
	page, err := a.these(ctx, p, LookEvents, slices.Concat(lookTags, accountLookTags)...)
	if err != nil {
		return err
	}
	// Who did the looking has not been looked at.
	page.kept(func(e *reading.Shown) bool { return concerns(e, p) || e.Partial != "" })
	u.Looks.Extent = page.Extent
	for _, e := range page.Events {
		u.Looks.List = append(u.Looks.List, a.lookOf(e))
	}
	return nil
}

// concerns reports whether p is a subject of e.
func concerns(e *reading.Shown, p *person) bool {
	return slices.ContainsFunc(subjectsOf(e, ""), func(s subject) bool { return p.is(s.Who) })
}

func (a *asker) lookOf(e *reading.Shown) Look {
	return Look{Act: a.actOf(e), Fields: listOf(e, "metadata.fields"), Why: valueOf(e, "metadata.reason", "reason", "metadata.justification")}
}
