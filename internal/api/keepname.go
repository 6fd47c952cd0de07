package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// maxNamed bounds the events that a search for a pseudonym looks at.
const maxNamed = 10_000

// searchNamed answers a search for a pseudonym: no index has it, so the events in
// which it stands are looked at one by one. There are no further pages; an answer
// that leaves something out is not complete.
func (a *API) searchNamed(w http.ResponseWriter, r *http.Request, req store.Request, seqs []journal.Seq, rest *query.Query) error {
	if req.After != nil {
		return badRequest("a search for a pseudonym has no further pages; ask for less, with after: and before:")
	}
	f := found{Events: []*shown{}, Complete: len(seqs) <= maxNamed}
	f.Looked = min(len(seqs), maxNamed)
	for _, seq := range seqs[:f.Looked] {
		e, err := a.named(r.Context(), seq, rest)
		if err != nil {
			return err
		}
		if e != nil {
			f.Events = append(f.Events, e)
		}
	}
	slices.SortFunc(f.Events, func(x, y *shown) int {
		c := cmp.Or(x.time().Compare(y.time()), cmp.Compare(x.seq, y.seq))
		if !req.Oldest {
			c = -c
		}
		return c
	})
	if len(f.Events) > req.Limit {
		f.Events, f.Complete = f.Events[:req.Limit], false
	}
	return respond(w, http.StatusOK, f)
}

// named returns the event at seq, if it is there and matches.
func (a *API) named(ctx context.Context, seq journal.Seq, rest *query.Query) (*shown, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	records, err := a.Journal.Read(seq, 1)
	if err != nil || len(records) == 0 || records[0].Body == nil {
		return nil, err
	}
	record, err := event.DecodeRecord(records[0].Body)
	if err != nil {
		return nil, err
	}
	if !a.Store.Show(record) || !rest.Match(record.Open(), a.Store.Derive()) {
		return nil, nil //nolint:nilnil // no event and no error: it is past its time or another
	}
	return a.show(seq, record), nil
}
