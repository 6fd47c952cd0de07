package segment

import (
	"errors"

	"github.com/custody-log/custody/event"
)

// SetFetch tells a table where the bodies of its records are. Without it rows
// cannot be read, but they can be counted and sealed.
func (t *Table) SetFetch(fetch func(seq int64) (body []byte, err error)) { t.fetch = fetch }

var errNoFetch = errors.New("segment: a table without records")

// Record makes record that of a row and returns its position.
func (t *Table) Record(row int, record *event.Record) (seq int64, err error) {
	if t.fetch == nil {
		return 0, errNoFetch
	}
	seq = t.seqs[row]
	body, err := t.fetch(seq)
	if err != nil {
		return 0, err
	}
	return seq, record.Decode(body)
}

// Places returns the places of the rows that a request asks for and that come
// after one, from the newest or from the oldest on. At most limit are returned
// if they are exact; if not they are candidates, all of them. They stay valid
// when rows are added.
func (t *Table) Places(q Request, newest bool, after Place, limit int) (places []Place, exact bool, err error) {
	if len(t.seqs) == 0 {
		return nil, true, nil
	}
	x, err := t.Select(q)
	if err != nil {
		return nil, false, err
	}
	w, err := x.Walk(newest, after)
	if err != nil {
		return nil, false, err
	}
	for !x.Exact() || len(places) < limit {
		_, place, ok, err := w.Next()
		if err != nil {
			return nil, false, err
		}
		if !ok {
			break
		}
		places = append(places, place)
	}
	return places, x.Exact(), nil
}

// Span returns the times of the oldest and the newest row, in microseconds.
func (t *Table) Span() (first, end int64) {
	for i, m := range t.times {
		if i == 0 || m < first {
			first = m
		}
		if i == 0 || m > end {
			end = m
		}
	}
	return first, end
}
