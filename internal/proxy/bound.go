package proxy

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
)

// maxValueBytes bounds one text that a client chose, so that no client can
// make an event that the log does not accept.
const maxValueBytes = 2 << 10 // 2 KiB

// bound makes e fit into the log whatever a client put into it: texts are cut
// and made valid UTF-8, lists are shortened, and e says so.
func bound(e *event.Event) {
	short := false
	if len(e.Subjects) > event.MaxSubjects {
		e.Subjects, short = e.Subjects[:event.MaxSubjects], true
	}
	if len(e.Changes) > event.MaxChanges {
		e.Changes, short = e.Changes[:event.MaxChanges], true
	}
	if len(e.Metadata) >= event.MaxMetadata {
		for _, name := range slices.Sorted(maps.Keys(e.Metadata))[event.MaxMetadata-1:] {
			delete(e.Metadata, name)
		}
		short = true
	}
	tidy := func(s *string) {
		if t := cut(*s, maxValueBytes); t != *s {
			*s, short = t, true
		}
	}
	for _, party := range []*event.Party{&e.Actor, &e.OnBehalfOf} {
		tidy(&party.ID)
		tidy(&party.Name)
	}
	for i := range e.Subjects {
		s := &e.Subjects[i]
		for _, text := range []*string{&s.ID, &s.Name, &s.Version, &s.Role} {
			tidy(text)
		}
	}
	for i := range e.Changes {
		e.Changes[i].Old, e.Changes[i].New = tidyValue(e.Changes[i].Old, tidy), tidyValue(e.Changes[i].New, tidy)
	}
	for name, value := range e.Metadata {
		e.Metadata[name] = tidyValue(value, tidy)
	}
	o := &e.OIDC
	for _, text := range []*string{
		&o.Issuer, &o.Subject, &o.Repository, &o.WorkflowRef, &o.Ref, &o.SHA, &o.RunID, &o.Environment,
		&e.Credential.Name, &e.Credential.Session, &e.Context.UserAgent, &e.Reason, &e.ReasonInternal,
	} {
		tidy(text)
	}
	if short {
		set(e, "shortened", true)
	}
}

// tidyValue applies tidy to a text. Other values are the protocol's, which
// bounds them.
func tidyValue(value any, tidy func(*string)) any {
	if text, ok := value.(string); ok {
		tidy(&text)
		return text
	}
	return value
}

// cut returns valid UTF-8 of at most limit bytes.
func cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// reduce returns e without its details, for a log that did not accept them.
// That something happened must not be lost to how it was described.
func reduce(e *event.Event) *event.Event {
	short := *e
	short.ID = event.NewID()
	short.Subjects = slices.Clone(e.Subjects[:min(len(e.Subjects), 2)])
	short.Changes, short.Reason = nil, ""
	short.Metadata = map[string]any{"shortened": true}
	return &short
}
