package custody

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// The scopes of API keys.
const (
	ScopeSubmit = "submit" // record events
	ScopeRead   = "read"   // search, read, prove
	ScopeAdmin  = "admin"  // everything
)

// An APIKey lets somebody in. Each change of one is an event.
type APIKey struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Source  string    `json:"source"` // the source of events recorded with it
	Scopes  []string  `json:"scopes"`
	Reads   []string  `json:"reads,omitempty"` // as whom it reads, see [Client.CreateReaderKey]; empty if it may not
	Created time.Time `json:"created"`
}

// APIKeys returns the log's API keys, without their secrets, which the log
// does not know.
func (c *Client) APIKeys(ctx context.Context) ([]APIKey, error) {
	var answer struct {
		Keys []APIKey `json:"keys"`
	}
	if err := c.ask(ctx, &request{method: http.MethodGet, path: "/v1/keys"}, &answer); err != nil {
		return nil, fmt.Errorf("custody: API keys: %w", err)
	}
	return answer.Keys, nil
}

// CreateAPIKey makes an API key and returns it with its secret, which is shown
// this once. It tries once: after an error the key may be there; look and
// revoke it. A key that may read reads everything; [Client.CreateReaderKey]
// makes others.
func (c *Client) CreateAPIKey(ctx context.Context, name, source string, scopes ...string) (*APIKey, string, error) {
	return c.createAPIKey(ctx, name, map[string]any{"name": name, "source": source, "scopes": scopes})
}

// CreateReaderKey is [Client.CreateAPIKey] for a key that reads as somebody in
// particular. Each of reads is "everything", "auditor", "admin", "public",
// "user:ID", "project:TYPE:ID" or "org:ID"; TYPE is the type of a subject, as in
// "project:project:p1". A log refuses to make one without any.
func (c *Client) CreateReaderKey(ctx context.Context, name, source string, reads []string, scopes ...string) (*APIKey, string, error) {
	return c.createAPIKey(ctx, name, map[string]any{"name": name, "source": source, "scopes": scopes, "reads": append([]string{}, reads...)})
}

func (c *Client) createAPIKey(ctx context.Context, name string, wanted map[string]any) (*APIKey, string, error) {
	body, err := json.Marshal(wanted)
	if err != nil {
		return nil, "", fmt.Errorf("custody: create API key: %w", err)
	}
	var raw json.RawMessage
	r := &request{method: http.MethodPost, path: "/v1/keys", body: body, contentType: typeJSON, once: true}
	if err := c.ask(ctx, r, &raw); err != nil {
		return nil, "", fmt.Errorf("custody: create API key %s: %w", name, err)
	}
	var answer struct {
		APIKey

		Secret string `json:"secret"`
	}
	// The error must not repeat an answer that may hold the secret.
	if err := json.Unmarshal(raw, &answer); err != nil || answer.ID == "" || answer.Secret == "" {
		return nil, "", fmt.Errorf("custody: create API key %s: %w", name, errNotALog)
	}
	return &answer.APIKey, answer.Secret, nil
}

// RevokeAPIKey makes the key with id worthless.
func (c *Client) RevokeAPIKey(ctx context.Context, id string) error {
	r := &request{method: http.MethodDelete, path: "/v1/keys/" + url.PathEscape(id)}
	if err := c.ask(ctx, r, nil); err != nil {
		return fmt.Errorf("custody: revoke API key %s: %w", id, err)
	}
	return nil
}

// Call asks the log what there is no method for: path is what follows the
// address, body is JSON or nil. It returns the answer as it is. Only a GET is
// tried again.
func (c *Client) Call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	r := &request{method: method, path: path, body: body, limit: maxPageBytes, once: method != http.MethodGet}
	if body != nil {
		r.contentType = typeJSON
	}
	var answer []byte
	if err := c.ask(ctx, r, &answer); err != nil {
		return nil, fmt.Errorf("custody: %s %s: %w", method, path, err)
	}
	return answer, nil
}

// LogKeys are the public keys of a log.
type LogKeys struct {
	Keys    []string `json:"keys"`              // that sign checkpoints, the newest first
	Retired []string `json:"retired,omitempty"` // that signed once
}

// RotateLogKey makes the log sign with a new key beside those it has. The
// change is an event. It tries once.
func (c *Client) RotateLogKey(ctx context.Context) (*LogKeys, error) {
	return c.changeLogKeys(ctx, "rotate", nil)
}

// RetireLogKey makes the log sign no more with the key vkey. The change is an
// event. It tries once.
func (c *Client) RetireLogKey(ctx context.Context, vkey string) (*LogKeys, error) {
	body, err := json.Marshal(map[string]string{"key": vkey})
	if err != nil {
		return nil, fmt.Errorf("custody: retire the log's key: %w", err)
	}
	return c.changeLogKeys(ctx, "retire", body)
}

func (c *Client) changeLogKeys(ctx context.Context, how string, body []byte) (*LogKeys, error) {
	keys := new(LogKeys)
	r := &request{method: http.MethodPost, path: "/v1/log/keys/" + how, body: body, contentType: typeJSON, once: true}
	if err := c.ask(ctx, r, keys); err != nil {
		return nil, fmt.Errorf("custody: %s the log's key: %w", how, err)
	}
	return keys, nil
}
