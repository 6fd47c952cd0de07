package npm

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// Kinds of rows about versions that wait for approval.
var (
	stageKind = row{
		class: registry.Write, tag: "project:release:stage",
		before: (*exchange).packageBefore, document: true,
		said:   []string{"stageId"},
		result: (*exchange).stage,
	}
	stageApproveKind  = staged("project:release:stage_approve", registry.Write)
	stageRejectKind   = staged("project:release:stage_reject", registry.Write)
	stageDownloadKind = staged("project:release:stage_download", registry.Read)
)

func staged(tag string, class registry.Class) row {
	return row{
		class: class, tag: tag,
		said:   []string{"packageName", "version"},
		result: (*exchange).staged,
	}
}

// publish returns one event for each version that is published, and for each
// tag that the client moves along the way to another version.
func (x *exchange) publish(o event.Outcome, tag string) []*event.Event {
	p := x.doc
	versions := p.published()
	var events []*event.Event
	for _, v := range limited(versions) {
		events = append(events, x.release(o, tag, v))
	}
	if len(versions) == 0 {
		events = append(events, x.release(o, tag, ""))
	}
	if len(versions) > maxEvents {
		events[0].Metadata["truncated"] = true
		events[0].Metadata["count"] = len(versions)
	}
	var others []string
	for _, t := range slices.Sorted(maps.Keys(p.tags)) {
		moves := p.known == nil || p.known.tags[t] != p.tags[t]
		if moves && !slices.Contains(versions, p.tags[t]) {
			others = append(others, t)
		}
	}
	if tag == "project:release:add" {
		events = append(events, x.moved(others, o)...)
	}
	if !x.body.whole() {
		for _, e := range events {
			e.Metadata["undetermined"] = true // there may have been more
		}
	}
	return events
}

// release returns the event of one version that is published or staged.
func (x *exchange) release(o event.Outcome, tag, version string) *event.Event {
	p := x.doc
	if tag == "project:release:add" && (o == event.Failure || o == event.Denied) {
		tag = "project:release:denied" // a release that was refused is not public
	}
	e := x.event(tag, o, x.p.project(x.at.pkg))
	if tag == "project:release:denied" {
		put(e, "reason", x.releaseReason(version))
	}
	put(e, "access", p.access)
	v := p.versions[version]
	if version == "" || v == nil {
		return e
	}
	e.Subjects = append(e.Subjects, x.p.version(x.at.pkg, version))
	put(e, "version", version)
	x.describeTags(e, tag, version)
	e.Metadata["attested"] = p.attested(version)
	if f := p.file(version, ".tgz"); f != nil && f.bytes() > 0 {
		e.Metadata["bytes"] = f.bytes()
	}
	if v.marked {
		e.Metadata["deprecated"] = v.deprecated
	}
	if d := v.detail; d != nil {
		put(e, "integrity", d.integrity)
		put(e, "shasum", d.shasum)
		e.Metadata["has_install_script"] = d.installs
	}
	x.describeNews(e, v, version)
	return e
}

// describeTags adds the tags that a version gets.
func (x *exchange) describeTags(e *event.Event, tag, version string) {
	var tags []string
	for t, v := range x.doc.tags {
		if v == version {
			tags = append(tags, t)
		}
	}
	slices.Sort(tags)
	if tag == "project:release:stage" {
		put(e, "tag", strings.Join(tags, ","))
		return
	}
	put(e, "dist_tag", strings.Join(tags, ","))
	if x.doc.known != nil && len(tags) > 0 {
		put(e, "previous_version", x.doc.known.tags[tags[0]])
		e.Metadata["derived"] = true
	}
}

// describeNews adds what a version changes for those who install the package.
func (x *exchange) describeNews(e *event.Event, v *version, name string) {
	known := x.doc.known
	if known == nil {
		return
	}
	e.Metadata["derived"] = true
	if known.versions[name] != nil {
		e.Metadata["replaces"] = true // there is one of that name
	}
	if names, ok := x.doc.newDepends(v); ok {
		putList(e, "dependencies_added", names)
	}
}

// releaseReason says why a publication was refused, in the catalogue's words.
func (x *exchange) releaseReason(version string) string {
	said := strings.ToLower(x.errorText())
	known := x.doc.known
	switch {
	case x.status == http.StatusConflict, known != nil && known.versions[version] != nil,
		strings.Contains(said, "previously published"), strings.Contains(said, "already"):
		return "version_exists"
	case x.asksForOTP(), strings.Contains(said, "two-factor"):
		return "mfa_required"
	case x.status == http.StatusUnauthorized:
		return "token_disallowed"
	case x.status == http.StatusForbidden:
		return "not_owner"
	case x.status == http.StatusBadRequest, x.status == http.StatusUnprocessableEntity,
		x.status == http.StatusRequestEntityTooLarge:
		return "validation"
	}
	return ""
}

// stage is a version that waits for approval.
func (x *exchange) stage() registry.Result {
	o, ended := x.outcome()
	switch {
	case !ended:
		return registry.Result{}
	case x.doc == nil || !x.body.whole() && len(x.doc.versions) == 0:
		e := x.event("project:release:stage", o, x.p.project(x.at.pkg))
		e.Metadata["undetermined"] = true
		return one(e)
	}
	events := x.publish(o, "project:release:stage")
	if id := registry.Clean(x.said.Text("stageId"), maxIDBytes); id != "" {
		events[0].Metadata["stage_id"] = id
		if versions := x.doc.published(); o == event.Success && len(versions) > 0 {
			x.p.stages.put(id, release{x.at.pkg, clean(versions[0])})
		}
	}
	return x.sealed(events)
}

// A release is a version of a package.
type release struct{ pkg, version string }

// staged is an approval, a rejection or a download of a version that waits.
// The request names only the stage; the registry, or an earlier answer of it,
// tells what that is.
func (x *exchange) staged() registry.Result {
	o, ended := x.outcome()
	if !ended || x.row.class == registry.Read && o != event.Success && o != event.Denied {
		return registry.Result{}
	}
	id := registry.Clean(x.at.id, maxIDBytes)
	what := release{x.said.Text("packageName"), x.said.Text("version")}
	if what.pkg == "" {
		what, _ = x.p.stages.get(id)
	}
	e := x.event(x.row.tag, o)
	put(e, "stage_id", id)
	if what.pkg != "" {
		e.Subjects = append(e.Subjects, x.p.project(what.pkg))
	}
	if what.pkg != "" && what.version != "" {
		e.Subjects = append(e.Subjects, x.p.version(what.pkg, what.version))
		put(e, "version", what.version)
	}
	if x.row.tag == "project:release:stage_approve" && x.shown.OTP {
		e.Metadata["mfa_method"] = "otp"
	}
	if o == event.Success && x.row.class == registry.Write {
		x.p.stages.forget(id)
	}
	return one(e)
}
