package console

import "github.com/custody-log/custody/internal/dossier"

// What the page of a project shows to anybody is in templates/public.html: who
// published what and who maintained it when, each with the event it was taken
// from and its receipt. It links to nothing that only somebody signed in can see.

// A publicRelease is a release as the public page lists it.
type publicRelease struct {
	dossier.Release

	How string // by whom or what it was published, in words
}

// Published returns the releases, as the public page lists them.
func (p *projectPage) Published() []publicRelease {
	list := make([]publicRelease, len(p.Releases.List))
	for i, r := range p.Releases.List {
		list[i] = publicRelease{Release: r, How: howPublished(&r)}
	}
	return list
}

// howPublished says with what a release was published, as far as that is public.
func howPublished(r *dossier.Release) string {
	switch {
	case r.Workflow.Repository != "":
		return "a workflow of " + r.Workflow.Repository
	case r.Credential.Kind == "token":
		return "a token"
	case r.Credential.Kind == "none" || r.Credential.Kind == "":
		return "not said"
	}
	return "a " + words(r.Credential.Kind)
}
