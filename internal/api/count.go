package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
)

// Limits of answers that count.
const (
	defaultValues = 10               // of one field
	maxBudget     = 30 * time.Second // that one answer may take; the server's time for an answer must be more
	maxCounts     = 4                // at once; others wait for as long as their budget
)

var countLimit = fmt.Sprintf("%d counts at once", maxCounts)

// A counted is how many events match.
type counted struct {
	Count    int64       `json:"count"`
	Complete bool        `json:"complete"` // false: the time was up, and what is counted is of a part
	Behind   journal.Seq `json:"behind"`   // events at the end of the log that were not counted yet
}

// A series is events by time. Its members are left out if nobody asked.
type series struct {
	Interval store.Interval `json:"interval,omitzero"`
	Buckets  []store.Bucket `json:"buckets,omitzero"` // oldest first, without empty ones
}

// facets answers with the most frequent values of fields in the events that
// match, and with their number by time if an interval is given.
func (a *API) facets(w http.ResponseWriter, r *http.Request, key *auth.Key, who *reader.Reader) error {
	fields, params, err := repeated(r, "field", "q", "after", "before", "limit", "interval", "budget", "reason")
	if err != nil {
		return err
	}
	if len(fields) == 0 {
		return &problem{
			Type: "/problems/bad-request", Title: "Bad request", Status: http.StatusBadRequest,
			Detail: "nothing says what to count by: parameter field is missing", Hint: fieldHint(),
		}
	}
	req := store.CountRequest{Fields: fields}
	if req.Values, err = limitOf(params, defaultValues, store.MaxValues, "values of each field"); err != nil {
		return err
	}
	if params.Has("interval") {
		if req.Interval, err = intervalOf(params); err != nil {
			return err
		}
	}
	n, sum, err := a.count(r, key, who, req, params)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, struct {
		counted
		series

		Facets map[string][]store.ValueCount `json:"facets"` // most frequent first
	}{sum, seriesOf(n), facetsOf(n)})
}

// histogram answers with the number of events that match by time.
func (a *API) histogram(w http.ResponseWriter, r *http.Request, key *auth.Key, who *reader.Reader) error {
	params, err := parameters(r, "q", "after", "before", "interval", "budget", "reason")
	if err != nil {
		return err
	}
	req := store.CountRequest{}
	if req.Interval, err = intervalOf(params); err != nil {
		return err
	}
	n, sum, err := a.count(r, key, who, req, params)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, struct {
		counted
		series
	}{sum, seriesOf(n)})
}

// number answers with how many events match.
func (a *API) number(w http.ResponseWriter, r *http.Request, key *auth.Key, who *reader.Reader) error {
	params, err := parameters(r, "q", "after", "before", "budget", "reason")
	if err != nil {
		return err
	}
	_, sum, err := a.count(r, key, who, store.CountRequest{}, params)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, sum)
}

// fieldValues answers with values that a field has somewhere, for completing
// what somebody types.
func (a *API) fieldValues(w http.ResponseWriter, r *http.Request, _ *auth.Key, who *reader.Reader) error {
	params, err := parameters(r, "field", "prefix", "limit")
	if err != nil {
		return err
	}
	limit, err := limitOf(params, defaultValues, store.MaxValues, "values")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), store.DefaultBudget)
	defer cancel()
	list, err := a.Room.Values(ctx, who, params.Get("field"), params.Get("prefix"), limit)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, map[string][]string{"values": list})
}

// count counts what the parameters q, after, before, budget and reason say. It waits
// for its turn: a count uses all cores, and holds a number for each value.
func (a *API) count(r *http.Request, key *auth.Key, who *reader.Reader, req store.CountRequest, params url.Values) (*store.Count, counted, error) {
	ctx := r.Context()
	fail := func(err error) (*store.Count, counted, error) { return nil, counted{}, err }
	var err error
	if req.Query, err = parseQuery(params); err != nil {
		return fail(err)
	}
	if req.Budget, err = budgetOf(params); err != nil {
		return fail(err)
	}
	if who, err = a.looking(r, key, who, params, reading.Look{Query: req.Query}); err != nil {
		return fail(err)
	}
	began := time.Now()
	done, err := a.turn(ctx, req.Budget)
	if err != nil {
		return fail(err)
	}
	defer done()
	req.Budget = max(1, req.Budget-time.Since(began))
	n, err := a.Room.Count(ctx, who, req)
	if err != nil {
		return fail(err)
	}
	if len(n.Buckets) > store.MaxBuckets {
		return fail(overLimit(fmt.Sprintf("%d buckets", store.MaxBuckets), "a longer interval, or after and before",
			"the events are in %d different buckets of one %s", len(n.Buckets), n.Interval))
	}
	return n, counted{n.Events, n.Complete, max(0, a.Journal.Size()-journal.Seq(n.Taken))}, nil
}

// turn waits, for as long as patience, until not too many others count. The
// caller calls done when it has counted.
func (a *API) turn(ctx context.Context, patience time.Duration) (done func(), err error) {
	done = func() { <-a.counts }
	select {
	case a.counts <- struct{}{}:
		return done, nil
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a.counts <- struct{}{}:
		return done, nil
	case <-timer.C:
		return nil, busy(countLimit)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// facetsOf returns a list for each field, also where there are no values.
func facetsOf(n *store.Count) map[string][]store.ValueCount {
	facets := make(map[string][]store.ValueCount, len(n.Fields))
	for field, values := range n.Fields {
		facets[field] = append([]store.ValueCount{}, values...)
	}
	return facets
}

func seriesOf(n *store.Count) series {
	if n.Interval == store.None {
		return series{}
	}
	return series{n.Interval, append([]store.Bucket{}, n.Buckets...)}
}

// intervalOf reads the parameter interval.
func intervalOf(params url.Values) (store.Interval, error) {
	if !params.Has("interval") {
		return store.Automatic, nil
	}
	interval, ok := store.ParseInterval(params.Get("interval"))
	if !ok {
		return "", badRequest("interval must be auto, minute, hour, day, week, month or year")
	}
	return interval, nil
}

// budgetOf reads the parameter budget.
func budgetOf(params url.Values) (time.Duration, error) {
	if !params.Has("budget") {
		return store.DefaultBudget, nil
	}
	budget, err := time.ParseDuration(params.Get("budget"))
	if err != nil || budget <= 0 || budget > maxBudget {
		return 0, badRequest("budget must be a time above 0s, at most %v, for example 2s", maxBudget)
	}
	return budget, nil
}

// limitOf reads the parameter limit: a number of things, or the usual one.
func limitOf(params url.Values, usual, most int, things string) (int, error) { //nolint:unparam // that two limits are 1,000 is chance
	if !params.Has("limit") {
		return usual, nil
	}
	n, err := strconv.Atoi(params.Get("limit"))
	if err != nil || n < 1 {
		return 0, badRequest("limit must be a whole number from 1 to %d", most)
	}
	if n > most {
		return 0, overLimit(fmt.Sprintf("%d %s", most, things), "", "limit must be a whole number from 1 to %d", most)
	}
	return n, nil
}

// repeated returns the values of the parameter that is called name, which may
// be there up to [store.MaxFields] times, each time with another value; and the
// parameters of r, which are otherwise those named in others.
func repeated(r *http.Request, name string, others ...string) (list []string, params url.Values, err error) {
	params, err = url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, nil, badRequest("the parameters in the address are malformed")
	}
	list = params[name]
	delete(params, name)
	if err := known(params, append(others, name)); err != nil {
		return nil, nil, err
	}
	if len(list) > store.MaxFields {
		return nil, nil, overLimit(fmt.Sprintf("%d fields", store.MaxFields), "", "parameter %s is there %d times", name, len(list))
	}
	for i, value := range list {
		if slices.Contains(list[:i], value) {
			return nil, nil, badRequest("parameter %s is there twice with the value %.100q", name, value)
		}
	}
	return list, params, nil
}

// overLimit is the problem of asking for more than one answer may have.
func overLimit(limit, hint, format string, args ...any) error {
	return &problem{
		Type: "/problems/bad-request", Title: "Bad request", Status: http.StatusBadRequest,
		Detail: fmt.Sprintf(format, args...), Limit: limit, Hint: hint,
	}
}

// fieldHint says what can be counted by.
func fieldHint() string { return "the fields are " + strings.Join(store.Fields(), ", ") }
