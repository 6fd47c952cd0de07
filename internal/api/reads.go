package api

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
)

// A readHandler answers somebody with what they may see as who. It asks the
// reading room for it, and nothing else that knows events.
type readHandler func(w http.ResponseWriter, r *http.Request, key *auth.Key, who *reader.Reader) error

// reads answers those whose key may read, as whom it reads.
func (a *API) reads(h readHandler) http.Handler {
	return a.with(auth.Read, func(w http.ResponseWriter, r *http.Request, key *auth.Key) error {
		return h(w, r, key, ReaderOf(key))
	})
}

// looking returns who as they look: with what is masked, if the parameter reason
// says why. That is on record then.
func (a *API) looking(r *http.Request, key *auth.Key, who *reader.Reader, params url.Values, look reading.Look) (*reader.Reader, error) {
	if !params.Has("reason") {
		return who, nil
	}
	by := act(r, key, "", event.Subject{})
	look.Reason, look.Credential, look.Context = params.Get("reason"), by.Credential, by.Context
	return a.Room.Reveal(r.Context(), who, look)
}

// noEvent returns the answer for who asked for the event at seq and got err: the
// same whether there is none or it is not for them.
func noEvent(seq journal.Seq, err error) error {
	switch {
	case errors.Is(err, reading.ErrNone):
		return notFound("there is no event %d, or not for this key", seq)
	case errors.Is(err, reading.ErrExpired):
		return gone(seq)
	}
	return err
}

// readProblem chooses the answer for what the reading room refuses; nil if err is
// about something else.
func readProblem(err error) *problem {
	p := &problem{Type: "/problems/bad-request", Title: "Bad request", Status: http.StatusBadRequest}
	switch {
	case errors.Is(err, reading.ErrNone):
		p.Type, p.Title, p.Status = "/problems/not-found", "Not found", http.StatusNotFound
		p.Detail = "there is no such event, or not for this key"
	case errors.Is(err, reading.ErrScope):
		p.Detail, p.Hint = "the query names no project, and this key reads one at a time", "name one with project:NAME"
	case errors.Is(err, reading.ErrNamed):
		p.Detail = "an answer about a pseudonym has no further pages; ask for less, with after: and before:"
	case errors.Is(err, reading.ErrReason):
		p.Detail = "a reason has 1 to 500 bytes, in one line, and is not blank"
	case errors.Is(err, reading.ErrNotStaff):
		p.Type, p.Title, p.Status = "/problems/forbidden", "Not allowed with this key", http.StatusForbidden
		p.Detail = "a reason shows more to keys that read as admin or auditor, and to no others"
	default:
		return nil
	}
	return p
}
