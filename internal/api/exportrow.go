package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// shownRecord returns a record as readers see it: a name that was erased is a
// pseudonym, if there is one.
func (a *API) shownRecord(seq journal.Seq, record *event.Record) *event.Record {
	if !slices.ContainsFunc(record.Fields, func(f event.StoredField) bool { return f.Erased }) {
		return record
	}
	fields, _ := a.Keeper.Shown(seq, record)
	shown := &event.Record{Commitment: record.Commitment, Fields: slices.Clone(record.Fields)}
	for i := range shown.Fields {
		f := &shown.Fields[i]
		if !f.Erased {
			continue
		}
		for k := range fields {
			if fields[k].Name == f.Name {
				*f = event.StoredField{Field: fields[k]}
			}
		}
	}
	return shown
}

// shownText returns the text of a field that is not erased.
func shownText(record *event.Record, name string) (string, bool) {
	for i := range record.Fields {
		if f := &record.Fields[i]; f.Name == name {
			return f.Text(), !f.Erased
		}
	}
	return "", false
}

// textIn is shownText for a field that is always there.
func textIn(record *event.Record, name string) string {
	text, _ := shownText(record, name)
	return text
}

// namedRecords returns, in order, those of some events that are there and match.
func (a *API) namedRecords(ctx context.Context, seqs []journal.Seq, q *query.Query, oldest bool) ([]store.Found, error) {
	type timed struct {
		store.Found

		at time.Time
	}
	var list []timed
	for _, seq := range seqs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records, err := a.Journal.Read(seq, 1)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 || records[0].Body == nil {
			continue
		}
		record, err := event.DecodeRecord(records[0].Body)
		if err != nil {
			return nil, err
		}
		if !a.Store.Show(record) || !q.Match(record.Open(), a.Store.Derive()) {
			continue
		}
		at, _ := record.Open().Get("time")
		list = append(list, timed{store.Found{Seq: seq, Record: record}, at.Time()})
	}
	slices.SortFunc(list, func(x, y timed) int {
		c := cmp.Or(x.at.Compare(y.at), cmp.Compare(x.Seq, y.Seq))
		if !oldest {
			c = -c
		}
		return c
	})
	found := make([]store.Found, len(list))
	for i := range list {
		found[i] = list[i].Found
	}
	return found, nil
}
