package api

import (
	"encoding/json"
	"net/http"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/retain"
)

// listErasures answers with all erasures, the oldest first.
func (a *API) listErasures(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	list := a.Keeper.Erasures()
	if list == nil {
		list = []retain.Erasure{}
	}
	return respond(w, http.StatusOK, struct {
		Erasures []retain.Erasure `json:"erasures"`
	}{list})
}

// showErasure answers with one erasure.
func (a *API) showErasure(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	erasure, err := a.Keeper.Erasure(r.PathValue("id"))
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, erasure)
}

// requestErasure has what is personal about somebody erased, or says what that
// would mean. The work goes on after the answer.
func (a *API) requestErasure(w http.ResponseWriter, r *http.Request, key *auth.Key) error {
	var wanted struct {
		Subject json.RawMessage `json:"subject"`
		Reason  string          `json:"reason"`
		DryRun  bool            `json:"dry_run"`
	}
	if err := decode(r, &wanted, "subject", "reason", "dry_run"); err != nil {
		return err
	}
	person, err := personIn(wanted.Subject)
	if err != nil {
		return err
	}
	if wanted.DryRun {
		estimate, err := a.Keeper.Estimate(r.Context(), person)
		if err != nil {
			return err
		}
		return respond(w, http.StatusOK, estimate)
	}
	erasure, err := a.Keeper.RequestErasure(r.Context(), byWhom(r, key), person, wanted.Reason)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/erasures/"+erasure.ID)
	return respond(w, http.StatusAccepted, erasure)
}

// denyErasure refuses an erasure that has not ended.
func (a *API) denyErasure(w http.ResponseWriter, r *http.Request, key *auth.Key) error {
	var wanted struct {
		Ground string `json:"ground"`
	}
	if err := decode(r, &wanted, "ground"); err != nil {
		return err
	}
	erasure, err := a.Keeper.DenyErasure(r.Context(), byWhom(r, key), r.PathValue("id"), wanted.Ground)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, erasure)
}
