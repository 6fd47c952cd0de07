package dossier

import (
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/reading"
)

// handTags are the kinds of events that say in whose hands a project is.
var handTags = []string{
	"project:create", "project:delete", "project:restore", "project:name_reuse", "project:rename", "project:transfer*",
	"project:role:*", "project:team_role:*", "project:org:*", "project:oidc_publisher:add", "project:oidc_publisher:change",
	"project:oidc_publisher:remove", "project:required_signer_set",
}

// stateTags are those that say in which state it is, besides.
var stateTags = []string{
	"project:archive", "project:unarchive", "project:deprecate", "project:undeprecate", "project:quarantine_enter",
	"project:quarantine_exit", "project:lock", "project:unlock", "project:visibility_change", "project:security_placeholder",
}

// Roles that no event names.
const (
	creatorRole = "owner"        // of whoever created it
	orgRole     = "organization" // of the organization that it belongs to
)

// Hands are in whose hands a project is and was.
type Hands struct {
	Extent

	Roles   Tenures      // people, teams and organizations, those who have one still first
	Invited []Invitation // offers that are open, newest first
	Changes []Act        // what changed hands, refused attempts too, newest first, at most [ListEvents]

	// Nameless is how many changes do not say whose role they were about.
	Nameless int
}

// A projectFold computes Hands from events, the oldest first.
type projectFold struct {
	roll
	invited  openList
	nameless int
}

// take takes in the next event.
func (p *projectFold) take(e *reading.Shown) {
	yes, unsure := done(e)
	if !yes {
		return
	}
	tag, m := e.Fields.Text("tag"), markOf(e)
	kind, verb, _ := strings.Cut(strings.TrimPrefix(tag, "project:"), ":")
	switch kind {
	case "create":
		if w := personOf(e); w.Type == "user" || w.Type == "" {
			p.imply(w, creatorRole, m, unsure)
		}
	case "role":
		p.role(e, verb, m, unsure)
	case "team_role":
		p.team(e, verb, m, unsure)
	case "org":
		p.org(e, verb, m, unsure)
	case "transfer":
		p.transfer(e, m, unsure)
	case "delete", "name_reuse":
		if !unsure {
			p.close(m)
		}
	case "restore":
		p.reopen("project:delete", m)
	}
}

// role takes in what happened to the role of a person.
func (p *projectFold) role(e *reading.Shown, verb string, m Mark, unsure bool) {
	w, known := targetOf(e)
	if !known || w.Ref() == "" && !w.Erased {
		p.nameless++
		return
	}
	role := textOf(e, "metadata.role")
	switch verb {
	case "invite":
		p.invited = append(p.invited.close(w), invitationOf(e, w, role, m))
		return
	case "add":
		p.begin(w, role, m, unsure)
	case "remove":
		p.end(w, role, m, unsure)
	case "change":
		old, role := roleChange(e)
		p.change(w, old, role, m, unsure)
	}
	p.invited = p.invited.close(w)
}

func invitationOf(e *reading.Shown, w Who, role string, m Mark) Invitation {
	i := Invitation{Who: w, Role: role, Made: m}
	if at, err := time.Parse(time.RFC3339Nano, textOf(e, "metadata.expires")); err == nil {
		i.Expires = at
	}
	return i
}

// roleChange returns the roles before and after.
func roleChange(e *reading.Shown) (old, role string) {
	was, is, _ := changeOf(e, "role")
	old, role = textOf(e, "metadata.old_role"), textOf(e, "metadata.new_role")
	if old == "" {
		old = was.Text
	}
	if role == "" {
		role = is.Text
	}
	return old, role
}

// team takes in what happened to the role of a team.
func (p *projectFold) team(e *reading.Shown, verb string, m Mark, unsure bool) {
	w := subjectOr(e, "team", "metadata.team")
	if w.Ref() == "" {
		p.nameless++
		return
	}
	p.steps(w, verb, textOf(e, "metadata.role"), e, m, unsure)
}

// org takes in that the project came to an organization, or left it.
func (p *projectFold) org(e *reading.Shown, verb string, m Mark, unsure bool) {
	w := subjectOr(e, "org", "metadata.org")
	if w.Ref() == "" {
		p.nameless++
		return
	}
	p.steps(w, verb, orgRole, e, m, unsure)
	if owner := textOf(e, "metadata.new_owner"); verb == "remove" && owner != "" {
		p.begin(Who{Type: "user", Name: owner}, creatorRole, m, unsure)
	}
}

func (p *projectFold) steps(w Who, verb, role string, e *reading.Shown, m Mark, unsure bool) {
	switch verb {
	case "add":
		p.begin(w, role, m, unsure)
	case "remove":
		p.end(w, role, m, unsure)
	case "change":
		old, role := roleChange(e)
		p.change(w, old, role, m, unsure)
	}
}

// transfer takes in that the project has other owners.
func (p *projectFold) transfer(e *reading.Shown, m Mark, unsure bool) {
	was, is, _ := changeOf(e, "owner")
	from, to := firstText(textOf(e, "metadata.from"), was.Text), firstText(textOf(e, "metadata.to"), is.Text)
	owners := listOf(e, "metadata.current_owners")
	if len(owners) == 0 && to != "" {
		owners = []string{to}
	}
	if len(owners) == 0 {
		if w, ok := targetOf(e); ok && w.Ref() != "" {
			owners = []string{w.Ref()}
		}
	}
	if len(owners) == 0 {
		p.nameless++
		return
	}
	all := len(listOf(e, "metadata.current_owners")) > 0 // who is not among them is none
	var next []Who
	for _, owner := range owners {
		next = append(next, named(e, owner))
	}
	for _, t := range p.having(creatorRole) {
		stays := slices.ContainsFunc(next, t.Who.is)
		if !stays && (all || from == "" || t.Who.is(named(e, from))) {
			p.end(t.Who, t.Role, m, unsure)
		}
	}
	for _, w := range next {
		p.begin(w, creatorRole, m, unsure)
		p.invited = p.invited.close(w)
	}
}

// named returns who is called name in e: the subject that is, with its ID.
func named(e *reading.Shown, name string) Who {
	for _, s := range subjectsOf(e, "") {
		if (s.Type == "user" || s.Type == "org") && (s.Name == name || s.ID == name) {
			return s.Who
		}
	}
	if w := actorOf(e); w.Name == name || w.ID == name {
		return w
	}
	return Who{Type: "user", Name: name}
}

func firstText(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
