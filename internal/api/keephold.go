package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/retain"
)

// listHolds answers with all holds, the newest first.
func (a *API) listHolds(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	return respond(w, http.StatusOK, struct {
		Holds []retain.Hold `json:"holds"`
	}{a.Keeper.Holds()})
}

// showHold answers with one hold.
func (a *API) showHold(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	hold, err := a.Keeper.Hold(r.PathValue("id"))
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, hold)
}

// placeHold keeps events from being dropped or erased.
func (a *API) placeHold(w http.ResponseWriter, r *http.Request, key *auth.Key) error {
	var wanted struct {
		Case    string          `json:"case"`
		Query   string          `json:"query"`
		Account json.RawMessage `json:"account"`
		Reason  string          `json:"reason"`
		Until   time.Time       `json:"until"`
	}
	if err := decode(r, &wanted, "case", "query", "account", "reason", "until"); err != nil {
		return err
	}
	hold := retain.Hold{Case: wanted.Case, Query: wanted.Query, Reason: wanted.Reason, Until: wanted.Until}
	if wanted.Account != nil {
		person, err := personIn(wanted.Account)
		if err != nil {
			return err
		}
		hold.Account = &person
	}
	hold, err := a.Keeper.PlaceHold(r.Context(), byWhom(r, key), hold)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/holds/"+hold.ID)
	return respond(w, http.StatusCreated, hold)
}

// liftHold ends a hold.
func (a *API) liftHold(w http.ResponseWriter, r *http.Request, key *auth.Key) error {
	var wanted struct {
		Reason string `json:"reason"`
	}
	if err := decode(r, &wanted, "reason"); err != nil {
		return err
	}
	hold, err := a.Keeper.LiftHold(r.Context(), byWhom(r, key), r.PathValue("id"), wanted.Reason)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, hold)
}
