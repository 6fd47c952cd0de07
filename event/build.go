package event

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Fields returns the fields of e, checked as [Parse] does.
func (e *Event) Fields() (Fields, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	return Parse(data)
}

// Event returns f as an event. Fields that an event has no place for, which
// only a later version of the log can have written, are left out.
func (f Fields) Event() *Event {
	e := new(Event)
	texts := e.texts()
	for i := range f {
		field := &f[i]
		if p, ok := texts[field.Name]; ok {
			*p = field.Text()
			continue
		}
		switch {
		case field.Name == "time":
			e.Time = field.Time()
		case field.Name == "received":
			e.Received = field.Time()
		case field.Name == "outcome":
			e.Outcome = Outcome(field.Value)
		case field.Name == "trust":
			e.Trust = Trust(field.Value)
		case field.Name == "source_seq":
			e.SourceSeq = field.Int()
		case strings.HasPrefix(field.Name, metadataPrefix):
			if e.Metadata == nil {
				e.Metadata = make(map[string]any)
			}
			e.Metadata[field.Name[len(metadataPrefix):]] = field.native()
		default:
			e.setElement(field)
		}
	}
	return e
}

// texts returns where the string fields of e are, by name.
func (e *Event) texts() map[string]*string {
	return map[string]*string{
		"id": &e.ID, "tag": &e.Tag, "reason": &e.Reason, "reason_internal": &e.ReasonInternal, "source": &e.Source,
		"actor.type": &e.Actor.Type, "actor.id": &e.Actor.ID, "actor.name": &e.Actor.Name,
		"on_behalf_of.type": &e.OnBehalfOf.Type, "on_behalf_of.id": &e.OnBehalfOf.ID, "on_behalf_of.name": &e.OnBehalfOf.Name,
		"credential.kind": &e.Credential.Kind, "credential.id": &e.Credential.ID, "credential.name": &e.Credential.Name,
		"credential.mfa": &e.Credential.MFA, "credential.session": &e.Credential.Session,
		"oidc.issuer": &e.OIDC.Issuer, "oidc.subject": &e.OIDC.Subject, "oidc.repository": &e.OIDC.Repository,
		"oidc.workflow_ref": &e.OIDC.WorkflowRef, "oidc.ref": &e.OIDC.Ref, "oidc.sha": &e.OIDC.SHA,
		"oidc.run_id": &e.OIDC.RunID, "oidc.environment": &e.OIDC.Environment,
		"context.ip": &e.Context.IP, "context.user_agent": &e.Context.UserAgent, "context.request_id": &e.Context.RequestID,
		"context.trace_id": &e.Context.TraceID, "context.origin": &e.Context.Origin,
	}
}

// setElement sets a member of a subject or a change.
func (e *Event) setElement(field *Field) {
	list, rest, _ := strings.Cut(field.Name, ".")
	number, member, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= max(MaxSubjects, MaxChanges) {
		return
	}
	switch list {
	case "subjects":
		for len(e.Subjects) <= n {
			e.Subjects = append(e.Subjects, Subject{})
		}
		s := &e.Subjects[n]
		if p := map[string]*string{"type": &s.Type, "id": &s.ID, "name": &s.Name, "version": &s.Version, "role": &s.Role}[member]; p != nil {
			*p = string(field.Value)
		}
	case "changes":
		for len(e.Changes) <= n {
			e.Changes = append(e.Changes, Change{})
		}
		switch member {
		case "field":
			e.Changes[n].Field = string(field.Value)
		case "old":
			e.Changes[n].Old = field.native()
		case "new":
			e.Changes[n].New = field.native()
		}
	}
}

// native returns the value as Go has it: string, int64, bool, or raw JSON.
func (f *Field) native() any {
	switch f.Type {
	case Int:
		return f.Int()
	case Bool:
		return len(f.Value) == 1 && f.Value[0] == 1
	case JSON:
		return json.RawMessage(f.Value)
	case String, Time, IP:
	}
	return f.Text()
}
