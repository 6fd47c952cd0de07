package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/store"
)

// A completion is what may be typed at a place of a query.
type completion struct {
	Kind   string   `json:"kind"`  // what is being typed: a qualifier's name, or text
	Start  int      `json:"start"` // the columns that a value takes the place of
	End    int      `json:"end"`
	Values []string `json:"values"`
}

// complete answers with what may be typed at a place of a query: qualifiers,
// values that a qualifier has, values that events have.
func (a *API) complete(w http.ResponseWriter, r *http.Request, _ *auth.Key, who *reader.Reader) error {
	params, err := parameters(r, "q", "at", "limit")
	if err != nil {
		return err
	}
	limit, err := limitOf(params, defaultValues, store.MaxValues, "values")
	if err != nil {
		return err
	}
	text := params.Get("q")
	at := utf8.RuneCountInString(text) + 1
	if params.Has("at") {
		if at, err = strconv.Atoi(params.Get("at")); err != nil || at < 1 {
			return badRequest("at must be a column of the query, counted from 1")
		}
	}
	c := query.Complete(text, at)
	answer := completion{Kind: c.Kind.String(), Start: c.Start, End: c.End, Values: c.Choices}
	if name := c.Kind.String(); len(c.Choices) == 0 && slices.Contains(store.Fields(), name) {
		ctx, cancel := context.WithTimeout(r.Context(), store.DefaultBudget)
		defer cancel()
		if answer.Values, err = a.Room.Values(ctx, who, name, c.Prefix, limit); err != nil {
			return err
		}
	}
	answer.Values = answer.Values[:min(len(answer.Values), limit)]
	if answer.Values == nil {
		answer.Values = []string{}
	}
	return respond(w, http.StatusOK, answer)
}
