package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/tree"
)

// A problem is the body of every answer that is not a success, see RFC 9457.
// What it says was chosen to be read by the client; what went wrong inside
// goes to the log.
type problem struct {
	Type   string `json:"type"`  // stable, for programs: "/problems/" and a slug
	Title  string `json:"title"` // for people, the same for every problem of this type
	Status int    `json:"status"`
	Detail string `json:"detail,omitzero"` // for people, about this request
	Hint   string `json:"hint,omitzero"`   // for people, what to do

	Index  *int   `json:"index,omitempty"`  // place in the batch of the event that is to blame, from 0
	Path   string `json:"path,omitzero"`    // member of the event that is to blame
	Limit  string `json:"limit,omitzero"`   // the limit that was exceeded
	Seq    *int64 `json:"seq,omitempty"`    // event that is in the way
	Column int    `json:"column,omitempty"` // place in the query, in characters, from 1

	retry time.Duration // after which it makes sense to try again; 0 if that is not known
}

func (p *problem) Error() string { return p.Title + ": " + p.Detail }

// slug returns the last word of the type.
func (p *problem) slug() string { return strings.TrimPrefix(p.Type, "/problems/") }

// badRequest is the problem of a request that could not be understood.
func badRequest(format string, args ...any) error {
	return &problem{Type: "/problems/bad-request", Title: "Bad request", Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...)}
}

// notFound is the problem of asking for what there is none of.
func notFound(format string, args ...any) error {
	return &problem{Type: "/problems/not-found", Title: "Not found", Status: http.StatusNotFound, Detail: fmt.Sprintf(format, args...)}
}

func unauthorized(detail, hint string) error {
	return &problem{Type: "/problems/unauthorized", Title: "A key is needed", Status: http.StatusUnauthorized, Detail: detail, Hint: hint}
}

func forbidden(scope string) error {
	return &problem{
		Type: "/problems/forbidden", Title: "Not allowed with this key", Status: http.StatusForbidden,
		Detail: "this needs a key with the scope " + scope,
	}
}

// tooManyFailures is the problem of an address from which wrong keys come.
func tooManyFailures(wait time.Duration) error {
	return &problem{
		Type: "/problems/too-many-failures", Title: "Too many wrong keys", Status: http.StatusTooManyRequests,
		Detail: "wrong keys came from this address too often", Hint: "wait as long as Retry-After says; a key that is valid is answered at once",
		retry: wait,
	}
}

// unsupported is the problem of a body in a form that is not read here.
func unsupported(what, got, hint string) error {
	return &problem{
		Type: "/problems/unsupported", Title: "The body has a form that is not read here", Status: http.StatusUnsupportedMediaType,
		Detail: fmt.Sprintf("the %s is %q", what, got), Hint: hint,
	}
}

// notYet is the problem of asking for a proof before there is one.
func notYet(detail, hint string) error {
	return &problem{Type: "/problems/not-yet", Title: "Not yet", Status: http.StatusNotFound, Detail: detail, Hint: hint}
}

// busy is the problem of asking while all places are taken.
func busy(limit string) error {
	return &problem{
		Type: "/problems/busy", Title: "Too much at once", Status: http.StatusServiceUnavailable,
		Limit: limit, Hint: "try again in a second",
	}
}

// conflict is the problem of asking for what the present state rules out.
func conflict(slug, title, detail string) *problem {
	return &problem{Type: "/problems/" + slug, Title: title, Status: http.StatusConflict, Detail: detail}
}

// damaged is the problem of a file of the store that is not what was written.
// Who reads the log must know that it cannot answer, and for which file.
func damaged(e *segment.DamageError) *problem {
	return &problem{
		Type: "/problems/damaged", Title: "A file of the log is damaged", Status: http.StatusInternalServerError,
		Detail: fmt.Sprintf("store/%s: %s; there is no answer without it", e.File, e.Reason),
		Hint:   "whoever runs the log can find out with custody fsck what is damaged, and mend it from a backup with custody fsck -repair",
	}
}

// problemOf chooses the answer for err. An error that is not listed here is
// our own fault and its text stays inside.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if p := submissionProblem(err); p != nil {
		return p
	}
	if p := keepProblem(err); p != nil {
		return p
	}
	if p := readProblem(err); p != nil {
		return p
	}
	if e, ok := errors.AsType[*query.Error](err); ok {
		return &problem{
			Type: "/problems/bad-query", Title: "The query cannot be understood", Status: http.StatusBadRequest,
			Detail: fmt.Sprintf("column %d: expected %s", e.Column, e.Expected), Hint: e.Hint, Column: e.Column,
		}
	}
	if e, ok := errors.AsType[*segment.DamageError](err); ok {
		return damaged(e)
	}
	if e, ok := errors.AsType[*store.FieldError](err); ok {
		return &problem{
			Type: "/problems/bad-request", Title: "Bad request", Status: http.StatusBadRequest,
			Detail: fmt.Sprintf("there is no field %.100q", e.Name), Hint: fieldHint(),
		}
	}
	if e, ok := errors.AsType[*auth.NameError](err); ok {
		return &problem{Type: "/problems/invalid-key", Title: "No key can be made of this", Status: http.StatusUnprocessableEntity, Detail: e.Reason}
	}
	switch {
	case errors.Is(err, store.ErrCursor):
		return &problem{
			Type: "/problems/bad-request", Title: "Bad request", Status: http.StatusBadRequest,
			Detail: "cursor is not one that this log gave for this order",
		}
	case errors.Is(err, tree.ErrNotYet):
		return &problem{
			Type: "/problems/not-yet", Title: "Not yet", Status: http.StatusNotFound,
			Detail: "no signed checkpoint covers this yet", Hint: "try again in a second",
		}
	case errors.Is(err, auth.ErrUnknown):
		return &problem{Type: "/problems/not-found", Title: "Not found", Status: http.StatusNotFound, Detail: "there is no such key"}
	case errors.Is(err, auth.ErrLast):
		return conflict("last-key", "The last key stays", "this is the last key that may administer the log")
	case errors.Is(err, auth.ErrFull):
		p := conflict("too-many-keys", "There are too many keys", "revoke one first")
		p.Limit = fmt.Sprintf("%d keys", auth.MaxKeys)
		return p
	case errors.Is(err, journal.ErrStopped):
		return &problem{Type: "/problems/stopped", Title: "The log is not accepting events", Status: http.StatusServiceUnavailable}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &problem{Type: "/problems/interrupted", Title: "The request ended before its answer", Status: http.StatusServiceUnavailable}
	}
	return &problem{Type: "/problems/internal", Title: "Internal error", Status: http.StatusInternalServerError}
}

// submissionProblem chooses the answer for what is wrong with submitted
// events; nil if err is about something else.
func submissionProblem(err error) *problem {
	if e, ok := errors.AsType[*event.InvalidError](err); ok {
		return &problem{
			Type: "/problems/invalid-event", Title: "Invalid event", Status: http.StatusUnprocessableEntity,
			Detail: e.Error(), Path: e.Path, Index: place(e.Index),
		}
	}
	if e, ok := errors.AsType[*event.LimitError](err); ok {
		return &problem{
			Type: "/problems/too-large", Title: "Too large", Status: http.StatusRequestEntityTooLarge,
			Detail: e.Error(), Limit: e.Limit, Index: place(e.Index),
		}
	}
	if e, ok := errors.AsType[*intake.ConflictError](err); ok {
		p := conflict("conflict", "Another event has this ID", strings.TrimPrefix(e.Error(), "intake: "))
		p.Index = place(e.Index)
		if seq := int64(e.Seq); seq >= 0 {
			p.Seq = &seq
		}
		return p
	}
	if errors.Is(err, intake.ErrFull) {
		return &problem{Type: "/problems/full", Title: "The log is full", Status: http.StatusInsufficientStorage}
	}
	return nil
}

// place returns a place in a batch, or nil outside of one.
func place(index int) *int {
	if index < 0 {
		return nil
	}
	return &index
}

// writeProblem writes p as an answer.
func writeProblem(w http.ResponseWriter, p *problem) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	switch p.Status {
	case http.StatusRequestEntityTooLarge:
		h.Set("Connection", "close") // the rest of the body is not worth reading
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	case http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.FormatInt(int64((p.retry+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}
