package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// defaultFound is how many events a search returns if it does not say.
const defaultFound = 50

// A shown event is one as readers get it.
type shown struct {
	seq        journal.Seq
	fields     event.Fields
	commitment event.Commitment
	record     *event.Record // nil if something in fields is not of it
	text       string        // the event as a sentence
	class      string
	severity   string

	// erased names the fields whose values were erased or are past their time.
	// Where a person was erased, the name is a pseudonym.
	erased []string
}

// show returns the event of a record. What was erased is not in it.
func (a *API) show(seq journal.Seq, record *event.Record) *shown {
	fields, erased := a.Keeper.Shown(seq, record)
	tag := fields.Text("tag")
	e := &shown{
		seq:    seq,
		fields: fields,
		erased: erased,
		text: a.Catalogue.Render(tag, func(name string) (string, bool) {
			f, ok := fields.Get(name)
			if !ok {
				return "", false
			}
			return f.Text(), true
		}),
		class:      catalogue.ClassOf(tag),
		severity:   string(a.Catalogue.SeverityOf(tag)),
		commitment: record.Commitment,
	}
	if len(erased) == 0 {
		e.record = record
	}
	return e
}

// time returns when the event happened.
func (e *shown) time() time.Time {
	f, _ := e.fields.Get("time")
	return f.Time()
}

// MarshalJSON implements [json.Marshaler]. Exports have the same form.
func (e *shown) MarshalJSON() ([]byte, error) {
	if e.record != nil {
		row := export.Row{Seq: int64(e.seq), Record: e.record, Class: e.class, Severity: e.severity, Text: e.text}
		if data, err := export.AppendJSON(nil, &row); err == nil {
			return data, nil
		}
	}
	return json.Marshal(&struct {
		Seq journal.Seq `json:"seq"`
		*event.Event
		Text       string   `json:"text"`
		Class      string   `json:"class"`
		Severity   string   `json:"severity"`
		Commitment []byte   `json:"commitment"`
		Erased     []string `json:"erased,omitempty"`
	}{e.seq, e.fields.Event(), e.text, e.class, e.severity, e.commitment[:], e.erased})
}

// event answers with one event.
func (a *API) event(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	seq, record, err := a.record(r)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, a.show(seq, record))
}

// record returns the record that the path is about.
func (a *API) record(r *http.Request) (journal.Seq, *event.Record, error) {
	n, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	if err != nil || n < 0 {
		return 0, nil, badRequest("the position in the path must be a whole number from 0")
	}
	seq := journal.Seq(n)
	records, err := a.Journal.Read(seq, 1)
	if err != nil {
		return 0, nil, err
	}
	if len(records) == 0 {
		return 0, nil, notFound("there is no event %d; the log has %d events", seq, a.Journal.Size())
	}
	if records[0].Body == nil {
		return 0, nil, gone(seq)
	}
	record, err := event.DecodeRecord(records[0].Body)
	if err == nil && !a.Store.Show(record) {
		return 0, nil, gone(seq)
	}
	return seq, record, err
}

// gone says that retention dropped an event.
func gone(seq journal.Seq) error {
	return &problem{
		Status: http.StatusGone, Type: "/problems/expired", Title: "The event is past its time",
		Detail: fmt.Sprintf("event %d was dropped by the retention of its class; that it was recorded can still be proved", seq),
	}
}

// A found is the answer to a search.
type found struct {
	Events   []*shown    `json:"events"` // in the order asked for
	Next     string      `json:"next,omitzero"`
	Complete bool        `json:"complete"` // false: the time was up, more may be found from next on
	Looked   int         `json:"looked"`   // events that were compared one by one, because no index could answer
	Behind   journal.Seq `json:"behind"`   // events at the end of the log that were not searched yet
}

// search answers with the events that match, one page of them.
func (a *API) search(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	params, err := parameters(r, "q", "after", "before", "order", "limit", "cursor", "budget")
	if err != nil {
		return err
	}
	q, err := parseQuery(params)
	if err != nil {
		return err
	}
	req := store.Request{Query: q}
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
	if seqs, rest, ok := a.Keeper.Pseudonym(q); ok {
		return a.searchNamed(w, r, req, seqs, rest)
	}
	answer, err := a.Store.Search(r.Context(), req)
	if err != nil {
		return err
	}
	f := found{Events: make([]*shown, len(answer.Found)), Complete: answer.Complete, Looked: answer.Looked, Behind: max(0, a.Journal.Size()-answer.Taken)}
	for i, x := range answer.Found {
		f.Events[i] = a.show(x.Seq, x.Record)
	}
	if answer.Next != nil {
		f.Next = answer.Next.String()
	}
	return respond(w, http.StatusOK, f)
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
