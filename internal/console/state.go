package console

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/segment"
	"github.com/custody-log/custody/internal/store"
)

// A state is why there is no page, as a page that says so. It is an error.
type state struct {
	Status   int
	Title    string
	Sentence string
	Hint     string // what to do; often ""
	Signin   bool   // signing in may help

	Reveal *revealing // the form that asks why; nil if that does not help
}

// Error implements error.
func (s *state) Error() string { return s.Title + ": " + s.Sentence }

// errNone is the answer for what is not there and for what is not for the
// visitor to see: nothing in it tells which.
var errNone = &state{
	Status: http.StatusNotFound, Title: "Nothing to see here",
	Sentence: "There is no such thing in this log, or it is not for you to see.",
}

// errScope is the answer to the public, asking for more than one project.
var errScope = &state{
	Status: http.StatusForbidden, Title: "Sign in to search", Signin: true,
	Sentence: "Without signing in you can search within one project: project:NAME.",
}

// errBusy is the answer while too many others are answered.
var errBusy = &state{
	Status: http.StatusServiceUnavailable, Title: "Too much at once",
	Sentence: "The log is answering too many others at this moment.", Hint: "Try again in a few seconds.",
}

// errInternal is the answer when something is wrong with us.
var errInternal = &state{
	Status: http.StatusInternalServerError, Title: "Something went wrong here",
	Sentence: "The log could not make this page. What went wrong is in its own messages, for whoever runs it.",
}

// badRequest is the answer to a request that could not be understood.
func badRequest(sentence string) *state {
	return &state{Status: http.StatusBadRequest, Title: "That cannot be understood", Sentence: sentence}
}

// stateOf chooses the page for err. An error that is not listed here is our own
// fault, and its text stays inside.
func stateOf(err error) *state {
	if s, ok := errors.AsType[*state](err); ok {
		return s
	}
	if e, ok := errors.AsType[*query.Error](err); ok {
		s := badRequest("The query cannot be understood: " + wrongAt(e))
		s.Hint = capital(e.Hint)
		return s
	}
	if e, ok := errors.AsType[*segment.DamageError](err); ok {
		return &state{
			Status: http.StatusInternalServerError, Title: "A file of the log is damaged",
			Sentence: "There is no answer without store/" + e.File + ", which is not what was written: " + e.Reason + ".",
			Hint:     "Whoever runs the log can mend it from a backup: custody fsck -repair.",
		}
	}
	switch {
	case errors.Is(err, reading.ErrNone):
		return errNone
	case errors.Is(err, reading.ErrScope):
		return errScope
	case errors.Is(err, reading.ErrExpired):
		return &state{Status: http.StatusGone, Title: "Past its time", Sentence: dossier.ExpiredNote("", 0).Text}
	case errors.Is(err, reading.ErrNamed):
		return badRequest("A pseudonym has no further pages, and not too many events. Ask for less, with after: and before:.")
	case errors.Is(err, reading.ErrReason):
		return badRequest("A reason has 1 to " + number(reading.MaxReasonBytes) + " bytes, and is not blank.")
	case errors.Is(err, reading.ErrNotStaff):
		return &state{Status: http.StatusForbidden, Title: "Not for you", Sentence: "A reason opens nothing for you: what is masked is for staff."}
	case errors.Is(err, dossier.ErrMasked):
		return &state{Status: http.StatusForbidden, Title: "This is masked", Sentence: dossier.MaskedNote(0).Text}
	case errors.Is(err, dossier.ErrNotAllowed):
		return &state{Status: http.StatusForbidden, Title: "Not for you", Signin: true, Sentence: dossier.NotAllowedNote().Text}
	case errors.Is(err, store.ErrCursor):
		return badRequest("The address says to go on from a place that is not in this search.")
	case errors.Is(err, context.DeadlineExceeded):
		return errBusy
	}
	return errInternal
}

// wrongAt says where a query is wrong, and what was expected there.
func wrongAt(e *query.Error) string {
	return "at column " + number(e.Column) + ", expected " + e.Expected + "."
}

// capital returns a hint as a sentence.
func capital(hint string) string {
	if hint == "" {
		return ""
	}
	if !strings.HasSuffix(hint, "?") {
		hint += "."
	}
	return strings.ToUpper(hint[:1]) + hint[1:]
}
