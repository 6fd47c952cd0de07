package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
)

// defaultFound is how many events a search returns if it does not say.
const defaultFound = 50

// event answers with one event.
func (a *API) event(w http.ResponseWriter, r *http.Request, key *auth.Key, who *reader.Reader) error {
	params, err := parameters(r, "reason")
	if err != nil {
		return err
	}
	seq, err := position(r)
	if err != nil {
		return err
	}
	if who, err = a.looking(r, key, who, params, reading.Look{Events: []journal.Seq{seq}}); err != nil {
		return noEvent(seq, err)
	}
	e, err := a.Room.Event(r.Context(), who, seq)
	if err != nil {
		return noEvent(seq, err)
	}
	return respond(w, http.StatusOK, e)
}

// position returns the position of the event that the path is about.
func position(r *http.Request) (journal.Seq, error) {
	n, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	if err != nil || n < 0 {
		return 0, badRequest("the position in the path must be a whole number from 0")
	}
	return journal.Seq(n), nil
}

// gone says that retention dropped an event.
func gone(seq journal.Seq) error {
	return &problem{
		Status: http.StatusGone, Type: "/problems/expired", Title: "The event is past its time",
		Detail: fmt.Sprintf("event %d was dropped by the retention of its class; that it was recorded can still be proved", seq),
	}
}

// answers has memory for the bodies of answers to searches, of at most
// maxAnswerKept bytes each.
var answers = sync.Pool{New: func() any { return new([]byte) }}

const maxAnswerKept = 1 << 20 // 1 MiB

// writeFound writes the answer to a search. If it returns an error it has written
// nothing.
func writeFound(w http.ResponseWriter, a *reading.Answer) error {
	memory := answers.Get().(*[]byte)
	body, err := appendFound((*memory)[:0], a)
	if err != nil {
		return err
	}
	write(w, http.StatusOK, body) // which keeps nothing of body
	if cap(body) <= maxAnswerKept {
		*memory = body
		answers.Put(memory)
	}
	return nil
}

// appendFound appends the answer to a search.
func appendFound(body []byte, a *reading.Answer) (_ []byte, err error) {
	body = append(slices.Grow(body, 1<<10*(1+len(a.Events))), `{"events":[`...) // in the order asked for
	for i, e := range a.Events {
		if i > 0 {
			body = append(body, ',')
		}
		if body, err = e.AppendJSON(body); err != nil {
			return nil, err
		}
	}
	body = append(body, ']')
	rest := struct {
		Next     string      `json:"next,omitzero"`
		Complete bool        `json:"complete"` // false: the time was up, more may be found from next on
		Looked   int         `json:"looked"`   // events that were compared one by one, because no index could answer
		Behind   journal.Seq `json:"behind"`   // events at the end of the log that were not searched yet
	}{Complete: a.Complete, Looked: a.Looked, Behind: a.Behind}
	if a.Next != nil {
		rest.Next = a.Next.String()
	}
	end, err := json.Marshal(&rest)
	if err != nil {
		return nil, err
	}
	body = append(body, ',')
	return append(append(body, end[1:]...), '\n'), nil
}

// search answers with the events that match, one page of them.
func (a *API) search(w http.ResponseWriter, r *http.Request, key *auth.Key, who *reader.Reader) error {
	params, err := parameters(r, "q", "after", "before", "order", "limit", "cursor", "budget", "reason")
	if err != nil {
		return err
	}
	q, err := parseQuery(params)
	if err != nil {
		return err
	}
	req := reading.Request{Query: q}
	if req.Limit, err = limitOf(params, defaultFound, store.MaxFound, "events"); err != nil {
		return err
	}
	switch order := params.Get("order"); order {
	case "", "newest":
	case "oldest":
		req.Oldest = true
	default:
		return badRequest("order must be newest or oldest")
	}
	if params.Has("cursor") {
		if req.After, err = store.ParseCursor(params.Get("cursor")); err != nil {
			return err
		}
	}
	if req.Budget, err = budgetOf(params); err != nil {
		return err
	}
	if who, err = a.looking(r, key, who, params, reading.Look{Query: q}); err != nil {
		return err
	}
	answer, err := a.Room.Search(r.Context(), who, req)
	if err != nil {
		return err
	}
	return writeFound(w, answer)
}

// parseQuery reads the parameters q, after and before.
func parseQuery(params url.Values) (*query.Query, error) {
	now := time.Now()
	q, err := query.Parse(params.Get("q"), now)
	if err != nil {
		return nil, err
	}
	for _, kind := range []query.Kind{query.After, query.Before} {
		if !params.Has(kind.String()) {
			continue
		}
		term, err := query.NewTerm(kind, params.Get(kind.String()), now)
		if err != nil {
			return nil, badRequest("parameter %s: %v", kind, err)
		}
		q = q.And(term)
	}
	return q, nil
}
