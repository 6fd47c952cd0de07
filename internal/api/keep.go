package api

import (
	"errors"
	"net/http"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/keeper"
	"github.com/custody-log/custody/internal/retain"
)

// The handlers of what decides how long records are kept are in the files keep*.

// byWhom returns who asks, as the keeper records it.
func byWhom(r *http.Request, key *auth.Key) keeper.By {
	e := act(r, key, "", event.Subject{})
	return keeper.By{Actor: e.Actor, Credential: e.Credential, Context: e.Context}
}

// personIn reads somebody from a body; a user, unless it says another type.
func personIn(data []byte) (p retain.Person, err error) {
	p.Type = "user"
	if data == nil {
		return p, badRequest("the body does not say whom it is about")
	}
	return p, unmarshal(data, &p, []string{"type", "id", "name"})
}

// keepProblem chooses the answer for what the keeper refuses; nil if err is about
// something else.
func keepProblem(err error) *problem {
	if e, ok := errors.AsType[*retain.InvalidError](err); ok {
		return &problem{Type: "/problems/bad-request", Title: "Bad request", Status: http.StatusBadRequest, Detail: e.Reason}
	}
	switch {
	case errors.Is(err, retain.ErrUnknown):
		return &problem{
			Type: "/problems/not-found", Title: "Not found", Status: http.StatusNotFound,
			Detail: "there is no such class, hold or erasure",
		}
	case errors.Is(err, retain.ErrFull):
		return conflict("conflict", "There are too many", "there are as many holds or erasures as there can be")
	}
	return nil
}

// listPolicies answers with how long each class of events is kept.
func (a *API) listPolicies(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	return respond(w, http.StatusOK, struct {
		Classes []retain.Policy `json:"classes"`
	}{a.Keeper.Policies()})
}

// A changedPolicy is the answer to a change.
type changedPolicy struct {
	Before retain.Policy `json:"before"`
	After  retain.Policy `json:"after"`
}

// setPolicy changes how long a class of events is kept.
func (a *API) setPolicy(w http.ResponseWriter, r *http.Request, key *auth.Key) error {
	var wanted retain.Override
	if err := decode(r, &wanted, "keep", "keep_personal"); err != nil {
		return err
	}
	if wanted.Keep == nil && wanted.KeepPersonal == nil {
		return badRequest("the body says neither keep nor keep_personal")
	}
	before, after, err := a.Keeper.SetPolicy(r.Context(), byWhom(r, key), r.PathValue("class"), wanted)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, changedPolicy{before, after})
}

// resetPolicy takes back what was changed while running.
func (a *API) resetPolicy(w http.ResponseWriter, r *http.Request, key *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	before, after, err := a.Keeper.ResetPolicy(r.Context(), byWhom(r, key), r.PathValue("class"))
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, changedPolicy{before, after})
}

// purge drops what is past its time now.
func (a *API) purge(w http.ResponseWriter, r *http.Request, key *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	purged, err := a.Keeper.Purge(r.Context(), byWhom(r, key))
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, purged)
}
