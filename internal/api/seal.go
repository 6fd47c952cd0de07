package api

import (
	"net/http"
	"time"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/journal"
)

// sealTimeout is how long sealing may take: it waits for merges under way.
const sealTimeout = 10 * time.Minute

// A sealed is the answer to a request to seal.
type sealed struct {
	Sealed journal.Seq `json:"sealed"` // records before it are in segments
}

// seal writes all records there are into segments, and merges small ones. It
// answers when that is done.
func (a *API) seal(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sealTimeout)) // not every connection can
	end, err := a.Store.Seal(r.Context())
	if err == nil {
		err = a.Store.Tidy(r.Context())
	}
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, sealed{end})
}
