package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reader"
)

// maxReadyLag is how many records a view may be behind while the service still
// calls itself ready.
const maxReadyLag = 100_000

// A Witness is what is known of one that cosigns this log's checkpoints.
type Witness struct {
	Name  string    `json:"name"`
	Size  int64     `json:"size"`            // of the latest checkpoint it cosigned
	Time  time.Time `json:"time,omitzero"`   // when it did
	Error string    `json:"error,omitempty"` // why it did not since, fit for readers
}

// viewState is how far a view has come.
type viewState struct {
	Name   string      `json:"name"`
	Cursor journal.Seq `json:"cursor"`
	Lag    journal.Seq `json:"lag"` // records it has not taken in yet
}

func (a *API) viewStates() []viewState {
	size := a.Journal.Size()
	list := make([]viewState, len(a.Views))
	for i, v := range a.Views {
		cursor := v.Cursor()
		list[i] = viewState{Name: v.Name(), Cursor: cursor, Lag: max(0, size-cursor)}
	}
	return list
}

// status answers with the state of the log.
func (a *API) status(w http.ResponseWriter, r *http.Request, key *auth.Key, who *reader.Reader) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	answer := struct {
		Origin string `json:"origin"`
		signingKeys
		Size           journal.Seq          `json:"size"`
		CheckpointSize int64                `json:"checkpoint_size"`
		Views          []viewState          `json:"views"`
		Sources        []intake.SourceState `json:"sources"`
		Witnesses      []Witness            `json:"witnesses"`
		Trouble        []string             `json:"trouble"`
		Version        string               `json:"version"`
		Key            auth.Key             `json:"key"` // that asks
	}{
		Origin:         a.Tree.Keys().Origin(),
		signingKeys:    signingKeysOf(a.Tree.Keys()),
		Size:           a.Journal.Size(),
		CheckpointSize: a.Tree.Latest().N,
		Views:          a.viewStates(),
		Sources:        []intake.SourceState{},
		Witnesses:      []Witness{},
		Trouble:        []string{},
		Version:        a.Version,
		Key:            *key,
	}
	if who.IsStaff() { // sources are fields of events, and what is wrong is nobody else's business
		answer.Sources = append(answer.Sources, a.Desk.Sources()...)
		answer.Trouble = append(answer.Trouble, a.Store.Trouble()...)
	}
	if a.Trouble != nil {
		answer.Trouble = append(answer.Trouble, a.Trouble()...)
	}
	if a.Witnesses != nil {
		answer.Witnesses = append(answer.Witnesses, a.Witnesses()...)
	}
	return respond(w, http.StatusOK, answer)
}

// heartbeat notes that the key's source is there.
func (a *API) heartbeat(w http.ResponseWriter, r *http.Request, key *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	a.Desk.Heartbeat(key.Source)
	return respond(w, http.StatusOK, map[string]string{"source": key.Source})
}

// health answers that the process lives.
func health(w http.ResponseWriter, _ *http.Request) error {
	return respond(w, http.StatusOK, map[string]string{"status": "alive"})
}

// ready answers whether the log should be given work: it takes events, and
// what it answers is not long out of date.
func (a *API) ready(w http.ResponseWriter, _ *http.Request) error {
	answer := struct {
		Ready   bool        `json:"ready"`
		Reasons []string    `json:"reasons"` // why not
		Views   []viewState `json:"views"`
	}{Reasons: []string{}, Views: a.viewStates()}
	if a.Trouble != nil {
		answer.Reasons = append(answer.Reasons, a.Trouble()...)
	}
	for _, v := range answer.Views {
		if v.Lag > maxReadyLag {
			answer.Reasons = append(answer.Reasons, fmt.Sprintf("view %s is %d records behind, more than %d", v.Name, v.Lag, maxReadyLag))
		}
	}
	answer.Ready = len(answer.Reasons) == 0
	if answer.Ready {
		return respond(w, http.StatusOK, answer)
	}
	return respond(w, http.StatusServiceUnavailable, answer)
}
