package api

import (
	"net/http"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
)

// signinLink answers with a link with which a person signs in to the console,
// once.
func (a *API) signinLink(w http.ResponseWriter, r *http.Request, by *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	if a.SigninLink == nil {
		return &problem{Type: "/problems/no-console", Title: "There is no console to sign in to", Status: http.StatusNotFound}
	}
	act := act(r, by, "audit:access:grant", event.Subject{})
	url, expires, err := a.SigninLink(act.Actor)
	if err != nil {
		return err
	}
	act.Subjects = nil // who will open the link is not known
	act.Metadata = map[string]any{
		"role": "administrator and auditor", "scope": "the console", "way": "a sign-in link", "expires": expires.UTC().Format(time.RFC3339),
	}
	// If it cannot be recorded nobody is shown the link, and it expires unused.
	if err := a.record1(r, act); err != nil {
		return err
	}
	return respond(w, http.StatusCreated, struct {
		URL     string    `json:"url"`
		Expires time.Time `json:"expires"`
	}{url, expires.UTC()})
}
