package intake

import (
	"context"
	"fmt"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
)

// claim finds out which events of b are recorded already, and takes the right
// to record the others: the caller must then call decide with the outcome.
// While somebody else holds that right for one of them, claim waits.
func (d *Desk) claim(ctx context.Context, b *draft) (decide func(journal.Seq, error), err error) {
	if err := d.repeated(b); err != nil {
		return nil, err
	}
	for {
		doubts, busy, done := d.tryClaim(b)
		switch {
		case done != nil:
			return func(first journal.Seq, err error) { d.decide(b, done, first, err) }, nil
		case busy != nil:
			select {
			case <-busy:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		default:
			for _, doubt := range doubts {
				if err := d.compare(b, doubt); err != nil {
					return nil, err
				}
			}
		}
	}
}

// A doubt is an event that may be recorded already at some positions.
type doubt struct {
	event int
	at    []journal.Seq
}

// tryClaim takes the right to record the events of b that are not duplicates,
// until done is closed; unless another submission holds it for one of them,
// which is over once busy is closed; or unless some must first be compared with
// what is recorded.
func (d *Desk) tryClaim(b *draft) (doubts []doubt, busy, done chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range b.events {
		e := &b.events[i]
		if e.duplicate {
			continue
		}
		if busy := d.pending[e.hash]; busy != nil {
			return nil, busy, nil
		}
		var at []journal.Seq
		d.known.find(e.hash, func(seq journal.Seq) { at = append(at, seq) })
		if len(at) > e.seen {
			doubts = append(doubts, doubt{i, at})
		}
	}
	if len(doubts) > 0 {
		return doubts, nil, nil
	}
	done = make(chan struct{})
	for i := range b.events {
		if e := &b.events[i]; !e.duplicate {
			d.pending[e.hash] = done
		}
	}
	return nil, nil, done
}

// decide ends the claim of b, whose first fresh event is at first.
func (d *Desk) decide(b *draft, done chan struct{}, first journal.Seq, err error) {
	d.mu.Lock()
	seq := first
	for i := range b.events {
		e := &b.events[i]
		if e.duplicate {
			continue
		}
		delete(d.pending, e.hash)
		if err == nil {
			d.known.add(e.hash, seq)
			seq++
		}
	}
	d.mu.Unlock()
	close(done)
	if err == nil {
		d.watch.arrived(b)
	}
}

// compare decides whether an event of b is one of those recorded at the
// positions of doubt.
func (d *Desk) compare(b *draft, doubt doubt) error {
	e := &b.events[doubt.event]
	mine, err := event.DecodeRecord(b.record(doubt.event))
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	for _, seq := range doubt.at {
		theirs, err := d.read(seq)
		if err != nil {
			return err
		}
		fields := theirs.Open()
		if fields.Text("id") != e.id || fields.Text("source") != b.from.Source {
			continue // another event with the same hash
		}
		if !sameEvent(mine.Open(), fields) {
			return &ConflictError{Index: b.index(doubt.event), ID: e.id, Seq: seq}
		}
		e.duplicate, e.seq, e.commitment = true, seq, theirs.Commitment
	}
	e.seen = len(doubt.at)
	return nil
}

// repeated finds events that stand in the draft twice.
func (d *Desk) repeated(b *draft) error {
	if len(b.events) < 2 {
		return nil
	}
	first := make(map[uint64]int, len(b.events))
	for i := range b.events {
		e := &b.events[i]
		k, ok := first[e.hash]
		if !ok {
			first[e.hash] = i
			continue
		}
		mine, err := event.DecodeRecord(b.record(i))
		if err != nil {
			return fmt.Errorf("intake: %w", err)
		}
		theirs, err := event.DecodeRecord(b.record(k))
		if err != nil {
			return fmt.Errorf("intake: %w", err)
		}
		if !sameEvent(mine.Open(), theirs.Open()) {
			return &ConflictError{Index: i, ID: e.id, Seq: -1}
		}
		e.duplicate, e.seq, e.commitment = true, journal.Seq(-1-k), b.events[k].commitment
	}
	return nil
}

// index returns the place in the batch of event i of b, for an error.
func (b *draft) index(i int) int {
	if len(b.events) == 1 {
		return -1
	}
	return i
}

// read returns the record at seq.
func (d *Desk) read(seq journal.Seq) (*event.Record, error) {
	records, err := d.journal.Read(seq, 1)
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("intake: record %d is not there", seq)
	}
	return event.DecodeRecord(records[0].Body)
}
