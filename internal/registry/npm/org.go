package npm

import (
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// tagUnknownRequest is the tag of an accepted request that no row is for.
const tagUnknownRequest = "audit:proxy:unknown_request"

// Kinds of rows about organisations and teams.
var (
	memberSetKind = row{
		class: registry.Write, tag: "org:member:add",
		before: (*exchange).membersBefore,
		sent:   []string{"user", "role"},
		result: (*exchange).memberSet,
	}
	memberRemoveKind = row{
		class: registry.Write, tag: "org:member:remove",
		sent:   []string{"user"},
		result: (*exchange).ofMember,
	}
	teamCreateKind = row{
		class: registry.Write, tag: "org:team:create",
		sent:   []string{"name"},
		result: (*exchange).ofTeam,
	}
	teamDestroyKind = row{class: registry.Write, tag: "org:team:delete", result: (*exchange).ofTeam}
	teamAddKind     = row{
		class: registry.Write, tag: "org:team:member_add",
		sent:   []string{"user"},
		result: (*exchange).ofMember,
	}
	teamRemoveKind = row{
		class: registry.Write, tag: "org:team:member_remove",
		sent:   []string{"user"},
		result: (*exchange).ofMember,
	}
	grantKind = row{
		class: registry.Write, tag: "project:team_role:add",
		sent:   []string{"package", "permissions"},
		result: (*exchange).grant,
	}
	grantRevokeKind = row{
		class: registry.Write, tag: "project:team_role:remove",
		sent:   []string{"package"},
		result: (*exchange).grant,
	}
)

// membersBefore asks for the members as they were.
func (x *exchange) membersBefore() (string, registry.Visitor) {
	x.wasList = newPairs()
	return "/-/org/" + escaped(x.at.org) + "/user", x.wasList
}

// memberSet makes somebody a member, or gives a member another role: the
// request is the same.
func (x *exchange) memberSet() registry.Result {
	r := x.ofMember()
	for _, e := range r.Events {
		known := x.before.whole() && !x.wasList.full
		old, member := x.wasList.byName[strings.TrimLeft(x.sent.Text("user"), "@~")]
		switch {
		case known && member:
			e.Tag = "org:member:role_change"
			put(e, "old_role", old)
			put(e, "new_role", x.sent.Text("role"))
		default:
			put(e, "role", x.sent.Text("role"))
		}
		if known {
			e.Metadata["derived"] = true
		} else {
			e.Metadata["undetermined"] = true
		}
	}
	return r
}

// ofMember returns the event of a member who comes or goes.
func (x *exchange) ofMember() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	e := x.event(x.row.tag, o, x.subjects()...)
	x.nameTeam(e)
	name := strings.TrimLeft(x.sent.Text("user"), "@~")
	if name == "" {
		e.Metadata["undetermined"] = true
		return one(e)
	}
	e.Subjects = append(e.Subjects, user(name, "target"))
	put(e, "target_user", name)
	return one(e)
}

// ofTeam returns the event of a team that comes or goes.
func (x *exchange) ofTeam() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	if x.at.team == "" {
		x.at.team = clean(x.sent.Text("name"))
	}
	e := x.event(x.row.tag, o, x.subjects()...)
	x.nameTeam(e)
	return one(e)
}

// nameTeam adds the name of the team.
func (x *exchange) nameTeam(e *event.Event) {
	if x.at.team != "" {
		put(e, "team", x.at.org+":"+x.at.team)
	}
}

// grant returns the event of a team that may do something with a package, or
// no longer.
func (x *exchange) grant() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	x.at.pkg = clean(x.sent.Text("package"))
	e := x.event(x.row.tag, o, x.subjects()...)
	x.nameTeam(e)
	put(e, "role", x.sent.Text("permissions"))
	if x.at.pkg == "" {
		e.Metadata["undetermined"] = true
	}
	return one(e)
}

// unknownRequest is a request that may change something, which no row is for.
// If the registry did not know it either, nothing happened.
func (x *exchange) unknownRequest() registry.Result {
	o, _ := x.outcome()
	if o != event.Success && o != event.Unknown {
		return registry.Result{}
	}
	e := x.event(tagUnknownRequest, o)
	e.Metadata["method"] = registry.Clean(x.method, 16)
	e.Metadata["path"] = outline(x.words)
	return one(e)
}

// outline returns a path without what could be a name or a secret: words that
// are not those of an interface become "*".
func outline(words []string) string {
	const maxWord = 16
	var b strings.Builder
	for _, w := range words[:min(len(words), maxSegments)] {
		b.WriteByte('/')
		if len(w) > maxWord || w != "v1" && strings.Trim(w, "-abcdefghijklmnopqrstuvwxyz") != "" {
			w = "*"
		}
		b.WriteString(w)
	}
	return b.String()
}
