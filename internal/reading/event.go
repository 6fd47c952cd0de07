package reading

import (
	"context"
	"errors"
	"fmt"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/proof"
)

// Event returns the event at a position as r gets it. It returns [ErrNone] if
// there is none or r may not see it, and to staff [ErrExpired] if retention
// dropped it.
func (m *Room) Event(ctx context.Context, r *reader.Reader, seq journal.Seq) (*Shown, error) {
	e, _, err := m.event(ctx, r, seq)
	return e, err
}

// event returns one event and the record that it is of.
func (m *Room) event(ctx context.Context, r *reader.Reader, seq journal.Seq) (*Shown, *event.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	records, err := m.Journal.Read(seq, 1)
	if err != nil {
		return nil, nil, err
	}
	if len(records) == 0 {
		return nil, nil, ErrNone
	}
	gone := ErrNone
	if r.IsStaff() {
		gone = ErrExpired
	}
	if records[0].Body == nil {
		return nil, nil, gone
	}
	record, err := event.DecodeRecord(records[0].Body)
	if err != nil {
		return nil, nil, fmt.Errorf("reading: record %d: %w", seq, err)
	}
	if !m.Store.Show(record) {
		return nil, nil, gone
	}
	e, ok := m.disclose(r, seq, record)
	if !ok {
		return nil, nil, ErrNone
	}
	return e, record, nil
}

// errOther is a fault of the caller.
var errOther = errors.New("the proof is of another event")

// Receipt returns the evidence for the event at a position, as a file: p proves
// all of it, and what r sees can be read in it. Its errors are those of
// [Room.Event].
func (m *Room) Receipt(ctx context.Context, r *reader.Reader, seq journal.Seq, p *proof.Proof) ([]byte, error) {
	e, record, err := m.event(ctx, r, seq)
	if err != nil {
		return nil, err
	}
	if p.Index != int64(seq) {
		return nil, fmt.Errorf("reading: event %d: %w", seq, errOther)
	}
	open := proof.Disclose(record, func(f *event.Field) bool {
		_, shown := e.Fields.Get(f.Name)
		return shown
	})
	return proof.NewReceipt(open, *p).Format()
}
