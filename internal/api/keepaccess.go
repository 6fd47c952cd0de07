package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/keeper"
	"github.com/custody-log/custody/internal/retain"
)

// How an access report is written.
const (
	reportLines = 256              // that are sent together
	reportStall = 30 * time.Second // that a reader may take for them
)

// access answers with what the log holds about somebody, a line of JSON for each
// event. Only an answer whose last line has "end" is whole.
func (a *API) access(w http.ResponseWriter, r *http.Request, key *auth.Key) error {
	params, err := parameters(r, "type", "id", "name")
	if err != nil {
		return err
	}
	p := retain.Person{Type: params.Get("type"), ID: params.Get("id"), Name: params.Get("name")}
	if p.Type == "" {
		p.Type = "user"
	}
	out := &report{w: w, control: http.NewResponseController(w), head: map[string]any{
		"subject": p, "log": a.Tree.Keys().Origin(), "made": time.Now().UTC().Truncate(time.Second),
	}}
	sum, err := a.Keeper.Access(r.Context(), byWhom(r, key), p, func(m *keeper.Mention) error { return out.line(m) })
	if err == nil {
		err = out.line(map[string]any{"end": sum})
	}
	if err == nil {
		return out.flush()
	}
	if !out.begun {
		return err
	}
	if r.Context().Err() == nil {
		a.Log.WarnContext(r.Context(), "an access report ended early", "err", err)
	}
	return nil // the answer has begun, and has no end
}

// A report is lines of JSON on their way to a reader.
type report struct {
	w       http.ResponseWriter
	control *http.ResponseController
	head    any // the first line
	begun   bool
	lines   int
	buf     []byte
}

// line writes a line, after the head if it is the first.
func (r *report) line(v any) error {
	if !r.begun {
		r.begun = true
		r.w.Header().Set("Content-Type", "application/jsonl")
		if err := r.line(r.head); err != nil {
			return err
		}
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	r.buf = append(append(r.buf, data...), '\n')
	if r.lines++; r.lines%reportLines == 0 {
		return r.flush()
	}
	return nil
}

// flush sends what was written.
func (r *report) flush() error {
	_ = r.control.SetWriteDeadline(time.Now().Add(reportStall)) // not every connection can
	_, err := r.w.Write(r.buf)
	r.buf = r.buf[:0]
	return err
}
