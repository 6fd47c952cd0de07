package crashtest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
)

// An answer is what the service said to a request.
type answer struct {
	status int
	kind   string // Content-Type
	body   []byte
}

// call sends a request. An error means that there is no whole answer, and then
// nobody knows whether the request had its effect.
func (s *service) call(key, method, path, kind string, body []byte) (answer, error) {
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	got, err := s.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	a := answer{status: got.StatusCode, kind: got.Header.Get("Content-Type")}
	a.body, err = io.ReadAll(got.Body)
	return a, err
}

// get asks for something that must be there and reads it into v.
func (s *service) get(t *testing.T, key, path string, v any) {
	t.Helper()
	a, err := s.call(key, http.MethodGet, path, "", nil)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	if a.status != http.StatusOK {
		t.Fatalf("GET %s: status %d: %s", path, a.status, a.body)
	}
	if text, ok := v.(*[]byte); ok {
		*text = a.body
		return
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("GET %s: %v in %s", path, err, a.body)
	}
}

// An accepted is what the service says of an event that is durable.
type accepted struct {
	Seq        int64            `json:"seq"`
	Commitment event.Commitment `json:"-"`
	Encoded    []byte           `json:"commitment"`
	Duplicate  bool             `json:"duplicate"`
}

// submit sends events, one alone or several as a batch. Without an error and
// with a status of success, all are durable.
func (s *service) submit(key string, events [][]byte) (all []accepted, a answer, err error) {
	if len(events) == 1 {
		a, err = s.call(key, http.MethodPost, "/v1/events", "application/json", events[0])
	} else {
		a, err = s.call(key, http.MethodPost, "/v1/events", "application/x-ndjson", bytes.Join(events, []byte("\n")))
	}
	if err != nil || a.status >= 300 {
		return nil, a, err
	}
	if len(events) == 1 {
		all = make([]accepted, 1)
		err = json.Unmarshal(a.body, &all[0])
	} else {
		var batch struct {
			Events []accepted `json:"events"`
		}
		err = json.Unmarshal(a.body, &batch)
		all = batch.Events
	}
	if err == nil && len(all) != len(events) {
		err = fmt.Errorf("%d answers for %d events: %s", len(all), len(events), a.body)
	}
	for i := range all {
		if len(all[i].Encoded) != len(all[i].Commitment) {
			return nil, a, fmt.Errorf("a commitment of %d bytes: %s", len(all[i].Encoded), a.body)
		}
		copy(all[i].Commitment[:], all[i].Encoded)
	}
	return all, a, err
}

// A stored is an event as readers get it.
type stored struct {
	Seq        int64  `json:"seq"`
	ID         string `json:"id"`
	Source     string `json:"source"`
	Commitment []byte `json:"commitment"`
}

// size returns how many events the log has.
func (s *service) size(t *testing.T, key string) int64 {
	t.Helper()
	var log struct {
		Size int64 `json:"size"`
	}
	s.get(t, key, "/v1/log", &log)
	return log.Size
}

// all returns the first n events of the log, read from its tail.
func (s *service) all(t *testing.T, key string, n int64) []stored {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/tail?from=0", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	got, err := s.client.Do(r)
	if err != nil {
		t.Fatalf("tail: %v", err)
	}
	defer got.Body.Close()
	var list []stored
	for lines := bufio.NewReader(got.Body); int64(len(list)) < n; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatalf("tail: after %d of %d events: %v", len(list), n, err)
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue
		}
		var e stored
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatalf("tail: %v in %s", err, data)
		}
		list = append(list, e)
	}
	return list
}

// errNotYet means that nothing has been signed yet.
var errNotYet = errors.New("no checkpoint yet")

// checkpoint returns the tree of the latest signed checkpoint, and its text.
func (s *service) checkpoint(key string) (tree tlog.Tree, text []byte, err error) {
	a, err := s.call(key, http.MethodGet, "/v1/checkpoint", "", nil)
	if err != nil {
		return tree, nil, err
	}
	var c struct {
		Size int64  `json:"size"`
		Root []byte `json:"root"`
		Note string `json:"note"`
	}
	if a.status == http.StatusNotFound {
		return tree, nil, errNotYet
	}
	if a.status != http.StatusOK {
		return tree, nil, fmt.Errorf("checkpoint: status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, &c); err != nil {
		return tree, nil, err
	}
	if len(c.Root) != tlog.HashSize {
		return tree, nil, errors.New("checkpoint: root of the wrong length")
	}
	return tlog.Tree{N: c.Size, Hash: tlog.Hash(c.Root)}, []byte(c.Note), nil
}
