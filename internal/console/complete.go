package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
)

// Limits of completing what somebody types.
const (
	maxChoices     = 10
	completeBudget = time.Second
)

// A completion is what may be typed at a place of a query.
type completion struct {
	Kind   string   `json:"kind"`  // what is being typed: a qualifier's name, or text
	Start  int      `json:"start"` // the columns, from 1, that a choice takes the place of
	End    int      `json:"end"`
	Values []choice `json:"values"`
}

// A choice is one thing that may be typed.
type choice struct {
	Text string `json:"text"` // as it is put into the query, quoted if need be
	Show string `json:"show"` // as it is
}

// complete answers with what may be typed at a place of a query.
func (c *Console) complete(w http.ResponseWriter, v *visit) error {
	params := v.URL.Query()
	text := params.Get("q")
	at := utf8.RuneCountInString(text) + 1
	if params.Has("at") {
		n, err := strconv.Atoi(params.Get("at"))
		if err != nil || n < 1 {
			return badRequest("The place in the query is a column, counted from 1.")
		}
		at = n
	}
	place := query.Complete(text, at)
	answer := completion{Kind: place.Kind.String(), Start: place.Start, End: place.End, Values: []choice{}}
	for _, value := range place.Choices {
		answer.Values = append(answer.Values, choice{value, value})
	}
	if len(place.Choices) == 0 && slices.Contains(store.Fields(), answer.Kind) {
		values, err := c.values(v, answer.Kind, place.Prefix)
		if err != nil {
			return err
		}
		for _, value := range values {
			if t := term(answer.Kind, value); t != "" {
				answer.Values = append(answer.Values, choice{t[len(answer.Kind)+1:], value})
			}
		}
	}
	answer.Values = answer.Values[:min(len(answer.Values), maxChoices)]
	body, err := json.Marshal(&answer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(body)
	return nil
}

// values returns values of a field that the visitor may see somewhere. There are
// none for those who may not look everywhere, and none after a while.
func (c *Console) values(v *visit, field, prefix string) ([]string, error) {
	done, err := c.turn(v.Context(), v.SignedIn())
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(v.Context(), completeBudget)
	defer cancel()
	values, err := c.Room.Values(ctx, v.Reader, field, prefix, maxChoices)
	if errors.Is(err, reading.ErrScope) || errors.Is(err, reading.ErrNone) || errors.Is(err, context.DeadlineExceeded) {
		return nil, nil
	}
	return values, err
}
