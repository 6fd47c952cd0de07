package npm

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// Kinds of rows that change a package's document, or remove it.
var (
	putKind = row{
		class: registry.Write, tag: "project:release:edit",
		before: (*exchange).packageBefore, document: true,
		result: (*exchange).put,
	}
	packageRemoveKind = row{
		class: registry.Write, tag: "project:delete",
		before: (*exchange).packageBefore,
		result: (*exchange).packageRemove,
	}
	fileRemoveKind = row{
		class: registry.Write, tag: "project:file:remove",
		before: (*exchange).packageBefore,
		result: (*exchange).fileRemove,
	}
)

// packageBefore asks for the document of the package.
func (x *exchange) packageBefore() (string, registry.Visitor) {
	x.was = newPackument(x.p.seed)
	return "/" + escaped(x.at.pkg) + "?write=true", x.was
}

// put decides what a PUT of a package's document is: npm has one verb for six
// acts. What comes with files publishes; anything else is what it changes.
func (x *exchange) put() registry.Result {
	o, ended := x.outcome()
	p := x.doc
	switch {
	case !ended:
		return registry.Result{}
	case p != nil && len(p.files) > 0:
		return x.sealed(x.publish(o, "project:release:add"))
	case !x.body.whole():
		return x.sealed([]*event.Event{x.edit(o)})
	case p.only("_id", "_rev", "name", "users"):
		return registry.Result{} // a star
	case p.known == nil:
		return x.sealed(x.guessed(o))
	}
	c := compare(p.known, p)
	events := x.changed(c, o)
	if e := x.nameless(c, o); e != nil {
		events = append(events, e)
	} else if len(c.added) > 0 || c.empty() && !x.expired() {
		e := x.event("project:release:edit", o, x.p.project(x.at.pkg))
		putList(e, "versions_added", c.added) // without files: what the registry makes of them is its secret
		putList(e, "members", p.members)
		events = append(events, e)
	}
	for _, e := range events {
		e.Metadata["derived"] = true
	}
	return x.sealed(events)
}

// nameless returns the event of a document that changes nothing but how many
// owners there are: some registries do not tell npm their names, and it sends
// owners without. Nil: it is no such document.
func (x *exchange) nameless(c *change, o event.Outcome) *event.Event {
	p := x.doc
	if !p.only("_id", "_rev", "maintainers") || !c.empty() || len(p.owners) == len(p.known.owners) {
		return nil
	}
	tag := "project:role:add"
	if len(p.owners) < len(p.known.owners) {
		tag = "project:role:remove"
	}
	e := x.event(tag, o, x.p.project(x.at.pkg))
	e.Metadata["role"] = "owner"
	e.Metadata["undetermined"] = true
	return e
}

// expired reports whether the registry refused because the document has
// changed since the client read it: a client that changes nothing then is told
// to start again.
func (x *exchange) expired() bool { return x.status == http.StatusConflict }

// edit returns the event of a change that could not be determined.
func (x *exchange) edit(o event.Outcome) *event.Event {
	e := x.event("project:release:edit", o, x.p.project(x.at.pkg))
	e.Metadata["undetermined"] = true
	if x.doc != nil {
		putList(e, "members", x.doc.members)
	}
	return e
}

// sealed adds to the events of a document what is true of all of them.
func (x *exchange) sealed(events []*event.Event) registry.Result {
	p := x.doc
	for _, e := range events {
		switch {
		case p == nil:
			continue
		case p.known != nil && p.known.rev != "":
			put(e, "rev", p.known.rev)
		case p.rev != "":
			put(e, "rev", p.rev)
		default:
			put(e, "rev", x.at.rev)
		}
		if p.truncated || p.known != nil && p.known.truncated {
			e.Metadata["truncated"] = true
		}
		if p.ambiguous || p.name != "" && p.name != x.at.pkg || p.id != "" && p.id != x.at.pkg {
			e.Metadata["ambiguous"] = true
		}
	}
	return registry.Result{Events: events}
}

// changed returns the events of a difference.
func (x *exchange) changed(c *change, o event.Outcome) []*event.Event {
	p := x.doc
	events := x.removed(c, o)
	for _, message := range slices.Sorted(maps.Keys(c.deprecated)) {
		e := x.ofVersions("project:release:deprecate", o, c.deprecated[message])
		put(e, "message", p.messages[message])
		events = append(events, e)
	}
	if len(c.undeprecated) > 0 {
		events = append(events, x.ofVersions("project:release:undeprecate", o, c.undeprecated))
	}
	events = append(events, x.moved(c.tagsSet, o)...)
	for _, tag := range limited(c.tagsGone) {
		events = append(events, x.tagEvent("project:dist_tag:remove", o, tag, p.known.tags[tag], ""))
	}
	for _, name := range limited(c.ownersAdded) {
		events = append(events, x.roleEvent("project:role:add", o, name))
	}
	for _, name := range limited(c.ownersGone) {
		events = append(events, x.roleEvent("project:role:remove", o, name))
	}
	return events
}

// limited returns the first maxEvents of names.
func limited(names []string) []string { return names[:min(len(names), maxEvents)] }

// removed returns the events of versions that are removed: one each, or one for
// all if they are many.
func (x *exchange) removed(c *change, o event.Outcome) []*event.Event {
	tag := removeTag(o)
	if len(c.removed) > maxEvents {
		return []*event.Event{x.ofVersions(tag, o, c.removed)}
	}
	var events []*event.Event
	for _, v := range c.removed {
		e := x.event(tag, o, x.p.project(x.at.pkg), x.p.version(x.at.pkg, v))
		put(e, "version", v)
		var tags []string
		for t, old := range x.doc.known.tags {
			if old == v {
				tags = append(tags, t)
			}
		}
		slices.Sort(tags)
		putList(e, "tags", tags)
		events = append(events, e)
	}
	return events
}

// removeTag returns the tag of a removal: one that was refused is not public.
func removeTag(o event.Outcome) string {
	if o == event.Failure || o == event.Denied {
		return "project:release:remove_denied"
	}
	return "project:release:remove"
}

// ofVersions returns an event about several versions.
func (x *exchange) ofVersions(tag string, o event.Outcome, versions []string) *event.Event {
	e := x.event(tag, o, x.p.project(x.at.pkg))
	room := maxIDText
	for _, v := range versions[:min(len(versions), maxSubjects-1)] {
		s := x.p.version(x.at.pkg, v)
		if room -= len(s.ID); room < 0 {
			break
		}
		e.Subjects = append(e.Subjects, s)
	}
	shown := versions[:len(e.Subjects)-1]
	e.Metadata["version_range"] = registry.Clean(strings.Join(shown, " || "), 4*registry.MaxNameBytes)
	if len(versions) > 1 {
		e.Metadata["count"] = len(versions)
	}
	if len(shown) < len(versions) {
		e.Metadata["truncated"] = true
	}
	return e
}

// moved returns the events of tags that stand for another version than before.
func (x *exchange) moved(tags []string, o event.Outcome) []*event.Event {
	var events []*event.Event
	for _, tag := range limited(tags) {
		old := ""
		if x.doc.known != nil {
			old = x.doc.known.tags[tag]
		}
		events = append(events, x.tagEvent("project:dist_tag:add", o, tag, x.doc.tags[tag], old))
	}
	return events
}

// roleEvent returns the event of an owner who comes or goes.
func (x *exchange) roleEvent(tag string, o event.Outcome, name string) *event.Event {
	e := x.event(tag, o, x.p.project(x.at.pkg), user(name, "target"))
	e.Metadata["role"] = "owner"
	put(e, "target_user", name)
	return e
}

// guessed returns the events of a document when the one before is not known:
// what clients send such documents for.
func (x *exchange) guessed(o event.Outcome) []*event.Event {
	p := x.doc
	var events []*event.Event
	var on, off []string
	for _, name := range slices.Sorted(maps.Keys(p.versions)) {
		switch v := p.versions[name]; {
		case v.deprecated:
			on = append(on, name)
		case v.marked:
			off = append(off, name)
		}
	}
	switch {
	case x.at.rev != "" && p.has("versions"):
		events = append(events, x.event(removeTag(o), o, x.p.project(x.at.pkg)))
	case len(off) > 0:
		events = append(events, x.ofVersions("project:release:undeprecate", o, off))
	case len(on) > 0:
		e := x.ofVersions("project:release:deprecate", o, on)
		put(e, "message", p.messages[p.versions[on[0]].message])
		events = append(events, e)
	default:
		events = append(events, x.edit(o))
	}
	for _, e := range events {
		e.Metadata["undetermined"] = true
	}
	return events
}

// packageRemove is the end of a package with all its versions.
func (x *exchange) packageRemove() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	e := x.event("project:delete", o, x.p.project(x.at.pkg))
	put(e, "rev", x.at.rev)
	if was := x.known(); was != nil {
		e.Metadata["derived"] = true
		e.Metadata["releases_count"] = len(was.versions)
		if was.truncated {
			e.Metadata["truncated"] = true
		}
	}
	return one(e)
}

// fileRemove is the end of one file. npm removes a version from the document
// first and its file afterwards: then the version is no longer there, and its
// end is an event already. Whoever removes the file of a version that is still
// there breaks it, and that is an event of its own.
func (x *exchange) fileRemove() registry.Result {
	o, ended := x.outcome()
	was := x.known()
	version := versionOf(x.at.pkg, x.at.file)
	gone := version != "" && was != nil && was.versions[version] == nil && !was.truncated
	if !ended || gone {
		return registry.Result{}
	}
	x.at.version = version
	e := x.event("project:file:remove", o, x.subjects()...)
	e.Subjects = append(e.Subjects, event.Subject{Type: "file", Name: clean(x.at.file), Version: clean(version)})
	put(e, "filename", x.at.file)
	put(e, "version", version)
	put(e, "rev", x.at.rev)
	if was == nil {
		e.Metadata["undetermined"] = true
	} else {
		e.Metadata["derived"] = true
	}
	return one(e)
}

// versionOf returns the version that a file of a package holds, as far as its
// name tells.
func versionOf(pkg, file string) string {
	base := file[strings.LastIndexByte(file, '/')+1:]
	name := pkg[strings.LastIndexByte(pkg, '/')+1:]
	rest, ok := strings.CutPrefix(base, name+"-")
	version, packed := strings.CutSuffix(rest, ".tgz")
	if !ok || !packed {
		return ""
	}
	return version
}
