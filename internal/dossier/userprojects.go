package dossier

import (
	"context"
	"slices"
	"strings"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reading"
)

// CheckedProjects is how many of a person's projects are looked at each, for what
// happened to them without the person.
const CheckedProjects = 25

// UserProjects are the projects in which a person has or had a role.
type UserProjects struct {
	Extent

	List []UserProject // those in which they have one still first, then by name
}

// A UserProject is one of them.
type UserProject struct {
	Project Who
	Roles   Tenures

	// Unchecked says that only events about the person were looked at: the
	// project may have gone or been given away since.
	Unchecked bool
}

// Now reports whether the person has a role in it still.
func (p *UserProject) Now() bool { return len(p.Roles.Now()) > 0 }

func (a *asker) userProjects(ctx context.Context, p *person, u *User) error {
	page, err := a.newest(ctx, p, FoldEvents, handTags...)
	if err != nil {
		return err
	}
	u.Projects.Extent = page.Extent
	folds, order := foldEach(page.Events)
	for _, w := range slices.Backward(order) {
		x := UserProject{Project: w, Roles: rolesOf(folds[w.Ref()].tenures(), p.Who)}
		if len(x.Roles) > 0 {
			x.Unchecked = x.Now()
			u.Projects.List = append(u.Projects.List, x)
		}
	}
	if err := a.check(ctx, u.Projects.List, p); err != nil {
		return err
	}
	slices.SortStableFunc(u.Projects.List, func(a, b UserProject) int {
		switch {
		case a.Now() == b.Now():
			return strings.Compare(a.Project.String(), b.Project.String())
		case a.Now():
			return -1
		}
		return 1
	})
	return nil
}

// foldEach folds the events of each project, the newest first; order has the
// projects as they came.
func foldEach(events []*reading.Shown) (folds map[string]*projectFold, order []Who) {
	folds = make(map[string]*projectFold)
	for _, e := range slices.Backward(events) {
		for _, s := range subjectsOf(e, "project") {
			fold, there := folds[s.Ref()]
			if !there {
				fold = new(projectFold)
				folds[s.Ref()], order = fold, append(order, s.Who)
			}
			fold.take(e)
		}
	}
	return folds, order
}

// check takes in what happened to the first projects of a list in which the person
// has a role, whomever it was about.
func (a *asker) check(ctx context.Context, list []UserProject, p *person) error {
	var any query.Or
	var asked []*UserProject
	for i := range list {
		if !list[i].Unchecked || len(any) == CheckedProjects {
			continue
		}
		of, err := about(query.Project, list[i].Project.Ref())
		if err != nil {
			return err
		}
		any, asked = append(any, of), append(asked, &list[i])
	}
	if len(any) == 0 {
		return nil
	}
	page, err := a.search(ctx, all(any, tagged(handTags...)), ListEvents, nil)
	if err != nil || page.Cut() || page.Late {
		return err // what is cut may hold no more than how a role ended, or began
	}
	folds, _ := foldEach(page.Events)
	for _, x := range asked {
		if fold := folds[x.Project.Ref()]; fold != nil {
			x.Roles, x.Unchecked = rolesOf(fold.tenures(), p.Who), false
		}
	}
	return nil
}

// rolesOf returns those of list that w has or had.
func rolesOf(list Tenures, w Who) Tenures {
	return list.those(func(t *Tenure) bool { return w.is(t.Who) })
}
