package export

import (
	"encoding/base64"

	"github.com/custody-log/custody/event"
)

// A kind is the type of a column.
type kind uint8

const (
	number  kind = iota // a whole number
	instant             // microseconds since 1970, UTC
	word                // a text of which there are few
	text
	object // JSON
)

// A column is one value of each row, in CSV and Parquet. What an event does not
// say is empty in CSV and null in Parquet.
type column struct {
	name string
	kind kind

	whole func(f *flat) (v int64, said bool)        // of a number or an instant
	write func(dst []byte, f *flat) ([]byte, error) // appends the value of any other
}

// A flat is a row as columns see it.
type flat struct {
	*Row
	*places
}

// columns are all columns, in their order. The list is frozen: a new column
// goes to its end. See docs/export.md.
var columns = []column{
	{name: "seq", kind: number, whole: func(f *flat) (int64, bool) { return f.Seq, true }},
	instantOf("time"),
	instantOf("received"),
	wordOf("tag", "tag"),
	{name: "class", kind: word, write: func(dst []byte, f *flat) ([]byte, error) { return append(dst, f.Class...), nil }},
	{name: "severity", kind: word, write: func(dst []byte, f *flat) ([]byte, error) { return append(dst, f.Severity...), nil }},
	wordOf("outcome", "outcome"),
	wordOf("actor_type", "actor.type"),
	textOf("actor_id", "actor.id"),
	textOf("actor_name", "actor.name"),
	wordOf("on_behalf_of_type", "on_behalf_of.type"),
	textOf("on_behalf_of_id", "on_behalf_of.id"),
	textOf("on_behalf_of_name", "on_behalf_of.name"),
	wordOf("credential_kind", "credential.kind"),
	textOf("credential_id", "credential.id"),
	textOf("credential_name", "credential.name"),
	textOf("credential_mfa", "credential.mfa"),
	textOf("credential_session", "credential.session"),
	{name: "project", kind: text, write: appendProject},
	{name: "org", kind: text, write: appendOrg},
	{name: "version", kind: text, write: appendVersion},
	textOf("ip", "context.ip"),
	textOf("user_agent", "context.user_agent"),
	textOf("request_id", "context.request_id"),
	wordOf("source", "source"),
	wordOf("trust", "trust"),
	textOf("reason", "reason"),
	{name: "metadata", kind: object, write: func(dst []byte, f *flat) ([]byte, error) {
		if len(f.metadata) == 0 {
			return dst, nil
		}
		return f.appendMetadata(dst)
	}},
	{name: "subjects", kind: object, write: func(dst []byte, f *flat) ([]byte, error) {
		if f.subjects == 0 {
			return dst, nil
		}
		return f.appendSubjects(dst), nil
	}},
	{name: "changes", kind: object, write: func(dst []byte, f *flat) ([]byte, error) {
		if f.changes == 0 {
			return dst, nil
		}
		return f.appendChanges(dst)
	}},
	{name: "text", kind: text, write: func(dst []byte, f *flat) ([]byte, error) { return append(dst, f.Text...), nil }},
	{name: "commitment", kind: text, write: func(dst []byte, f *flat) ([]byte, error) {
		return base64.StdEncoding.AppendEncode(dst, f.Record.Commitment[:]), nil
	}},
	textOf("id", "id"),
	{name: "source_seq", kind: number, whole: func(f *flat) (int64, bool) {
		field := f.by[sourceSeqCode]
		return wholeOf(field), field != nil
	}},
	textOf("reason_internal", "reason_internal"),
	{name: "oidc", kind: object, write: func(dst []byte, f *flat) ([]byte, error) {
		if !f.has(oidcMembers, 0) {
			return dst, nil
		}
		return f.appendObject(dst, oidcMembers, 0), nil
	}},
	textOf("trace_id", "context.trace_id"),
	wordOf("origin", "context.origin"),
}

func wholeOf(f *event.Field) int64 {
	if f == nil {
		return 0
	}
	return f.Int()
}

func instantOf(name string) column {
	code := event.CodeOf(name)
	return column{name: name, kind: instant, whole: func(f *flat) (int64, bool) { return f.micros(code) }}
}

func textOf(name, field string) column {
	code := event.CodeOf(field)
	return column{name: name, kind: text, write: func(dst []byte, f *flat) ([]byte, error) {
		return f.appendText(dst, code), nil
	}}
}

func wordOf(name, field string) column {
	c := textOf(name, field)
	c.kind = word
	return c
}

// appendProject appends the name of the first project among the subjects, or
// else of the first version or file, whose name is its project's; the id of one
// without a name.
func appendProject(dst []byte, f *flat) ([]byte, error) {
	for _, kind := range []string{"project", "version", "file"} {
		if offset, found := f.subject(kind); found {
			return f.appendSubject(dst, offset), nil
		}
	}
	return dst, nil
}

// appendOrg appends the name, or else the id, of the first organisation among
// the subjects.
func appendOrg(dst []byte, f *flat) ([]byte, error) {
	if offset, found := f.subject("org"); found {
		return f.appendSubject(dst, offset), nil
	}
	return dst, nil
}

// appendSubject appends the name of a subject, or else its id.
func (p *places) appendSubject(dst []byte, offset int) []byte {
	const id, name = 1, 2
	before := len(dst)
	if dst = p.appendText(dst, subjectMembers[name].code+offset); len(dst) > before {
		return dst
	}
	return p.appendText(dst, subjectMembers[id].code+offset)
}

// appendVersion appends the version of the first subject that has one, or else
// the text "version" of metadata.
func appendVersion(dst []byte, f *flat) ([]byte, error) {
	const version = 3
	for n := range f.subjects {
		before := len(dst)
		if dst = f.appendText(dst, subjectMembers[version].code+n*subjectStep); len(dst) > before {
			return dst, nil
		}
	}
	if m := f.metadatum("version"); m != nil && m.Type == event.String {
		return append(dst, m.Value...), nil
	}
	return dst, nil
}
