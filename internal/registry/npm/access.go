package npm

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// Kinds of rows about tags, and about who may do what with a package.
var (
	tagSetKind = row{
		class: registry.Write, tag: "project:dist_tag:add",
		before: (*exchange).tagsBefore,
		sent:   []string{""},
		result: (*exchange).tagSet,
	}
	tagRemoveKind = row{
		class: registry.Write, tag: "project:dist_tag:remove",
		before: (*exchange).tagsBefore,
		result: (*exchange).tagRemove,
	}
	tagsKind = row{
		class: registry.Write, tag: "project:dist_tag:add",
		before: (*exchange).tagsBefore,
		pairs:  true,
		result: func(x *exchange) registry.Result { return x.tagsSet(false) },
	}
	tagsAllKind = row{
		class: registry.Write, tag: "project:dist_tag:add",
		before: (*exchange).tagsBefore,
		pairs:  true,
		result: func(x *exchange) registry.Result { return x.tagsSet(true) },
	}
	accessKind = row{
		class: registry.Write, tag: "project:access:change",
		sent:   []string{"access", "publish_requires_tfa", "automation_token_overrides_tfa"},
		result: (*exchange).access,
	}
	trustAddKind = row{
		class: registry.Write, tag: "project:oidc_publisher:add",
		sent: []string{
			"*.type", "*.claims.repository", "*.claims.project", "*.claims.environment", "*.claims.workflow_ref",
			"*.claims.workflow_ref.file", "*.permissions.*",
		},
		said:   []string{"*.id"},
		result: (*exchange).trustAdd,
	}
	trustListKind = row{
		class: registry.Read, tag: "project:oidc_publisher:list",
		said:   []string{"*"},
		result: (*exchange).trustList,
	}
	trustRevokeKind = row{
		class: registry.Write, tag: "project:oidc_publisher:remove",
		result: (*exchange).trustRevoke,
	}
	downloadKind = row{
		class: registry.Read, tag: "project:file:download",
		result: (*exchange).download,
	}
)

// tagsBefore asks for the tags as they were.
func (x *exchange) tagsBefore() (string, registry.Visitor) {
	x.wasList = newPairs()
	return "/-/package/" + escaped(x.at.pkg) + "/dist-tags", x.wasList
}

// tagEvent returns the event of a tag that is set to a version, or removed.
func (x *exchange) tagEvent(tag string, o event.Outcome, name, version, previous string) *event.Event {
	e := x.event(tag, o, x.p.project(x.at.pkg))
	if version != "" {
		e.Subjects = append(e.Subjects, x.p.version(x.at.pkg, version))
	}
	put(e, "tag", name)
	put(e, "version", version)
	put(e, "previous_version", previous)
	if x.before.whole() {
		e.Metadata["derived"] = true
	}
	return e
}

// tagWas returns the version that a tag stood for, "" if that is not known.
func (x *exchange) tagWas(name string) string {
	if !x.before.whole() {
		return ""
	}
	return x.wasList.byName[name]
}

func (x *exchange) tagSet() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	e := x.tagEvent("project:dist_tag:add", o, x.at.tag, x.sent.Text(""), x.tagWas(x.at.tag))
	if x.sent.Text("") == "" {
		e.Metadata["undetermined"] = true
	}
	return one(e)
}

func (x *exchange) tagRemove() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	return one(x.tagEvent("project:dist_tag:remove", o, x.at.tag, x.tagWas(x.at.tag), ""))
}

// tagsSet sets several tags at once, and removes all others if the document
// stands for all of them.
func (x *exchange) tagsSet(all bool) registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	sent, known := x.list.byName, x.before.whole() && !x.wasList.full
	var set, gone []string
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if !known || x.tagWas(name) != sent[name] {
			set = append(set, name)
		}
	}
	understood := x.body.whole() && !x.list.full && !x.list.ambiguous
	if all && known && understood {
		gone = without(slices.Collect(maps.Keys(x.wasList.byName)), slices.Collect(maps.Keys(sent)))
	}
	var r registry.Result
	for _, name := range limited(set) {
		r.Events = append(r.Events, x.tagEvent("project:dist_tag:add", o, name, sent[name], x.tagWas(name)))
	}
	for _, name := range limited(gone) {
		r.Events = append(r.Events, x.tagEvent("project:dist_tag:remove", o, name, x.tagWas(name), ""))
	}
	if len(r.Events) == 0 {
		r.Events = append(r.Events, x.tagEvent("project:dist_tag:add", o, "", "", ""))
	}
	if !understood || len(set) > maxEvents || len(gone) > maxEvents {
		r.Events[0].Metadata["undetermined"] = true
	}
	return r
}

// access changes who may see a package, or which second factor publishing it
// takes.
func (x *exchange) access() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	to := x.sent.Text("access")
	factor, needs := truth(x.sent.Kind("publish_requires_tfa"))
	tokens, overrides := truth(x.sent.Kind("automation_token_overrides_tfa"))
	tag := "project:access:change"
	switch {
	case to != "" && !needs && !overrides:
		tag = "project:visibility_change"
	case to == "" && needs:
		tag = "project:mfa_requirement_change"
	}
	e := x.event(tag, o, x.p.project(x.at.pkg))
	if tag == "project:mfa_requirement_change" {
		e.Metadata["new"] = factor
	} else if needs {
		e.Metadata["publish_requires_mfa"] = factor
	}
	if to != "" {
		putWord(e, "new", to, "public", "restricted", "private")
	}
	if overrides {
		e.Metadata["automation_token_overrides_mfa"] = tokens
	}
	if !x.body.whole() || to == "" && !needs && !overrides {
		e.Metadata["undetermined"] = true
	}
	return one(e)
}

// truth returns a boolean, and whether it is one.
func truth(k registry.Kind) (value, ok bool) {
	return k == registry.True, k == registry.True || k == registry.False
}

// trustAdd lets workloads publish a package.
func (x *exchange) trustAdd() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	var r registry.Result
	for i := 0; i < maxEvents && (i == 0 || x.sent.Text(strconv.Itoa(i)+".type") != ""); i++ {
		r.Events = append(r.Events, x.trust(o, strconv.Itoa(i)+"."))
	}
	if !x.body.whole() || x.sent.Full() || len(r.Events) == maxEvents {
		r.Events[0].Metadata["undetermined"] = true
	}
	return r
}

// trust returns the event of the element of the body that stands at a place.
func (x *exchange) trust(o event.Outcome, at string) *event.Event {
	e := x.event("project:oidc_publisher:add", o, x.p.project(x.at.pkg))
	text := func(place string) string { return x.sent.Text(at + place) }
	specifier := text("claims.repository") + text("claims.project")
	workflow := text("claims.workflow_ref") + text("claims.workflow_ref.file")
	id := registry.Clean(x.said.Text(at+"id"), maxIDBytes)
	if o == event.Success && id != "" {
		e.Subjects = append(e.Subjects, event.Subject{Type: "publisher", ID: id, Name: clean(specifier)})
		put(e, "id", id)
	}
	put(e, "publisher", text("type"))
	put(e, "specifier", specifier)
	put(e, "workflow_ref", workflow)
	put(e, "environment", text("claims.environment"))
	putList(e, "allowed_actions", x.sent.Texts(at+"permissions.*"))
	return e
}

func (x *exchange) trustList() registry.Result {
	o, ended := x.outcome()
	if x.status == http.StatusNotModified {
		o = event.Success
	}
	if !ended || o != event.Success && o != event.Denied {
		return registry.Result{}
	}
	e := x.event("project:oidc_publisher:list", o, x.p.project(x.at.pkg))
	if o == event.Success && x.answer.whole() {
		e.Metadata["count"] = x.said.Count("*")
	}
	return one(e)
}

func (x *exchange) trustRevoke() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	id := registry.Clean(x.at.id, maxIDBytes)
	e := x.event("project:oidc_publisher:remove", o, x.p.project(x.at.pkg), event.Subject{Type: "publisher", ID: id})
	put(e, "id", id)
	return one(e)
}

// download is a file that was handed out, or refused to somebody who showed a
// credential.
func (x *exchange) download() registry.Result {
	o, ended := x.outcome()
	switch {
	case x.status == http.StatusFound || x.status == http.StatusTemporaryRedirect || x.status == http.StatusSeeOther:
		o = event.Success // from elsewhere
	case x.status == http.StatusPartialContent && !strings.HasPrefix(x.ranges, "bytes=0-"):
		return registry.Result{} // the first part was counted
	case !ended || o != event.Success && o != event.Denied:
		return registry.Result{}
	}
	version := versionOf(x.at.pkg, x.at.file)
	e := x.event("project:file:download", o, x.p.project(x.at.pkg))
	if version != "" {
		e.Subjects = append(e.Subjects, x.p.version(x.at.pkg, version))
		put(e, "version", version)
	}
	put(e, "filename", x.at.file)
	return one(e)
}
