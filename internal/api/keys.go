package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/tree"
)

// listKeys answers with all API keys.
func (a *API) listKeys(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	return respond(w, http.StatusOK, struct {
		Keys []auth.Key `json:"keys"`
	}{a.Keys.List()})
}

// showKey answers with one API key.
func (a *API) showKey(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	for _, key := range a.Keys.List() {
		if key.ID == r.PathValue("id") {
			return respond(w, http.StatusOK, key)
		}
	}
	return auth.ErrUnknown
}

// createKey makes an API key and answers with its secret, this once.
func (a *API) createKey(w http.ResponseWriter, r *http.Request, by *auth.Key) error {
	var wanted struct {
		Name   string   `json:"name"`
		Source string   `json:"source"`
		Scopes []string `json:"scopes"`
		Reads  []string `json:"reads"`
	}
	if err := decode(r, &wanted, "name", "source", "scopes", "reads"); err != nil {
		return err
	}
	reads, err := readings(wanted.Reads)
	if err != nil {
		return err
	}
	if wanted.Source == intake.OwnSource {
		return &auth.NameError{Reason: "the source " + intake.OwnSource + " is that of the log itself"}
	}
	key, secret, err := a.Keys.Create(wanted.Name, wanted.Source, wanted.Scopes, reads...)
	if err != nil {
		return err
	}
	act := act(r, by, "audit:api_key:create", event.Subject{Type: "key", ID: key.ID, Name: key.Name})
	act.Metadata = map[string]any{"key_id": key.ID, "name": key.Name, "source": key.Source, "scopes": key.Scopes}
	if len(key.Reads) > 0 {
		act.Metadata["reads"] = key.Reads
	}
	if err := a.record1(r, act); err != nil {
		// Nobody has seen the secret, so nobody will miss the key.
		_, undo := a.Keys.Revoke(key.ID)
		return errors.Join(err, undo)
	}
	w.Header().Set("Location", "/v1/keys/"+key.ID)
	return respond(w, http.StatusCreated, struct {
		auth.Key
		Secret string `json:"secret"`
	}{key, secret})
}

// readings returns what a key shall read as. None at all is left to [auth], but
// an empty list is not: who writes one does not mean everything.
func readings(texts []string) ([]auth.Reading, error) {
	if texts != nil && len(texts) == 0 {
		return nil, &auth.NameError{Reason: "reads is empty; leave it out for a key that reads everything"}
	}
	var reads []auth.Reading
	for _, text := range texts {
		reading, err := auth.ParseReading(text)
		if err != nil {
			return nil, err
		}
		reads = append(reads, reading)
	}
	return reads, nil
}

// revokeKey removes an API key for good.
func (a *API) revokeKey(w http.ResponseWriter, r *http.Request, by *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	// Revoked first: if only one of the two can be done, it is to be this one.
	key, err := a.Keys.Revoke(r.PathValue("id"))
	if err != nil {
		return err
	}
	if a.Revoked != nil {
		a.Revoked(r.Context(), &key)
	}
	act := act(r, by, "audit:api_key:revoke", event.Subject{Type: "key", ID: key.ID, Name: key.Name})
	act.Metadata = map[string]any{"key_id": key.ID, "name": key.Name}
	if err := a.record1(r, act); err != nil {
		return err
	}
	return respond(w, http.StatusOK, key)
}

// signingKeys are the public halves of the keys that sign checkpoints.
type signingKeys struct {
	Keys    []string `json:"keys"`              // that sign, the current one first
	Retired []string `json:"retired,omitempty"` // that signed once
}

func signingKeysOf(k *tree.Keys) signingKeys {
	return signingKeys{Keys: k.Verifiers(), Retired: k.Retired()}
}

// rotateSigningKey adds a key that signs checkpoints from now on. The others
// still sign, until they are retired: readers need time to learn the new one.
func (a *API) rotateSigningKey(w http.ResponseWriter, r *http.Request, by *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	return a.changeSigningKeys(w, r, by, func(old *tree.Keys) (*tree.Keys, *event.Event, error) {
		if len(old.Verifiers()) >= tree.MaxKeys {
			return nil, nil, conflict("too-many-keys", "There are too many keys", "retire one that signs first")
		}
		fresh, err := old.Add()
		if err != nil {
			return nil, nil, err
		}
		return fresh, rotated(r, by, old.Verifiers()[0], fresh.Verifiers()[0]), nil
	})
}

// retireSigningKey ends signing with one key.
func (a *API) retireSigningKey(w http.ResponseWriter, r *http.Request, by *auth.Key) error {
	var wanted struct {
		Key string `json:"key"`
	}
	if err := decode(r, &wanted, "key"); err != nil {
		return err
	}
	return a.changeSigningKeys(w, r, by, func(old *tree.Keys) (*tree.Keys, *event.Event, error) {
		switch signing := old.Verifiers(); {
		case !slices.Contains(signing, wanted.Key):
			return nil, nil, notFound("no such key signs for this log; GET /v1/log shows those that do")
		case len(signing) == 1:
			return nil, nil, conflict("last-key", "The last key stays", "this is the only key that signs; rotate first")
		}
		fresh, err := old.Retire(wanted.Key)
		if err != nil {
			return nil, nil, err
		}
		act := rotated(r, by, wanted.Key, fresh.Verifiers()[0])
		act.Reason = "the old key signs no more"
		return fresh, act, nil
	})
}

// changeSigningKeys keeps what change returns, signs with it and records it.
func (a *API) changeSigningKeys(w http.ResponseWriter, r *http.Request, _ *auth.Key, change func(old *tree.Keys) (*tree.Keys, *event.Event, error)) error {
	a.signing.Lock()
	defer a.signing.Unlock()
	fresh, act, err := change(a.Tree.Keys())
	if err != nil {
		return err
	}
	if err := fresh.Save(a.KeyDir); err != nil {
		return err
	}
	if err := a.Tree.SetKeys(fresh); err != nil {
		return err
	}
	if err := a.record1(r, act); err != nil {
		return err
	}
	return respond(w, http.StatusOK, signingKeysOf(fresh))
}

// rotated returns the event of a change of the keys that sign.
func rotated(r *http.Request, by *auth.Key, old, fresh string) *event.Event {
	e := act(r, by, "audit:key:rotate", event.Subject{Type: "key", ID: fresh})
	e.Metadata = map[string]any{"purpose": "signing", "old_key": old, "new_key": fresh}
	return e
}

// act returns the event of what an administrator does here.
func act(r *http.Request, by *auth.Key, tag string, about event.Subject) *event.Event {
	e := &event.Event{
		Tag:        tag,
		Outcome:    event.Success,
		Actor:      event.Party{Type: "admin", ID: by.ID, Name: by.Name},
		Credential: event.Credential{Kind: "token", ID: by.ID, Name: by.Name},
		Subjects:   []event.Subject{about},
		Context:    event.Context{UserAgent: shorten(r.UserAgent()), Origin: "api"},
	}
	if ip := remote(r); ip.IsValid() {
		e.Context.IP = ip.String()
	}
	return e
}

// shorten returns a text that an event can hold.
func shorten(s string) string {
	const most = 1024
	if len(s) > most {
		s = s[:most]
	}
	valid := make([]rune, 0, len(s))
	for _, c := range s {
		valid = append(valid, c)
	}
	return string(valid)
}

// record1 records what an administrator did, in the name of the log.
func (a *API) record1(r *http.Request, e *event.Event) error {
	_, err := a.Desk.Record(r.Context(), intake.OwnSource, e)
	return err
}

// decode reads a small JSON body strictly.
func decode(r *http.Request, v any, members ...string) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	if _, err := mediaType(r, jsonType[0]); err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, maxAdminBytes+1))
	if err != nil {
		return badRequest("the body ends early")
	}
	if len(data) > maxAdminBytes {
		return &event.LimitError{Index: -1, Limit: adminLimit}
	}
	return unmarshal(data, v, members)
}

// unmarshal reads one JSON object that has no members but those named, each
// spelled exactly so and once: the standard decoder alone takes "Scopes" for
// "scopes", and the last of two, which whoever approved the request may not.
func unmarshal(data []byte, v any, members []string) error {
	if err := checkMembers(data, members); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(v); err != nil {
		return badRequest("the body is not the JSON expected here: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("the body goes on after the JSON expected here")
	}
	return nil
}

func checkMembers(data []byte, members []string) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return badRequest("the body is not a JSON object")
	}
	var seen []string
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return badRequest("the body is not the JSON expected here: %v", err)
		}
		if !slices.Contains(members, name) {
			return badRequest("the body has an unknown member %.100q; there are %s", name, strings.Join(members, ", "))
		}
		if slices.Contains(seen, name) {
			return badRequest("the body has the member %q twice", name)
		}
		seen = append(seen, name)
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return badRequest("the body is not the JSON expected here: %v", err)
		}
	}
	return nil
}
