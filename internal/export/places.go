package export

import (
	"slices"
	"strings"
	"sync"

	"github.com/custody-log/custody/event"
)

// The codes of fields that are not in one of the lists below.
var (
	idCode             = event.CodeOf("id")
	tagCode            = event.CodeOf("tag")
	timeCode           = event.CodeOf("time")
	outcomeCode        = event.CodeOf("outcome")
	reasonCode         = event.CodeOf("reason")
	reasonInternalCode = event.CodeOf("reason_internal")
	sourceSeqCode      = event.CodeOf("source_seq")
	receivedCode       = event.CodeOf("received")
	sourceCode         = event.CodeOf("source")
	trustCode          = event.CodeOf("trust")
)

// A member is a member of an object of an event.
type member struct {
	name string
	code int // of the object's first element, if it is in a list
}

// The objects of an event, their members in the order in which they are shown.
var (
	actorMembers      = members("actor.", "type", "id", "name")
	onBehalfOfMembers = members("on_behalf_of.", "type", "id", "name")
	credentialMembers = members("credential.", "kind", "id", "name", "mfa", "session")
	oidcMembers       = members("oidc.", "issuer", "subject", "repository", "workflow_ref", "ref", "sha", "run_id", "environment")
	contextMembers    = members("context.", "ip", "user_agent", "request_id", "trace_id", "origin")
	subjectMembers    = members("subjects.0.", "type", "id", "name", "version", "role")
	changeMembers     = members("changes.0.", "field", "old", "new")
)

// How far apart in codes two elements of a list are.
var (
	subjectStep = event.CodeOf("subjects.1.type") - event.CodeOf("subjects.0.type")
	changeStep  = event.CodeOf("changes.1.field") - event.CodeOf("changes.0.field")
)

func members(prefix string, names ...string) []member {
	list := make([]member, len(names))
	for i, name := range names {
		list[i] = member{name, event.CodeOf(prefix + name)}
	}
	return list
}

// Places are the fields of one event by code. Its memory is used again; it
// points into the event it was last filled from.
type places struct {
	by       [event.CodeLimit]*event.Field
	used     []int // the codes in by
	metadata []*event.Field
	subjects int // elements, those without a member included
	changes  int
	erased   int // fields that were

	noID, noActor bool // in JSON; otherwise these are there, be they empty
}

// freePlaces are places for one event, of which none points to anything.
var freePlaces = sync.Pool{New: func() any { return new(places) }}

func takePlaces() *places { return freePlaces.Get().(*places) }

// giveBack ends the use of p. It keeps nothing of the event.
func (p *places) giveBack() {
	p.clear()
	freePlaces.Put(p)
}

// fill puts the fields of r that are not erased in their places.
func (p *places) fill(r *event.Record) {
	p.clear()
	for i := range r.Fields {
		if r.Fields[i].Erased {
			p.erased++
			continue
		}
		p.put(&r.Fields[i].Field)
	}
}

// fillFields puts f in its places.
func (p *places) fillFields(f event.Fields) {
	p.clear()
	for i := range f {
		p.put(&f[i])
	}
}

func (p *places) clear() {
	for _, code := range p.used {
		p.by[code] = nil
	}
	clear(p.metadata)
	p.used, p.metadata = p.used[:0], p.metadata[:0]
	p.subjects, p.changes, p.erased = 0, 0, 0
	p.noID, p.noActor = false, false
}

// put puts one field in its place. One that this version has no place for is
// left out, as the API does.
func (p *places) put(f *event.Field) {
	code := f.Code()
	switch {
	case code == event.MetadataCode:
		p.metadata = append(p.metadata, f)
		return
	case code == 0:
		return
	case code >= event.ChangeCode:
		p.changes = max(p.changes, (code-event.ChangeCode)/changeStep+1)
	case code > event.MetadataCode:
		p.subjects = max(p.subjects, (code-subjectMembers[0].code)/subjectStep+1)
	}
	p.by[code] = f
	p.used = append(p.used, code)
}

// has reports whether there is something to show of any of list, offset codes
// further on.
func (p *places) has(list []member, offset int) bool {
	return slices.ContainsFunc(list, func(m member) bool {
		f := p.by[m.code+offset]
		return f != nil && len(f.Value) > 0
	})
}

// text returns the text of the field with the given code, or "".
func (p *places) text(code int) string {
	if f := p.by[code]; f != nil {
		return f.Text()
	}
	return ""
}

// appendText appends the text of the field with the given code.
func (p *places) appendText(dst []byte, code int) []byte {
	f := p.by[code]
	switch {
	case f == nil:
		return dst
	case f.Type == event.String || f.Type == event.JSON:
		return append(dst, f.Value...)
	}
	return append(dst, f.Text()...)
}

// micros returns the time in the field with the given code, in microseconds
// since 1970.
func (p *places) micros(code int) (int64, bool) {
	f := p.by[code]
	if f == nil || f.Type != event.Time {
		return 0, false
	}
	return f.Time().UnixMicro(), true
}

// subject returns the offset of the first subject of the given type.
func (p *places) subject(kind string) (offset int, found bool) {
	for n := range p.subjects {
		offset := n * subjectStep
		if f := p.by[subjectMembers[0].code+offset]; f != nil && string(f.Value) == kind {
			return offset, true
		}
	}
	return 0, false
}

// metadatum returns the member of metadata called key, or nil.
func (p *places) metadatum(key string) *event.Field {
	for _, f := range p.metadata {
		if metadataKey(f) == key {
			return f
		}
	}
	return nil
}

func metadataKey(f *event.Field) string { return strings.TrimPrefix(f.Name, "metadata.") }
