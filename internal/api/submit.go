package api

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/intake"
)

const ndjson = "application/x-ndjson"

// submit records one event or a batch. The answer is a promise: the events are
// durable when the client reads it.
func (a *API) submit(w http.ResponseWriter, r *http.Request, key *auth.Key) error {
	err := a.accept(w, r, key)
	if err != nil {
		a.metrics.rejected.WithLabelValues(problemOf(err).slug()).Inc()
	}
	return err
}

func (a *API) accept(w http.ResponseWriter, r *http.Request, key *auth.Key) error {
	from, err := origin(r, key)
	if err != nil {
		return err
	}
	media, err := mediaType(r, jsonType[0], ndjson)
	if err != nil {
		return err
	}
	b, err := a.bodies.read(w, r)
	if err != nil {
		return err
	}
	defer b.free()
	switch {
	case media == ndjson:
		return a.acceptBatch(w, r, from, b, event.NDJSON)
	case isArray(b.bytes):
		return a.acceptBatch(w, r, from, b, event.Array)
	}
	return a.acceptOne(w, r, from, b)
}

// origin says where the events of a submission come from.
func origin(r *http.Request, key *auth.Key) (intake.Origin, error) {
	from := intake.Origin{Source: key.Source, Trust: event.Witnessed}
	if r.URL.RawQuery == "" {
		return from, nil
	}
	params, err := parameters(r, "trust")
	if err != nil {
		return from, err
	}
	switch trust := event.Trust(params.Get("trust")); {
	case !params.Has("trust") || trust == event.Witnessed:
	case trust != event.Imported:
		return from, badRequest("trust is %q, want %s or %s", trust, event.Witnessed, event.Imported)
	case !key.May(auth.Admin):
		return from, forbidden(auth.Admin)
	default:
		from.Trust = event.Imported
	}
	return from, nil
}

// parameters returns the query parameters of r, which may be those named, once
// each.
func parameters(r *http.Request, names ...string) (url.Values, error) {
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the parameters in the address are malformed")
	}
	return params, known(params, names)
}

// known returns a problem unless the parameters are some of those named, once
// each.
func known(params url.Values, names []string) error {
	for name, values := range params {
		known := slices.Contains(names, name)
		switch {
		case !known && len(names) == 0:
			return badRequest("there is a parameter %.100q, want none", name)
		case !known:
			return badRequest("there is no parameter %.100q, only %s", name, strings.Join(names, ", "))
		case len(values) > 1:
			return badRequest("parameter %s is there %d times", name, len(values))
		}
	}
	return nil
}

// isArray reports whether data begins like a JSON array.
func isArray(data []byte) bool {
	for _, c := range data {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c == '['
	}
	return false
}

func (a *API) acceptOne(w http.ResponseWriter, r *http.Request, from intake.Origin, b *body) error {
	one, err := a.Desk.Accept(r.Context(), from, b.bytes)
	if err != nil {
		return err
	}
	w.Header()["Location"] = []string{"/v1/events/" + strconv.FormatInt(int64(one.Seq), 10)}
	status := http.StatusCreated
	if one.Duplicate {
		status = http.StatusOK
	}
	a.countEvents(1, one.Duplicate)
	b.bytes = append(appendAccepted(b.bytes[:0], &one), '\n')
	write(w, status, b.bytes)
	return nil
}

func (a *API) countEvents(n int, duplicate bool) {
	result := "recorded"
	if duplicate {
		result = "duplicate"
	}
	a.metrics.events.WithLabelValues(result).Add(float64(n))
}

// appendAccepted appends what one submitter is told of an event.
func appendAccepted(dst []byte, one *intake.Accepted) []byte {
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendInt(dst, int64(one.Seq), 10)
	dst = append(dst, `,"commitment":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, one.Commitment[:])
	dst = append(dst, '"')
	if one.Duplicate {
		dst = append(dst, `,"duplicate":true`...)
	}
	return append(dst, '}')
}

func (a *API) acceptBatch(w http.ResponseWriter, r *http.Request, from intake.Origin, b *body, format event.Format) error {
	minimal := prefersMinimal(r)
	all, err := a.Desk.AcceptBatch(r.Context(), from, b.bytes, format)
	if err != nil {
		return err
	}
	var first, last *intake.Accepted // of those recorded now, which stand side by side
	duplicates := 0
	for i := range all {
		switch {
		case all[i].Duplicate:
			duplicates++
		case first == nil:
			first, last = &all[i], &all[i]
		default:
			last = &all[i]
		}
	}
	recorded := len(all) - duplicates
	a.countEvents(recorded, false)
	a.countEvents(duplicates, true)
	dst := append(b.bytes[:0], `{"accepted":`...)
	dst = strconv.AppendInt(dst, int64(recorded), 10)
	dst = append(dst, `,"duplicates":`...)
	dst = strconv.AppendInt(dst, int64(duplicates), 10)
	if first != nil {
		dst = append(dst, `,"first":`...)
		dst = strconv.AppendInt(dst, int64(first.Seq), 10)
		dst = append(dst, `,"last":`...)
		dst = strconv.AppendInt(dst, int64(last.Seq), 10)
	}
	if minimal {
		w.Header().Set("Preference-Applied", "return=minimal")
	} else {
		dst = appendEach(dst, all)
	}
	b.bytes = append(dst, '}', '\n')
	status := http.StatusCreated
	if recorded == 0 {
		status = http.StatusOK
	}
	write(w, status, b.bytes)
	return nil
}

// appendEach appends what the submitter is told of each event of a batch.
func appendEach(dst []byte, all []intake.Accepted) []byte {
	dst = append(dst, `,"events":[`...)
	for i := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendAccepted(dst, &all[i])
	}
	return append(dst, ']')
}

// prefersMinimal reports whether the client asked for a short answer, see RFC
// 7240.
func prefersMinimal(r *http.Request) bool {
	for _, line := range r.Header["Prefer"] {
		for preference := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(preference, ";")
			if strings.EqualFold(strings.TrimSpace(name), "return=minimal") {
				return true
			}
		}
	}
	return false
}
