package dossier

import (
	"cmp"
	"strings"

	"github.com/custody-log/custody/internal/reading"
)

// A rosterFold computes a Roster from events, the oldest first.
type rosterFold struct {
	page *Page

	created, gone Mark
	members       roll
	invited       openList
	teams         []*teamFold
	projects      roll
}

// A teamFold computes a Team.
type teamFold struct {
	who           Who
	created, gone Mark
	members       roll
	roles         roll
}

// roster returns what was computed.
func (f *rosterFold) roster() Roster {
	r := Roster{Members: f.members.tenures(), Projects: f.projects.tenures()}
	for i := range f.teams {
		t := f.teams[len(f.teams)-1-i]
		r.Teams = append(r.Teams, Team{t.who, t.created, t.gone, t.members.tenures(), t.roles.tenures()})
	}
	return r
}

// take takes in the next event.
func (f *rosterFold) take(e *reading.Shown) {
	yes, unsure := done(e)
	if !yes {
		return
	}
	m := markOf(e)
	tag := e.Fields.Text("tag")
	kind, verb := tag[:strings.LastIndexByte(tag, ':')], tag[strings.LastIndexByte(tag, ':')+1:]
	switch kind {
	case "org":
		f.org(e, verb, m, unsure)
	case "org:member":
		f.member(e, verb, m, unsure)
	case "org:service_account":
		f.service(e, verb, m, unsure)
	case "org:team":
		f.team(e, verb, m, unsure)
	case "project:org", "project:team_role":
		f.project(e, kind, verb, m, unsure)
	}
}

// org takes in what happened to the organization itself.
func (f *rosterFold) org(e *reading.Shown, verb string, m Mark, unsure bool) {
	switch verb {
	case "create":
		f.created, f.gone = m, Mark{}
		if w := personOf(e); w.Type == "user" || w.Type == "" {
			f.members.imply(w, creatorRole, m, unsure)
		}
	case "delete":
		if unsure {
			return
		}
		f.gone = m
		f.members.close(m)
		f.projects.close(m)
		for _, t := range f.teams {
			t.close(m)
		}
	case "mfa_requirement_change":
		for _, name := range listOf(e, "metadata.members_removed") {
			f.leave(named(e, name), m, unsure)
		}
	}
}

func (t *teamFold) close(m Mark) {
	if t.gone.IsZero() {
		t.gone = m
	}
	t.members.close(m)
	t.roles.close(m)
}

// member takes in what happened to a member.
func (f *rosterFold) member(e *reading.Shown, verb string, m Mark, unsure bool) {
	w, known := targetOf(e)
	if verb == "leave" && !known {
		w = personOf(e)
	}
	role := textOf(e, "metadata.role")
	switch verb {
	case "invite":
		f.invited = append(f.invited.close(w), invitationOf(e, w, role, m))
		return
	case "add":
		f.members.begin(w, role, m, unsure)
	case "role_change":
		old, role := roleChange(e)
		f.members.change(w, old, role, m, unsure)
	case "remove", "leave":
		f.leave(w, m, unsure)
	}
	f.invited = f.invited.close(w)
}

// leave takes in that w is no member any more, and so in no team.
func (f *rosterFold) leave(w Who, m Mark, unsure bool) {
	f.members.end(w, "", m, unsure)
	for _, t := range f.teams {
		if len(t.members.has(w, "")) > 0 {
			t.members.end(w, "", m, unsure)
		}
	}
}

// service takes in that a service account came or went.
func (f *rosterFold) service(e *reading.Shown, verb string, m Mark, unsure bool) {
	w := subjectOr(e, "service", "metadata.name")
	switch verb {
	case "create":
		f.members.begin(w, "service", m, unsure)
	case "remove":
		f.members.end(w, "", m, unsure)
	}
}

// of returns the team that e is about; it is made known if it is not.
func (f *rosterFold) of(e *reading.Shown) *teamFold {
	w := subjectOr(e, "team", "metadata.team")
	w.Name = cmp.Or(w.Name, textOf(e, "metadata.team"))
	if was := textOf(e, "metadata.previous_team_name"); was != "" && w.ID == "" {
		w.Name = was
	}
	for _, t := range f.teams {
		if t.gone.IsZero() && t.who.is(w) {
			return t
		}
	}
	t := &teamFold{who: w}
	f.teams = append(f.teams, t)
	return t
}

// team takes in what happened to a team, or to a member of one.
func (f *rosterFold) team(e *reading.Shown, verb string, m Mark, unsure bool) {
	t := f.of(e)
	switch verb {
	case "create":
		t.created = m
	case "rename":
		t.who.Name = firstText(textOf(e, "metadata.team"), t.who.Name)
	case "delete":
		if !unsure {
			t.close(m)
		}
	case "member_add", "member_remove":
		w, known := targetOf(e)
		switch {
		case !known:
		case verb == "member_add":
			t.members.begin(w, textOf(e, "metadata.role"), m, unsure)
		default:
			t.members.end(w, "", m, unsure)
		}
	}
}

// project takes in that a project came or left, or what a team may do with one.
func (f *rosterFold) project(e *reading.Shown, kind, verb string, m Mark, unsure bool) {
	to, role := &f.projects, ""
	if kind == "project:team_role" {
		to, role = &f.of(e).roles, textOf(e, "metadata.role")
	}
	for _, s := range subjectsOf(e, "project") {
		switch verb {
		case "add":
			to.begin(s.Who, role, m, unsure)
		case "remove":
			to.end(s.Who, "", m, unsure)
		case "change":
			old, role := roleChange(e)
			to.change(s.Who, old, role, m, unsure)
		}
	}
}
